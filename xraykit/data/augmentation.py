"""Augmentation: the same image a little turned, moved, scaled, brighter, as a new one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import cv2
import numpy as np

from ..errors import InputError, unknown
from ..progress import thread_map

# Bilinear would blur each view a little, which costs a frozen backbone accuracy.
INTERPOLATION = cv2.INTER_CUBIC
FILL = {"reflect": cv2.BORDER_REFLECT, "black": cv2.BORDER_CONSTANT}
VERSION = f"1, OpenCV {cv2.__version__}"  # of what views look like, for those that are kept
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
    """One affine warp and one step of intensity an image, drawn at random within these limits.

    Turning, moving, scaling, shearing and flipping are composed first, so that an image is
    interpolated once. What is drawn hangs on the seed, the number of the view and the image
    alone: view 3 of an image is the same in every batch, subset and session.

    By default only the intensity changes, which costs a frozen backbone nothing; the handout's
    limits cost MobileNetV2 60 images of 807 (Task 1's notebook).

    Attributes
    ----------
    rotation, shear : float
        Degrees, either way.
    shift : float
        Of the image's side, either way, down and across.
    zoom : float
        Of the image's size, larger or smaller, down and across on their own.
    brightness : float
        Grey levels of 255, added or taken.
    contrast : float
        Share by which the distance from mid-grey grows or shrinks.
    horizontal_flip, vertical_flip : bool
        In half of the views. Off: the heart is on one side, and heads are up.
    fill : {"reflect", "black"}
        What comes in from outside the image.

    Raises
    ------
    InputError
        If a limit is no number, negative, or beyond reason.

    Examples
    --------
    >>> pixels = np.full((1, 8, 8, 3), 100, np.uint8)
    >>> turned = Augmentation(rotation=45, brightness=0, contrast=0)
    >>> bool((turned.views(pixels, ["a"], seed=1, numbers=[0]) == pixels).all())  # no black corners
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
        for name, most in LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= most:
                raise InputError(f"{name}={value!r}: expected a number from 0 to {most}")
        if self.fill not in FILL:
            raise unknown("fill", self.fill, FILL)

    @classmethod
    def handout(cls) -> "Augmentation":
        """Return the limits of the class challenge of 2020: upside down, and far turned."""
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
        self, pixels: np.ndarray, digests: Sequence[str], seed: int, numbers: Sequence[int]
    ) -> np.ndarray:
        """Return one view of each image.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (n, height, width, 3)
        digests : sequence of str
            What tells the images apart, as `ImageSet.digests`.
        seed : int
        numbers : sequence of int
            Which view of each image.

        Returns
        -------
        ndarray of uint8, of the same shape
        """
        draws = [
            [seed, number, *key.encode()] for key, number in zip(digests, numbers, strict=True)
        ]
        return np.stack(thread_map(self._view, pixels, draws))

    def _view(self, image: np.ndarray, draw: list[int]) -> np.ndarray:
        sample = np.random.default_rng(draw).uniform(-1, 1, 10)
        height, width = image.shape[:2]
        warped = cv2.warpAffine(
            image,
            self._warp(sample, height, width)[:2],
            (width, height),
            flags=INTERPOLATION | cv2.WARP_INVERSE_MAP,
            borderMode=FILL[self.fill],
        )
        gain, offset = 1 + self.contrast * sample[8], self.brightness * sample[9]
        levels = np.clip(np.round((np.arange(256) - 127.5) * gain + 127.5 + offset), 0, 255)
        return cv2.LUT(warped, levels.astype(np.uint8))

    def _warp(self, sample: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return the 3 × 3 matrix from a place in the view to its place in the image."""
        angle = math.radians(self.rotation * sample[0])
        slant = math.tan(math.radians(self.shear * sample[1]))
        across, down = self.shift * sample[2:4] * [width, height]
        wide, high = 1 + self.zoom * sample[4:6]
        wide *= -1 if self.horizontal_flip and sample[6] < 0 else 1
        high *= -1 if self.vertical_flip and sample[7] < 0 else 1
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[cos, -sin, across], [sin, cos, down], [0, 0, 1]])
        scale = np.array([[wide, -slant * high, 0], [0, high, 0], [0, 0, 1]])
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2  # pixels are counted from 0
        centre = np.array([[1, 0, middle_x], [0, 1, middle_y], [0, 0, 1]])
        return centre @ turn @ scale @ np.linalg.inv(centre)
