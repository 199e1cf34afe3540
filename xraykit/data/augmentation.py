"""Augmentation: random views of an image, slightly rotated, shifted, scaled and brightened."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import InputError, to_number, unknown
from ..progress import thread_map

# Bilinear interpolation blurs each view slightly, which costs a frozen backbone accuracy.
INTERPOLATION = cv2.INTER_CUBIC
FILL = {"reflect": cv2.BORDER_REFLECT, "black": cv2.BORDER_CONSTANT}
VERSION = f"1, OpenCV {cv2.__version__}"  # part of the feature cache's key
LIMITS = {
    "rotation": 180,
    "shear": 45,
    "shift": 1,
    "zoom": 0.9,
    "brightness": 255,
    "contrast": 1,
}


@dataclass(frozen=True)
class Augmentation:
    """Random views of images: one affine warp and one change of intensity, within these limits.

    Rotation, shift, zoom, shear and flips are composed first, so each image is interpolated once.
    A view depends only on the seed, its number and the image: view 3 of an image is the same in
    every batch, subset and session.

    By default only the intensity changes, which costs a frozen backbone nothing; the handout's
    limits cost MobileNetV2 60 images of 807 (docs/results/experiments.md).

    Attributes
    ----------
    rotation, shear : float
        Degrees, in both directions.
    shift : float
        Fraction of the image's side, in both directions, horizontally and vertically.
    zoom : float
        Fraction of the image's size, larger or smaller, independently in width and height.
    brightness : float
        Gray levels of 255, added or subtracted.
    contrast : float
        Fraction by which the distance from mid-gray grows or shrinks.
    horizontal_flip, vertical_flip : bool
        Flip half of the views. Off by default: the heart is on one side, and heads are up.
    fill : {"reflect", "black"}
        Pixels from outside the image.

    Raises
    ------
    InputError
        If a limit is not a number, is negative or too large, or `fill` is unknown.

    Examples
    --------
    >>> pixels = np.full((1, 8, 8, 3), 100, np.uint8)
    >>> augmentation = Augmentation(rotation=45, brightness=0, contrast=0)
    >>> view = augmentation.views(pixels, digests=["a"], seed=1, numbers=[0])
    >>> bool((view == pixels).all())  # no black corners
    True
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    brightness: float = 10.0
    contrast: float = 0.1
    horizontal_flip: bool = False
    vertical_flip: bool = False
    fill: str = "reflect"

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if not 0 <= to_number(value) <= limit:
                raise InputError(f"{name}={value!r}: expected a number from 0 to {limit}")
        if self.fill not in FILL:
            raise unknown("fill", self.fill, FILL)

    @classmethod
    def handout(cls) -> "Augmentation":
        """Return the limits of the class challenge of 2020, with flips and large rotations."""
        return cls(
            rotation=50,
            shift=0.2,
            zoom=0.1,
            shear=0.25,
            brightness=20,
            contrast=0,
            horizontal_flip=True,
            vertical_flip=True,
            fill="black",
        )

    def views(
        self, pixels: np.ndarray, *, digests: Sequence[str], seed: int, numbers: Iterable[int]
    ) -> np.ndarray:
        """Return one view of each image.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (n, height, width, 3)
        digests : sequence of str
            Identity of each image, such as `ImageSet.digests`.
        seed : int
        numbers : iterable of int
            Number of the view of each image.

        Returns
        -------
        ndarray of uint8, of the same shape
        """
        seeds = [
            [seed, number, *digest.encode()]
            for digest, number in zip(digests, numbers, strict=True)
        ]
        return np.stack(thread_map(self._draw_view, pixels, seeds))

    def _draw_view(self, image: np.ndarray, seed: list[int]) -> np.ndarray:
        sample = np.random.default_rng(seed).uniform(-1, 1, 10)
        height, width = image.shape[:2]
        warped = cv2.warpAffine(
            image,
            self._warp_matrix(sample, height, width)[:2],
            (width, height),
            flags=INTERPOLATION | cv2.WARP_INVERSE_MAP,
            borderMode=FILL[self.fill],
        )
        gain, offset = 1 + self.contrast * sample[8], self.brightness * sample[9]
        levels = np.clip(np.round((np.arange(256) - 127.5) * gain + 127.5 + offset), 0, 255)
        return cv2.LUT(warped, levels.astype(np.uint8))

    def _warp_matrix(self, sample: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return the 3 × 3 matrix from coordinates in the view to those in the image."""
        angle = math.radians(self.rotation * sample[0])
        shear = math.tan(math.radians(self.shear * sample[1]))
        shift_x, shift_y = self.shift * sample[2:4] * [width, height]
        scale_x, scale_y = 1 + self.zoom * sample[4:6]
        scale_x *= -1 if self.horizontal_flip and sample[6] < 0 else 1
        scale_y *= -1 if self.vertical_flip and sample[7] < 0 else 1
        cos, sin = math.cos(angle), math.sin(angle)
        rotation = np.array([[cos, -sin, shift_x], [sin, cos, shift_y], [0, 0, 1]])
        scale = np.array([[scale_x, -shear * scale_y, 0], [0, scale_y, 0], [0, 0, 1]])
        center_x, center_y = (width - 1) / 2, (height - 1) / 2  # pixel centers start at 0
        center = np.array([[1, 0, center_x], [0, 1, center_y], [0, 0, 1]])
        return center @ rotation @ scale @ np.linalg.inv(center)
