"""The kit's way: `xk.train`, from the feature cache."""

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

FEW, MORE = 2, 8  # epochs: the difference of the two trainings gives the time of one


def network(kind: str, class_names: tuple[str, ...]) -> keras.Model:
    """Return the same network as the handout's, in one piece and with its own preprocessing."""
    return xk.recipes[f"task2-vgg16-{kind}"].override(weights=None).build(class_names)


def train(kind: str, precision: str) -> dict[str, object]:
    """Measure one training from images on disk and an empty cache, and two with it warm."""
    with PeakMemory() as memory:
        start = time.perf_counter()
        task = xk.load_task("multiclass", os.environ["XRAYKIT_CHALLENGE_DIR"])
        _train(kind, task, FEW, precision)
        cold = time.perf_counter() - start
        warm, longer = (_train(kind, task, epochs, precision) for epochs in (FEW, MORE))
    epoch = (longer - warm) / (MORE - FEW)
    return {"cold": cold, "warm": warm, "epoch": epoch, "memory": memory.peak}


def batch_sizes() -> dict[str, object]:
    """Measure report B's table, 100 epochs at each of 11 batch sizes, from one bank.

    One round of it a process: TensorFlow keeps the memory of each network that was trained in one.
    """
    task = xk.load_task("multiclass", os.environ["XRAYKIT_CHALLENGE_DIR"])
    start = time.perf_counter()
    _train("wide", task, 1, "float32")
    bank = time.perf_counter() - start
    start_up = _train("wide", task, 1, "float32")  # with one epoch in it
    total = 0.0
    for size in range(5, 16):
        total += start_up + 99 * (_train("wide", task, 4, "float32", size) - start_up) / 3
    return {"bank": bank, "total": total}


def _train(kind: str, task: xk.Task, epochs: int, precision: str, batch_size: int = 10) -> float:
    keras.utils.clear_session()
    start = time.perf_counter()
    xk.train(
        network(kind, task.class_names),
        task,
        epochs,
        batch_size=batch_size,
        learning_rate=1e-4,
        augmentation=xk.Augmentation.handout(),
        n_views=8,
        precision=precision,
    )
    return time.perf_counter() - start


def batches() -> dict[str, object]:
    """Measure images a second to augmented batches, with the handout's values for both."""
    root = os.environ["XRAYKIT_CHALLENGE_DIR"]
    task = xk.load_task("multiclass", root)
    images = task.development
    floats = images.pixels.astype(np.float32)
    files = [task.root / path for path in images.paths]
    rates: dict[str, list[float]] = {}

    def measure(name: str, count: int, start: float) -> None:
        rates.setdefault(name, []).append(count / (time.perf_counter() - start))

    def kit(images: xk.ImageSet, epoch: int) -> None:
        views = Views(images, xk.Augmentation.handout(), None, 42)
        shown = Batches(views, views.pixels, handout.BATCH, 42)
        for number in range(epoch * len(shown), (epoch + 1) * len(shown)):
            shown[number]

    for epoch in range(3):
        start = time.perf_counter()
        flow = handout.generator().flow(floats, batch_size=handout.BATCH)
        for number in range(len(flow)):
            flow[number]
        measure("handout, arrays", len(images), start)
        start = time.perf_counter()
        kit(images, epoch)
        measure("kit, arrays", len(images), start)
        start = time.perf_counter()
        flow = handout.from_files("training")
        for number in range(len(flow)):
            flow[number]
        measure("handout, files", handout.TRAIN, start)
        start = time.perf_counter()
        pixels = np.stack(thread_map(lambda path: read_image(path, 224)[0], files))
        kit(replace(images, pixels=pixels), epoch)
        measure("kit, files", len(images), start)
    return rates


def growth(folder: str, images: int) -> dict[str, object]:
    """Measure a training on so many images, read from their files, with a small frozen network.

    They are the challenge's, made small, again and again, each time with another first pixel.
    """
    root = Path(folder, str(images))
    if not root.exists():
        _repeat(root, images)
    with PeakMemory() as memory:
        start = time.perf_counter()
        task = xk.load_task("binary", root, image_size=40, in_memory=False)
        model = xk.build_classifier(
            "MobileNet", task.class_names, weights=None, alpha=0.25, image_size=40
        )
        xk.train(model, task, epochs=3, learning_rate=1e-3)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory": memory.peak}


def _repeat(root: Path, images: int) -> None:
    task = xk.load_task("binary", os.environ["XRAYKIT_CHALLENGE_DIR"], image_size=40)
    images = task.development
    for number in range(images):
        row = number % len(images)
        pixels = images.pixels[row].copy()
        pixels[0, 0] = [number // 65536, number // 256 % 256, number % 256]
        split = "test" if number % 10 == 0 else "train"
        label = images.class_names[images.labels[row]]
        path = root / "two" / split / label / f"image {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
