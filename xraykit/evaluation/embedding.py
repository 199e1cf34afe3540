"""What the network sees: the output of its `features` layer, and a flat map of it by t-SNE."""

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE

from ..data.images import ImageSet
from ..errors import InputError
from ..models.classifier import FEATURES
from ..quiet import keras
from .predictions import outputs


def features(model: keras.Model, images: ImageSet) -> np.ndarray:
    """Return the output of the layer named "features", shape (pictures, features).

    Raises
    ------
    InputError
        If the model has no such layer, or its output is no numbers.
    """
    names = [layer.name for layer in model.layers]
    if FEATURES not in names:
        raise InputError(
            f"The model has no layer named 'features': expected one, found {', '.join(names[-6:])} "
            "at its end. Give the layer that t-SNE should show that name"
        )
    tap = keras.Model(model.input, model.get_layer(FEATURES).output)
    return outputs(tap, images)


def tsne(
    model: keras.Model, images: ImageSet, perplexity: float = 30.0, seed: int = 42
) -> pd.DataFrame:
    """Lay the pictures out in two dimensions, alike ones close together.

    t-SNE of the "features" layer, begun from the first two principal components (van der Maaten
    and Hinton, 2008, Journal of Machine Learning Research 9, 2579; scikit-learn's). Distances
    between clusters and their sizes mean nothing.

    Parameters
    ----------
    model : keras.Model
    images : ImageSet
    perplexity : float
        How many neighbours count as near; at most a third of the pictures is used.
    seed : int

    Returns
    -------
    DataFrame
        A row a picture: path, patient, class, x, y.

    Raises
    ------
    InputError
        As `features`, and if all pictures have the same features.
    """
    tapped = features(model, images)
    if not np.ptp(tapped, axis=0).any():  # scikit-learn's t-SNE would crash the kernel
        raise InputError(
            "The network gives every picture the same features, so there is nothing to lay out: "
            "build the model anew, and train it with a lower learning rate"
        )
    perplexity = min(perplexity, (len(images) - 1) / 3)
    layout = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(tapped)
    return pd.DataFrame(
        {
            "path": images.paths,
            "patient": images.patients,
            "class": np.array(images.class_names)[images.labels],
            "x": layout[:, 0],
            "y": layout[:, 1],
        }
    )
