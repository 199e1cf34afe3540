"""Cross-validation by patient: the figure to trust where the test set has 36 pictures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ..data.images import ImageSet
from ..data.tasks import Task, cut_validation
from ..errors import InputError, check_whole_number
from ..quiet import keras
from .intervals import proportion
from .predictions import predict


class Trainable(Protocol):
    """What builds and trains a new model each time, such as a recipe."""

    keep: str
    early_stopping: int | None

    def train(self, task: Task, seed: int) -> tuple[keras.Model, pd.DataFrame]:
        """Return a model trained on `task.train`, and its history."""


def cross_validate(
    recipe: Trainable,
    task: Task,
    folds: int = 5,
    seed: int = 42,
    shown: Callable[[ImageSet, ImageSet], ImageSet] | None = None,
) -> pd.DataFrame:
    """Train on all folds but one, predict the one left out, in turn; print how it went.

    Folds are cut from the training and validation pictures by patient, stratified and seeded; the
    test pictures take no part. The fold left out is watched while training and decides nothing.
    Where the recipe stops early or keeps the best epoch, a fifth of the training pictures is cut
    off by patient to decide that.

    Parameters
    ----------
    recipe : Recipe
    task : Task
    folds, seed : int
    shown : callable, optional
        Gets the pictures that a fold is to be trained on and those left out, and returns what it
        is trained on: fewer, or others more.

    Returns
    -------
    DataFrame
        A row a picture, as `predict` gives it, with the fold (from 1) that it was left out in.

    Raises
    ------
    InputError
        If the recipe and the task don't fit, or there are too few patients for so many folds.
    """
    check_whole_number("folds", folds, least=2)
    images = task.train.join(task.validation)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    try:
        cuts = list(splitter.split(images.paths, images.labels, images.patients))
    except ValueError as error:
        raise InputError(f"folds={folds}: expected fewer than a class has patients") from error
    parts = []
    for fold, (rest, left_out) in enumerate(cuts, start=1):
        train, validation = images.subset(rest), images.subset(left_out)
        if shown:
            train = shown(train, validation)
        if recipe.early_stopping or recipe.keep == "best":
            train, validation = cut_validation(train, 0.2, seed)
        print(
            f"Fold {fold} of {folds}: {len(train)} pictures to train on, {len(left_out)} left out"
        )
        model, _ = recipe.train(replace(task, train=train, validation=validation), seed=seed)
        parts.append(predict(model, images.subset(left_out)).assign(fold=fold))
    predictions = pd.concat(parts, ignore_index=True)
    right = predictions["true"] == predictions["predicted"]
    by_fold = right.groupby(predictions["fold"]).mean()
    print(
        f"Cross-validated accuracy {by_fold.mean():.3f}, standard error {by_fold.sem():.3f} over "
        f"{folds} folds; all pictures: {proportion(int(right.sum()), len(right))}"
    )
    return predictions
