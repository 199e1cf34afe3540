"""Cross-validation by patient: more reliable than a test set of 36 images."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol, runtime_checkable

import pandas as pd

from .._keras import keras
from ..data.images import ImageSet
from ..data.splits import make_folds, split_validation
from ..data.tasks import Task, check_task
from ..errors import check_kind
from ..log import logger, only_warnings
from ..metrics.scores import score, summarize_cross_validation
from .predict import predict


@runtime_checkable
class Trainable(Protocol):
    """An object that builds and trains a new model on each call, such as a recipe."""

    @property
    def restore_best_weights(self) -> bool:
        """As in `train`."""

    @property
    def early_stopping(self) -> int | None:
        """As in `train`."""

    def train(self, task: Task, seed: int) -> tuple[keras.Model, pd.DataFrame]:
        """Return a model trained on `task.train`, and its history."""


def cross_validate(
    recipe: Trainable,
    task: Task,
    *,
    repeats: int = 1,
    folds: int = 5,
    seed: int = 42,
    train_transform: Callable[[ImageSet, ImageSet], ImageSet] | None = None,
) -> pd.DataFrame:
    """Train on all folds but one and predict that one, for each fold.

    The training and validation images are split by patient, stratified and seeded; the test images
    are not used. Validation during training uses the held-out fold, which decides nothing. If the
    recipe stops early or restores the best weights, a fifth of the training images, split off by
    patient, is used instead.

    Parameters
    ----------
    recipe : Recipe
    task : Task
    repeats : int
        Number of repetitions, each with other folds and other initial weights.
    folds, seed : int
    train_transform : callable, optional
        Takes the training images and the held-out images of a fold, returns the images to train
        on: for example fewer, or additional ones.

    Returns
    -------
    DataFrame
        One row per image and repeat, as `predict` returns it, with the repeat and the fold (both
        from 1) in which the image was held out. `summarize_cross_validation` summarizes it.

    Raises
    ------
    InputError
        If the recipe does not fit the task, or a class has fewer patients than folds.

    Examples
    --------
    >>> table = xk.cross_validate(recipe, task, folds=2)
    >>> len(table) == len(task.train) + len(task.validation)
    True
    >>> sorted(set(table["fold"]))
    [1, 2]
    """
    parts = []
    for repeat, fold, split in fold_tasks(
        recipe, task, repeats=repeats, folds=folds, seed=seed, train_transform=train_transform
    ):
        prefix = f"Repeat {repeat} of {repeats}, fold" if repeats > 1 else "Fold"
        n_train, n_test = len(split.train), len(split.test)
        logger.info(f"{prefix} {fold} of {folds}: training on {n_train} images")
        with only_warnings():  # one line per epoch would hide those of the folds
            model, _ = recipe.train(split, seed=seed + repeat - 1)
        parts.append(predict(model, split.test).assign(repeat=repeat, fold=fold))
        logger.info(f"    {score(parts[-1]).correct}/{n_test} held-out images correct")
    predictions = pd.concat(parts, ignore_index=True)
    logger.info(f"Cross-validated: {summarize_cross_validation(predictions)}")
    return predictions


def fold_tasks(
    recipe: Trainable,
    task: Task,
    *,
    repeats: int,
    folds: int,
    seed: int,
    train_transform: Callable[[ImageSet, ImageSet], ImageSet] | None = None,
) -> Iterator[tuple[int, int, Task]]:
    """Yield repeat and fold (from 1), and the fold's task: its test images are the held-out ones.

    Parameters and errors are those of `cross_validate`.
    """
    check_kind(recipe, Trainable, "a recipe, such as xk.recipes['task2-mobilenetv2']")
    check_task(task)
    images = task.development
    for repeat, fold, train_rows, test_rows in make_folds(
        images, repeats=repeats, folds=folds, seed=seed
    ):
        train, test = images.subset(train_rows), images.subset(test_rows)
        validation = test
        if train_transform:
            train = train_transform(train, test)
        if recipe.early_stopping or recipe.restore_best_weights:
            train, validation = split_validation(train, fraction=0.2, seed=seed)
        yield repeat, fold, replace(task, train=train, validation=validation, test=test)
