"""Image sets, and decoding of image files with the reason why one can't be used."""

import dataclasses
import io
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from ..errors import InputError, check_kind
from ..files import is_clutter
from ..progress import thread_map

FORMATS = ("JPEG", "PNG", "WEBP")
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # how these files begin
MAX_PIXELS = 89_000_000  # Pillow's limit for a warning; the challenge has 14 million at most
# Pillow warns of larger images and opens them; here they are left out and listed.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data")  # the pixels are sound


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their labels, paths and patients, in one order that never changes.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (n, height, width, 3), or FilePixels of that shape
        Raw RGB, 0 to 255; the model scales them. Like the labels they can't be changed in place,
        because shuffling one of the two would give images the labels of others.
    labels : ndarray of int, shape (n,)
        Positions in `class_names`.
    paths : tuple of str
        File of each image, relative to the data folder, with forward slashes.
    patients : tuple of str
        Patient of each image.
    class_names : tuple of str

    Raises
    ------
    InputError
        If there are not as many pixels, labels, paths and patients, pixels are not RGB of type
        uint8, or a label has no class name.

    Examples
    --------
    >>> pixels = np.zeros((2, 8, 8, 3), np.uint8)
    >>> classes = ("normal", "covid")
    >>> images = xk.ImageSet(pixels, np.array([0, 1]), ("a.png", "b.png"), ("ada", "bob"), classes)
    >>> images.counts()
    {'normal': 1, 'covid': 1}
    >>> images.subset([1]).paths
    ('b.png',)
    """

    pixels: "np.ndarray | FilePixels"
    labels: np.ndarray
    paths: tuple[str, ...]
    patients: tuple[str, ...]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("paths", "patients", "class_names"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("pixels", "labels"):
            value = getattr(self, name)
            if not isinstance(value, FilePixels):
                value = np.asarray(value).view()
                value.flags.writeable = False
                object.__setattr__(self, name, value)
        parts = ("pixels", "labels", "paths", "patients")
        counts = {name: len(getattr(self, name)) for name in parts}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise InputError(f"Expected pixels, labels, paths and patients of each image; {listed}")
        if self.pixels.dtype != np.uint8 or self.pixels.shape[3:] != (3,):
            raise InputError(
                "Expected pixels as uint8 from 0 to 255, of shape (images, height, width, 3); "
                f"found {self.pixels.dtype} of shape {self.pixels.shape}"
            )
        labels, n_classes = self.labels, len(self.class_names)
        if len(labels) and not (
            labels.ndim == 1
            and labels.dtype.kind in "iu"
            and 0 <= labels.min() <= labels.max() < n_classes
        ):
            raise InputError(
                f"Expected labels from 0 to {n_classes - 1}, the positions in class_names "
                f"{', '.join(self.class_names)}; found {labels!r}"
            )

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def label_names(self) -> np.ndarray:
        """The class name of each image."""
        return np.array(self.class_names)[self.labels]

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each image's pixels."""
        if isinstance(self.pixels, FilePixels):
            return self.pixels.digests
        return tuple(map(pixel_digest, self.pixels))

    def subset(self, rows: Sequence[int] | Sequence[bool] | np.ndarray | pd.Series) -> "ImageSet":
        """Return some of the images.

        Parameters
        ----------
        rows : sequence of int, or of bool
            Row numbers, in the order wanted; or a mask, with one True or False for each image.

        Raises
        ------
        InputError
            If a row does not exist, the mask is of another length, or it is neither of the two.
        """
        numbers = find_rows(rows, len(self))
        return dataclasses.replace(
            self,
            pixels=self.pixels.take(numbers, axis=0),
            labels=self.labels[numbers],
            paths=tuple(self.paths[row] for row in numbers),
            patients=tuple(self.patients[row] for row in numbers),
        )

    def join(self, other: "ImageSet") -> "ImageSet":
        """Return these images followed by those of `other`.

        Raises
        ------
        InputError
            If the others have another size, or other classes.
        """
        check_images(other)
        sizes = [images.pixels.shape[1:] for images in (self, other)]
        if sizes[0] != sizes[1] or self.class_names != other.class_names:
            described = [
                f"{size} of the classes {', '.join(images.class_names)}"
                for size, images in zip(sizes, (self, other), strict=True)
            ]
            raise InputError(
                f"Expected images of one size and the same classes; found {' and '.join(described)}"
            )
        pixels: np.ndarray | FilePixels
        if isinstance(self.pixels, FilePixels) and isinstance(other.pixels, FilePixels):
            pixels = self.pixels.join(other.pixels)
        else:
            pixels = np.concatenate([self.pixels, other.pixels])
        return dataclasses.replace(
            self,
            pixels=pixels,
            labels=np.concatenate([self.labels, other.labels]),
            paths=self.paths + other.paths,
            patients=self.patients + other.patients,
        )

    def counts(self) -> dict[str, int]:
        """Return the number of images of each class."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, counts.tolist(), strict=True))


def check_images(images: object) -> None:
    """Raise InputError unless this is an ImageSet."""
    check_kind(images, ImageSet, "images, such as task.train or task.test")


def check_some_images(images: object) -> None:
    """Raise InputError unless this is an ImageSet of at least one image."""
    check_images(images)
    if not len(images):  # type: ignore[arg-type]
        raise InputError("The image set is empty: expected at least one image")


def find_rows(rows: object, n_images: int) -> np.ndarray:
    """Return the row numbers that a sequence of row numbers, or a mask, selects.

    NumPy, pandas and Python's tuples each read False and True as the rows 0 and 1 in some place.
    Here a mask always selects by truth.

    Raises
    ------
    InputError
        If it is neither a mask of `n_images` values nor row numbers from -n_images to
        n_images - 1, or is a pandas Series whose order is not that of the images.
    """
    if isinstance(rows, pd.Series):
        check_row_order(rows, "mask or row numbers")
    try:
        values = list(rows)  # type: ignore[call-overload]
    except TypeError:
        values = [rows, None]  # not a sequence: neither of the two
    if all(isinstance(value, bool | np.bool_) for value in values) and values:
        if len(values) != n_images:
            raise InputError(
                f"The mask has {len(values)} values for {n_images} images: expected one for each"
            )
        return np.flatnonzero(values)
    is_whole = [isinstance(v, Integral) and not isinstance(v, bool | np.bool_) for v in values]
    if not all(is_whole) or not all(-n_images <= value < n_images for value in values):
        raise InputError(
            f"Expected row numbers below {n_images}, or a mask of {n_images} times True or False; "
            f"found {type(rows).__name__} {' '.join(str(rows).split())[:60]}"
        )
    return np.array(values, int) % max(n_images, 1)


def check_row_order(table: pd.Series | pd.DataFrame, name: str) -> None:
    """Raise InputError if a table was sorted: its rows would meet other images at their places."""
    if pd.api.types.is_integer_dtype(table.index) and not table.index.is_monotonic_increasing:
        raise InputError(
            f"The rows of {name} are in another order than the images (its index begins with "
            f"{', '.join(map(str, table.index[:3]))}): sort it by its index, with sort_index()"
        )


class FilePixels:
    """Array-like view of image files, for sets larger than memory.

    Indexing decodes the images in threads; decoded images are not stored.

    Parameters
    ----------
    files : sequence of Path
    digests : sequence of str
        SHA-256 of each image's pixels.
    image_size : int
        Height and width in pixels.

    Raises
    ------
    InputError
        If there is not one digest per file, and when an image is decoded whose file has changed.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, files: Sequence[Path], digests: Sequence[str], image_size: int) -> None:
        self.files, self.digests, self.image_size = tuple(files), tuple(digests), image_size
        if len(self.files) != len(self.digests):
            raise InputError(
                f"{len(self.files)} files, {len(self.digests)} digests: expected pairs"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, height, width, 3."""
        return len(self.files), self.image_size, self.image_size, 3

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: object) -> np.ndarray:
        rows, *rest = index if isinstance(index, tuple) else (index,)
        if rows is Ellipsis or not all(isinstance(part, int | slice) for part in rest):
            raise TypeError("FilePixels are indexed by rows, then by integers or slices")
        if isinstance(rows, int | np.integer):
            return self._decode(rows)[tuple(rest)]
        images = thread_map(lambda row: self._decode(row)[tuple(rest)], np.arange(len(self))[rows])
        return np.stack(images) if images else np.empty((0, *self.shape[1:]), np.uint8)[:, *rest]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def take(self, rows: Sequence[int] | np.ndarray, axis: int = 0) -> "FilePixels":
        """Return a view of the images at `rows`: row numbers, or a mask."""
        numbers = find_rows(rows, len(self))
        files, digests = (
            [self.files[row] for row in numbers],
            [self.digests[row] for row in numbers],
        )
        return FilePixels(files, digests, self.image_size)

    def join(self, other: "FilePixels") -> "FilePixels":
        """Return these images followed by those of `other`."""
        return FilePixels(self.files + other.files, self.digests + other.digests, self.image_size)

    def _decode(self, row: int | np.integer) -> np.ndarray:
        path = self.files[row]
        try:
            image, _ = read_image(path, self.image_size)
        except UnusableImageError as error:
            raise InputError(
                f"{path} can't be used any more: {error}. Load the task again"
            ) from error
        if pixel_digest(image) != self.digests[row]:
            raise InputError(f"{path} has changed since it was read: load the task again")
        return image


def pixel_digest(image: np.ndarray) -> str:
    """Return the SHA-256 of one image's pixels."""
    return sha256(np.ascontiguousarray(image).data).hexdigest()


class UnusableImageError(Exception):
    """A file can't be used as an image; the text is the reason."""


def list_files(folder: Path) -> list[Path]:
    """Return the entries of a class folder, sorted by name.

    Clutter is left out, but for `.NAME.icloud`, the placeholder of an image that should be there.
    """
    return sorted(
        path for path in folder.iterdir() if path.suffix == ".icloud" or not is_clutter(path.name)
    )


def read_image(path: Path, image_size: int) -> tuple[np.ndarray, str]:
    """Decode one file and resize it to a square, as the original challenge did.

    The EXIF orientation is applied, transparent pixels become black, and 16-bit values are
    scaled from the image's range to 0 to 255.

    Returns
    -------
    pixels : ndarray of uint8, shape (image_size, image_size, 3)
    digest : str
        SHA-256 of the file.

    Raises
    ------
    UnusableImageError
        If the file can't be used; the text is the reason.
    """
    if path.suffix == ".icloud":
        raise UnusableImageError("not downloaded from iCloud: download it first")
    if path.is_dir():
        raise UnusableImageError("a folder, not an image")
    if not path.is_file():
        raise UnusableImageError("broken link" if path.is_symlink() else "not a regular file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnusableImageError(f"can't be read: {error.strerror}") from error
    if not content:
        raise UnusableImageError("empty file (0 bytes)")
    return _decode(content, image_size), sha256(content).hexdigest()


def _decode(content: bytes, image_size: int) -> np.ndarray:
    if content.startswith(PNG):
        content = _drop_damaged_metadata(content)
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
    except UnidentifiedImageError as error:
        if content.startswith((PNG, JPEG)):
            raise UnusableImageError("damaged file (its beginning can't be read)") from error
        raise UnusableImageError("not a JPEG, PNG or WebP image, whatever its name") from error
    except Image.DecompressionBombError as error:
        raise UnusableImageError(f"decompression bomb: over {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # a damaged header can raise nearly anything
        raise UnusableImageError(f"damaged file ({error})") from error
    try:
        # JPEG decodes at 1/2, 1/4 or 1/8 size: several times faster, and at least twice our size.
        image.draft(image.mode, (2 * image_size, 2 * image_size))
        upright = ImageOps.exif_transpose(_to_gray_or_rgb(image, content))
        small = upright.resize((image_size, image_size), Image.Resampling.BILINEAR)
        return np.asarray(small.convert("RGB"))
    except UnusableImageError:
        raise
    except Exception as error:
        reason = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise UnusableImageError(f"{reason} file ({error})") from error


def _drop_damaged_metadata(content: bytes) -> bytes:
    """Return a PNG file without the optional chunks whose checksum is wrong, as libpng reads it."""
    kept, start = [PNG], len(PNG)
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4])
        chunk = content[start:end]
        is_optional = chunk[4:5].islower()
        if not is_optional or zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:]):
            kept.append(chunk)
        start = end
    return b"".join(kept)


