"""Occlusion: whether a network needs what is taken away, and whether one could do without."""

import io
from contextlib import redirect_stdout
from dataclasses import replace

import pandas as pd

from .._keras import keras
from ..data.tasks import Task, check_task
from ..metrics.intervals import Proportion
from ..progress import bar
from ..training.cross_validation import Trainable, cut_tasks
from ..training.predict import predict
from .perturbations import AS_THEY_ARE, WAYS, occlude

TRAINED, RETRAINED = "trained as they are", "retrained that way"


def occlusion(
    model: keras.Model, task: Task, recipe: Trainable | None = None, seed: int = 42
) -> pd.DataFrame:
    """Count right answers about test pictures from which something was taken away.

    A network that went by it does worse; so does one that is merely surprised, as by black that it
    never saw in training. One that is retrained on such pictures shows what they still tell: of
    pictures with the thorax black, what can be had with hardly a lung in sight.

    Parameters
    ----------
    model : keras.Model
        Trained on the task.
    task : Task
    recipe : Recipe, optional
        Trains new networks on training pictures changed in the same way; without it none is.
    seed : int
        Of these trainings.

    Returns
    -------
    DataFrame of Proportion
        A row a way: as they are; border black (the outer eighth on each side); thorax black (the
        rest); marks filled in; brightness and border equal in all pictures. A column for the
        network, and one for those retrained; text "" where there is none.

    Raises
    ------
    InputError
        If the model or the recipe doesn't fit the task.
    """
    check_task(task)
    return _counted(_asked(model, task, recipe, seed))


def cross_validate_occlusion(
    recipe: Trainable, task: Task, folds: int = 5, seed: int = 42
) -> pd.DataFrame:
    """Count the same for the training and validation pictures, each left out once, by patient.

    Parameters
    ----------
    recipe, task
        As in `occlusion`.
    folds, seed : int
        As in `cross_validate`, which cuts the same folds.

    Returns
    -------
    DataFrame of Proportion
        As of `occlusion`.

    Raises
    ------
    InputError
        If there are too few patients for so many folds.
    """
    parts = []
    for _, _, cut in cut_tasks(recipe, task, 1, folds, seed):
        with redirect_stdout(io.StringIO()):
            model, _ = recipe.train(cut, seed)
        parts.append(_asked(model, cut, recipe, seed))
    return _counted(pd.concat(parts))


def _asked(model: keras.Model, task: Task, recipe: Trainable | None, seed: int) -> pd.DataFrame:
    """Return predictions of the test pictures, with the way that they were changed, and whose."""
    parts = []
    for way in bar(WAYS, "occluding"):
        test = occlude(task.test, way, task.train)
        parts.append(predict(model, test).assign(way=way, network=TRAINED))
        if recipe and way != AS_THEY_ARE:
            train, validation = (
                occlude(each, way, task.train) for each in (task.train, task.validation)
            )
            with redirect_stdout(io.StringIO()):  # or it would flood the table
                other, _ = recipe.train(replace(task, train=train, validation=validation), seed)
            parts.append(predict(other, test).assign(way=way, network=RETRAINED))
    return pd.concat(parts)


def _counted(predictions: pd.DataFrame) -> pd.DataFrame:
    rows: dict[str, dict[str, Proportion]] = {}
    for (way, network), own in predictions.groupby(["way", "network"], sort=False):
        right = int((own["true"] == own["predicted"]).sum())
        rows.setdefault(way, {})[network] = Proportion(right, len(own))
    return pd.DataFrame(rows).T.fillna("")
