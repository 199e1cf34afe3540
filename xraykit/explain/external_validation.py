"""Whether an answer holds elsewhere: what a network calls people whom it has nothing to do with."""

from dataclasses import replace

import numpy as np
import pandas as pd

from .._keras import keras
from ..data.images import ImageSet
from ..metrics.intervals import Proportion
from ..training.predict import predict


def elsewhere(
    model: keras.Model, class_names: tuple[str, ...], groups: dict[str, ImageSet]
) -> pd.DataFrame:
    """Count what a classifier calls the pictures of each group, whatever they are.

    Parameters
    ----------
    model : keras.Model
    class_names : tuple of str
        The model's, in the order of its outputs, such as `task.class_names`.
    groups : dict of str to ImageSet
        Such as `load_elsewhere` gives. Their own classes may be none of the model's.

    Returns
    -------
    DataFrame of Proportion
        A row a group, a column a class: how many of the group are called that.

    Raises
    ------
    InputError
        If the model doesn't fit the pictures.
    """
    rows = {}
    for name, images in groups.items():
        nobodys = np.zeros_like(images.labels)
        said = predict(model, replace(images, labels=nobodys, class_names=tuple(class_names)))
        counts = said["predicted"].value_counts()
        rows[name] = {
            f"called {label}": Proportion(int(counts.get(label, 0)), len(images))
            for label in class_names
        }
    return pd.DataFrame(rows).T
