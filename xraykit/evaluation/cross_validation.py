"""Cross-validation by patient: the figure to trust where the test set has 36 pictures."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ..data.tasks import Task
from ..errors import InputError, check_whole_number
from ..quiet import keras
from ..training.train import train
from .intervals import proportion
from .predictions import predict


def cross_validate(
    build: Callable[[], keras.Model],
    task: Task,
    folds: int = 5,
    seed: int = 42,
    **training: object,
) -> pd.DataFrame:
    """Train on all folds but one, predict the one left out, in turn; print how it went.

    Folds are cut from the training and validation pictures by patient, stratified and seeded; the
    test pictures take no part. The fold left out is watched while training and decides nothing:
    the last epoch's weights predict it.

    Parameters
    ----------
    build : callable
        Called without arguments, returns a new model for each fold.
    task : Task
    folds, seed : int
    **training
        Passed on to `train`: epochs, batch_size, learning_rate, … but neither `keep` nor
        `early_stopping`.

    Returns
    -------
    DataFrame
        A row a picture, as `predict` gives it, with the fold (from 1) that it was left out in.

    Raises
    ------
    InputError
        If the fold left out could leak into its own training: by those two, or because `build`
        gives one model twice.
    """
    check_whole_number("folds", folds, least=2)
    if deciding := sorted({"keep", "early_stopping"} & set(training)):
        raise InputError(
            f"{' and '.join(deciding)} would let the fold left out choose its own weights: "
            "leave it out, and choose the number of epochs beforehand"
        )
    images = task.train.join(task.validation)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts, last = [], None
    for fold, (rest, left_out) in enumerate(
        splitter.split(images.paths, images.labels, images.patients), start=1
    ):
        part = replace(task, train=images.subset(rest), validation=images.subset(left_out))
        model = build()
        if model is last:
            raise InputError("build() gave the same model twice: expected a new one for each fold")
        last = model
        print(f"Fold {fold} of {folds}: {len(rest)} pictures to train on, {len(left_out)} left out")
        train(model, part, seed=seed, **training)
        parts.append(predict(model, part.validation).assign(fold=fold))
    predictions = pd.concat(parts, ignore_index=True)
    right = predictions["true"] == predictions["predicted"]
    by_fold = right.groupby(predictions["fold"]).mean()
    print(
        f"Cross-validated accuracy {by_fold.mean():.3f}, standard error {by_fold.sem():.3f} over "
        f"{folds} folds; all pictures: {proportion(int(right.sum()), len(right))}"
    )
    return predictions
