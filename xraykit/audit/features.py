"""Features of an image other than its lungs: `baselines` lists those that classifiers get."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import find_objects, grey_opening, label

SIDE = 256  # pixels of the gray images that features are extracted from
FRAME = 3  # pixels of 64: less than a sixteenth, which phantoms' lungs never reach
MARGIN = SIDE / 6  # distance from the edge within which a text-like mark's center must lie
STROKE, MIN_CONTRAST = 9, 30  # pixels and gray levels: marks are thinner and brighter
HEIGHTS, WIDTHS = (3, 32), (2, 64)  # smallest and largest size of a text-like mark, in pixels


def file_metadata(path: Path, gray: np.ndarray) -> np.ndarray:
    """Return the logarithms of width, height and bytes, and the number of channels.

    The size of a compressed file depends on the image's content, the lungs included.
    """
    with Image.open(path) as image:
        sizes = (*image.size, path.stat().st_size)
        return np.append(np.log(sizes), len(image.getbands()))


def border(path: Path, gray: np.ndarray) -> np.ndarray:
    """Return the outermost 3 of 64 pixels on each side."""
    small = np.asarray(Image.fromarray(gray).resize((64, 64), Image.Resampling.BOX), float)
    frame = np.ones(small.shape, bool)
    frame[FRAME:-FRAME, FRAME:-FRAME] = False
    return small[frame]


def text_marks(path: Path, gray: np.ndarray) -> np.ndarray:
    """Return how many text-like regions there are near each corner and side, and their pixels.

    Text is located, not read: edges of ribs and arms near the border are counted as well.
    """
    counts = np.zeros((3, 3, 2))  # top to bottom, left to right; regions and pixels
    for place, _, region in find_text_like_regions(gray):
        counts[place] += 1, region.sum()
    return np.delete(counts.reshape(9, 2), 4, axis=0).ravel()


def find_text_like_regions(
    gray: np.ndarray,
) -> Iterator[tuple[tuple[int, int], tuple[slice, ...], np.ndarray]]:
    """Yield each region that looks like letters: its place, its box, and its mask in the box.

    A region is what a gray opening with a square removes (a white top-hat: thin and brighter than
    its surroundings), of the size of letters or lines of text. Its place is the row and column of
    its center in a 3 × 3 grid; the middle, 1, is four sixths wide.
    """
    levels = gray.astype(np.float32)
    regions, _ = label(levels - grey_opening(levels, STROKE) > MIN_CONTRAST, np.ones((3, 3)))
    for number, box in enumerate(find_objects(regions), start=1):
        sizes = [side.stop - side.start for side in box]
        limits = zip(sizes, (HEIGHTS, WIDTHS), strict=True)
        if all(low <= size <= high for size, (low, high) in limits):
            centers = [(side.start + side.stop) / 2 for side in box]
            row, column = (int(at > MARGIN) + int(at > SIDE - MARGIN) for at in centers)
            yield (row, column), box, regions[box] == number


def brightness(path: Path, gray: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation of the gray levels."""
    return np.array([gray.mean(), gray.std()])


def thumbnail(path: Path, gray: np.ndarray) -> np.ndarray:
    """Return the image at 16 × 16 pixels."""
    small = Image.fromarray(gray).resize((16, 16), Image.Resampling.BOX)
    return np.asarray(small, float).ravel()
