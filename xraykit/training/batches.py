"""What a training is fed: which picture comes when, under which view."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from ..data.augmentation import VERSION, Augmentation
from ..data.images import ImageSet
from ..quiet import keras


@dataclass(frozen=True)
class Views:
    """Pictures under the views of an augmentation, of which each epoch shows one a picture.

    Attributes
    ----------
    images : ImageSet
    augmentation : Augmentation, optional
        None shows the pictures as they are.
    count : int, optional
        How many views there are of each picture; None makes new ones in each epoch.
    seed : int
    """

    images: ImageSet
    augmentation: Augmentation | None = None
    count: int | None = 1
    seed: int = 0

    def numbers(self, epoch: int) -> np.ndarray:
        """Return which view of each picture an epoch shows, drawn from (seed, epoch)."""
        if self.count is None:
            return np.full(len(self.images), epoch)
        return np.random.default_rng([self.seed, epoch, 1]).integers(
            self.count, size=len(self.images)
        )

    def pixels(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return these pictures, each under the view of that number."""
        unique, places = np.unique(rows, return_inverse=True)
        pixels = self.images.pixels[unique][places]  # each decoded once, if from its file
        if self.augmentation is None:
            return pixels
        digests = [self.images.digests[row] for row in rows]
        return self.augmentation.views(pixels, digests, self.seed, numbers)

    def keys(self) -> list[str]:
        """Return what tells each picture's views from all others, the views of one in a row."""
        drawn = self.augmentation and (self.augmentation, VERSION, self.seed)
        return [
            sha256(f"{drawn} {number if drawn else ''} {digest}".encode()).hexdigest()[:32]
            for digest in self.images.digests
            for number in range(self.count)
        ]


class Batches(keras.utils.PyDataset):
    """Batches in an order drawn from (seed, epoch), none left out.

    Parameters
    ----------
    views : Views
    take : callable
        Gets rows and the number of each one's view, returns what the network is shown for them.
    batch_size : int
    seed : int, optional
        None keeps the order of the pictures.
    epoch : int
        The first.
    """

    def __init__(
        self,
        views: Views,
        take: Callable[[np.ndarray, np.ndarray], np.ndarray],
        batch_size: int,
        seed: int | None = None,
        epoch: int = 0,
    ) -> None:
        super().__init__()
        self.views, self.take, self.batch_size, self.seed = views, take, batch_size, seed
        self.targets = targets(views.images)
        self._begin(epoch)

    def _begin(self, epoch: int) -> None:
        self.epoch, self.numbers = epoch, self.views.numbers(epoch)
        self.order = np.arange(len(self.targets))
        if self.seed is not None:
            self.order = np.random.default_rng([self.seed, epoch]).permutation(self.order)

    def __len__(self) -> int:
        return -(-len(self.targets) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.take(rows, self.numbers[rows]), self.targets[rows]

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order and views."""
        self._begin(self.epoch + 1)


def targets(images: ImageSet) -> np.ndarray:
    """Return the labels as Keras' losses and metrics want them, shape (n, 1)."""
    return images.labels[:, None].astype("float32")
