"""Whether an answer holds elsewhere: what a network calls people whom it has nothing to do with."""

from dataclasses import replace

import numpy as np
import pandas as pd

from .._keras import keras
from ..data.images import ImageSet
from ..metrics.intervals import add_intervals
from ..training.predict import predict


def external_validation(
    model: keras.Model, class_names: tuple[str, ...], groups: dict[str, ImageSet]
) -> pd.DataFrame:
    """Count what a classifier calls the images of each group, whatever they are.

    Parameters
    ----------
    model : keras.Model
    class_names : tuple of str
        The model's, in the order of its outputs, such as `task.class_names`.
    groups : dict of str to ImageSet
        Such as `load_external` gives. Their own classes may be none of the model's.

    Returns
    -------
    DataFrame
        One row per group and class: group, predicted, count (how many images of the group are
        predicted as that class), total, low, high (the fraction's 95 % interval).

    Raises
    ------
    InputError
        If the model doesn't fit the images.
    """
    rows = []
    for name, images in groups.items():
        nobodys = np.zeros_like(images.labels)
        said = predict(model, replace(images, labels=nobodys, class_names=tuple(class_names)))
        counts = said["predicted"].value_counts()
        rows += [
            {
                "group": name,
                "predicted": label,
                "count": int(counts.get(label, 0)),
                "total": len(images),
            }
            for label in class_names
        ]
    return add_intervals(pd.DataFrame(rows))
