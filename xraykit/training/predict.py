"""Asking a network: what it says of each image."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from .._keras import keras
from ..data.images import ImageSet
from ..errors import InputError
from ..metrics.predictions import tabulate
from .batches import Batches, Views
from .train import check_fits


def predict(model: keras.Model, images: ImageSet) -> pd.DataFrame:
    """Return what a classifier says of each image, in the order of `images`.

    Parameters
    ----------
    model : keras.Model
        From raw pixels to class probabilities.
    images : ImageSet

    Returns
    -------
    DataFrame
        Columns path, patient, true, predicted (class names), and `probability_CLASS` for each
        class, in the order of the labels.

    Raises
    ------
    InputError
        If the model doesn't fit the images, or gives no numbers.
    """
    check_fits(model, images)
    output = outputs(model, images)
    return tabulate(images, np.hstack([1 - output, output]) if output.shape[1] == 1 else output)


def outputs(model: keras.Model, images: ImageSet, take: Callable | None = None) -> np.ndarray:
    """Return what a model gives for each image, in the order of `images`.

    `take` gives the model's input for rows of the images; by default that is their pixels.

    Raises
    ------
    InputError
        If any of it is no number, as after a training that went wrong.
    """
    views = Views(images)
    batches = Batches(views, take or views.pixels, batch_size=32)
    output = model.predict(batches.dataset(), verbose=0)
    if not np.isfinite(output).all():
        raise InputError(
            "The network gives no numbers (NaN): build it anew, and train it with a lower learning "
            "rate"
        )
    return output
