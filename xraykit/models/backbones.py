"""Backbones: networks that turn raw pixels into feature maps, each with its own preprocessing."""

from pathlib import Path

from .._keras import keras
from ..errors import InputError, unknown
from .weights import load_file, load_imagenet, up_to

# How each network's weights expect their pixels, as `keras.applications` defines it: "caffe" is
# BGR minus ImageNet's mean, "tf" is -1 to 1, "torch" is ImageNet's mean and deviation a channel.
PREPROCESSING = {
    "VGG16": "caffe",
    "VGG19": "caffe",
    "ResNet50": "caffe",
    "ResNet50V2": "tf",
    "InceptionV3": "tf",
    "DenseNet121": "torch",
    "MobileNet": "tf",
    "MobileNetV2": "tf",
    "EfficientNetB0": "efficientnet",
    "SmallCNN": "tf",
}
SCALINGS = ("own", "rescale")
BATCH_NORM = ("frozen", "recalibrate", "train")
WITH_ALPHA = ("MobileNet", "MobileNetV2", "SmallCNN")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def backbone(
    name: str,
    weights: str | Path | None = "imagenet",
    alpha: float = 1.0,
    end_at: str | None = None,
    trainable_from: str | None = None,
    batch_norm: str = "frozen",
    preprocessing: str = "own",
    image_size: int = 224,
) -> keras.Model:
    """Build a flat network from raw RGB pixels (0 to 255) to its last feature map.

    Its preprocessing is part of it, so nothing has to be scaled outside and nothing can be scaled
    twice. Every layer is frozen unless asked otherwise, also with `weights=None`.

    Parameters
    ----------
    name : str
        VGG16, VGG19, ResNet50, ResNet50V2, InceptionV3, DenseNet121, MobileNet, MobileNetV2 or
        EfficientNetB0 of `keras.applications`; or SmallCNN, five convolutions with BatchNorm that
        are trained from scratch (all of its layers train, and "imagenet" means no weights).
    weights : "imagenet", None, or path
        "imagenet" looks in the folder named by `XRAYKIT_WEIGHTS_DIR`, then lets Keras download.
        None leaves random numbers.
    alpha : float
        Width of MobileNet, MobileNetV2 and SmallCNN.
    end_at : str, optional
        The layer to end at, such as "conv4_block6_out".
    trainable_from : str, optional
        The first layer to fine-tune; it and all after it in `model.layers` train, such as
        "block5_conv3".
    batch_norm : {"frozen", "recalibrate", "train"}
        Whether BatchNorm layers keep their ImageNet statistics, wherever they stand; are frozen
        as well, once `train` has estimated the statistics anew on the training images; or all
        of them train. SmallCNN's train with the rest of it.
    preprocessing : {"own", "rescale"}
        The scaling that the network's weights expect; or 1/255 for every network, as in the
        handout of 2020, to see what that does.
    image_size : int
        Height and width of the images in pixels.

    Returns
    -------
    keras.Model
        Input (image_size, image_size, 3), output a feature map.

    Raises
    ------
    InputError
        If a name or value is unknown, or the weights can't be had or don't fit.

    Examples
    --------
    >>> base = backbone("VGG16", weights=None, trainable_from="block5_conv3")
    >>> base.output.shape
    (None, 7, 7, 512)
    >>> sum(weight.shape.num_elements() for weight in base.trainable_weights)
    2359808
    """
    if name not in PREPROCESSING:
        raise unknown("backbone", name, PREPROCESSING)
    if batch_norm not in BATCH_NORM:
        raise unknown("batch_norm", batch_norm, BATCH_NORM)
    if preprocessing not in SCALINGS:
        raise unknown("preprocessing", preprocessing, SCALINGS)
    if alpha != 1 and name not in WITH_ALPHA:
        raise InputError(
            f"alpha={alpha}: only {' and '.join(WITH_ALPHA)} come in widths; {name} takes alpha=1"
        )
    scaling = PREPROCESSING[name] if preprocessing == "own" else preprocessing
    network = _build(name, alpha, scaling, image_size)
    _check_layer(network, end_at)
    if weights == "imagenet" and name != "SmallCNN":
        full_size = (224, 224, 3)  # the weights serve every size; Keras warns if none is named
        load_imagenet(
            network,
            name,
            alpha,
            end_at,
            download=lambda: _application(name, alpha, "imagenet", input_shape=full_size),
        )
    elif weights not in (None, "imagenet"):
        load_file(network, Path(weights), end_at)
    if end_at:
        network = up_to(network, end_at)
    _check_layer(network, trainable_from)
    _set_trainable(network, name, trainable_from, batch_norm)
    return network


def _check_layer(network: keras.Model, layer: str | None) -> None:
    names = [each.name for each in network.layers]
    if layer is not None and layer not in names:
        raise unknown(f"layer of {network.name}", layer, names)


def _application(name: str, alpha: float, weights: str | None, **options: object) -> keras.Model:
    if name in WITH_ALPHA:
        options["alpha"] = alpha
    return getattr(keras.applications, name)(include_top=False, weights=weights, **options)


def _build(name: str, alpha: float, scaling: str, image_size: int) -> keras.Model:
    pixels = keras.Input((image_size, image_size, 3), name="pixels")
    scaled = _preprocessing(scaling, pixels)
    try:
        if name == "SmallCNN":
            output = _small_cnn(scaled, alpha)
        else:
            output = _application(name, alpha, None, input_tensor=scaled).output
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name} can't be built at image_size={image_size}, alpha={alpha}: {reason} "
            "Most networks need 32 pixels or more, InceptionV3 75"
        ) from error
    return keras.Model(pixels, output, name=name)


def _preprocessing(kind: str, pixels: keras.KerasTensor) -> keras.KerasTensor:
    scale, offset = 1 / 127.5, -1.0
    if kind == "caffe":
        pixels = pixels[..., ::-1]
        scale, offset = 1.0, [-103.939, -116.779, -123.68]
    elif kind == "rescale":
        scale, offset = 1 / 255, 0.0
    elif kind == "torch":
        scale = [1 / (255 * std) for std in IMAGENET_STD]
        offset = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    elif kind == "efficientnet":
        # Keras' EfficientNet scales its own input, but only the "imagenet" build divides by the
        # root of the deviation once more, after that; here it is done before, to the same effect.
        scale = [std**-0.5 for std in IMAGENET_STD]
        offset = [
            255 * mean * (1 - factor) for mean, factor in zip(IMAGENET_MEAN, scale, strict=True)
        ]
    return keras.layers.Rescaling(scale, offset, name="preprocessing")(pixels)


def _small_cnn(x: keras.KerasTensor, alpha: float) -> keras.KerasTensor:
    for block, filters in enumerate((8, 16, 32, 64, 128), start=1):
        x = keras.layers.Conv2D(
            round(alpha * filters),
            3,
            padding="same",
            use_bias=False,  # BatchNorm has one
            kernel_initializer="he_normal",
            name=f"block{block}_conv",
        )(x)
        # Few images make few steps: at Keras' momentum of 0.99 the averages would lag behind.
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
            # Freezing the layer itself: calling it with training=False does not hold once the
            # model is trainable.
            layer.trainable = batch_norm == "train"
            layer.recalibrate = batch_norm == "recalibrate"
        else:
            layer.trainable = trains


def to_recalibrate(network: keras.Model) -> list[keras.Layer]:
    """Return the BatchNorm layers whose statistics are still to be estimated anew."""
    return [layer for layer in network.layers if getattr(layer, "recalibrate", False)]
