"""What a training is fed: which image comes when, under which view."""

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
    """Images under the views of an augmentation, of which each epoch shows one an image.

    Attributes
    ----------
    images : ImageSet
    augmentation : Augmentation, optional
        None shows the images as they are.
    count : int, optional
        How many views there are of each image; None makes new ones in each epoch.
    seed : int
    """

    images: ImageSet
    augmentation: Augmentation | None = None
    count: int | None = 1
    seed: int = 0

    def numbers(self, epoch: int) -> np.ndarray:
        """Return which view of each image an epoch shows, drawn from (seed, epoch)."""
        if self.count is None:
            return np.full(len(self.images), epoch)
        return np.random.default_rng([self.seed, epoch, 1]).integers(
            self.count, size=len(self.images)
        )

    def pixels(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return these images, each under the view of that number."""
        unique, places = np.unique(rows, return_inverse=True)
        pixels = self.images.pixels[unique][places]  # each decoded once, if from its file
        if self.augmentation is None:
            return pixels
        digests = [self.images.digests[row] for row in rows]
        return self.augmentation.views(pixels, digests, self.seed, numbers)

    def keys(self) -> list[str]:
        """Return what tells each image's views from all others, the views of one in a row."""
        drawn = self.augmentation and (self.augmentation, VERSION, self.seed)
        return [
            sha256(f"{drawn} {number if drawn else ''} {digest}".encode()).hexdigest()[:32]
            for digest in self.images.digests
            for number in range(self.count)
        ]


class Batches:
    """Batches in an order drawn from (seed, epoch), none left out; a function of their number.

    Batch 0 is the first of epoch 0; they are counted on from epoch to epoch.

    Parameters
    ----------
    views : Views
    take : callable
        Gets rows and the number of each one's view, returns what the network is shown for them.
    batch_size : int
    seed : int, optional
        None keeps the order of the images.
    """

    def __init__(
        self,
        views: Views,
        take: Callable[[np.ndarray, np.ndarray], np.ndarray],
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        self.views, self.take, self.batch_size, self.seed = views, take, batch_size, seed
        self.targets = targets(views.images)
        self.of_epoch = lru_cache(1)(self._of_epoch)

    def __len__(self) -> int:
        """Return how many make an epoch."""
        return -(-len(self.targets) // self.batch_size)

    def _of_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        order = np.arange(len(self.targets))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        return order, self.views.numbers(epoch)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        epoch, index = divmod(int(number), len(self))
        order, numbers = self.of_epoch(epoch)
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.take(rows, numbers[rows]), self.targets[rows]

    def dataset(self, first_epoch: int = 0, end: int = 1) -> tf.data.Dataset:
        """Return the batches from one epoch until before another, made ahead while one is used.

        Keras sets a PyDataset up anew twice an epoch, and makes batches for nothing.
        """
        like = [(part.dtype, (None, *part.shape[1:])) for part in self[0]]
        mine = weakref.ref(self)  # TensorFlow keeps the function for as long as the process lives

        def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            types = [dtype for dtype, _ in like]
            made = tf.numpy_function(lambda each: mine()[each], [number], types)
            for tensor, (_, shape) in zip(made, like, strict=True):
                tensor.set_shape(shape)
            return tuple(made)

        numbers = tf.data.Dataset.range(first_epoch * len(self), end * len(self))
        options = tf.data.Options()
        options.autotune.enabled = False  # the end of an iterator waits for it, often 10 s
        dataset = numbers.map(batch).prefetch(2).with_options(options)
        dataset.batches = self  # which live as long as the set does
        return dataset


def targets(images: ImageSet) -> np.ndarray:
    """Return the labels as Keras' losses and metrics want them, shape (n, 1)."""
    return images.labels[:, None].astype("float32")
