"""A model's graph: where its frozen part ends."""

import json
from collections.abc import Iterator

from .._keras import keras

NAME_KEYS = ("name", "keras_history", "input_layers", "output_layers")  # hold names of layers


class NotCacheableError(Exception):
    """No features of a model can be cached; the text is the reason."""


def split_frozen(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a model into its frozen part and the rest, which share its layers.

    The output of the first part stays the same for the same image throughout training. It ends at
    the last such layer that all data passes through.

    Raises
    ------
    NotCacheableError
        If the frozen part contains active dropout or BatchNorm in training mode, or is empty.
    """
    operations = getattr(model, "operations", model.layers)
    reasons = [_find_reason_for_change(operation) for operation in operations]
    if "trains" not in reasons:
        raise NotCacheableError("no layer is trainable")
    first = next(number for number, reason in enumerate(reasons) if reason)
    name = operations[first].name
    later = _list_layers(operations[first : reasons.index("trains")])
    if any(layer.weights and not layer.trainable_weights for layer in later):
        raise NotCacheableError(f"{reasons[first]} ({name!r}) is inside the frozen part")
    outputs = [output for _, output in bottlenecks(model, operations[:first])]
    prefix = keras.Model(model.inputs[0], outputs[-1]) if outputs else None
    if not prefix or not prefix.weights:
        has_weights = any(layer.weights for layer in _list_layers(operations[:first]))
        reason = "no frozen layer receives all data" if has_weights else "nothing is frozen"
        raise NotCacheableError(f"{reason} before {name!r}, so there are no features to cache")
    for layer in prefix._flatten_layers(include_self=False):
        # Code from other packages can change without a trace, and so can a function in a Lambda.
        is_keras = type(layer).__module__.startswith("keras.")
        if not is_keras or isinstance(layer, keras.layers.Lambda):
            raise NotCacheableError(
                f"layer {layer.name!r} in the frozen part is a Lambda or not from Keras"
            )
    return prefix, keras.Model(outputs[-1], model.outputs[0])


def bottlenecks(model: keras.Model, operations: list) -> Iterator[tuple[object, keras.KerasTensor]]:
    """Yield the operations that all data passes through, in order, each with its output.

    Parameters
    ----------
    model : keras.Model
    operations : list
        The model's operations in its order, or only the first of them.
    """
    n_waiting = _count_consumers(model, getattr(model, "operations", model.layers))
    available = {id(tensor) for tensor in model.inputs}
    for operation in operations:
        for tensor in keras.tree.flatten(operation.input):
            n_waiting[id(tensor)] -= 1
        output = keras.tree.flatten(operation.output)
        available |= set(map(id, output))
        available = {tensor for tensor in available if n_waiting.get(tensor, 0) > 0}
        if available == {id(output[0])}:
            yield operation, output[0]


def describe_structure(prefix: keras.Model) -> str:
    """Return a model's structure as text that does not depend on the names of its layers."""
    numbers = {operation.name: f"#{number}" for number, operation in enumerate(prefix.operations)}
    numbers[prefix.name] = ""

    def rename(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {name: rename(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [rename(part, key) for part in value]
        return numbers.get(value, value) if key in NAME_KEYS and isinstance(value, str) else value

    config = json.loads(json.dumps(prefix.get_config(), default=str))
    return json.dumps(rename(config), sort_keys=True)


def _list_layers(operations: list) -> list[keras.Layer]:
    return [operation for operation in operations if isinstance(operation, keras.Layer)]


def _find_reason_for_change(operation: object) -> str | None:
    """Return why an operation's output for one image changes during training, or None."""
    if not isinstance(operation, keras.Layer):
        return None
    for layer in operation._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            return "BatchNorm in training mode"
        if any(isinstance(value, keras.random.SeedGenerator) for value in vars(layer).values()):
            return "active dropout" if "Dropout" in type(layer).__name__ else "a random layer"
    return "trains" if operation.trainable_weights else None


def _count_consumers(model: keras.Model, operations: list) -> dict[int, int]:
    """Return how many operations take each tensor as input; the model's output counts as one."""
    inputs = [tensor for operation in operations for tensor in keras.tree.flatten(operation.input)]
    counts: dict[int, int] = {}
    for tensor in [*inputs, *model.outputs]:
        counts[id(tensor)] = counts.get(id(tensor), 0) + 1
    return counts
