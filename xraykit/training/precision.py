"""The numeric precision of a network's computations."""

from pathlib import Path

from .._keras import keras

BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}  # as Linux lists a processor's instructions


def has_bfloat16() -> bool:
    """Return whether Linux lists bfloat16 instructions of the processor."""
    path = Path("/proc/cpuinfo")
    return path.exists() and not BFLOAT16_FLAGS.isdisjoint(path.read_text().split())


def choose_precision(precision: str) -> str:
    """Return `precision`; "auto" becomes mixed_bfloat16 or float32, depending on the processor."""
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if has_bfloat16() else "float32"


def set_precision(model: keras.Model, precision: str) -> None:
    """Let all layers but the last compute in `precision`; weights and probabilities stay float32.

    The model has to be compiled afterwards, so that nothing compiled before is used again.
    """
    for layer in model.layers[:-1]:
        for part in layer._flatten_layers():
            part.dtype_policy = precision
