"""Splits by patient: a validation set, and the folds of cross-validation."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from ..errors import InputError, check_seed, check_whole_number
from .images import ImageSet


def split_validation(images: ImageSet, *, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Return a training and a validation set, the latter with about `fraction` of the images.

    No patient is in both.

    Raises
    ------
    InputError
        If a class has too few patients.
    """
    parts = max(Fraction(fraction).limit_denominator(10), Fraction(1, 10))
    n_folds = parts.denominator
    for class_name, n_patients in _count_patients(images).items():
        if n_patients < n_folds:
            raise InputError(
                f"Class {class_name} has {n_patients} patients to train on: expected at least "
                f"{n_folds} for a validation set with validation_fraction={fraction}"
            )
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    folds = [fold for _, fold in splitter.split(images.paths, images.labels, images.patients)]
    validation = np.sort(np.concatenate(folds[: parts.numerator]))
    training = np.setdiff1d(np.arange(len(images)), validation)
    return images.subset(training), images.subset(validation)


def make_folds(
    images: ImageSet, *, repeats: int, folds: int, seed: int
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Yield repeat and fold (both from 1), and the rows of the training and held-out images.

    Folds are split by patient and stratified by class, by scikit-learn's `StratifiedGroupKFold`.
    The same seed gives the same folds, so networks and baselines are tested on the same images.

    Raises
    ------
    InputError
        If a class has fewer patients than folds.
    """
    check_whole_number("repeats", repeats, minimum=1)
    check_whole_number("folds", folds, minimum=2)
    check_seed(seed)
    max_folds = min(filter(None, _count_patients(images).values()))
    if folds > max_folds:
        raise InputError(
            f"folds={folds}: expected at most {max_folds}, the number of patients in the smallest "
            "class"
        )
    for repeat in range(repeats):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + repeat)
        splits = splitter.split(images.paths, images.labels, images.patients)
        for fold, (training, held_out) in enumerate(splits, start=1):
            yield repeat + 1, fold, training, held_out


def _count_patients(images: ImageSet) -> dict[str, int]:
    """Count the patients of each class, 0 for a class without images."""
    pairs = set(zip(images.label_names.tolist(), images.patients, strict=True))
    counts = Counter(class_name for class_name, _ in pairs)
    return {class_name: counts[class_name] for class_name in images.class_names}
