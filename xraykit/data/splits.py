"""Splits by patient: a validation set, and the folds of cross-validation."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from ..errors import InputError, check_whole_number
from .images import ImageSet


def split_validation(images: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Return the images in two sets, the second of about that share, no patient in both.

    Raises
    ------
    InputError
        If a class has too few patients.
    """
    share = max(Fraction(fraction).limit_denominator(10), Fraction(1, 10))
    folds = share.denominator
    for label, class_name in enumerate(images.class_names):
        owners = {p for p, own in zip(images.patients, images.labels, strict=True) if own == label}
        if len(owners) < folds:
            raise InputError(
                f"Class {class_name} has {len(owners)} patients to train on: expected at least "
                f"{folds} to cut a validation set by patient with validation_fraction={fraction}"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = [part for _, part in splitter.split(images.paths, images.labels, images.patients)]
    held_out = np.sort(np.concatenate(parts[: share.numerator]))
    kept = np.setdiff1d(np.arange(len(images)), held_out)
    return images.subset(kept), images.subset(held_out)


def make_folds(
    images: ImageSet, repeats: int, folds: int, seed: int
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Give repeat and fold (from 1), and the rows to learn from and those left out.

    Cut by patient, stratified by class, by scikit-learn's `StratifiedGroupKFold`. The same seed
    gives the same folds: so networks and baselines are asked about the same images.

    Raises
    ------
    InputError
        If there are too few patients for so many folds.
    """
    check_whole_number("repeats", repeats, least=1)
    check_whole_number("folds", folds, least=2)
    check_whole_number("seed", seed, least=0)
    owners = set(zip(images.labels.tolist(), images.patients, strict=True))
    fewest = min(Counter(label for label, _ in owners).values())
    if folds > fewest:
        raise InputError(f"folds={folds}: expected at most {fewest}, the patients of a class")
    for repeat in range(repeats):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + repeat)
        cuts = splitter.split(images.paths, images.labels, images.patients)
        for fold, (rest, left_out) in enumerate(cuts, start=1):
            yield repeat + 1, fold, rest, left_out
