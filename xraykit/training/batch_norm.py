"""Re-estimation of BatchNorm statistics on the training images."""

import numpy as np

from .._keras import keras
from ..data.images import ImageSet
from ..log import logger

BATCH_SIZE = 32  # images that one batch's mean and variance are computed from, at least half of it


def recalibrate(model: keras.Model, images: ImageSet) -> None:
    """Re-estimate, once, the statistics of BatchNorm layers built with `batch_norm="recalibrate"`.

    One pass over the images in training mode; each statistic becomes its mean over the batches
    (Izmailov et al. 2018, arXiv:1803.05407, section 3.2, for averaged weights; Li et al. 2016,
    arXiv:1603.04779, for new domains). No other weight changes.
    """
    layers = [layer for layer in model.layers if getattr(layer, "recalibrate", False)]
    if not layers:
        return
    if not any(np.any(layer.moving_mean) for layer in layers):
        logger.info(
            "Note: all BatchNorm means of these weights are 0: the weights are new, or the "
            "statistics are folded into the kernels. Recalibration then changes the features."
        )
    momentums = [layer.momentum for layer in layers]
    network = keras.Model(model.inputs[0], [layer.output for layer in layers])
    try:
        for layer in layers:
            layer.trainable = True
        batches = np.array_split(np.arange(len(images)), -(-len(images) // BATCH_SIZE))
        for number, rows in enumerate(batches):
            for layer in layers:
                layer.momentum = number / (number + 1)
            network(images.pixels[rows].astype(np.float32), training=True)
    finally:
        for layer, momentum in zip(layers, momentums, strict=True):
            layer.trainable, layer.momentum = False, momentum
    for layer in layers:
        layer.recalibrate = False
    logger.info(f"Recalibrated {len(layers)} BatchNorm layers on {len(images)} images.")
