"""Changed pictures: something taken away, or made the same in all of them."""

from dataclasses import replace

import cv2
import numpy as np
from scipy.stats import rankdata

from ..audit.features import SIDE, letters
from ..data.images import ImageSet
from ..errors import InputError, unknown
from ..progress import in_threads

AS_THEY_ARE = "as they are"
EDGE = 1 / 8  # of height and width: what is further in than this from each side is the thorax
WIDER, RADIUS = 5, 3  # pixels: what a mark is widened by, of 256, and what the filling looks at


def thorax(height: int, width: int) -> np.ndarray:
    """Return a mask of the thorax: three quarters of height and of width, in the middle.

    It holds the lungs in the challenge's mean picture of each class. A rectangle, no segmentation:
    in a single picture it may miss a little of a lung, or hold a mark.
    """
    inside = np.zeros((height, width), bool)
    top, left = round(EDGE * height), round(EDGE * width)
    inside[top : height - top, left : width - left] = True
    return inside


def as_they_are(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels, unchanged."""
    return images.pixels[:]


def border_black(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels, all but the thorax black."""
    return images.pixels[:] * _thorax_of(images)[..., None]


def thorax_black(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels, the thorax black."""
    return images.pixels[:] * ~_thorax_of(images)[..., None]


def marks_filled(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels, letter-like pieces near the edges filled in from around them.

    What counts as such is what the audit's `marks` count, edges of ribs there included; faint text
    is not found, nor any in pictures of few pixels. Filled by Telea's method (2004, Journal of
    Graphics Tools 9, 23), as in OpenCV.
    """

    def filled(pixels: np.ndarray) -> np.ndarray:
        large = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (SIDE, SIDE))
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for place, box, piece in letters(large):
            if place != (1, 1):
                mask[box] |= piece
        mask = cv2.dilate(mask, np.ones((WIDER, WIDER), np.uint8))
        mask = cv2.resize(255 * mask, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
        return cv2.inpaint(pixels, np.uint8(mask > 0), RADIUS, cv2.INPAINT_TELEA)

    return np.stack(in_threads(filled, images.pixels[:]))


def brightness_and_border_equal(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels in grey, with one border and one histogram of the thorax for all pictures.

    Border and histogram are the mean of the classes' means among the pictures of `known`. Levels
    of the thorax change, their order doesn't: the darkest pixel of each gets the same level, and so
    on up to the brightest. Pixels that were equal stay so, on the level in the middle of theirs.
    Sharpness, texture and the build of the chest remain as they are.
    """
    inside = _thorax_of(images)
    learned = _grey(known)
    levels = _mean(np.sort(learned[:, inside], axis=1), known.labels)
    ranks = rankdata(_grey(images)[:, inside], axis=1) - 1
    equal = np.empty(images.pixels.shape[:3], np.uint8)
    equal[:, inside] = np.round(np.interp(ranks, np.arange(len(levels)), levels))
    equal[:, ~inside] = _mean(learned[:, ~inside], known.labels)
    return np.repeat(equal[..., None], 3, axis=-1)


def _thorax_of(images: ImageSet) -> np.ndarray:
    return thorax(*images.pixels.shape[1:3])


def _grey(images: ImageSet) -> np.ndarray:
    return np.stack([cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in images.pixels[:]])


def _mean(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of the classes' means, rounded, so that a large class counts no more."""
    means = [values[labels == label].mean(axis=0) for label in np.unique(labels)]
    return np.round(np.mean(means, axis=0)).astype(np.uint8)


WAYS = {
    AS_THEY_ARE: as_they_are,
    "border black": border_black,
    "thorax black": thorax_black,
    "marks filled in": marks_filled,
    "brightness and border equal": brightness_and_border_equal,
}


def occlude(images: ImageSet, way: str, known: ImageSet) -> ImageSet:
    """Return the pictures, changed in one of the ways of `occlusion`.

    Parameters
    ----------
    images : ImageSet
    way : str
        as they are, border black, thorax black, marks filled in, brightness and border equal.
    known : ImageSet
        The training pictures: what is made equal is taken from them.

    Raises
    ------
    InputError
        If there is no such way, or the training pictures are of another size.
    """
    if way not in WAYS:
        raise unknown("way to occlude", way, WAYS)
    if images.pixels.shape[1:] != known.pixels.shape[1:]:
        raise InputError(
            f"Pictures of {images.pixels.shape[1:]}, training pictures of "
            f"{known.pixels.shape[1:]}: use the same image_size for both"
        )
    return replace(images, pixels=WAYS[way](images, known))
