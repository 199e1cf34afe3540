"""Backbones: networks that turn raw pixels into feature maps, each with its own preprocessing."""

import inspect
from pathlib import Path

from .._keras import keras
from ..errors import InputError, check_choice, unknown
from ..files import to_path
from . import BATCH_NORM, PREPROCESSING, SCALINGS
from .weights import end_at_layer, load_file, load_imagenet

WITH_ALPHA = ("MobileNet", "MobileNetV2", "SmallCNN")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def backbone(
    name: str,
    *,
    weights: str | Path | None = "imagenet",
    alpha: float = 1.0,
    end_at: str | None = None,
    trainable_from: str | None = None,
    batch_norm: str = "frozen",
    preprocessing: str = "own",
    image_size: int = 224,
) -> keras.Model:
    """Build a flat network from raw RGB pixels (0 to 255) to its last feature map.

    The preprocessing is part of the network, so images must not be scaled outside. By default all
    layers are frozen, also with `weights=None`.

    Parameters
    ----------
    name : str
        VGG16, VGG19, ResNet50, ResNet50V2, InceptionV3, DenseNet121, MobileNet, MobileNetV2 or
        EfficientNetB0 of `keras.applications`; or SmallCNN, five convolutions with BatchNorm,
        trained from scratch (all of its layers train, and "imagenet" means no weights).
    weights : "imagenet", None, or path
        "imagenet" looks in the folder named by `XRAYKIT_WEIGHTS_DIR`, then lets Keras download.
        None means random weights.
    alpha : float
        Width of MobileNet, MobileNetV2 and SmallCNN.
    end_at : str, optional
        The last layer, such as "conv4_block6_out".
    trainable_from : str, optional
        The first layer to fine-tune, such as "block5_conv3"; it and all later ones in
        `model.layers` train.
    batch_norm : {"frozen", "recalibrate", "train"}
        All BatchNorm layers keep their ImageNet statistics; or `train` first re-estimates the
        statistics on the training images and then freezes them; or all of these layers train.
        SmallCNN's layers always train with the rest.
    preprocessing : {"own", "rescale"}
        The scaling that the network's weights expect; or 1/255 for every network, as in the
        handout of 2020.
    image_size : int
        Height and width of the images in pixels.

    Returns
    -------
    keras.Model
        Input (image_size, image_size, 3), output a feature map.

    Raises
    ------
    InputError
        If a name or value is unknown, or the weights are not available or do not fit.

    Examples
    --------
    >>> base = backbone("VGG16", weights=None, trainable_from="block5_conv3")
    >>> base.output.shape
    (None, 7, 7, 512)
    >>> sum(weight.shape.num_elements() for weight in base.trainable_weights)
    2359808
    """
    check_choice("backbone", name, SCALINGS)
    check_choice("batch_norm", batch_norm, BATCH_NORM)
    check_choice("preprocessing", preprocessing, PREPROCESSING)
    if alpha != 1 and name not in WITH_ALPHA:
        raise InputError(
            f"alpha={alpha}: only {', '.join(WITH_ALPHA)} have a width; {name} takes alpha=1"
        )
    scaling = SCALINGS[name] if preprocessing == "own" else preprocessing
    network = _build(name, alpha, scaling, image_size)
    _check_layer(network, end_at)
    if weights == "imagenet" and name != "SmallCNN":
        full_size = (224, 224, 3)  # the weights fit every size; Keras warns if no size is given
        load_imagenet(
            network,
            name=name,
            alpha=alpha,
            end_at=end_at,
            download=lambda: _build_application(name, alpha, "imagenet", input_shape=full_size),
        )
    elif weights not in (None, "imagenet"):
        load_file(network, to_path(weights), end_at=end_at)
    if end_at:
        network = end_at_layer(network, end_at)
    _check_layer(network, trainable_from)
    _set_trainable(network, name, trainable_from, batch_norm)
    return network


def _check_layer(network: keras.Model, layer: str | None) -> None:
    names = [candidate.name for candidate in network.layers]
    if layer is not None and layer not in names:
        raise unknown(f"layer of {network.name}", layer, names)


def _build_application(
    name: str, alpha: float, weights: str | None, **options: object
) -> keras.Model:
    application = getattr(keras.applications, name)
    if name in WITH_ALPHA:
        options["alpha"] = alpha
    if "include_preprocessing" in inspect.signature(application).parameters:
        options["include_preprocessing"] = False  # pixels are scaled once, by `_scale_pixels`
    return application(include_top=False, weights=weights, **options)


def _build(name: str, alpha: float, scaling: str, image_size: int) -> keras.Model:
    pixels = keras.Input((image_size, image_size, 3), name="pixels")
    scaled = _scale_pixels(scaling, pixels)
    try:
        if name == "SmallCNN":
            output = _apply_small_cnn(scaled, alpha)
        else:
            output = _build_application(name, alpha, None, input_tensor=scaled).output
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name} could not be built with image_size={image_size}, alpha={alpha}: {reason} "
            "Most networks need at least 32 pixels, InceptionV3 75"
        ) from error
    return keras.Model(pixels, output, name=name)


def _scale_pixels(scaling: str, pixels: keras.KerasTensor) -> keras.KerasTensor:
    check_choice("scaling", scaling, ("caffe", "tf", "torch", "efficientnet", "rescale"))
    scale: float | list[float] = 1 / 127.5
    offset: float | list[float] = -1.0
    if scaling == "caffe":
        pixels = pixels[..., ::-1]
        scale, offset = 1.0, [-103.939, -116.779, -123.68]
    elif scaling == "rescale":
        scale, offset = 1 / 255, 0.0
    elif scaling == "torch":
        scale = [1 / (255 * std) for std in IMAGENET_STD]
        offset = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    elif scaling == "efficientnet":
        # Keras' EfficientNet scales its input itself. Only the "imagenet" build then also divides
        # by the root of the standard deviation; here this is done before, with the same result.
        scale = [std**-0.5 for std in IMAGENET_STD]
        offset = [
            255 * mean * (1 - factor) for mean, factor in zip(IMAGENET_MEAN, scale, strict=True)
        ]
    return keras.layers.Rescaling(scale, offset, name="preprocessing")(pixels)


def _apply_small_cnn(x: keras.KerasTensor, alpha: float) -> keras.KerasTensor:
    for block, filters in enumerate((8, 16, 32, 64, 128), start=1):
        x = keras.layers.Conv2D(
            round(alpha * filters),
            3,
            padding="same",
            use_bias=False,  # BatchNorm adds one
            kernel_initializer="he_normal",
            name=f"block{block}_conv",
        )(x)
        # Few images give few steps: with Keras' momentum of 0.99 the averages would lag behind.
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"block{block}_norm")(x)
        x = keras.layers.ReLU(name=f"block{block}_relu")(x)
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return x


def _set_trainable(
    network: keras.Model, name: str, trainable_from: str | None, batch_norm: str
) -> None:
    trains = name == "SmallCNN" and trainable_from is None
    for layer in network.layers:
        trains = trains or layer.name == trainable_from
        if isinstance(layer, keras.layers.BatchNormalization) and name != "SmallCNN":
            # Freeze the layer itself: a call with training=False has no effect once the model is
            # trainable.
            layer.trainable = batch_norm == "train"
            layer.recalibrate = batch_norm == "recalibrate"
        else:
            layer.trainable = trains
