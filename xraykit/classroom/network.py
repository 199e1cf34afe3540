"""The graded questions on the network: build and train."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .._keras import keras
from ..data.tasks import Task
from ..metrics.scores import score
from ..models.backbones import backbone
from ..models.classifier import (
    BUILT_HERE,
    FEATURE_LAYER,
    check_flat,
    check_model,
    trainable_parameters,
)
from ..recipes.recipe import Recipe
from ..training.predict import predict
from .questions import WrongAnswerError, add_hints, check_table, graded

MAX_LISTED = 3
N_PREDICTED = 32  # training images: VGG16 takes some seconds for them


@graded("build", 2, "`model` starts with the backbone, and nothing changes the pixels before it")
def find_other_backbone(model: keras.Model, plan: Recipe, base: keras.Model) -> str | None:
    """Compare the first layers with those of `base`, by their kinds and frozen weights."""
    _check_keras_model(model)
    check_flat(model)
    before, layers, _ = _split(model, base)
    expected = _list_layers(base)
    if before:
        kinds = ", ".join(type(layer).__name__ for layer in before)
        return f"{plan.backbone} scales its own input; expected nothing before it, got {kinds}"
    if _list_kinds(layers) != _list_kinds(expected):
        return (
            f"expected the {len(expected)} layers of {plan.backbone} from base.input to "
            f"base.output, got others"
        )
    for layer, ours in zip(_with_weights(layers), _with_weights(expected), strict=True):
        is_same = all(map(np.array_equal, layer.get_weights(), ours.get_weights()))
        if not ours.trainable_weights and not is_same:
            return "expected the weights of `base`, got others. Start from base.output"
    return None


@graded("build", 3, "the layers of the head stand in the order of the recipe")
def find_other_head(model: keras.Model, plan: Recipe, base: keras.Model, task: Task) -> str | None:
    """Compare the layers after the backbone with the recipe's, each with its main arguments."""
    _check_keras_model(model)
    n_classes = len(task.class_names)
    output = keras.layers.Dense(1 if n_classes == 2 else n_classes)
    expected = list(_describe_layers([*plan.layers(), output]))
    found = list(_describe_layers(_split(model, base)[2]))
    if found and not found[-1].startswith("Dense"):  # an activation, judged by its output
        found = found[:-1]
    expected, found = expected[:-1], found[:-1]  # the output layer has a line of its own
    for number, (ours, theirs) in enumerate(zip(expected, found, strict=False), start=1):
        if ours != theirs:
            return f"layer {number} after the backbone: expected {ours}, got {theirs}"
    if len(found) < len(expected):
        return f"{expected[len(found)]} is missing before the output"
    if len(found) > len(expected):
        return f"expected the output after {expected[-1]}, got {found[len(expected)]}"
    return None


@graded("build", 2, "the output is one probability per class, or that of the second of two")
def find_other_output(model: keras.Model, task: Task) -> str | None:
    """Predict two images of random numbers, and see whether these are probabilities."""
    _check_keras_model(model)
    n_classes = len(task.class_names)
    n_outputs = 1 if n_classes == 2 else n_classes
    if model.output_shape[1:] != (n_outputs,):
        return f"expected {n_outputs} number(s) per image, got the shape {model.output_shape[1:]}"
    pixels = np.random.default_rng(0).uniform(0, 255, (2, *model.input_shape[1:]))
    # A new network predicts numbers near 0, which pass for probabilities; large weights do not.
    outputs = np.stack([_scale_last_layer(model, by)(pixels).numpy() for by in (1000, -1000)])
    if outputs.min() < 0 or outputs.max() > 1:
        return "expected numbers from 0 to 1: is it the right activation?"
    if n_outputs > 1 and not np.allclose(outputs.sum(axis=-1), 1, atol=1e-3):
        return "expected probabilities that add up to 1: several classes need another activation"
    if not getattr(_list_layers(model)[-1], "activation", None):
        return "expected the activation as an argument of the last layer, or as a layer"
    return None


