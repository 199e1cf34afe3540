"""Where a network can be cut: what never changes while it trains, and the rest."""

import json
from collections.abc import Iterator

from .._keras import keras

LAMBDA = keras.layers.Lambda
NAMING = ("name", "keras_history", "input_layers", "output_layers")  # where a config names layers


class NotCacheableError(Exception):
    """Nothing of a training can be kept; its text is the reason, as a person would say it."""


def split_frozen(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return a network in two parts, which share its layers.

    The first part has the layers that give the same output for the same image throughout a
    training, up to the last one through which everything passes; the second has the rest.

    Raises
    ------
    NotCacheableError
        If the frozen part holds dropout in use or BatchNorm in training mode, or there is none.
    """
    operations = getattr(model, "operations", model.layers)
    changing = [_changes(operation) for operation in operations]
    if "trains" not in changing:
        raise NotCacheableError("none of its layers trains")
    first = next(number for number, change in enumerate(changing) if change)
    frozen_later = _layers(operations[first : changing.index("trains")])
    if any(layer.weights and not layer.trainable_weights for layer in frozen_later):
        raise NotCacheableError(
            f"{changing[first]} {operations[first].name!r} is inside its frozen part"
        )
    passed = [output for _, output in bottlenecks(model, operations[:first])]
    prefix = keras.Model(model.inputs[0], passed[-1]) if passed else None
    if not prefix or not prefix.weights:
        name = operations[first].name
        raise NotCacheableError(
            f"no layer before {name!r} is frozen and has all of the image pass it"
        )
    for layer in prefix._flatten_layers(include_self=False):
        # Code of others can change without a trace.
        if not type(layer).__module__.startswith("keras.") or isinstance(layer, LAMBDA):
            raise NotCacheableError(f"layer {layer.name!r} in its frozen part is not Keras' own")
    return prefix, keras.Model(passed[-1], model.outputs[0])


def bottlenecks(model: keras.Model, operations: list) -> Iterator[tuple[object, keras.KerasTensor]]:
    """Give the operations whose output everything passes through, from the first, with that output.

    Parameters
    ----------
    model : keras.Model
    operations : list
        Those of the model, or the first of them, in its order.
    """
    waiting = _consumers(model, getattr(model, "operations", model.layers))
    made = {id(tensor) for tensor in model.inputs}
    for operation in operations:
        for tensor in keras.tree.flatten(operation.input):
            waiting[id(tensor)] -= 1
        output = keras.tree.flatten(operation.output)
        made = {each for each in {*made, *map(id, output)} if waiting.get(each, 0) > 0}
        if made == {id(output[0])}:
            yield operation, output[0]


def description(prefix: keras.Model) -> str:
    """Return a network's structure as text, the same however its layers are called."""
    numbers = {each.name: f"#{number}" for number, each in enumerate(prefix.operations)}
    numbers[prefix.name] = ""

    def renamed(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {name: renamed(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [renamed(each, key) for each in value]
        return numbers.get(value, value) if key in NAMING and isinstance(value, str) else value

    config = json.loads(json.dumps(prefix.get_config(), default=str))
    return json.dumps(renamed(config), sort_keys=True)


def _layers(operations: list) -> list[keras.Layer]:
    return [each for each in operations if isinstance(each, keras.Layer)]


def _changes(operation: object) -> str | None:
    """Return why an operation's output for one image changes in the course of a training."""
    if not isinstance(operation, keras.Layer):
        return None
    for layer in operation._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            return "BatchNorm in training mode"
        if any(isinstance(each, keras.random.SeedGenerator) for each in vars(layer).values()):
            return "dropout in use" if "Dropout" in type(layer).__name__ else "a layer of chance"
    return "trains" if operation.trainable_weights else None


def _consumers(model: keras.Model, operations: list) -> dict[int, int]:
    """Return how often each tensor is taken as an input, the model's output once more."""
    taken = [tensor for each in operations for tensor in keras.tree.flatten(each.input)]
    waiting: dict[int, int] = {}
    for tensor in [*taken, *model.outputs]:
        waiting[id(tensor)] = waiting.get(id(tensor), 0) + 1
    return waiting
