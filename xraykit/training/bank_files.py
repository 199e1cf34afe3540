"""The files of the feature bank: written whole or not at all, bounded, and never read if damaged.

A network has a folder, with files of rows that never change: `NAME.npy` has the features,
`NAME.json` says whose they are and has the checksum of both. The second is written last, so that
features without it were never finished.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from platformdirs import user_cache_path
from tqdm.std import tqdm

from ..errors import InputError
from ..files import write_whole
from ..progress import person_watches

FOLDER, LIMIT = "XRAYKIT_CACHE_DIR", "XRAYKIT_CACHE_GB"
LIMIT_GB = 5.0
CHUNK = 16  # pictures that pass the network at a time: more are no faster, and take more memory
KEY = np.dtype("S32")
NAMES = "[0-9a-f]*.json"  # not those that are being written, which begin with a dot
LEAST, MOST = 0.05, float(np.finfo(np.float16).max)  # from 6e-5 down float16 loses digits


class BankError(Exception):
    """The bank can't be kept; its text is the reason, as a person would say it."""


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


class BankFiles:
    """The features of one network, in files below the cache folder.

    The cache is in the folder that `XRAYKIT_CACHE_DIR` names, or else in the user's own. Together
    its files take at most `XRAYKIT_CACHE_GB`, by default 5; what was not used for longest goes.

    Parameters
    ----------
    network : str
        Digest of all that determines a feature, but for the picture.
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
        BankError
            If they can't be kept.
        """
        wanted = np.array(keys, KEY)
        try:
            parts, part, row = self._find(wanted)
            if (part < 0).any():
                with self._locked():
                    _tidy(self.folder)
                    _, part, _ = self._find(wanted)  # another process may have built it
                    missing = np.flatnonzero(part < 0)
                    _, first = np.unique(wanted[missing], return_index=True)
                    missing = missing[np.sort(first)]
                    if len(missing):
                        self._write(wanted[missing], missing, compute)
                    parts, part, row = self._find(wanted)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BankError(f"the feature bank in {self.folder.parent}: {reason}") from error
        if (part < 0).any():
            raise BankError(f"the feature bank in {self.folder.parent} does not keep what it gets")
        return Rows(parts, part, row)

    def _find(self, wanted: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Return open files, and for each key the number of its file, or -1, and its row there."""
        parts: list[np.ndarray] = []
        part, row = np.full(len(wanted), -1), np.zeros(len(wanted), int)
        for path in sorted(self.folder.glob(NAMES)):
            facts = _read(path)
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
                print(f"Feature bank: {path.stem} is damaged or gone; it is computed anew.")
                _remove(path)
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
                write_whole(path, partial(self._fill, positions, compute, dtype, digest))
                break
        facts = {"about": self.about, "keys": b"".join(keys).decode(), "sha256": digest.hexdigest()}
        text = json.dumps(facts)
        write_whole(path.with_suffix(".json"), lambda unfinished: unfinished.write_text(text))

    def _fill(
        self, positions: np.ndarray, compute: Callable, dtype: str, digest: object, unfinished: Path
    ) -> None:
        """Write an .npy file chunk by chunk, so that memory need not hold all of it."""

        def write(data: bytes | memoryview) -> None:
            file.write(data)
            digest.update(data)

        chunks = np.split(positions, range(CHUNK, len(positions), CHUNK))
        watched = person_watches()
        bar = tqdm(chunks, "features", disable=not watched, leave=False, file=sys.stdout)
        with unfinished.open("wb") as file:
            for number, chunk in enumerate(bar):
                start = time.perf_counter()
                features = np.asarray(compute(chunk), np.float32)
                peak = np.abs(features).max()
                if dtype == "float16" and peak > 0 and not LEAST <= peak <= MOST:
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
                        f"Feature bank: computing {len(positions):,} features once, about "
                        f"{seconds:.0f} s; they are kept ({size / 1e6:.0f} MB).",
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
            print(f"Feature bank: {waiting}.", flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


class _RangeError(Exception):
    """A feature is beyond float16's range, or all are where it has few digits."""


def _tidy(folder: Path) -> None:
    """Remove what was never finished in a network's folder; only under its lock."""
    for path in [*folder.glob(".*.partial.*"), *folder.glob("*.npy")]:
        if path.name.startswith(".") or not path.with_suffix(".json").exists():
            path.unlink(missing_ok=True)


def _tidy_all() -> None:
    """Remove what was never finished anywhere, but where a process works."""
    for folder in cache_folder().glob("*/"):
        with suppress(OSError, Timeout), FileLock(folder / ".lock", timeout=0):
            _tidy(folder)


def cache_folder() -> Path:
    """Return the folder that all features are in, with a name that nobody else uses."""
    named = Path(os.environ.get(FOLDER) or user_cache_path("xraykit"))
    return named.expanduser().absolute() / "xraykit-features"


def cached() -> pd.DataFrame:
    """Return what is in the cache, longest unused first: a row a file of features.

    Returns
    -------
    DataFrame
        Columns network, features (how many), MB, used (when last) and path.
    """
    rows = []
    for path in cache_folder().glob(f"*/{NAMES}"):
        with suppress(OSError):
            used = datetime.fromtimestamp(int(path.stat().st_mtime))
            facts = _read(path)
            size = path.with_suffix(".npy").stat().st_size / 1e6
            rows.append(
                (facts.get("about", "damaged"), len(facts.get("keys", [])), size, used, path)
            )
    table = pd.DataFrame(rows, columns=["network", "features", "MB", "used", "path"])
    return table.sort_values("used", ignore_index=True)


def clear_cache() -> None:
    """Remove all features. A training that reads them goes on; it has the files open."""
    for path in cached()["path"]:
        _remove(path)
    _tidy_all()


def make_room(size: int, in_use: Set[Path] = frozenset()) -> None:
    """Remove the longest unused files of features until `size` bytes more are within the limit.

    Those `in_use` stay.

    Raises
    ------
    BankError
        If they never can be, or the disk has no room for them.
    """
    given = os.environ.get(LIMIT) or str(LIMIT_GB)
    try:
        limit = float(given) * 1e9
    except ValueError:
        limit = np.nan
    if not limit >= 0:
        raise InputError(f"{LIMIT}={given!r}: expected a number of gigabytes, 0 or more")
    _tidy_all()
    table = cached()
    kept = table["path"].isin(in_use)
    needed = size + 1e6 * table["MB"][kept].sum()
    if needed > limit:
        raise BankError(f"features would take {needed / 1e9:.1f} GB, over {LIMIT}={given}")
    others = table[~kept]
    for path, left in zip(others["path"], 1e6 * others["MB"][::-1].cumsum()[::-1], strict=True):
        if needed + left <= limit:
            break
        _remove(path)
    free = shutil.disk_usage(cache_folder()).free
    if size > free:
        raise BankError(f"features take {size / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB left")


def _read(path: Path) -> dict:
    """Return what is said of a file of features; nothing if that is damaged."""
    try:
        facts = json.loads(path.read_text())
        return facts | {"keys": np.frombuffer(facts["keys"].encode(), KEY)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


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


def _remove(path: Path) -> None:
    for each in (path, path.with_suffix(".npy")):  # in this order: never said to be, and gone
        with suppress(OSError):
            each.unlink()
