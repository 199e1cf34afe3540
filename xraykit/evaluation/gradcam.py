"""Where a network looks: Grad-CAM, and how much of it is on the thorax."""

import numpy as np
import pandas as pd

from ..data.images import ImageSet
from ..errors import InputError
from ..quiet import keras, tf
from ..training.train import check_fits
from .changes import thorax

BATCH = 16


def gradcam(model: keras.Model, images: ImageSet) -> np.ndarray:
    """Return how much each place of a picture speaks for the class that a classifier names.

    Grad-CAM: the last feature maps, each weighted by the mean gradient of the class's logit with
    respect to it, summed, and 0 where that is negative (Selvaraju et al. 2017, Grad-CAM, IEEE
    International Conference on Computer Vision, 618). The maps are taken before they are pooled.
    It is as coarse as they are (7 × 7 for most networks), sees nothing before them, and says where,
    not why.

    Parameters
    ----------
    model : keras.Model
        Flat, as `build_classifier` makes it: a backbone, and a head that ends in a Dense layer.
    images : ImageSet

    Returns
    -------
    ndarray of float32, shape (pictures, height, width)
        As large as the pictures; each map sums to 1, or is 0 where no place speaks for the class.

    Raises
    ------
    InputError
        If the model doesn't fit the pictures, or doesn't end in a Dense layer.
    """
    check_fits(model, images)
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense):
        raise InputError(
            f"Grad-CAM needs a last layer that is Dense, found {last.name!r}, "
            f"{type(last).__name__}: give Dense its activation as an argument"
        )
    tapped = keras.Model(model.input, [_last_maps(model), last.input])
    maps = np.concatenate(
        [
            _maps(tapped, last, images.pixels[start : start + BATCH])
            for start in range(0, len(images), BATCH)
        ]
    )
    total = maps.sum(axis=(1, 2), keepdims=True)
    return np.divide(maps, total, out=np.zeros_like(maps), where=total > 0)


def weight_in_thorax(maps: np.ndarray, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how much of Grad-CAM's weight lies in the thorax, the middle three quarters.

    Parameters
    ----------
    maps : ndarray, shape (pictures, height, width)
        As `gradcam` gives them.
    predictions : DataFrame
        As `predict` gives them, of the same pictures in the same order.

    Returns
    -------
    DataFrame
        A row a true class, then all: pictures; thorax and border, the mean shares; lowest and
        highest, of the thorax's share; and what it would be if weight were spread evenly. Pictures
        in which no place speaks for the class are left out.
    """
    inside = thorax(*maps.shape[1:])
    weighty = maps.any(axis=(1, 2))
    share = pd.Series(maps[:, inside].sum(axis=1))[weighty]
    true = predictions["true"].reset_index(drop=True)[weighty]
    groups = dict(iter(share.groupby(true, sort=False))) | {"all": share}
    rows = {
        name: {
            "pictures": len(own),
            "thorax": own.mean(),
            "border": 1 - own.mean(),
            "lowest": own.min(),
            "highest": own.max(),
            "spread evenly": inside.mean(),
        }
        for name, own in groups.items()
    }
    return pd.DataFrame(rows).T.astype({"pictures": int})


def _maps(tapped: keras.Model, last: keras.layers.Dense, pixels: np.ndarray) -> np.ndarray:
    given = tf.constant(pixels, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)  # a frozen backbone has nothing else to watch
        found, hidden = tapped(given, training=False)
        logits = tf.matmul(hidden, last.kernel)
        if last.use_bias:
            logits += last.bias
        # One logit speaks for the second class; where it is negative its opposite is the first's.
        said = tf.abs(logits) if last.units == 1 else tf.reduce_max(logits, axis=1)
    weights = tf.reduce_mean(tape.gradient(said, found), axis=(1, 2), keepdims=True)
    small = tf.nn.relu(tf.reduce_sum(weights * found, axis=-1, keepdims=True))
    return tf.image.resize(small, pixels.shape[1:3])[..., 0].numpy()


def _last_maps(model: keras.Model) -> keras.KerasTensor:
    """Return the last output of more than one place; where pooling makes it, what is pooled."""
    pooling = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
    many = (each for each in reversed(model.layers) if len(each.output.shape) == 4)
    layer = next(each for each in many if each.output.shape[1] * each.output.shape[2] > 1)
    return layer.input if isinstance(layer, pooling) else layer.output
