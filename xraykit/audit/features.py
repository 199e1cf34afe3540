"""What can be measured of a picture that is not its lungs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import find_objects, grey_opening, label

SIDE = 256  # pixels a side of the pictures that are measured
FRAME = 3  # pixels of 64: less than a sixteenth, which phantoms' lungs stay off
MARGIN = SIDE / 6  # how far from the edge a mark's middle may lie
STROKE, INK = 9, 30  # pixels and grey levels: thinner and brighter than around it
LETTERS = (3, 32), (2, 64)  # lowest and highest height and width of a mark, in pixels


@dataclass(frozen=True)
class Measure:
    """A way to measure a picture.

    Attributes
    ----------
    name, sees : str
    numbers : callable
        From the picture's file and its grey levels, uint8 of shape (256, 256), to a vector.
    tested : bool
        Whether it can get a verdict: what it sees is not the lungs. Else it is evidence of how
        little resolution suffices.
    """

    name: str
    sees: str
    numbers: Callable[[Path, np.ndarray], np.ndarray]
    tested: bool


def file_facts(path: Path, grey: np.ndarray) -> np.ndarray:
    """Return the logarithms of width, height and bytes, and the number of channels.

    Bytes tell something of the picture's content, of lungs too, where it is compressed.
    """
    with Image.open(path) as picture:
        sizes = (*picture.size, path.stat().st_size)
        return np.append(np.log(sizes), len(picture.getbands()))


def border(path: Path, grey: np.ndarray) -> np.ndarray:
    """Return the outermost 3 of 64 pixels on each side."""
    small = np.asarray(Image.fromarray(grey).resize((64, 64), Image.Resampling.BOX), float)
    frame = np.ones(small.shape, bool)
    frame[FRAME:-FRAME, FRAME:-FRAME] = False
    return small[frame]


def marks(path: Path, grey: np.ndarray) -> np.ndarray:
    """Return how many letter-like pieces there are near each corner and side, and their ink.

    A piece is what an opening with a square removes (a white top-hat: thin and brighter than
    around it), of the size of letters or lines of text, its middle in the outermost sixth of the
    picture. Letters are measured, not read: edges of ribs and arms there count as pieces too.
    """
    found = np.zeros((3, 3, 2))  # top to bottom, left to right; pieces and pixels
    for place, _, piece in letters(grey):
        found[place] += 1, piece.sum()
    return np.delete(found.reshape(9, 2), 4, axis=0).ravel()


def letters(grey: np.ndarray) -> Iterator[tuple[tuple[int, int], tuple[slice, ...], np.ndarray]]:
    """Give each letter-like piece: its third of the picture, its box, and its mask in the box.

    Thirds are counted from the top and the left, from 0; the middle one, 1, is four sixths wide.
    """
    levels = grey.astype(np.float32)
    pieces, _ = label(levels - grey_opening(levels, STROKE) > INK, np.ones((3, 3)))
    for number, box in enumerate(find_objects(pieces), start=1):
        sizes = [side.stop - side.start for side in box]
        if all(low <= size <= high for size, (low, high) in zip(sizes, LETTERS, strict=True)):
            middle = [(side.start + side.stop) / 2 for side in box]
            place = tuple(int(at > MARGIN) + int(at > SIDE - MARGIN) for at in middle)
            yield place, box, pieces[box] == number


def brightness(path: Path, grey: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation of the grey levels."""
    return np.array([grey.mean(), grey.std()])


def thumbnail(path: Path, grey: np.ndarray) -> np.ndarray:
    """Return the picture as 16 × 16 pixels."""
    small = Image.fromarray(grey).resize((16, 16), Image.Resampling.BOX)
    return np.asarray(small, float).ravel()


MEASURES = (
    Measure("file facts", "width, height, bytes and channels of the file", file_facts, True),
    Measure("border", "the outermost 3 of 64 pixels on each side", border, True),
    Measure("marks", "letter-like pieces near each edge (ribs' too)", marks, True),
    Measure("brightness", "mean and spread of the grey levels (lungs, too)", brightness, False),
    Measure(
        "16 × 16 pixels",
        "the picture, lungs too, but too coarse for most disease",
        thumbnail,
        False,
    ),
)
