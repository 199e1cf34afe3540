"""Why the kit's "as published" did not reach the handout's score: one difference at a time.

Not part of `make bench`; it takes about an hour: `python -m benchmarks handout_gap features
FOLDER`, then `python -m benchmarks handout_gap heads FOLDER`. Both can be resumed: results in
FOLDER or in the feature cache are not computed again. `XRAYKIT_CHALLENGE_DIR` and
`XRAYKIT_WEIGHTS_DIR` must be set. The findings are in docs/results/reproduction.md.

The handout's network is a frozen VGG16 with a trained head, so its pipeline is saved as features:
one file per epoch of new views of the training images, and one for the test images.
"""

import csv
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import xraykit as xk
from xraykit import keras
from xraykit._keras import tf
from xraykit.log import only_warnings
from xraykit.models.graph import split_frozen
from xraykit.training.batches import Views
from xraykit.training.feature_cache import FeatureCache
from xraykit.training.optimizers import build_optimizer
from xraykit.training.precision import set_precision

from .handout import build_generator

# isort: split
from tensorflow.keras.preprocessing.image import img_to_array, load_img

DOCS = Path(__file__).parents[1] / "docs" / "results"
SIZE, BATCH_SIZE, SEEDS = 224, 10, (42, 1, 2)
LAST_EPOCHS = 10  # the score is their mean, since it changes by images from epoch to epoch
# The handout's pipeline, and the same with this kit's resizing: the number of computed epochs.
PIPELINES = {"handout": 40, "resized": 16}
# Pipeline, split, number of views per image (0: new ones in each epoch), epochs. "warped" has this
# kit's resizing and augmentation, "recipe" also this kit's training.
CONDITIONS = [
    *(("handout", "by file order", n_views, 40) for n_views in (0, 32, 16, 8, 4, 2, 1)),
    ("resized", "by file order", 16, 40),
    ("warped", "by file order", 16, 40),
    ("warped", "by patient", 16, 40),
    ("recipe", "by file order", 16, 100),
    ("recipe", "by patient", 16, 100),
    ("handout", "by file order", 8, 100),
    ("warped", "by file order", 8, 100),
    ("warped", "by patient", 8, 100),
    ("recipe", "by patient", 8, 100),
]


def features(folder: str) -> int:
    """Compute the features of the handout's pipeline, also with this kit's resizing."""
    compute, root = _build_frozen_vgg16(), Path(folder)
    task = _load_task("by file order")
    for name, epochs in PIPELINES.items():
        target = root / name
        target.mkdir(parents=True, exist_ok=True)
        train, test = (_read_pixels(task.root, part, name) for part in (task.train, task.test))
        if not (target / "test.npy").exists():
            _save(target / "test.npy", compute(test))
        for epoch in range(epochs):
            path = target / f"{epoch:03}.npy"
            if not path.exists():
                _save(path, compute(_draw_views(train, epoch)))
    return len(list(root.glob("*/*.npy")))


def heads(folder: str) -> list[dict[str, object]]:
    """Train the handout's head under each condition and seed, and test it."""
    table = Path(folder) / "heads.csv"
    rows = list(csv.DictReader(table.open())) if table.exists() else []
    numbers = ("views", "seed", "epochs")
    done = {(row["pipeline"], row["split"], *(int(row[name]) for name in numbers)) for row in rows}
    for pipeline, split, n_views, epochs in CONDITIONS:
        for seed in SEEDS:
            if (pipeline, split, n_views, seed, epochs) in done:
                continue
            start = time.perf_counter()
            if pipeline == "recipe":
                result = _train_recipe(_load_task(split, seed), n_views, epochs, seed)
            else:
                task = _load_task(split)
                views, test = _load_features(Path(folder, pipeline), task, n_views or epochs)
                result = _train_head(views, test, task, n_views, epochs, seed)
            row = {"pipeline": pipeline, "split": split, "views": n_views, "seed": seed}
            seconds = round(time.perf_counter() - start)
            rows.append(row | {"epochs": epochs} | result | {"seconds": seconds})
            with table.open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)
            print(rows[-1], flush=True)
            keras.utils.clear_session()
    return rows


def draw(folder: str) -> str:
    """Plot correct test images and test loss by the number of views, as docs/results/views.png."""
    table = pd.read_csv(Path(folder) / "heads.csv")
    table = table[(table["pipeline"] == "handout") & (table["epochs"] == 40)]
    ticks = [1, 2, 4, 8, 16, 32, 64]
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    x = table["views"].replace(0, ticks[-1])  # new views in each epoch, at the right end
    for axis, column in zip(axes, ("correct", "loss"), strict=True):
        for seed, marker in zip(SEEDS, "o^s", strict=True):
            rows = table["seed"] == seed
            axis.plot(x[rows], table[column][rows], marker, alpha=0.7, label=f"seed {seed}")
        axis.plot(table[column].groupby(x).mean(), color="gray", label="mean")
    for axis, published in zip(axes, (25, 0.757), strict=True):
        axis.axhline(published, color="black", linestyle=":", label="published by the handout")
        axis.set_xscale("log", base=2)
        axis.set_xticks(ticks, [*map(str, ticks[:-1]), "new"])
        axis.set_xlabel("views per training image")
    axes[0].set(ylabel="correct test images, of 36", ylim=(0, 36))
    axes[1].set(ylabel="loss on the test images", ylim=(0, 1.2))
    axes[1].legend()
    figure.savefig(DOCS / "views.png", dpi=100)
    return str(DOCS / "views.png")


