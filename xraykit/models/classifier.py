"""Classifiers: a backbone with a head that ends in class probabilities."""

from collections.abc import Sequence

from .._keras import keras
from ..errors import InputError, check_kind
from .backbones import backbone

FEATURES = "features"  # the name of the layer that t-SNE and its kin look at


def default_head() -> list[keras.Layer]:
    """Return the head for laptops: pooled features, one hidden layer, some dropout."""
    return [
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(256, activation="relu", name=FEATURES),
        keras.layers.Dropout(0.2, name="dropout"),
    ]


def build_classifier(
    name: str,
    class_names: Sequence[str],
    head: Sequence[keras.Layer] | None = None,
    seed: int = 42,
    **backbone_options: object,
) -> keras.Model:
    """Build a flat classifier from raw RGB pixels (0 to 255) to class probabilities.

    Parameters
    ----------
    name : str
        The backbone, as in `backbone`.
    class_names : sequence of str
        Two end in one sigmoid, the probability of the second; more end in a softmax.
    head : sequence of Keras layers, optional
        What stands between backbone and output, one layer named "features" among them; the output
        layer is added. Layers are copied, so one head serves many models. By default
        GlobalAveragePooling2D, Dense 256 (features), Dropout 0.2.
    seed : int
        Of the new weights and dropout. Sets the random state of Python, NumPy and TensorFlow.
    **backbone_options
        Passed on to `backbone`: weights, alpha, end_at, trainable_from, batch_norm, image_size.

    Raises
    ------
    InputError
        If the head has no layer named "features", or fits neither the backbone nor itself.

    Examples
    --------
    The handout's network, with its 21,137,729 parameters:

    >>> head = [keras.layers.Flatten(), keras.layers.Dense(256, "relu", name="features")]
    >>> model = build_classifier("VGG16", ("normal", "covid"), head, weights=None)
    >>> f"{model.count_params():,}"
    '21,137,729'
    """
    if isinstance(class_names, str) or len(class_names) < 2:
        raise InputError(f"class_names={class_names!r}: expected a list of two classes or more")
    head = default_head() if head is None else list(head)
    names = [layer.name for layer in head]
    if len(set(names)) < len(names):
        raise InputError(f"Layers of the head share a name: {', '.join(names)}. Name each apart")
    if FEATURES not in names:
        raise InputError(
            "The head has no layer named 'features': give the layer whose output t-SNE should show "
            f"that name. Found {', '.join(names) or 'no layer'}"
        )
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
    return keras.Model(base.input, _output(len(class_names))(x), name=f"{name}_classifier")


def trainable_parameters(model: keras.Model) -> int:
    """Return how many of a model's parameters are trained."""
    return sum(weight.shape.num_elements() for weight in model.trainable_weights)


def check_model(given: object) -> None:
    """Raise the error for what is no model."""
    check_kind(given, keras.Model, "a Keras model, such as xk.build_classifier gives")


def check_flat(model: keras.Model) -> None:
    """Raise InputError where a network stands inside a model as one of its layers."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            raise InputError(
                f"The network {layer.name!r} is a layer of the model, which can't be looked into: "
                "build it flat, from base.input and base.output, keras.Model(base.input, …)"
            )


def _output(classes: int) -> keras.Layer:
    if classes == 2:
        return keras.layers.Dense(1, activation="sigmoid", name="probability")
    return keras.layers.Dense(classes, activation="softmax", name="probability")
