"""Baseline classifiers, most of which cannot see the lungs, to compare a network with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier

from ..data.images import UnusableImageError, read_image
from ..data.splits import make_folds
from ..data.tasks import Task
from ..errors import InputError
from ..metrics.predictions import tabulate
from ..metrics.scores import mean_correct, score
from ..progress import thread_map
from .features import SIDE, border, brightness, file_metadata, text_marks, thumbnail

TREES = 200


@dataclass(frozen=True)
class ImageFeature:
    """A feature that a baseline classifier is given.

    Attributes
    ----------
    name, description : str
    extract : callable
        Function that takes the path of the image and its gray levels, uint8 of shape (256, 256),
        and returns a vector.
    is_tested : bool
        Whether the audit tests it: only features that do not contain the lungs are tested.
    """

    name: str
    description: str
    extract: Callable[[Path, np.ndarray], np.ndarray]
    is_tested: bool


GUESSING = ImageFeature(
    "guessing", "nothing: predicts the most frequent class", lambda path, gray: np.zeros(1), False
)
IMAGE_FEATURES = (
    ImageFeature(
        "file metadata", "width, height, bytes and channels of the file", file_metadata, True
    ),
    ImageFeature("border", "the outermost 3 of 64 pixels on each side", border, True),
    ImageFeature(
        "text-like marks", "text-like marks near each edge (ribs as well)", text_marks, True
    ),
    ImageFeature(
        "brightness", "mean and deviation of gray levels (lungs as well)", brightness, False
    ),
    ImageFeature(
        "16 × 16 pixels",
        "the image with its lungs, but too coarse for most disease",
        thumbnail,
        False,
    ),
)


@dataclass(frozen=True, eq=False)
class Baseline:
    """A random forest that sees one feature of the images.

    Attributes
    ----------
    feature : ImageFeature
    values : ndarray, shape (images, numbers)
        The feature of the training and validation images.
    test : DataFrame
        Its predictions of the test images, as `predict` returns them.
    cross_validated : DataFrame
        Those of the training and validation images, as `cross_validate` returns them.
    """

    feature: ImageFeature
    values: np.ndarray
    test: pd.DataFrame
    cross_validated: pd.DataFrame

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Correct images and their total, cross-validated and in the test."""
        test = score(self.test)
        return {
            "cross-validated": mean_correct(self.cross_validated),
            "test": (test.correct, test.total),
        }


def fit_baselines(
    task: Task, gray: Sequence[np.ndarray], *, repeats: int, folds: int, seed: int
) -> list[Baseline]:
    """Return one random forest per feature of the images, after a classifier that only guesses.

    Parameters
    ----------
    task : Task
    gray : sequence of ndarray
        As `read_gray` returns them, of the images of train, validation and test, in that order;
        more may follow.
    repeats, folds, seed : int
        For the cross-validation by patient, in the same folds as `cross_validate`.

    Raises
    ------
    InputError
        If a class has fewer patients than folds.
    """
    development, test = task.development, task.test
    files = [task.file(path) for path in development.paths + test.paths]
    baselines = []
    for feature in (GUESSING, *IMAGE_FEATURES):
        values = thread_map(feature.extract, files, gray[: len(files)], doing=feature.name)
        known, new = np.split(np.stack(values), [len(development)])
        forest = RandomForestClassifier(TREES, random_state=seed)
        model = DummyClassifier() if feature is GUESSING else forest
        parts = []
        for repeat, fold, train_rows, test_rows in make_folds(
            development, repeats=repeats, folds=folds, seed=seed
        ):
            model.fit(known[train_rows], development.labels[train_rows])
            probabilities = model.predict_proba(known[test_rows])
            table = tabulate(development.subset(test_rows), probabilities)
            parts.append(table.assign(repeat=repeat, fold=fold))
        model.fit(known, development.labels)
        predictions = tabulate(test, model.predict_proba(new))
        baselines.append(Baseline(feature, known, predictions, pd.concat(parts)))
    return baselines


def read_gray(files: Sequence[Path]) -> list[np.ndarray]:
    """Return the gray levels of images, each uint8 of shape (256, 256).

    Raises
    ------
    InputError
        If one can't be read any more.
    """

    def read(path: Path) -> np.ndarray:
        try:
            return np.asarray(Image.fromarray(read_image(path, SIDE)[0]).convert("L"))
        except UnusableImageError as error:
            raise InputError(
                f"{path} can't be read any more: {error}. Load the task again"
            ) from error

    return thread_map(read, files, doing="reading")
