"""The files of the feature cache: written completely or not at all, and checked before use.

Each network has a folder with files that never change: `NAME.npy` has the features, `NAME.json`
says to which images they belong and has the checksum of both. The second is written last, so
features without it are incomplete.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ..files import atomic_write
from ..log import logger
from ..progress import bar, is_interactive
from .cache_folder import (
    KEY_DTYPE,
    METADATA_PATTERN,
    CacheError,
    cache_folder,
    make_room,
    read_metadata,
    remove,
    remove_incomplete,
)

CHUNK = 16  # images per pass through the network: larger chunks are no faster and take more memory
FLOAT16_RANGE = 0.05, float(np.finfo(np.float16).max)  # below 6e-5 float16 loses digits


class Rows:
    """Features of a sequence of keys, read from their files on demand."""

    def __init__(self, parts: list[np.ndarray], part: np.ndarray, row: np.ndarray) -> None:
        self.parts, self.part, self.row = parts, part, row
        self.shape = (len(row), *parts[0].shape[1:])
        self.dtype = np.result_type(*parts)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return the features at these positions."""
        features = np.empty((len(positions), *self.shape[1:]), self.dtype)
        for number, position in enumerate(positions):
            features[number] = self.parts[self.part[position]][self.row[position]]
        return features


class CacheFiles:
    """The features of one network, in files below the cache folder.

    The cache is in the folder that `XRAYKIT_CACHE_DIR` names, by default the user's cache folder.
    Its files together take at most `XRAYKIT_CACHE_GB`, by default 5; the least recently used ones
    are removed first.

    Parameters
    ----------
    network : str
        Digest of everything that determines a feature, except for the image.
    description : str
        Readable description of the network.
    dtype : {"float16", "float32"}
        Storage type of the features. If float16 cannot hold them, the whole file is float32.
    """

    def __init__(self, network: str, description: str, dtype: str = "float16") -> None:
        self.folder = cache_folder() / sha256(f"{network} {dtype}".encode()).hexdigest()[:32]
        self.description, self.dtype = description, dtype
        self.in_use: set[Path] = set()

    def load_rows(self, keys: Sequence[str], compute: Callable[[np.ndarray], np.ndarray]) -> Rows:
        """Return the features of `keys`, after computing and storing the missing ones.

        Parameters
        ----------
        keys : sequence of str
            Digests of 32 characters; equal keys have equal features.
        compute : callable
            Takes positions in `keys`, returns an array of their features.

        Raises
        ------
        CacheError
            If features can't be stored.
        """
        requested = np.array(keys, KEY_DTYPE)
        try:
            parts, part, row = self._find(requested)
            if (part < 0).any():
                with self._lock():
                    self._add_missing(requested, compute)
                    parts, part, row = self._find(requested)
        except OSError as error:
            reason = error.strerror or str(error)
            raise CacheError(f"the feature cache in {self.folder.parent}: {reason}") from error
        if (part < 0).any():
            raise CacheError(f"the feature cache in {self.folder.parent} loses what is written")
        return Rows(parts, part, row)

    def _find(self, requested: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Return open files, and for each key the number of its file, or -1, and its row there."""
        parts: list[np.ndarray] = []
        part, row = np.full(len(requested), -1), np.zeros(len(requested), int)
        for path in sorted(self.folder.glob(METADATA_PATTERN)):
            metadata = read_metadata(path)
            keys = metadata.get("keys", np.array([], KEY_DTYPE))
            if not len(keys):
                continue
            order = np.argsort(keys)
            position = np.searchsorted(keys, requested, sorter=order)
            position = order[np.minimum(position, len(keys) - 1)]
            matches = np.flatnonzero((part < 0) & (keys[position] == requested))
            if not len(matches):
                continue
            features = _open(path, metadata)
            if features is None:
                reason = f"a file of {self.description} is damaged or missing"
                logger.warning(f"Feature cache: {reason}; computing it again.")
                remove(path)
                continue
            self.in_use.add(path)
            part[matches], row[matches] = len(parts), position[matches]
            parts.append(features)
            with suppress(OSError):
                os.utime(path)
        return parts, part, row

    def _add_missing(self, requested: np.ndarray, compute: Callable) -> None:
        """Compute and store features that are still missing; only while the folder is locked."""
        remove_incomplete(self.folder)
        _, part, _ = self._find(requested)  # another process may have added them
        missing = np.flatnonzero(part < 0)
        _, first = np.unique(requested[missing], return_index=True)
        positions = missing[np.sort(first)]
        if not len(positions):
            return
        keys = requested[positions]
        path = self.folder / f"{sha256(keys.tobytes()).hexdigest()[:16]}.npy"
        for dtype in (self.dtype, "float32"):
            digest = sha256(keys.tobytes())
            with suppress(_RangeError):
                atomic_write(path, partial(self._write_array, positions, compute, dtype, digest))
                break
        metadata = {"about": self.description, "keys": b"".join(keys).decode()}
        text = json.dumps(metadata | {"sha256": digest.hexdigest()})
        atomic_write(path.with_suffix(".json"), lambda unfinished: unfinished.write_text(text))

    def _write_array(
        self, positions: np.ndarray, compute: Callable, dtype: str, digest: Any, path: Path
    ) -> None:
        """Compute features and write them to an .npy file chunk by chunk, to need little memory."""
        chunks = np.split(positions, range(CHUNK, len(positions), CHUNK))
        with path.open("wb") as file:

            def write(data: bytes | memoryview) -> None:
                file.write(data)
                digest.update(data)

            for number, chunk in enumerate(bar(chunks, "features")):
                start = time.perf_counter()
                features = np.asarray(compute(chunk), np.float32)
                peak = np.abs(features).max()
                is_outside = peak > 0 and not FLOAT16_RANGE[0] <= peak <= FLOAT16_RANGE[1]
                if dtype == "float16" and is_outside:
                    raise _RangeError
                features = np.ascontiguousarray(features, dtype)
                if number == 0:
                    size = features[0].nbytes * len(positions)
                    make_room(size, self.in_use)
                    shape = (len(positions), *features.shape[1:])
                    header = {"descr": features.dtype.str, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_2_0(SimpleNamespace(write=write), header)
                write(features.data)
                if number == 1 and not is_interactive():  # the first chunk is slower
                    seconds = (time.perf_counter() - start) * (len(chunks) - 1)
                    logger.info(
                        f"Feature cache: computing {len(positions):,} features once, about "
                        f"{max(1, seconds):.0f} s; they take {max(0.1, size / 1e6):.1f} MB."
                    )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            reason = "another process computes features of this network"
            logger.info(f"Feature cache: {reason}; waiting for it.")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


class _RangeError(Exception):
    """Float16 cannot hold the features: one is too large, or all of a chunk are too small."""


def _open(path: Path, metadata: dict) -> np.ndarray | None:
    """Return the features that this metadata describes, memory-mapped, or None if damaged."""
    data = path.with_suffix(".npy")
    try:
        if _compute_checksum(metadata["keys"], data) == metadata["sha256"]:
            return np.asarray(np.load(data, mmap_mode="r"))
    except (OSError, ValueError, LookupError, EOFError):
        pass
    return None


def _compute_checksum(keys: np.ndarray, path: Path) -> str:
    digest = sha256(keys.tobytes())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
