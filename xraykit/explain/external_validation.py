"""External validation: predictions on images that are not in the challenge."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from .._keras import keras
from ..data.images import ImageSet
from ..metrics.intervals import add_intervals
from ..training.predict import predict


def external_validation(
    model: keras.Model, groups: dict[str, ImageSet], *, class_names: Sequence[str]
) -> pd.DataFrame:
    """Count the predicted classes of each group of images, whatever their true classes.

    Parameters
    ----------
    model : keras.Model
    groups : dict of str to ImageSet
        Such as `load_external` returns. The model need not know their classes.
    class_names : sequence of str
        The model's, in the order of its outputs, such as `task.class_names`.

    Returns
    -------
    DataFrame
        One row per group and class: group, predicted, count (how many images of the group are
        predicted as that class), total, low, high (the fraction's 95 % interval).

    Raises
    ------
    InputError
        If the model doesn't fit the images.

    Examples
    --------
    >>> groups = {"new people": task.test}
    >>> table = xk.external_validation(model, groups, class_names=task.class_names)
    >>> table[["group", "predicted", "total"]].values.tolist()
    [['new people', 'normal', 5], ['new people', 'covid', 5]]
    """
    rows = []
    for name, images in groups.items():
        placeholders = np.zeros_like(images.labels)  # the true classes may be unknown to the model
        unlabeled = replace(images, labels=placeholders, class_names=tuple(class_names))
        counts = predict(model, unlabeled)["predicted"].value_counts()
        rows += [(name, label, int(counts.get(label, 0)), len(images)) for label in class_names]
    return add_intervals(pd.DataFrame(rows, columns=["group", "predicted", "count", "total"]))