@graded("build", 1, "the layer for the map is named 'features'")
def find_other_features(model: keras.Model, plan: Recipe) -> str | None:
    """Find the layer by its name, and compare its width."""
    _check_keras_model(model)
    (width,) = (layer.units for layer in plan.layers() if layer.name == FEATURE_LAYER)
    layers = [layer for layer in _list_layers(model) if layer.name == FEATURE_LAYER]
    if not layers:
        names = [layer.name for layer in _list_layers(model)[-MAX_LISTED:]]
        return f"expected a layer of this name, got {', '.join(names)} at the end"
    shape = layers[0].output.shape[1:]
    return None if shape == (width,) else f"expected {width} numbers per image, got {shape}"


@graded("build", 2, "the layers that the recipe freezes are frozen, and no others")
def find_other_trainable(model: keras.Model, plan: Recipe, base: keras.Model) -> str | None:
    """Compare the numbers of trainable parameters, in the backbone and in the head."""
    _check_keras_model(model)
    fresh = backbone(plan.backbone, **(plan.network_options() | {"weights": None}))
    _, layers, head = _split(model, base)
    expected = trainable_parameters(fresh)
    found = sum(trainable_parameters(layer) for layer in layers if isinstance(layer, keras.Layer))
    if found != expected:
        return f"expected {expected:,} trainable parameters in the backbone, got {found:,}"
    frozen = [layer.name for layer in _with_weights(head) if not layer.trainable]
    return f"expected a trainable head, got frozen layers: {', '.join(frozen)}" if frozen else None


@graded("train", 1, "`history` has one row for every epoch")
def find_missing_epochs(history: pd.DataFrame, plan: Recipe) -> str | None:
    """Compare the number of rows with the recipe's epochs."""
    check_table(history, "the table that xk.train returns")
    rows = len(history)
    if plan.early_stopping is not None and 0 < rows <= plan.epochs:
        return None
    return None if rows == plan.epochs else f"expected {plan.epochs} rows, got {rows}"


@graded("train", 1, "the validation images were scored in every epoch")
def find_missing_validation(history: pd.DataFrame) -> str | None:
    """Look for the columns of validation."""
    check_table(history, "the table that xk.train returns")
    missing = [f"val_{metric}" for metric in ("loss", "accuracy") if f"val_{metric}" not in history]
    if missing:
        return f"expected the column(s) {', '.join(missing)}, got {', '.join(map(str, history))}"
    return (
        "some values are missing"
        if history[["val_loss", "val_accuracy"]].isna().any(axis=None)
        else None
    )


@graded("train", 2, "the network has learned: it is better than at its start, and than guessing")
def find_no_learning(model: keras.Model, history: pd.DataFrame, task: Task) -> str | None:
    """Compare the training loss with that of the first epoch, and the model with guessing."""
    _check_keras_model(model)
    check_table(history, "the table that xk.train returns")
    first, last = history["loss"].iloc[0], history["loss"].iloc[-1]
    guessing = np.log(len(task.class_names))
    if len(history) > 1 and not last < first:
        return f"the training loss went from {first:.3g} to {last:.3g}; expected it to fall"
    if not last < guessing:
        return f"the training loss is {last:.3g}; guessing has {guessing:.3g}"
    rows = np.linspace(0, len(task.train) - 1, min(N_PREDICTED, len(task.train))).astype(int)
    scores = score(predict(model, task.train.subset(rows)))
    most_frequent = int(np.bincount(task.train.labels[rows]).max())
    if scores.correct > most_frequent or scores.loss < guessing:
        return None
    return (
        f"it is correct on {scores.correct} of {scores.total} training images, guessing the most "
        f"frequent class on {most_frequent}"
    )


