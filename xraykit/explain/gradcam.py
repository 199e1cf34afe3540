"""Where a network looks: Grad-CAM, and how much of it is on the thorax."""

import numpy as np
import pandas as pd

from .._keras import keras, tf
from ..data.images import ImageSet
from ..errors import InputError
from ..models.classifier import check_flat
from ..models.graph import bottlenecks
from ..training.train import check_fits
from .perturbations import thorax

BATCH = 16


def gradcam(model: keras.Model, images: ImageSet) -> np.ndarray:
    """Return how much each place of an image speaks for the class that a classifier names.

    Grad-CAM: the last feature maps that everything passes through, before they are pooled, each
    weighted by the mean gradient of the class's logit with respect to it, summed, and 0 where that
    is negative (Selvaraju et al. 2017, Grad-CAM, IEEE International Conference on Computer Vision,
    618). It is as coarse as these maps (7 × 7 for most networks), each place of which has seen far
    more of the image than it covers; it says where, not why, and can't show what is absent.

    Parameters
    ----------
    model : keras.Model
        Flat, as `build_classifier` makes it: a backbone, and a head that ends in a Dense layer.
    images : ImageSet

    Returns
    -------
    ndarray of float32, shape (images, height, width)
        As large as the images; each map sums to 1, or is 0 where no place speaks for the class.

    Raises
    ------
    InputError
        If the model doesn't fit the images, is not flat, or doesn't end in a Dense layer.
    """
    check_fits(model, images)
    check_flat(model)
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


def thorax_attention(maps: np.ndarray, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how much of Grad-CAM's weight lies in the thorax.

    That is three quarters of height and width, in the middle. Where the maps are coarse the share
    is, too: a place of 7 × 7 is wider than the border. Compare it with that of a network that was
    trained on the border alone (`perturb`), not with weight spread evenly.

    Parameters
    ----------
    maps : ndarray, shape (images, height, width)
        As `gradcam` gives them.
    predictions : DataFrame
        As `predict` gives them, of the same images in the same order.

    Returns
    -------
    DataFrame
        A row a true class, then all: images; thorax and border, the mean shares; lowest and
        highest, of the thorax's share; and what it would be if weight were spread evenly. Images
        in which no place speaks for the class are left out.

    Raises
    ------
    InputError
        If there are not as many maps as predictions.
    """
    if len(maps) != len(predictions):
        raise InputError(
            f"{len(maps)} maps and {len(predictions)} predictions: expected those of the same "
            "images, in the same order"
        )
    inside = thorax(*maps.shape[1:])
    weighty = maps.any(axis=(1, 2))
    share = pd.Series(maps[:, inside].sum(axis=1))[weighty]
    true = predictions["true"].reset_index(drop=True)[weighty]
    groups = dict(iter(share.groupby(true, sort=False))) | {"all": share}
    rows = {
        name: {
            "images": len(own),
            "thorax": own.mean(),
            "border": 1 - own.mean(),
            "lowest": own.min(),
            "highest": own.max(),
            "spread evenly": inside.mean(),
        }
        for name, own in groups.items()
    }
    return pd.DataFrame(rows).T.astype({"images": int})


def _maps(tapped: keras.Model, last: keras.layers.Dense, pixels: np.ndarray) -> np.ndarray:
    given = tf.constant(pixels, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)  # a frozen backbone has nothing else to watch
        found, hidden = tapped(given, training=False)
        logits = tf.matmul(tf.cast(hidden, tf.float32), tf.cast(last.kernel, tf.float32))
        if last.use_bias:
            logits += tf.cast(last.bias, tf.float32)
        # One logit speaks for the second class; where it is negative its opposite is the first's.
        said = tf.abs(logits) if last.units == 1 else tf.reduce_max(logits, axis=1)
    weights = tf.reduce_mean(tape.gradient(said, found), axis=(1, 2), keepdims=True)
    small = tf.nn.relu(tf.reduce_sum(weights * found, axis=-1, keepdims=True))
    return tf.image.resize(small, pixels.shape[1:3])[..., 0].numpy()  # float32


def _last_maps(model: keras.Model) -> keras.KerasTensor:
    """Return the last maps of more than one place, before what pools, pads or forgets them."""
    skipped = ("Pooling2D", "Padding2D", "Dropout", "Dropout2D")
    passed = [
        output
        for operation, output in bottlenecks(model, model.operations)
        if len(output.shape) == 4 and not type(operation).__name__.endswith(skipped)
    ]
    return next(maps for maps in reversed(passed) if maps.shape[1] * maps.shape[2] > 1)
