"""BatchNorm statistics, estimated anew on the images at hand."""

import numpy as np

from .._keras import keras
from ..data.images import ImageSet
from ..models.backbones import to_recalibrate

IMAGES = 32  # at a time: what a batch's mean and variance are taken over, at least half of it


def recalibrate(model: keras.Model, images: ImageSet) -> None:
    """Re-estimate the BatchNorm statistics that `batch_norm="recalibrate"` asked for, once.

    One pass over the images in training mode; each statistic becomes the mean of its values in
    the batches (Izmailov et al. 2018, arXiv:1803.05407, section 3.2, who do so for averaged
    weights; Li et al. 2016, arXiv:1603.04779, for new domains). No other weight changes.
    """
    layers = to_recalibrate(model)
    if not layers:
        return
    if not any(np.any(layer.moving_mean) for layer in layers):
        print(
            "Note: all BatchNorm means of these weights are 0: they are new, or have the statistics"
            " folded into the kernels. Recalibrated, such a network is another one."
        )
    momentums = [layer.momentum for layer in layers]
    network = keras.Model(model.inputs[0], [layer.output for layer in layers])
    try:
        for layer in layers:
            layer.trainable = True
        parts = np.array_split(np.arange(len(images)), -(-len(images) // IMAGES))
        for number, rows in enumerate(parts):
            for layer in layers:
                layer.momentum = number / (number + 1)
            network(images.pixels[rows].astype(np.float32), training=True)
    finally:
        for layer, momentum in zip(layers, momentums, strict=True):
            layer.trainable, layer.momentum = False, momentum
    for layer in layers:
        layer.recalibrate = False
    print(f"Recalibrated {len(layers)} BatchNorm layers on {len(images)} images.")
