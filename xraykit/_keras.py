"""Keras on TensorFlow, imported without their start-up messages."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _silence_standard_error() -> Iterator[None]:
    """Redirect file descriptor 2 to nowhere: TensorFlow's C++ code writes there directly."""
    sys.stderr.flush()
    original = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(devnull)
        os.close(original)


with _silence_standard_error():
    import keras
    import tensorflow as tf

    # A keras.json in the user's home may say otherwise; the networks and their weights need these.
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    tf.get_logger().setLevel("ERROR")  # hides its advice on retracing
    tf.config.list_physical_devices()  # looks for a GPU; its warnings appear here, silenced

__all__ = ["keras", "tf"]
