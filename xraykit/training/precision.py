"""The precision that a network computes in."""

from collections.abc import Iterator
from contextlib import contextmanager

from .._keras import keras

PRECISIONS = ("float32", "mixed_bfloat16")


@contextmanager
def computing_in(precision: str, model: keras.Model) -> Iterator[None]:
    """Let all layers but the last compute in `precision`, and as before afterwards.

    Weights stay float32, and so do the probabilities and the loss.
    """
    layers = [layer for each in model.layers[:-1] for layer in each._flatten_layers()]
    before = [(layer, layer.dtype_policy) for layer in layers]
    try:
        for layer, _ in before if precision != "float32" else []:
            layer.dtype_policy = precision
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy
