"""Checks that tell a student at once whether a graded cell does what it should."""

from .._keras import keras
from ..models.classifier import FEATURES, trainable_parameters


def check_classifier(model: keras.Model, reference: keras.Model) -> None:
    """Compare a student's classifier with the reference; print a ✅ or ❌ line for each point.

    The points: it has the reference's number of layers and of scalings, so that nothing scales the
    pixels a second time; the last four layers are of the reference's kinds; its output fits the
    classes; the layer for t-SNE is named "features" and has the reference's width; and the
    parameters, in all and trainable, agree.
    """
    points = {
        "the backbone's layers, and nothing before them": lambda m: (
            f"{len(m.layers)} layers, {_count(keras.layers.Rescaling, m)} of them scaling"
        ),
        "the head's layers, in their order": lambda m: ", ".join(
            f"{type(layer).__name__} {_activation(layer)}".strip() for layer in m.layers[-4:]
        ),
        "one probability for each class, or one for the second of two": lambda m: (
            m.output_shape[1:],
            _activation(m.layers[-1]),
        ),
        "a layer named 'features'": lambda m: m.get_layer(FEATURES).output.shape[1:],
        "as many parameters as the reference": keras.Model.count_params,
        "as many of them trainable": trainable_parameters,
    }
    for what, look in points.items():
        expected = look(reference)
        try:
            got = look(model)
        except (AttributeError, ValueError):
            got = "none"
        print(f"✅ {what}" if got == expected else f"❌ {what}: expected {expected}, got {got}")


def _count(kind: type, model: keras.Model) -> int:
    return sum(isinstance(layer, kind) for layer in model.layers)


def _activation(layer: keras.Layer) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")
