"""Permutation test of whether features can predict the class."""

from collections import Counter
from math import factorial, prod

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..errors import InputError

N_SPLITS = 3  # of the patients into folds


def permutation_p(
    values: np.ndarray,
    labels: np.ndarray,
    *,
    patients: tuple[str, ...],
    seed: int = 42,
    n_permutations: int = 999,
    folds: int = 5,
) -> float:
    """Return the p value: how often permuted labels are predicted at least as well as the true.

    A kernel ridge classifier is cross-validated by patient; its score is the balanced accuracy,
    the mean over the classes of the fraction predicted correctly. The same is done with permuted
    labels, where all images of one patient and class get the same label (Ojala and Garriga 2010,
    Journal of Machine Learning Research 11, 1833). p is the fraction of labelings, including the
    true one, with a score at least as high as the true one's. The patients are split into folds in
    three ways, none of which depends on the labels, and the largest p is returned, so that it
    depends less on one split: the test errs on the side of finding nothing.

    Parameters
    ----------
    values : ndarray, shape (images, features)
    labels : ndarray of int, shape (images,)
        From 0; every label up to the largest occurs.
    patients : tuple of str
    seed, n_permutations, folds : int
        The smallest possible p is 1 / (n_permutations + 1).

    Raises
    ------
    InputError
        If there are fewer patients than folds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels, patients = np.arange(60) % 2, tuple(f"p{i}" for i in range(60))
    >>> values = labels[:, None] + rng.normal(0, 0.5, (60, 1))
    >>> permutation_p(values, labels, patients=patients, n_permutations=199)
    0.005
    """
    if len(set(patients)) < folds:
        raise InputError(f"Expected at least {folds} patients; found {len(set(patients))}")
    labelings = permute_labels(labels, patients=patients, n_permutations=n_permutations, seed=seed)
    truth = np.eye(labels.max() + 1, dtype=np.float32)[labelings]  # labeling, image, class
    frequencies = truth.mean(axis=1, keepdims=True)
    # Kernel ridge solves for many targets at once: one for each class of each labeling.
    targets = np.moveaxis(truth / frequencies, 0, 1).reshape(len(labels), -1)
    model = make_pipeline(StandardScaler(), KernelRidge(kernel="rbf"))
    p_values = []
    for split in range(N_SPLITS):
        by_patient = GroupKFold(folds, shuffle=True, random_state=seed + split)
        votes = cross_val_predict(model, values, targets, groups=patients, cv=by_patient)
        predicted = votes.reshape(len(labels), len(labelings), -1).argmax(axis=-1).T
        hits = (predicted == labelings)[..., None] * truth
        score = (hits.mean(axis=1) / frequencies[:, 0]).mean(axis=-1)
        p_values.append((score >= score[0] - 1e-6).mean())
    return float(max(p_values))


def smallest_p(
    labels: np.ndarray, patients: tuple[str, ...], *, n_permutations: int = 999
) -> float:
    """Return the smallest p that so few patients allow, however well the labels are predicted.

    Some permutations give the true labels again, or the same with classes of equal size swapped.

    Examples
    --------
    >>> labels = np.array([0] * 5 + [1] * 5)  # 2 of 252 permutations
    >>> round(smallest_p(labels, tuple("abcdefghij")), 4)
    0.0089
    """
    pairs = set(zip(labels.tolist(), patients, strict=True))
    counts = Counter(label for label, _ in pairs)
    permutations = factorial(len(pairs)) // prod(map(factorial, counts.values()))
    equivalent = prod(map(factorial, Counter(counts.values()).values()))
    return equivalent / permutations + 1 / (n_permutations + 1)


def permute_labels(
    labels: np.ndarray, *, patients: tuple[str, ...], n_permutations: int, seed: int
) -> np.ndarray:
    """Return the true labels and permutations of them, shape (1 + n_permutations, images).

    Labels are exchanged between patients: all images of one patient and class keep one label.
    """
    owners = np.unique(patients, return_inverse=True)[1]
    pairs = np.stack([owners, labels], axis=1)
    blocks, block = np.unique(pairs, axis=0, return_inverse=True)
    rng = np.random.default_rng(seed)
    permuted = rng.permuted(np.tile(blocks[:, 1], (n_permutations, 1)), axis=1)
    return np.vstack([labels, permuted[:, block.ravel()]])
