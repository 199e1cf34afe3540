"""Grad-CAM: which regions of an image a model uses, and how much of them is the thorax."""

import numpy as np
import pandas as pd

from .._keras import keras, tf
from ..data.images import ImageSet, check_row_order
from ..errors import InputError
from ..models.classifier import check_flat, check_model_fits_images
from ..models.graph import bottlenecks
from .perturbations import thorax_mask

BATCH = 16


def gradcam(model: keras.Model, images: ImageSet) -> np.ndarray:
    """Return how much each region of an image supports the predicted class.

    Grad-CAM takes the last feature maps that everything passes through, before they are pooled.
    Each is weighted by the mean gradient of the class's logit with respect to it. The maps are
    summed, and negative values are set to 0 (Selvaraju et al. 2017, Grad-CAM, IEEE International
    Conference on Computer Vision, 618). The result is as coarse as these maps (7 × 7 for most
    models), and each cell has seen far more of the image than it covers. It shows where, not why,
    and cannot show that something is absent.

    Parameters
    ----------
    model : keras.Model
        Flat, as `build_classifier` makes it: a backbone, and a head that ends in a Dense layer.
    images : ImageSet

    Returns
    -------
    ndarray of float32, shape (images, height, width)
        As large as the images; each map sums to 1, or is 0 if no region supports the class.

    Raises
    ------
    InputError
        If the model doesn't fit the images, is not flat, or doesn't end in a Dense layer.

    Examples
    --------
    >>> maps = xk.gradcam(model, task.test)
    >>> maps.shape
    (5, 32, 32)
    >>> bool(maps.min() >= 0)
    True
    """
    check_model_fits_images(model, images)
    check_flat(model)
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense):
        raise InputError(
            f"Grad-CAM needs a last layer that is Dense, found {last.name!r}, "
            f"{type(last).__name__}: give Dense its activation as an argument"
        )
    feature_maps = _find_last_maps(model)
    body, head = keras.Model(model.input, feature_maps), keras.Model(feature_maps, last.input)
    maps = np.concatenate(
        [
            _compute_maps(body, head, last, images.pixels[start : start + BATCH])
            for start in range(0, len(images), BATCH)
        ]
    )
    total = maps.sum(axis=(1, 2), keepdims=True)
    return np.divide(maps, total, out=np.zeros_like(maps), where=total > 0)


def thorax_attention(maps: np.ndarray, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how much of Grad-CAM's weight lies in the thorax: see `thorax_mask`.

    If the maps are coarse, the fraction is, too: a cell of 7 × 7 is wider than the border. Compare
    it with the fraction of a model that was trained on the border alone (`perturb`), not with
    uniform weight.

    Parameters
    ----------
    maps : ndarray, shape (images, height, width)
        As `gradcam` returns them.
    predictions : DataFrame
        As `predict` returns it, of the same images in the same order.

    Returns
    -------
    DataFrame
        One row per true class, then all: images; thorax and border, the mean fractions of the
        weight; lowest and highest fraction in the thorax; uniform, the fraction if the weight were
        uniform. Images without any weight are left out.

    Raises
    ------
    InputError
        If the numbers of maps and predictions differ, or the predictions were sorted.

    Examples
    --------
    >>> table = xk.thorax_attention(xk.gradcam(model, task.test), predictions)
    >>> table.columns.tolist()
    ['images', 'thorax', 'border', 'lowest', 'highest', 'uniform']
    """
    if len(maps) != len(predictions):
        raise InputError(
            f"{len(maps)} maps and {len(predictions)} predictions: expected those of the same "
            "images, in the same order"
        )
    check_row_order(predictions, "the predictions")
    mask = thorax_mask(*maps.shape[1:])
    has_weight = maps.any(axis=(1, 2))
    fractions = pd.Series(maps[:, mask].sum(axis=1))[has_weight]
    true = predictions["true"].reset_index(drop=True)[has_weight]
    groups = dict(iter(fractions.groupby(true, sort=False))) | {"all": fractions}
    rows = {
        name: {
            "images": len(group),
            "thorax": group.mean(),
            "border": 1 - group.mean(),
            "lowest": group.min(),
            "highest": group.max(),
            "uniform": mask.mean(),
        }
        for name, group in groups.items()
    }
    return pd.DataFrame(rows).T.astype({"images": int})


def _compute_maps(
    body: keras.Model, head: keras.Model, last: keras.layers.Dense, pixels: np.ndarray
) -> np.ndarray:
    maps = tf.constant(body.predict_on_batch(pixels))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        hidden = head(maps, training=False)
        logits = tf.matmul(tf.cast(hidden, tf.float32), tf.cast(last.kernel, tf.float32))
        if last.use_bias:
            logits += tf.cast(last.bias, tf.float32)
        # A single logit is the second class's; if it is negative, its opposite is the first's.
        predicted = tf.abs(logits) if last.units == 1 else tf.reduce_max(logits, axis=1)
    weights = tf.reduce_mean(tape.gradient(predicted, maps), axis=(1, 2), keepdims=True)
    coarse = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
    return tf.image.resize(coarse, pixels.shape[1:3])[..., 0].numpy()  # float32


def _find_last_maps(model: keras.Model) -> keras.KerasTensor:
    """Return the last maps larger than 1 × 1, before layers that pool, pad or drop them."""
    skipped = ("Pooling2D", "Padding2D", "Dropout", "Dropout2D")
    candidates = [
        output
        for operation, output in bottlenecks(model, model.operations)
        if len(output.shape) == 4 and not type(operation).__name__.endswith(skipped)
    ]
    return next(maps for maps in reversed(candidates) if maps.shape[1] * maps.shape[2] > 1)
