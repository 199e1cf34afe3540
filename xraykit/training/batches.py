"""Batches for training: the order of the images, and the view of each image."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import numpy as np

from .._keras import tf
from ..data.augmentation import VERSION, Augmentation
from ..data.images import ImageSet


@dataclass(frozen=True)
class Views:
    """Images with augmented views; each epoch uses one view per image.

    Attributes
    ----------
    images : ImageSet
    augmentation : Augmentation, optional
        None leaves the images unchanged.
    count : int, optional
        The number of views per image; None draws new views in each epoch.
    seed : int
    """

    images: ImageSet
    augmentation: Augmentation | None = None
    count: int | None = 1
    seed: int = 0

    def draw_numbers(self, epoch: int) -> np.ndarray:
        """Return the number of each image's view in an epoch, drawn from (seed, epoch)."""
        if self.count is None:
            return np.full(len(self.images), epoch)
        return np.random.default_rng([self.seed, epoch, 1]).integers(
            self.count, size=len(self.images)
        )

    def pixels(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return the images at `rows`, each in the view with the given number."""
        unique, positions = np.unique(rows, return_inverse=True)
        pixels = self.images.pixels[unique][positions]  # decodes each file only once
        if self.augmentation is None:
            return pixels
        digests = [self.images.digests[row] for row in rows]
        return self.augmentation.views(pixels, digests=digests, seed=self.seed, numbers=numbers)

    def keys(self) -> list[str]:
        """Return a unique key for every view of every image, all views of an image in a row."""
        drawn = self.augmentation and (self.augmentation, VERSION, self.seed)
        return [
            sha256(f"{drawn} {number if drawn else ''} {digest}".encode()).hexdigest()[:32]
            for digest in self.images.digests
            for number in range(self.count)  # type: ignore[arg-type]  # not None in a cache
        ]


class Batches:
    """Batches of all images, in an order drawn from (seed, epoch), addressed by number.

    Batch 0 is the first one of epoch 0; the numbers continue from epoch to epoch.

    Parameters
    ----------
    views : Views
    read : callable
        Takes rows of the images and the numbers of their views, returns the network's input.
    batch_size : int
    seed : int, optional
        None keeps the order of the images.
    """

    def __init__(
        self,
        views: Views,
        read: Callable[[np.ndarray, np.ndarray], np.ndarray],
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        self.views, self.read, self.batch_size, self.seed = views, read, batch_size, seed
        self.targets = views.images.labels[:, None].astype("float32")  # as Keras expects them
        self.draw_epoch = lru_cache(1)(self._draw_epoch)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.targets) // self.batch_size)

    def _draw_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        order = np.arange(len(self.targets))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        return order, self.views.draw_numbers(epoch)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        epoch, index = divmod(int(number), len(self))
        order, numbers = self.draw_epoch(epoch)
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.read(rows, numbers[rows]), self.targets[rows]

    def dataset(self, first_epoch: int = 0, end: int = 1) -> tf.data.Dataset:
        """Return the batches of the epochs from `first_epoch` up to, not including, `end`.

        The next batches are prepared while one is in use. (Keras sets up a PyDataset twice per
        epoch, and prepares batches that are never used.)
        """
        signature = [(part.dtype, (None, *part.shape[1:])) for part in self[0]]
        batches = weakref.proxy(self)  # TensorFlow keeps the function until the process ends

        def load_batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            types = [dtype for dtype, _ in signature]
            tensors = tf.numpy_function(lambda index: batches[index], [number], types)
            for tensor, (_, shape) in zip(tensors, signature, strict=True):
                tensor.set_shape(shape)
            return tuple(tensors)

        numbers = tf.data.Dataset.range(first_epoch * len(self), end * len(self))
        options = tf.data.Options()
        options.autotune.enabled = False  # it delays the end of an iterator, often by 10 s
        dataset = numbers.map(load_batch).prefetch(2).with_options(options)
        dataset.batches = self  # keeps the batches alive as long as the dataset
        return dataset
