"""Predictions: one row per image, with its path, so that rows cannot be confused."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..data.images import ImageSet
from ..errors import InputError, check_kind

PROBABILITY = "probability_"  # the columns' prefix; the rest is the class


def tabulate(images: ImageSet, probabilities: np.ndarray) -> pd.DataFrame:
    """Return the table of `predict` for probabilities of shape (images, classes)."""
    names = np.array(images.class_names)
    return pd.DataFrame(
        {
            "path": images.paths,
            "patient": images.patients,
            "true": names[images.labels],
            "predicted": names[probabilities.argmax(axis=1)],
        }
        | {f"{PROBABILITY}{name}": probabilities[:, i] for i, name in enumerate(names)}
    )


def read_predictions(path: Path) -> pd.DataFrame:
    """Return predictions that `xk.save_results` wrote.

    Raises
    ------
    InputError
        If the file can't be read, or is not a table of predictions.
    """
    try:
        predictions = pd.read_csv(path, keep_default_na=False)
    except (OSError, ValueError) as error:
        message = str(error).strip().replace("\n", " ")
        raise InputError(f"{path} can't be read as a table of predictions: {message}") from error
    as_arrays(predictions)
    return predictions


def as_arrays(
    predictions: pd.DataFrame, needed: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return class names, probabilities of shape (images, classes), and true labels as numbers.

    `needed` names columns that are required besides true, predicted and the probabilities.

    Raises
    ------
    InputError
        If it is not a table of predictions, is empty, or holds other classes or no probabilities.
    """
    check_kind(predictions, pd.DataFrame, "a table from xk.predict")
    names = class_names(predictions)
    columns = ("true", "predicted", *needed)
    if not len(predictions) or not names or not set(columns) <= set(predictions):
        raise InputError(
            f"Expected a table from xk.predict, with columns {', '.join(columns)} and "
            f"probability_CLASS; found {len(predictions)} rows of "
            f"{', '.join(map(str, predictions.columns))}"
        )
    unknown = (set(predictions["true"]) | set(predictions["predicted"])) - set(names)
    if unknown:
        raise InputError(f"Expected the classes {', '.join(names)}; found {min(map(str, unknown))}")
    values = predictions[[f"{PROBABILITY}{name}" for name in names]]
    probabilities = values.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    sums = probabilities.sum(axis=1)
    if not ((probabilities >= 0).all() and np.allclose(sums, 1, atol=0.01)):
        raise InputError(
            "Expected probabilities from 0 to 1 that add up to 1; found other or missing values"
        )
    return names, probabilities, np.array([names.index(name) for name in predictions["true"]])


def class_names(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Return the class names of a table of predictions, in the order of the labels."""
    columns = [name for name in map(str, predictions.columns) if name.startswith(PROBABILITY)]
    return tuple(name.removeprefix(PROBABILITY) for name in columns)
