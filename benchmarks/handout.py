"""The handout's way, written out: the legacy generator and `fit`, all of the network each step."""

import itertools
import os
import time
import warnings
from pathlib import Path

from xraykit import keras

from .memory import PeakMemory

# isort: split
from tensorflow.keras.preprocessing.image import DirectoryIterator, ImageDataGenerator

BATCH, TRAIN = 10, 216


def generator() -> ImageDataGenerator:
    """Return the handout's generator, with the statistics that it asks for and never computes."""
    warnings.simplefilter("ignore")  # which it says in each batch
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


def from_files(subset: str) -> DirectoryIterator:
    """Return batches of augmented images, decoded anew in each epoch."""
    return generator().flow_from_directory(
        Path(os.environ["XRAYKIT_CHALLENGE_DIR"], "all", "train"),
        target_size=(224, 224),
        batch_size=BATCH,
        class_mode="categorical",
        subset=subset,
        seed=42,
    )


def network(kind: str) -> keras.Model:
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
    """Measure each of a few epochs of one `fit`; the first has Keras' tracing in it.

    The handout gives `fit` the steps of an epoch, too; Keras 3 would then end every second epoch
    after one batch.
    """
    model, times = network(kind), [time.perf_counter()]
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: times.append(time.perf_counter())
    )
    with PeakMemory() as memory:
        model.fit(
            from_files("training"),
            validation_data=from_files("validation"),
            epochs=epochs,
            callbacks=[watch],
            verbose=0,
        )
    return {"epochs": [b - a for a, b in itertools.pairwise(times)], "memory": memory.peak}