def _to_gray_or_rgb(image: Image.Image, content: bytes) -> Image.Image:
    rawmode = str(image.tile[0].args) if isinstance(image, PngImageFile) else ""
    deep = image.mode.startswith(("I", "F")) or ";16" in rawmode
    if rawmode.startswith("LA;16") or (deep and "transparency" in image.info):
        raise UnusableImageError("16-bit with transparency: save it without transparency")
    exif = image.getexif()  # loads a PNG, which clears its `tile`
    if image.mode.startswith(("I", "F")):
        image = _stretch(np.asarray(image))
    elif deep:  # Pillow reads the high byte only; with rawmode 16L it reads the low byte
        low = Image.open(io.BytesIO(content))
        low.tile = [tile._replace(args=rawmode.replace("16B", "16L")) for tile in low.tile]
        values = np.asarray(image).astype(np.uint16) * 256 + np.asarray(low)
        image = _stretch(values[..., :3])
        if values.shape[-1] == 4:
            image.putalpha(Image.fromarray((values[..., 3] // 256).astype(np.uint8)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    if image.mode != "L":  # gray images become RGB after resizing
        image = image.convert("RGB")
    image.getexif().update(exif)
    return image


def _stretch(values: np.ndarray) -> Image.Image:
    """Scale values of more than 8 bits from their range to 0 to 255."""
    low, high = float(values.min()), float(values.max())
    scaled = (values.astype(np.float32) - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(np.round(scaled).astype(np.uint8))
