"""Keras on TensorFlow, imported without the messages that both print at start-up."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """Send file descriptor 2 nowhere: TensorFlow logs there from C++, past Python's own streams."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


with _no_standard_error():
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # its advice on retracing is not for our readers
    tf.config.list_physical_devices()  # looks for a GPU, and complains here rather than later

__all__ = ["keras", "tf"]
