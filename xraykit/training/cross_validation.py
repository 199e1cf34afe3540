"""Cross-validation by patient: the figure to trust where the test set has 36 images."""

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Protocol, runtime_checkable

import pandas as pd

from .._keras import keras
from ..data.images import ImageSet
from ..data.splits import make_folds, split_validation
from ..data.tasks import Task, check_task
from ..errors import check_kind
from ..metrics.scores import score, summarize_cross_validation
from .predict import predict


@runtime_checkable
class Trainable(Protocol):
    """What builds and trains a new model each time, such as a recipe."""

    restore_best_weights: bool
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

    Folds are cut from the training and validation images by patient, stratified and seeded; the
    test images take no part. The fold left out is watched while training and decides nothing.
    Where the recipe stops early or keeps the best epoch, a fifth of the training images is cut
    off by patient to decide that.

    Parameters
    ----------
    recipe : Recipe
    task : Task
    repeats : int
        How often all of it is done, each time with other folds and other new weights.
    folds, seed : int
    shown : callable, optional
        Gets the images that a fold is to be trained on and those left out, and returns what it
        is trained on: fewer, or others more.

    Returns
    -------
    DataFrame
        A row an image and repeat, as `predict` gives it, with the repeat and the fold (both from
        1) that it was left out in. `summarize_cross_validation` sums it up.

    Raises
    ------
    InputError
        If the recipe and the task don't fit, or there are too few patients for so many folds.
    """
    parts = []
    for repeat, fold, cut in fold_tasks(recipe, task, repeats, folds, seed, shown):
        turn = f"Repeat {repeat} of {repeats}, fold" if repeats > 1 else "Fold"
        trained_on = f"{turn} {fold} of {folds}: trained on {len(cut.train)} images"
        print(trained_on, end="", flush=True)
        with redirect_stdout(io.StringIO()):  # a line an epoch would bury the folds'
            model, _ = recipe.train(cut, seed=seed + repeat - 1)
        parts.append(predict(model, cut.test).assign(repeat=repeat, fold=fold))
        print(f", of those left out {score(parts[-1]).correct}/{len(cut.test)} right")
    predictions = pd.concat(parts, ignore_index=True)
    print(f"Cross-validated: {summarize_cross_validation(predictions)}")
    return predictions


def fold_tasks(
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
    images = task.development
    for repeat, fold, rest, left_out in make_folds(images, repeats, folds, seed):
        train, test = images.subset(rest), images.subset(left_out)
        validation = test
        if shown:
            train = shown(train, test)
        if recipe.early_stopping or recipe.restore_best_weights:
            train, validation = split_validation(train, 0.2, seed)
        yield repeat, fold, replace(task, train=train, validation=validation, test=test)
