"""The kit's training: `xk.train`, with the feature cache."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

import xraykit as xk
from xraykit import keras
from xraykit.data.images import read_image
from xraykit.progress import thread_map
from xraykit.training.batches import Batches, Views

from . import handout
from .memory import PeakMemory

SHORT, LONG = 2, 8  # epochs: the difference of the two trainings gives the time of one


def build_network(kind: str, class_names: tuple[str, ...]) -> keras.Model:
    """Return the handout's network as a flat model that contains its preprocessing."""
    return xk.recipes[f"task2-vgg16-{kind}"].override(weights=None).build(class_names)


def train(kind: str, precision: str) -> dict[str, object]:
    """Time one training from files with an empty cache, and two with a warm cache."""
    with PeakMemory() as memory:
        start = time.perf_counter()
        task = xk.load_task("multiclass", os.environ["XRAYKIT_CHALLENGE_DIR"])
        _train(kind, task, SHORT, precision)
        cold = time.perf_counter() - start
        warm, longer = (_train(kind, task, epochs, precision) for epochs in (SHORT, LONG))
    epoch = (longer - warm) / (LONG - SHORT)
    return {"cold": cold, "warm": warm, "epoch": epoch, "memory": memory.peak}


def batch_sizes() -> dict[str, object]:
    """Time report B's table, 100 epochs at each of 11 batch sizes, with one feature cache.

    One round per process: TensorFlow keeps the memory of every network that a process trains.
    """
    task = xk.load_task("multiclass", os.environ["XRAYKIT_CHALLENGE_DIR"])
    start = time.perf_counter()
    _train("wide", task, 1, "float32")
    cache = time.perf_counter() - start
    start_up = _train("wide", task, 1, "float32")  # includes one epoch
    total = 0.0
    for size in range(5, 16):
        total += start_up + 99 * (_train("wide", task, 4, "float32", size) - start_up) / 3
    return {"cache": cache, "total": total}


def _train(kind: str, task: xk.Task, epochs: int, precision: str, batch_size: int = 10) -> float:
    keras.utils.clear_session()
    start = time.perf_counter()
    xk.train(
        build_network(kind, task.class_names),
        task,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=1e-4,
        augmentation=xk.Augmentation.handout(),
        n_views=8,
        precision=precision,
    )
    return time.perf_counter() - start


def batches() -> dict[str, list[float]]:
    """Measure augmented images per second, with the handout's values for both."""
    root = os.environ["XRAYKIT_CHALLENGE_DIR"]
    task = xk.load_task("multiclass", root)
    images = task.development
    floats = np.asarray(images.pixels, np.float32)
    files = [task.root / path for path in images.paths]
    rates: dict[str, list[float]] = {}

    def record(name: str, count: int, start: float) -> None:
        rates.setdefault(name, []).append(count / (time.perf_counter() - start))

    def read_epoch(images: xk.ImageSet, epoch: int) -> None:
        views = Views(images, xk.Augmentation.handout(), None, 42)
        epoch_batches = Batches(views, views.pixels, handout.BATCH_SIZE, 42)
        for number in range(epoch * len(epoch_batches), (epoch + 1) * len(epoch_batches)):
            epoch_batches[number]

    for epoch in range(3):
        start = time.perf_counter()
        flow = handout.build_generator().flow(floats, batch_size=handout.BATCH_SIZE)
        for number in range(len(flow)):
            flow[number]
        record("handout, arrays", len(images), start)
        start = time.perf_counter()
        read_epoch(images, epoch)
        record("kit, arrays", len(images), start)
        start = time.perf_counter()
        flow = handout.read_batches("training")
        for number in range(len(flow)):
            flow[number]
        record("handout, files", handout.N_TRAIN, start)
        start = time.perf_counter()
        pixels = np.stack(thread_map(lambda path: read_image(path, 224)[0], files))
        read_epoch(replace(images, pixels=pixels), epoch)
        record("kit, files", len(images), start)
    return rates


def growth(folder: str, n_images: int) -> dict[str, object]:
    """Measure a training with a small frozen network on images that are read from their files.

    The images are small copies of the challenge's, each with another first pixel.
    """
    root = Path(folder, str(n_images))
    if not root.exists():
        _write_copies(root, n_images)
    with PeakMemory() as memory:
        start = time.perf_counter()
        task = xk.load_task("binary", root, image_size=40, in_memory=False)
        model = xk.build_classifier(
            "MobileNet", task.class_names, weights=None, alpha=0.25, image_size=40
        )
        xk.train(model, task, epochs=3, learning_rate=1e-3)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory": memory.peak}


def _write_copies(root: Path, n_images: int) -> None:
    task = xk.load_task("binary", os.environ["XRAYKIT_CHALLENGE_DIR"], image_size=40)
    images = task.development
    for number in range(n_images):
        row = number % len(images)
        pixels = images.pixels[row].copy()
        pixels[0, 0] = [number // 65536, number // 256 % 256, number % 256]
        split = "test" if number % 10 == 0 else "train"
        label = images.class_names[images.labels[row]]
        path = root / "two" / split / label / f"image {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
