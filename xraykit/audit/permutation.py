"""Does a table of numbers tell the class? Asked by dealing the classes anew among patients."""

from collections import Counter
from math import factorial, prod

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..errors import InputError

CUTS = 3  # ways to cut the folds


def permutation_p(
    table: np.ndarray,
    labels: np.ndarray,
    patients: tuple[str, ...],
    seed: int = 42,
    dealings: int = 999,
    folds: int = 5,
) -> float:
    """Return how rarely classes dealt by lot are told apart as well as the true ones.

    A kernel ridge classifier is fitted on all patients but a fold of them, and names the classes of
    these; its score is the mean over the classes of the share that it names right. The same is done
    with classes dealt anew, all pictures of one patient and class getting the same one: a
    permutation test (Ojala and Garriga 2010, Journal of Machine Learning Research 11, 1833). p is
    the share of dealings, the true one included, that score as high as the true one. Folds are cut
    in three ways, none of which looks at the classes, and the largest p is returned, so that it
    hangs less on how the folds fell: it errs on the side of finding nothing.

    Parameters
    ----------
    table : ndarray, shape (pictures, numbers)
    labels : ndarray of int, shape (pictures,)
        From 0, every one up to the largest there.
    patients : tuple of str
    seed, dealings, folds : int
        The smallest p possible is 1 / (dealings + 1).

    Raises
    ------
    InputError
        If there are fewer patients than folds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels, patients = np.arange(60) % 2, tuple(f"p{i}" for i in range(60))
    >>> told = labels[:, None] + rng.normal(0, 0.5, (60, 1))
    >>> permutation_p(told, labels, patients, dealings=199)
    0.005
    """
    if len(set(patients)) < folds:
        raise InputError(f"Expected at least {folds} patients; found {len(set(patients))}")
    dealt = deal(labels, patients, dealings, seed)
    truth = np.eye(labels.max() + 1, dtype=np.float32)[dealt]  # dealing, picture, class
    shares = truth.mean(axis=1, keepdims=True)
    # Kernel ridge solves for any number of targets at once: each class of each dealing is one.
    targets = np.moveaxis(truth / shares, 0, 1).reshape(len(labels), -1)
    model = make_pipeline(StandardScaler(), KernelRidge(kernel="rbf"))
    p_values = []
    for cut in range(CUTS):
        by_patient = GroupKFold(folds, shuffle=True, random_state=seed + cut)
        votes = cross_val_predict(model, table, targets, groups=patients, cv=by_patient)
        named = votes.reshape(len(labels), len(dealt), -1).argmax(axis=-1).T
        hits = (named == dealt)[..., None] * truth
        score = (hits.mean(axis=1) / shares[:, 0]).mean(axis=-1)
        p_values.append((score >= score[0] - 1e-6).mean())
    return float(max(p_values))


def least_p(labels: np.ndarray, patients: tuple[str, ...], dealings: int = 999) -> float:
    """Return the smallest p that so many patients can give, however well they are told apart.

    That is how often lots deal the true classes, or the same with classes of equal size swapped,
    beside the true dealing itself.

    Examples
    --------
    >>> round(least_p(np.array([0] * 5 + [1] * 5), tuple("abcdefghij")), 4)  # 2 of 252 deals
    0.0089
    """
    pairs = set(zip(labels.tolist(), patients, strict=True))
    counts = Counter(label for label, _ in pairs)
    deals = factorial(len(pairs)) // prod(map(factorial, counts.values()))
    alike = prod(map(factorial, Counter(counts.values()).values()))
    return alike / deals + 1 / (dealings + 1)


def deal(labels: np.ndarray, patients: tuple[str, ...], dealings: int, seed: int) -> np.ndarray:
    """Return the labels as they are, then dealt anew, a row a dealing.

    A patient's pictures of one class get one label together.
    """
    owners = np.unique(patients, return_inverse=True)[1]
    pairs = np.stack([owners, labels], axis=1)
    blocks, block = np.unique(pairs, axis=0, return_inverse=True)
    rng = np.random.default_rng(seed)
    anew = rng.permuted(np.tile(blocks[:, 1], (dealings, 1)), axis=1)
    return np.vstack([labels, anew[:, block.ravel()]])
