"""What a classifier gets that sees no lungs: the scores that a network's stand beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier

from ..data.images import UnusableError, read_picture
from ..data.tasks import Task
from ..errors import InputError
from ..metrics.folds import cut_folds, mean_right
from ..metrics.predictions import tabulate
from ..metrics.scores import score
from ..progress import in_threads
from .features import MEASURES, SIDE, Measure

TREES = 200
GUESSING = Measure(
    "guessing", "nothing: names the most frequent class", lambda path, grey: np.zeros(1), False
)


@dataclass(frozen=True, eq=False)
class Baseline:
    """A classifier that is given one measure of the pictures.

    Attributes
    ----------
    measure : Measure
    table : ndarray, shape (pictures, numbers)
        The measure of the training and validation pictures.
    test : DataFrame
        Its predictions of the test pictures, as `predict` gives them.
    cross_validated : DataFrame
        Those of the training and validation pictures, as `cross_validate` gives them.
    """

    measure: Measure
    table: np.ndarray
    test: pd.DataFrame
    cross_validated: pd.DataFrame

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Pictures right, of how many, cross-validated and of the test."""
        tested = score(self.test)
        crossed = mean_right(self.cross_validated)
        return {"cross-validated": crossed, "test": (tested.right, tested.of)}


def fit_baselines(
    task: Task, greys: Sequence[np.ndarray], repeats: int, folds: int, seed: int
) -> list[Baseline]:
    """Return random forests that are given one measure of each picture, after mere guessing.

    Parameters
    ----------
    task : Task
    greys : sequence of ndarray
        As `read_grey` gives them, of the pictures of train, validation and test, in that order;
        more may follow.
    repeats, folds, seed : int
        Of the cross-validation by patient, in the very folds that `cross_validate` cuts.

    Raises
    ------
    InputError
        If there are too few patients.
    """
    learned, tested = task.train.join(task.validation), task.test
    files = [task.root / path for path in learned.paths + tested.paths]
    shown = greys[: len(files)]
    fitted = []
    for measure in (GUESSING, *MEASURES):
        table = np.stack(in_threads(measure.numbers, files, shown, doing=measure.name))
        known, new = table[: len(learned)], table[len(learned) :]
        forest = RandomForestClassifier(TREES, random_state=seed)
        model = DummyClassifier() if measure is GUESSING else forest
        parts = []
        for repeat, fold, rest, left_out in cut_folds(learned, repeats, folds, seed):
            model.fit(known[rest], learned.labels[rest])
            said = tabulate(learned.subset(left_out), model.predict_proba(known[left_out]))
            parts.append(said.assign(repeat=repeat, fold=fold))
        model.fit(known, learned.labels)
        fitted.append(
            Baseline(measure, known, tabulate(tested, model.predict_proba(new)), pd.concat(parts))
        )
    return fitted


def read_grey(files: Sequence[Path]) -> list[np.ndarray]:
    """Return the grey levels of pictures, each uint8 of shape (256, 256).

    Raises
    ------
    InputError
        If one can't be read any more.
    """

    def read(path: Path) -> np.ndarray:
        try:
            return np.asarray(Image.fromarray(read_picture(path, SIDE)[0]).convert("L"))
        except UnusableError as error:
            raise InputError(
                f"{path} can't be read any more: {error}. Load the task anew"
            ) from error

    return in_threads(read, files, doing="reading")
