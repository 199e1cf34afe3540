"""The numeric precision of a network's computations."""

from collections.abc import Iterator
from contextlib import contextmanager

from .._keras import keras

PRECISIONS = ("float32", "mixed_bfloat16")


@contextmanager
def use_precision(precision: str, model: keras.Model) -> Iterator[None]:
    """Let all layers but the last compute in `precision`, and restore their settings afterwards.

    Weights, probabilities and the loss stay float32.
    """
    layers = [layer for top in model.layers[:-1] for layer in top._flatten_layers()]
    policies = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers if precision != "float32" else []:
            layer.dtype_policy = precision
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy
