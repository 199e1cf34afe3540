"""Check the solution of a graded cell against the reference."""

from .._keras import keras
from ..log import logger
from ..models.classifier import FEATURE_LAYER, trainable_parameters


def check_classifier(model: keras.Model, reference: keras.Model) -> None:
    """Compare a student's classifier with the reference; show a ✅ or ❌ line for each point.

    These must agree: the number of layers and of rescaling layers, so that the pixels are not
    scaled twice; the kinds of the last four layers; the output; the width of the layer for t-SNE,
    named "features"; the numbers of all and of trainable parameters.

    Parameters
    ----------
    model, reference : keras.Model

    Examples
    --------
    >>> reference = recipe.build(task.class_names)
    >>> xk.set_verbosity("info")
    >>> xk.check_classifier(model, reference)
    ✅ the backbone's layers, and nothing before them
    ✅ the head's layers, in their order
    ✅ one probability for each class, or one for the second of two
    ✅ a layer named 'features'
    ✅ as many parameters as the reference
    ✅ as many of them trainable
    """
    features = {
        "the backbone's layers, and nothing before them": lambda m: (
            f"{len(m.layers)} layers, {_count_layers(keras.layers.Rescaling, m)} of them rescaling"
        ),
        "the head's layers, in their order": lambda m: ", ".join(
            f"{type(layer).__name__} {_activation(layer)}".strip() for layer in m.layers[-4:]
        ),
        "one probability for each class, or one for the second of two": lambda m: (
            m.output_shape[1:],
            _activation(m.layers[-1]),
        ),
        "a layer named 'features'": lambda m: m.get_layer(FEATURE_LAYER).output.shape[1:],
        "as many parameters as the reference": keras.Model.count_params,
        "as many of them trainable": trainable_parameters,
    }
    for name, extract in features.items():
        expected = extract(reference)
        try:
            value = extract(model)
        except (AttributeError, ValueError):
            value = "none"
        if value == expected:
            logger.info(f"✅ {name}")
        else:
            logger.warning(f"❌ {name}: expected {expected}, got {value}")


def _count_layers(kind: type, model: keras.Model) -> int:
    return sum(isinstance(layer, kind) for layer in model.layers)


def _activation(layer: keras.Layer) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")
