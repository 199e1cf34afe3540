"""Classifiers: a backbone with a head that ends in class probabilities."""

from collections.abc import Sequence
from typing import Any

from .._keras import keras
from ..data.images import ImageSet, check_some_images
from ..errors import InputError, check_kind, check_whole_number
from .backbones import backbone

FEATURE_LAYER = "features"  # the name of the layer that t-SNE shows
BUILT_HERE = "_built_by_xraykit"  # an attribute of output layers, for checks of students' models


def default_head() -> list[keras.Layer]:
    """Return the head for laptops: pooled features, one hidden layer, some dropout."""
    return [
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(256, activation="relu", name=FEATURE_LAYER),
        keras.layers.Dropout(0.2, name="dropout"),
    ]


def build_classifier(
    name: str,
    class_names: Sequence[str],
    *,
    head: Sequence[keras.Layer] | None = None,
    seed: int = 42,
    **backbone_options: Any,
) -> keras.Model:
    """Build a flat classifier from raw RGB pixels (0 to 255) to class probabilities.

    Parameters
    ----------
    name : str
        The backbone, as in `backbone`.
    class_names : sequence of str
        Two classes end in one sigmoid, the probability of the second; more end in a softmax.
    head : sequence of Keras layers, optional
        The layers between backbone and output, one of them named "features"; the output layer is
        added. Layers are copied, so one head serves many models. By default
        GlobalAveragePooling2D, Dense 256 (features), Dropout 0.2.
    seed : int
        Random seed for new weights and dropout; also sets Python's, NumPy's and TensorFlow's.
    **backbone_options
        Passed on to `backbone`: weights, alpha, end_at, trainable_from, batch_norm, image_size.

    Raises
    ------
    InputError
        If the head has no layer named "features", or its layers do not fit.

    Examples
    --------
    The handout's network, with its 21,137,729 parameters:

    >>> head = [keras.layers.Flatten(), keras.layers.Dense(256, "relu", name="features")]
    >>> model = build_classifier("VGG16", ("normal", "covid"), head=head, weights=None)
    >>> f"{model.count_params():,}"
    '21,137,729'
    """
    if isinstance(class_names, str) or len(class_names) < 2:
        raise InputError(f"class_names={class_names!r}: expected a list of two classes or more")
    head = default_head() if head is None else list(head)
    names = [layer.name for layer in head]
    if len(set(names)) < len(names):
        raise InputError(f"Layers of the head share a name: {', '.join(names)}. Rename one of them")
    if FEATURE_LAYER not in names:
        raise InputError(
            "The head has no layer named 'features': give that name to the layer that t-SNE should "
            f"show. Found {', '.join(names) or 'no layer'}"
        )
    check_whole_number("seed", seed, 0)
    keras.utils.set_random_seed(seed)
    base = backbone(name, **backbone_options)
    x = base.output
    for layer in head:
        try:
            x = type(layer).from_config(layer.get_config())(x)
        except (TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"Layer {layer.name!r} does not fit {x.shape}: {reason}") from error
    if len(x.shape) != 2:
        raise InputError(
            f"The head ends in shape {x.shape}, expected (None, features): "
            "begin it with Flatten or GlobalAveragePooling2D"
        )
    units, activation = (1, "sigmoid") if len(class_names) == 2 else (len(class_names), "softmax")
    output = keras.layers.Dense(units, activation=activation, name="probability")
    setattr(output, BUILT_HERE, True)
    return keras.Model(base.input, output(x), name=f"{name}_classifier")


def trainable_parameters(model: keras.Model) -> int:
    """Return the number of a model's trainable parameters."""
    return sum(weight.shape.num_elements() for weight in model.trainable_weights)


def choose_loss(model: keras.Model) -> str:
    """Return Keras' name of the cross-entropy loss that fits a classifier's output."""
    is_binary = model.output_shape[-1] == 1
    return "binary_crossentropy" if is_binary else "sparse_categorical_crossentropy"


def choose_accuracy(model: keras.Model) -> keras.Metric:
    """Return the accuracy that fits a classifier's output.

    Keras makes its own only in the first step, which must then be compiled twice.
    """
    if model.output_shape[-1] == 1:
        return keras.metrics.BinaryAccuracy(name="accuracy")
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")


def check_model(model: Any) -> None:
    """Raise InputError unless this is a Keras model."""
    check_kind(model, keras.Model, "a Keras model, such as xk.build_classifier returns")
    if not model.built or not getattr(model, "inputs", None):  # a subclass, or no Input layer
        raise InputError(
            f"The model {model.name!r} does not say what its layers take: build it as "
            "keras.Model(inputs, outputs), or begin a Sequential with keras.Input(shape)"
        )


def check_flat(model: keras.Model) -> None:
    """Raise InputError if one of a model's layers is a network itself."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            raise InputError(
                f"The network {layer.name!r} is a layer of the model, so its inner layers are not "
                "accessible: build it flat, keras.Model(base.input, …) from base.output"
            )


def check_model_fits_images(model: keras.Model, images: ImageSet) -> None:
    """Raise InputError unless the model gives class probabilities for these images."""
    check_model(model)
    check_some_images(images)
    expected, actual = model.input_shape[1:], images.pixels.shape[1:]
    if expected != actual:
        raise InputError(
            f"The model takes images of shape {expected}, the task has {actual}: "
            "use the same image_size for both"
        )
    n_classes = len(images.class_names)
    valid = [(str(n_classes), "softmax")] + ([("1", "sigmoid")] if n_classes == 2 else [])
    last = model.layers[-1]
    units = "×".join(map(str, model.output_shape[1:]))
    activation = getattr(getattr(last, "activation", None), "__name__", "none")
    if (units, activation) not in valid:
        options = " or ".join(" with ".join(option) for option in valid)
        hint = ". Pool or flatten the feature maps first" if "×" in units else ""
        raise InputError(
            f"The model's last layer {last.name!r} has output {units} with activation "
            f"{activation}: {n_classes} classes need {options}{hint}"
        )
