"""Predictions of a model for images."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from .._keras import keras
from ..data.images import ImageSet
from ..errors import TrainingError
from ..metrics.predictions import tabulate
from ..models.classifier import check_model_fits_images
from .batches import Batches, Views


def predict(model: keras.Model, images: ImageSet) -> pd.DataFrame:
    """Return a classifier's prediction for each image, in the order of `images`.

    Parameters
    ----------
    model : keras.Model
        From raw pixels to class probabilities.
    images : ImageSet

    Returns
    -------
    DataFrame
        One row per image. Columns path, patient, true, predicted (class names), and
        `probability_CLASS` for each class, in the order of the labels.

    Raises
    ------
    InputError
        If the model does not fit the images.
    TrainingError
        If the model's output contains NaN or infinite values.

    Examples
    --------
    >>> xk.predict(model, task.test).columns.tolist()
    ['path', 'patient', 'true', 'predicted', 'probability_normal', 'probability_covid']
    """
    check_model_fits_images(model, images)
    output = compute_outputs(model, images)
    return tabulate(images, np.hstack([1 - output, output]) if output.shape[1] == 1 else output)


def compute_outputs(
    model: keras.Model, images: ImageSet, *, read: Callable | None = None
) -> np.ndarray:
    """Return a model's output for each image, in the order of `images`.

    `read` returns the model's input for rows of the images; by default it reads their pixels.

    Raises
    ------
    TrainingError
        If the output contains NaN or infinite values, as after a training that diverged.
    """
    views = Views(images)
    batches = Batches(views, read or views.pixels, batch_size=32)
    output = np.asarray(model.predict(batches.dataset(), verbose=0), np.float32)
    if not np.isfinite(output).all():
        raise TrainingError(
            "The model's output contains NaN or infinite values: build it again, and train it with "
            "a lower learning rate"
        )
    return output
