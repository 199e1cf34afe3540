"""Folds cut by patient, and what was right in them."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ..data.images import ImageSet
from ..errors import InputError, check_whole_number
from .intervals import Proportion


def cut_folds(
    images: ImageSet, repeats: int, folds: int, seed: int
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Give repeat and fold (from 1), and the rows to learn from and those left out.

    Cut by patient, stratified by class, by scikit-learn's `StratifiedGroupKFold`. The same seed
    gives the same folds: so networks and baselines are asked about the same pictures.

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


def spread(predictions: pd.DataFrame) -> str:
    """Sum up what `cross_validate` gave: pictures right, and how much that varies.

    With several repeats it is the mean number of pictures right in one of them, whose interval
    takes the pictures once, not once a repeat; and the fewest and the most of a repeat. The
    standard error is over the folds of a repeat (their mean over the repeats), whose training
    pictures overlap: it is on the small side (Bengio and Grandvalet 2004, Journal of Machine
    Learning Research 5, 1089).

    Examples
    --------
    >>> table = pd.DataFrame({"true": ["a"] * 8, "repeat": [1] * 4 + [2] * 4})
    >>> spread(table.assign(predicted=list("aaabaabb"), fold=[1, 1, 2, 2] * 2))
    '3/4 = 75 % [30, 95] on average, 2 to 3 in a repeat, standard error of the share 0.375'
    """
    right = predictions["true"] == predictions["predicted"]
    counts = right.groupby(predictions["repeat"]).sum()
    shares = right.groupby([predictions["repeat"], predictions["fold"]]).mean()
    error = shares.groupby("repeat").sem().mean()
    said = f"{Proportion(*mean_right(predictions))}"
    if len(counts) > 1:
        said += f" on average, {counts.min()} to {counts.max()} in a repeat"
    return f"{said}, standard error of the share {error:.3f}"


def mean_right(predictions: pd.DataFrame) -> tuple[int, int]:
    """Return how many pictures are right in a repeat, on average and rounded, and of how many."""
    right = predictions["true"] == predictions["predicted"]
    counts = right.groupby(predictions["repeat"]).agg(["sum", "size"])
    return int(counts["sum"].mean() + 0.5), int(counts["size"].iloc[0])
