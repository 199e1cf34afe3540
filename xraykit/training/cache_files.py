"""The files of the feature cache: written whole or not at all, bounded, and never read if damaged.

A network has a folder, with files of rows that never change: `NAME.npy` has the features,
`NAME.json` says whose they are and has the checksum of both. The second is written last, so that
features without it were never finished.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from filelock import FileLock, Timeout
from tqdm.std import tqdm

from ..files import atomic_write
from ..progress import is_interactive
from .cache_folder import KEY, NAMES, CacheError, cache_folder, make_room, read_facts, remove, tidy

CHUNK = 16  # images that pass the network at a time: more are no faster, and take more memory
FLOAT16_RANGE = 0.05, float(np.finfo(np.float16).max)  # from 6e-5 down float16 loses digits


class Rows:
    """Features of a sequence of keys, read from their files when taken."""

    def __init__(self, parts: list[np.ndarray], part: np.ndarray, row: np.ndarray) -> None:
        self.parts, self.part, self.row = parts, part, row
        self.shape = (len(row), *parts[0].shape[1:])
        self.dtype = np.result_type(*parts)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return the features at these positions."""
        out = np.empty((len(positions), *self.shape[1:]), self.dtype)
        for number, position in enumerate(positions):
            out[number] = self.parts[self.part[position]][self.row[position]]
        return out


class CacheFiles:
    """The features of one network, in files below the cache folder.

    The cache is in the folder that `XRAYKIT_CACHE_DIR` names, or else in the user's own. Together
    its files take at most `XRAYKIT_CACHE_GB`, by default 5; what was not used for longest goes.

    Parameters
    ----------
    network : str
        Digest of all that determines a feature, but for the image.
    about : str
        The network, for people.
    dtype : {"float16", "float32"}
        What features are stored as; float32 as well where one is beyond float16's range.
    """

    def __init__(self, network: str, about: str, dtype: str = "float16") -> None:
        self.folder = cache_folder() / sha256(f"{network} {dtype}".encode()).hexdigest()[:32]
        self.about, self.dtype, self.in_use = about, dtype, set()

    def rows(self, keys: Sequence[str], compute: Callable[[np.ndarray], np.ndarray]) -> Rows:
        """Return the features of `keys`, those that are not there computed and kept first.

        Parameters
        ----------
        keys : sequence of str
            Digests of 32 characters; the same key, the same features.
        compute : callable
            Gets positions in `keys`, returns an array with their features.

        Raises
        ------
        CacheError
            If they can't be kept.
        """
        wanted = np.array(keys, KEY)
        try:
            parts, part, row = self._find(wanted)
            if (part < 0).any():
                with self._locked():
                    tidy(self.folder)
                    _, part, _ = self._find(wanted)  # another process may have built it
                    missing = np.flatnonzero(part < 0)
                    _, first = np.unique(wanted[missing], return_index=True)
                    missing = missing[np.sort(first)]
                    if len(missing):
                        self._write(wanted[missing], missing, compute)
                    parts, part, row = self._find(wanted)
        except OSError as error:
            reason = error.strerror or str(error)
            raise CacheError(f"the feature cache in {self.folder.parent}: {reason}") from error
        if (part < 0).any():
            raise CacheError(
                f"the feature cache in {self.folder.parent} does not keep what it gets"
            )
        return Rows(parts, part, row)

    def _find(self, wanted: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Return open files, and for each key the number of its file, or -1, and its row there."""
        parts: list[np.ndarray] = []
        part, row = np.full(len(wanted), -1), np.zeros(len(wanted), int)
        for path in sorted(self.folder.glob(NAMES)):
            facts = read_facts(path)
            keys = facts.get("keys", np.array([], KEY))
            order = np.argsort(keys)
            place = np.searchsorted(keys, wanted, sorter=order)
            place = order[np.minimum(place, len(keys) - 1)] if len(keys) else place
            own = np.flatnonzero(part < 0)
            own = own[keys[place[own]] == wanted[own]] if len(keys) else own[:0]
            if not len(own):
                continue
            features = _open(path, facts)
            if features is None:
                print(f"Feature cache: {path.stem} is damaged or gone; it is computed anew.")
                remove(path)
                continue
            self.in_use.add(path)
            part[own], row[own] = len(parts), place[own]
            parts.append(features)
            with suppress(OSError):
                os.utime(path)
        return parts, part, row

    def _write(self, keys: np.ndarray, positions: np.ndarray, compute: Callable) -> None:
        path = self.folder / f"{sha256(keys.tobytes()).hexdigest()[:16]}.npy"
        for dtype in (self.dtype, "float32"):
            digest = sha256(keys.tobytes())
            with suppress(_RangeError):
                atomic_write(path, partial(self._fill, positions, compute, dtype, digest))
                break
        facts = {"about": self.about, "keys": b"".join(keys).decode(), "sha256": digest.hexdigest()}
        text = json.dumps(facts)
        atomic_write(path.with_suffix(".json"), lambda unfinished: unfinished.write_text(text))

    def _fill(
        self, positions: np.ndarray, compute: Callable, dtype: str, digest: object, unfinished: Path
    ) -> None:
        """Write an .npy file chunk by chunk, so that memory need not hold all of it."""

        def write(data: bytes | memoryview) -> None:
            file.write(data)
            digest.update(data)

        chunks = np.split(positions, range(CHUNK, len(positions), CHUNK))
        watched = is_interactive()
        bar = tqdm(chunks, "features", disable=not watched, leave=False, file=sys.stdout)
        with unfinished.open("wb") as file:
            for number, chunk in enumerate(bar):
                start = time.perf_counter()
                features = np.asarray(compute(chunk), np.float32)
                peak = np.abs(features).max()
                if (
                    dtype == "float16"
                    and peak > 0
                    and not FLOAT16_RANGE[0] <= peak <= FLOAT16_RANGE[1]
                ):
                    raise _RangeError
                features = np.ascontiguousarray(features, dtype)
                if number == 0:
                    size = features[0].nbytes * len(positions)
                    make_room(size, self.in_use)
                    shape = (len(positions), *features.shape[1:])
                    header = {"descr": features.dtype.str, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_2_0(SimpleNamespace(write=write), header)
                write(features.data)
                if number == 1 and not watched:  # the first one is slower
                    seconds = (time.perf_counter() - start) * (len(chunks) - 1)
                    print(
                        f"Feature cache: computing {len(positions):,} features once, about "
                        f"{seconds:.0f} s; they are kept ({size / 1e6:.1f} MB).",
                        flush=True,
                    )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting = "another process computes features of this network; waiting"
            print(f"Feature cache: {waiting}.", flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


class _RangeError(Exception):
    """A feature is beyond float16's range, or all are where it has few digits."""


def _open(path: Path, facts: dict) -> np.ndarray | None:
    """Return the features that a file is about, mapped into memory, or None if one is damaged."""
    data = path.with_suffix(".npy")
    try:
        if _checksum(facts["keys"], data) == facts["sha256"]:
            return np.asarray(np.load(data, mmap_mode="r"))
    except (OSError, ValueError, LookupError, EOFError):
        pass
    return None


def _checksum(keys: np.ndarray, path: Path) -> str:
    digest = sha256(keys.tobytes())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
