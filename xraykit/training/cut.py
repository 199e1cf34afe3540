"""Where a network can be cut: what never changes while it trains, and the rest."""

import json
import re

from ..quiet import keras


class CutError(Exception):
    """Nothing of a training can be kept; its text is the reason, as a person would say it."""


def cut(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return a network in two parts, which share its layers.

    The first part has the layers that give the same output for the same picture throughout a
    training, up to the last one through which everything passes; the second has the rest.

    Raises
    ------
    CutError
        If the frozen part holds dropout in use or BatchNorm in training mode, or there is none.
    """
    operations = getattr(model, "operations", model.layers)
    changing = [_changes(operation) for operation in operations]
    first = next((number for number, change in enumerate(changing) if change), len(operations))
    trains = next((i for i, change in enumerate(changing) if change == "trains"), len(operations))
    frozen_later = any(operation.weights for operation in _layers(operations[first:trains]))
    if frozen_later:
        raise CutError(f"{changing[first]} {operations[first].name!r} is inside its frozen part")
    seam = None
    waiting = _consumers(model, operations)
    made = {id(tensor) for tensor in model.inputs}
    for operation in operations[:first]:
        for tensor in keras.tree.flatten(operation.input):
            waiting[id(tensor)] -= 1
        output = keras.tree.flatten(operation.output)
        made = {each for each in {*made, *map(id, output)} if waiting.get(each, 0) > 0}
        if made == {id(output[0])}:
            seam = output[0]
    prefix = seam is not None and keras.Model(model.inputs[0], seam)
    if not prefix or not prefix.weights:
        name = operations[min(first, len(operations) - 1)].name
        raise CutError(f"no layer before {name!r} is frozen and has all of the picture pass it")
    modules = re.findall(r'"module": "(.*?)"', prefix.to_json())
    own = [module for module in modules if not module.startswith("keras")]
    if own:
        raise CutError(f"its frozen part has layers that are not Keras' own, from {own[0]}")
    return prefix, keras.Model(seam, model.outputs[0])


def description(prefix: keras.Model) -> str:
    """Return a network's structure as text, the same however its layers are called."""
    numbers = {each.name: f"#{number}" for number, each in enumerate(prefix.operations)}
    numbers[prefix.name] = ""
    config = keras.tree.map_structure(
        lambda leaf: numbers.get(leaf, leaf) if isinstance(leaf, str) else leaf,
        json.loads(json.dumps(prefix.get_config(), default=str)),
    )
    return json.dumps(config, sort_keys=True)


def _layers(operations: list) -> list[keras.Layer]:
    return [each for each in operations if isinstance(each, keras.Layer)]


def _changes(operation: object) -> str | None:
    """Return why an operation's output for one picture changes in the course of a training."""
    if not isinstance(operation, keras.Layer):
        return None
    inner = operation.layers if isinstance(operation, keras.Model) else []
    reasons = [_changes(layer) for layer in inner]
    if any(reasons):
        return next(reason for reason in reasons if reason)
    if isinstance(operation, keras.layers.BatchNormalization) and operation.trainable:
        return "BatchNorm in training mode"
    if any(isinstance(each, keras.random.SeedGenerator) for each in vars(operation).values()):
        return "dropout in use"
    return "trains" if operation.trainable_weights else None


def _consumers(model: keras.Model, operations: list) -> dict[int, int]:
    """Return how often each tensor is taken as an input, the model's output once more."""
    taken = [tensor for each in operations for tensor in keras.tree.flatten(each.input)]
    waiting: dict[int, int] = {}
    for tensor in [*taken, *model.outputs]:
        waiting[id(tensor)] = waiting.get(id(tensor), 0) + 1
    return waiting
