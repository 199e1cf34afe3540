"""Cross-validation by patient: the figure to trust where the test set has 36 pictures."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ..data.images import ImageSet
from ..data.tasks import Task, check_task, cut_validation
from ..errors import InputError, check_kind, check_whole_number
from ..quiet import keras
from .intervals import Proportion
from .predictions import predict
from .scores import score


@runtime_checkable
class Trainable(Protocol):
    """What builds and trains a new model each time, such as a recipe."""

    keep: str
    early_stopping: int | None

    def train(self, task: Task, seed: int) -> tuple[keras.Model, pd.DataFrame]:
        """Return a model trained on `task.train`, and its history."""


def cross_validate(
    recipe: Trainable,
    task: Task,
    repeats: int = 1,
    folds: int = 5,
    seed: int = 42,
    shown: Callable[[ImageSet, ImageSet], ImageSet] | None = None,
) -> pd.DataFrame:
    """Train on all folds but one, predict the one left out, in turn; print a line a fold.

    Folds are cut from the training and validation pictures by patient, stratified and seeded; the
    test pictures take no part. The fold left out is watched while training and decides nothing.
    Where the recipe stops early or keeps the best epoch, a fifth of the training pictures is cut
    off by patient to decide that.

    Parameters
    ----------
    recipe : Recipe
    task : Task
    repeats : int
        How often all of it is done, each time with other folds and other new weights.
    folds, seed : int
    shown : callable, optional
        Gets the pictures that a fold is to be trained on and those left out, and returns what it
        is trained on: fewer, or others more.

    Returns
    -------
    DataFrame
        A row a picture and repeat, as `predict` gives it, with the repeat and the fold (both from
        1) that it was left out in. `spread` sums it up.

    Raises
    ------
    InputError
        If the recipe and the task don't fit, or there are too few patients for so many folds.
    """
    parts = []
    for repeat, fold, cut in cut_tasks(recipe, task, repeats, folds, seed, shown):
        turn = f"Repeat {repeat} of {repeats}, fold" if repeats > 1 else "Fold"
        trained_on = f"{turn} {fold} of {folds}: trained on {len(cut.train)} pictures"
        print(trained_on, end="", flush=True)
        with redirect_stdout(io.StringIO()):  # a line an epoch would bury the folds'
            model, _ = recipe.train(cut, seed=seed + repeat - 1)
        parts.append(predict(model, cut.test).assign(repeat=repeat, fold=fold))
        print(f", of those left out {score(parts[-1]).right}/{len(cut.test)} right")
    predictions = pd.concat(parts, ignore_index=True)
    print(f"Cross-validated: {spread(predictions)}")
    return predictions


def cut_tasks(
    recipe: Trainable,
    task: Task,
    repeats: int,
    folds: int,
    seed: int,
    shown: Callable[[ImageSet, ImageSet], ImageSet] | None = None,
) -> Iterator[tuple[int, int, Task]]:
    """Give repeat and fold (from 1), and the task to train on then: its test is what is left out.

    Parameters and errors are those of `cross_validate`.
    """
    check_kind(recipe, Trainable, "a recipe, such as xk.recipes['task2-mobilenetv2']")
    check_task(task)
    images = task.train.join(task.validation)
    for repeat, fold, rest, left_out in cut_folds(images, repeats, folds, seed):
        train, test = images.subset(rest), images.subset(left_out)
        validation = test
        if shown:
            train = shown(train, test)
        if recipe.early_stopping or recipe.keep == "best":
            train, validation = cut_validation(train, 0.2, seed)
        yield repeat, fold, replace(task, train=train, validation=validation, test=test)


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