@cache
def _load_task(split: str, seed: int = 42) -> xk.Task:
    """Return Task 2 split by patient, or like the handout by file name in each class."""
    if split == "by patient":
        return xk.load_task("multiclass", seed=seed)
    task = xk.load_task("multiclass", allow_leak=True)
    images = task.development
    order = np.array(sorted(range(len(images)), key=lambda row: images.paths[row]))
    parts: tuple[list, list] = [], []
    for label in range(len(task.class_names)):
        rows = order[images.labels[order] == label]
        first = int(0.2 * len(rows))  # flow_from_directory's validation_split
        parts[0].extend(rows[first:])
        parts[1].extend(rows[:first])
    train, validation = (images.subset(np.array(rows)) for rows in parts)
    return replace(task, train=train, validation=validation)


def _build_frozen_vgg16() -> Callable[[np.ndarray], np.ndarray]:
    """Return a function to VGG16's features with 1/255, in bfloat16 as in the saved table."""
    base = xk.backbone("VGG16", preprocessing="rescale")
    for layer in base.layers:
        layer.dtype_policy = "mixed_bfloat16"
    run_network = tf.function(lambda pixels: base(pixels, training=False))

    def compute(pixels: np.ndarray) -> np.ndarray:
        batches = (pixels[first : first + 15] for first in range(0, len(pixels), 15))
        outputs = (run_network(tf.constant(batch, tf.float32)) for batch in batches)
        features = [tf.cast(output, tf.float16).numpy() for output in outputs]
        return np.concatenate(features).reshape(len(pixels), -1)

    return compute


def _read_pixels(root: Path, images: xk.ImageSet, pipeline: str) -> np.ndarray:
    if pipeline == "resized":
        return np.asarray(images.pixels, np.float32)
    files = [root / path for path in images.paths]
    return np.stack([img_to_array(load_img(file, target_size=(SIZE, SIZE))) for file in files])


def _draw_views(pixels: np.ndarray, epoch: int) -> np.ndarray:
    generator = build_generator()  # its 1/255 is the network's first layer here
    seeds = range(1000 * epoch, 1000 * epoch + len(pixels))
    return np.stack([generator.random_transform(*pair) for pair in zip(pixels, seeds, strict=True)])


def _load_features(folder: Path, task: xk.Task, n_views: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of training images, shape (views, images, features), and of test images."""
    if folder.name != "warped":
        views = [np.load(folder / f"{number:03}.npy") for number in range(n_views)]
        return np.stack(views), np.load(folder / "test.npy")
    recipe = xk.recipes["handout-task2"].as_published()
    model = recipe.build(task.class_names)
    set_precision(model, "mixed_bfloat16")
    cached = FeatureCache(split_frozen(model)[0], "float16")
    train = cached.features(Views(task.train, xk.Augmentation.handout(), n_views, 42))
    test = cached.features(Views(task.test))
    rows, zeros = np.arange(len(task.train)), np.zeros(len(task.test), int)
    views = [train(rows, np.full(len(rows), number)) for number in range(n_views)]
    return np.stack(views), test(np.arange(len(task.test)), zeros)


def _train_head(
    views: np.ndarray, test: np.ndarray, task: xk.Task, n_views: int, epochs: int, seed: int
) -> dict[str, object]:
    labels, rng = task.train.labels, np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    head = keras.Sequential(
        [
            keras.layers.Input((views.shape[-1],)),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    head.compile(build_optimizer("adam", 1e-4), loss, metrics=["accuracy"])
    head.optimizer.build(head.trainable_variables)
    test, results = test.astype(np.float32), []
    for epoch in range(epochs):
        rows = rng.permutation(len(labels))
        numbers = rng.integers(n_views, size=len(rows)) if n_views else np.full(len(rows), epoch)
        for first in range(0, len(rows), BATCH_SIZE):
            batch = slice(first, first + BATCH_SIZE)
            features = views[numbers[batch], rows[batch]].astype(np.float32)
            head.train_on_batch(features, labels[rows[batch]])
        if epoch >= epochs - LAST_EPOCHS:
            results.append(head.evaluate(test, task.test.labels, verbose=0))
    loss, accuracy = np.mean(results, axis=0)
    correct = round(float(accuracy) * len(test))
    return {"correct": correct, "total": len(test), "loss": round(float(loss), 3)}


def _train_recipe(task: xk.Task, n_views: int, epochs: int, seed: int) -> dict[str, object]:
    recipe = xk.recipes["handout-task2"].as_published()
    recipe = recipe.override(n_views=n_views, epochs=epochs, precision="mixed_bfloat16")
    with only_warnings():  # one line per epoch
        model, _ = recipe.train(task, seed)
    scores = xk.score(xk.predict(model, task.test))
    return {"correct": scores.correct, "total": scores.total, "loss": round(scores.loss, 3)}


def _save(path: Path, array: np.ndarray) -> None:
    """Write the array completely or not at all, so that a killed run can continue."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.save(file, array)
    partial.replace(path)