@graded("train", 1, "`model` is the network that `history` describes")
def find_other_training(model: keras.Model, history: pd.DataFrame, task: Task) -> str | None:
    """Predict the validation images, and compare the score with the history's."""
    _check_keras_model(model)
    check_table(history, "the table that xk.train returns")
    scores = score(predict(model, task.validation))
    if not {"val_loss", "val_accuracy"} <= set(history):
        return "`history` has no scores of the validation images to compare with"
    # The weights of the best epoch may have been restored.
    rows = history.loc[[history.index[-1], history["val_loss"].idxmin()]]
    for row in rows.itertuples():
        difference = abs(row.val_loss - scores.loss)
        is_same_loss = scores.may_be_clipped or difference <= 0.02 + 0.1 * row.val_loss
        is_same_count = abs(row.val_accuracy * scores.total - scores.correct) < 1.5
        if is_same_loss and is_same_count:
            return None
    return (
        f"expected a validation loss of {rows['val_loss'].iloc[0]:.3g} as in the last row, got "
        f"{scores.loss:.3g}: was `model` built or trained again after `history`?"
    )


add_hints(
    "build",
    'Print the recipe with `plan`: the lines under "network", after the backbone, are the layers. '
    "Each one is called with the output of the one before it.",
    "The first call is layer(arguments)(base.output). Give the layer for the map name='features'. "
    "The output layer is not in the list: its number of units and its activation stand in step 2.",
    "x = keras.layers.FIRST()(base.output), then x = keras.layers.NEXT(…)(x) for each line, then "
    "output = keras.layers.Dense(UNITS, activation=ACTIVATION)(x), and model = keras.Model("
    "base.input, output).",
)
add_hints(
    "train",
    "xk.train takes the model, then the task, then settings by name, and returns a table.",
    "plan.training_options(task) is a dict. Two stars before a dict pass its entries as settings "
    "by name.",
    "history = xk.train(MODEL, TASK, **SETTINGS, seed=seed)",
)


def _check_keras_model(value: object) -> None:
    if not isinstance(value, keras.Model):
        raise WrongAnswerError(
            f"expected a Keras model, got a value of type {type(value).__name__}"
        )
    check_model(value)
    if any(hasattr(layer, BUILT_HERE) for layer in value.layers):
        raise WrongAnswerError("expected layers that you made with keras.layers, got those of xk")


def _list_layers(model: keras.Model) -> list[Any]:
    """Return all layers and operations in their order, those of networks inside it as well."""
    layers: list[Any] = []
    for layer in getattr(model, "operations", model.layers):
        if isinstance(layer, keras.Model):
            layers += _list_layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            layers.append(layer)
    return layers


def _with_weights(layers: Sequence[Any]) -> list[keras.Layer]:
    return [layer for layer in layers if isinstance(layer, keras.Layer) and layer.weights]


def _list_kinds(layers: Sequence[Any]) -> list[str]:
    return [type(layer).__name__ for layer in layers]


def _split(model: keras.Model, base: keras.Model) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the layers before the backbone, those in its place, and the head."""
    layers, kinds = _list_layers(model), _list_kinds(_list_layers(base))
    size, found = len(kinds), _list_kinds(layers)
    starts = (row for row in range(len(found)) if found[row : row + size] == kinds)
    start = next(starts, 0)
    return layers[:start], layers[start : start + size], layers[start + size :]


def _describe_layers(layers: Sequence[Any]) -> Iterator[str]:
    """Yield each layer with its main arguments; an activation counts as a layer."""
    for layer in layers:
        kind = type(layer).__name__
        config = layer.get_config() if isinstance(layer, keras.Layer) else {}
        activation = config.get("activation")
        if kind in ("ReLU", "Relu", "Sigmoid", "Softmax"):
            yield kind.lower()
        elif kind == "Activation":
            yield str(activation)
        else:
            arguments = [f"{key}={config[key]}" for key in ("units", "rate") if key in config]
            yield f"{kind}({', '.join(arguments)})"
            if isinstance(activation, str) and activation != "linear":
                yield activation


def _scale_last_layer(model: keras.Model, factor: float) -> keras.Model:
    """Return a copy whose last weights are multiplied."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    last = _with_weights(_list_layers(copy))[-1]
    last.set_weights([factor * weight for weight in last.get_weights()])
    return copy
