"""Check the solution of a graded cell, without showing it."""

from collections.abc import Sequence

import pandas as pd

from .._keras import keras
from ..log import logger
from ..models.classifier import FEATURE_LAYER, trainable_parameters
from ..recipes.recipe import Recipe


def check_classifier(model: keras.Model, recipe: Recipe, class_names: Sequence[str]) -> None:
    """Compare a student's classifier with a recipe's; show a ✅ or ❌ line for each point.

    These must agree: the number of layers and of rescaling layers, so that the pixels are not
    scaled twice; the kinds of the last four layers; the output; the width of the layer for t-SNE,
    named "features"; the numbers of all and of trainable parameters.

    Parameters
    ----------
    model : keras.Model
    recipe : Recipe
    class_names : sequence of str

    Examples
    --------
    >>> xk.set_verbosity("info")
    >>> recipe = xk.recipes["task1-smallcnn"].override(image_size=32)
    >>> check_classifier(recipe.build(["normal", "covid"]), recipe, ["normal", "covid"])
    ✅ correct: the backbone's layers, and nothing before them
    ✅ correct: the head's layers, in their order
    ✅ correct: one probability for each class, or one for the second of two
    ✅ correct: a layer named 'features'
    ✅ correct: as many parameters as the recipe's network
    ✅ correct: as many of them trainable
    """
    reference = recipe.override(weights=None).build(class_names)
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
        "as many parameters as the recipe's network": keras.Model.count_params,
        "as many of them trainable": trainable_parameters,
    }
    for name, extract in features.items():
        expected = extract(reference)
        try:
            value = extract(model)
        except (AttributeError, ValueError):
            value = "none"
        _report(name, value == expected, f"expected {expected}, got {value}")


def check_best_epoch(best_epoch: int, history: pd.DataFrame) -> None:
    """Show whether this is the epoch with the lowest validation loss, as a ✅ or ❌ line.

    Parameters
    ----------
    best_epoch : int
        From 1, as in the index of the history.
    history : DataFrame
        Of `train`.

    Examples
    --------
    >>> xk.set_verbosity("info")
    >>> history = pd.DataFrame({"val_loss": [0.7, 0.5, 0.6]}, index=[1, 2, 3])
    >>> check_best_epoch(2, history)
    ✅ correct: best_epoch has the lowest validation loss
    >>> check_best_epoch(1, history)
    ❌ wrong: best_epoch has the lowest validation loss: expected one of the epochs 1 to 3, not 1
    """
    losses = history["val_loss"]
    is_best = best_epoch in losses.index and losses[best_epoch] == losses.min()
    hint = f"expected one of the epochs 1 to {len(losses)}, not {best_epoch}"
    _report("best_epoch has the lowest validation loss", is_best, hint)


def _report(name: str, is_correct: bool, detail: str) -> None:
    if is_correct:
        logger.info(f"✅ correct: {name}")
    else:
        logger.warning(f"❌ wrong: {name}: {detail}")


def _count_layers(kind: type, model: keras.Model) -> int:
    return sum(isinstance(layer, kind) for layer in model.layers)


def _activation(layer: keras.Layer) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")
