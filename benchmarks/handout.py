"""The handout's training: the legacy generator and `fit`, the whole network in each step."""

import itertools
import os
import time
import warnings
from pathlib import Path

from xraykit import keras

from .memory import PeakMemory

# isort: split
from tensorflow.keras.preprocessing.image import DirectoryIterator, ImageDataGenerator

BATCH_SIZE, N_TRAIN = 10, 216


def build_generator() -> ImageDataGenerator:
    """Return the handout's generator; it requests statistics that it never computes."""
    warnings.simplefilter("ignore")  # it warns of that in each batch
    return ImageDataGenerator(
        rescale=1 / 255,
        featurewise_center=True,
        featurewise_std_normalization=True,
        zca_whitening=True,
        rotation_range=50,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.25,
        zoom_range=0.1,
        channel_shift_range=20,
        horizontal_flip=True,
        vertical_flip=True,
        fill_mode="constant",
        validation_split=0.2,
    )


def read_batches(subset: str) -> DirectoryIterator:
    """Return batches of augmented images, which are decoded again in each epoch."""
    return build_generator().flow_from_directory(
        Path(os.environ["XRAYKIT_CHALLENGE_DIR"], "all", "train"),
        target_size=(224, 224),
        batch_size=BATCH_SIZE,
        class_mode="categorical",
        subset=subset,
        seed=42,
    )


def build_network(kind: str) -> keras.Model:
    """Return VGG16 with the head of report A's fine-tuned or report B's wide network."""
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(224, 224, 3))
    for layer in base.layers:
        layer.trainable = kind == "finetuned" and layer.name in ("block5_conv3", "block5_pool")
    head = {
        "finetuned": [
            keras.layers.Dropout(0.2),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.2),
        ],
        "wide": [
            keras.layers.Dropout(0.4),
            keras.layers.Dense(2048, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(256),
        ],
    }[kind]
    output = keras.layers.Dense(4, activation="softmax")
    model = keras.Sequential([base, keras.layers.Flatten(), *head, output])
    model.compile(keras.optimizers.Adam(1e-4), "categorical_crossentropy", metrics=["accuracy"])
    return model


def train(kind: str, epochs: int) -> dict[str, object]:
    """Time each of a few epochs of one `fit`; the first includes Keras' tracing.

    The handout also passes the steps per epoch to `fit`; with Keras 3 every second epoch would then
    end after one batch.
    """
    model, times = build_network(kind), [time.perf_counter()]
    timer = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: times.append(time.perf_counter())
    )
    with PeakMemory() as memory:
        model.fit(
            read_batches("training"),
            validation_data=read_batches("validation"),
            epochs=epochs,
            callbacks=[timer],
            verbose=0,
        )
    return {"epochs": [b - a for a, b in itertools.pairwise(times)], "memory": memory.peak}
