"""The folder of the feature cache: its place, its size limit, and the removal of files."""

import json
import os
import shutil
from collections.abc import Set
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from ..errors import InputError
from ..files import to_path

CACHE_VARIABLE, LIMIT_VARIABLE = "XRAYKIT_CACHE_DIR", "XRAYKIT_CACHE_GB"
DEFAULT_LIMIT_GB = 5.0
KEY_DTYPE = np.dtype("S32")
METADATA_PATTERN = "[0-9a-f]*.json"  # excludes incomplete files, whose names begin with a dot


class CacheError(Exception):
    """Features can't be cached; the text is the reason."""


def cache_folder() -> Path:
    """Return the folder of all features, with a name that no other program uses."""
    parent = to_path(
        os.environ.get(CACHE_VARIABLE) or user_cache_path("xraykit"), variable=CACHE_VARIABLE
    )
    return parent.absolute() / "xraykit-features"


def size_limit() -> float:
    """Return how many bytes the cache may take.

    Raises
    ------
    InputError
        If `XRAYKIT_CACHE_GB` is not a number of gigabytes.
    """
    setting = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_LIMIT_GB)
    try:
        limit = float(setting) * 1e9
    except ValueError:
        limit = np.nan
    if not limit >= 0:
        raise InputError(f"{LIMIT_VARIABLE}={setting!r}: expected a number of gigabytes, 0 or more")
    return limit


def list_cached() -> pd.DataFrame:
    """Return a table of the cache, one row per file of features, the least recently used first.

    Returns
    -------
    DataFrame
        Columns network, features (their number), MB, used (time of last use) and path.
    """
    rows = []
    for path in cache_folder().glob(f"*/{METADATA_PATTERN}"):
        with suppress(OSError):
            used = datetime.fromtimestamp(int(path.stat().st_mtime))
            metadata = read_metadata(path)
            size = path.with_suffix(".npy").stat().st_size / 1e6
            network, n_features = metadata.get("about", "damaged"), len(metadata.get("keys", []))
            rows.append((network, n_features, size, used, path))
    table = pd.DataFrame(rows, columns=["network", "features", "MB", "used", "path"])
    return table.sort_values("used", ignore_index=True)


def clear_cache() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Remove all features. A training that uses them continues, because it has the files open.

    Returns
    -------
    removed, remaining : DataFrame
        As `list_cached`: a file that another user owns can't be removed.
    """
    table = list_cached()
    for path in table["path"]:
        remove(path)
    _remove_all_incomplete()
    remains = table["path"].map(Path.exists).astype(bool)
    return table[~remains], table[remains]


def make_room(size: int, in_use: Set[Path] = frozenset()) -> None:
    """Remove the least recently used files until `size` more bytes are within the limit.

    Files that are `in_use` stay.

    Raises
    ------
    CacheError
        If the limit is too low, or the disk too full.
    """
    limit = size_limit()
    _remove_all_incomplete()
    table = list_cached()
    is_used = table["path"].isin(in_use)
    needed = size + 1e6 * table["MB"][is_used].sum()
    if needed > limit:
        raise CacheError(
            f"the features would take {needed / 1e9:.1f} GB, over {LIMIT_VARIABLE}={limit / 1e9:g}"
        )
    others = table[~is_used]
    remaining = 1e6 * others["MB"][::-1].cumsum()[::-1]  # bytes of a file and all later ones
    for path, rest in zip(others["path"], remaining, strict=True):
        if needed + rest <= limit:
            break
        remove(path)
    free = shutil.disk_usage(cache_folder()).free
    if size > free:
        raise CacheError(
            f"the features take {size / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB left"
        )


def read_metadata(path: Path) -> dict:
    """Return the metadata of a file of features; an empty dict if they are damaged."""
    try:
        metadata = json.loads(path.read_text())
        return metadata | {"keys": np.frombuffer(metadata["keys"].encode(), KEY_DTYPE)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def remove(path: Path) -> None:
    """Remove a file of features and its metadata, the metadata first."""
    for file in (path, path.with_suffix(".npy")):
        with suppress(OSError):
            file.unlink()


def remove_incomplete(folder: Path) -> None:
    """Remove incomplete files from a network's folder; only while it is locked."""
    for path in [*folder.glob(".*.partial.*"), *folder.glob("*.npy")]:
        if path.name.startswith(".") or not path.with_suffix(".json").exists():
            path.unlink(missing_ok=True)


def _remove_all_incomplete() -> None:
    """Remove incomplete files from all folders that no process has locked."""
    for folder in cache_folder().glob("*/"):
        with suppress(OSError, Timeout), FileLock(folder / ".lock", timeout=0):
            remove_incomplete(folder)
