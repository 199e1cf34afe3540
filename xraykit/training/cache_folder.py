"""The cache that the feature cache keeps its files in: where, how much, what goes first."""

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

FOLDER, LIMIT = "XRAYKIT_CACHE_DIR", "XRAYKIT_CACHE_GB"
LIMIT_GB = 5.0
KEY = np.dtype("S32")
NAMES = "[0-9a-f]*.json"  # not those that are being written, which begin with a dot


class CacheError(Exception):
    """The bank can't be kept; its text is the reason, as a person would say it."""


def tidy(folder: Path) -> None:
    """Remove what was never finished in a network's folder; only under its lock."""
    for path in [*folder.glob(".*.partial.*"), *folder.glob("*.npy")]:
        if path.name.startswith(".") or not path.with_suffix(".json").exists():
            path.unlink(missing_ok=True)


def _tidy_all() -> None:
    """Remove what was never finished anywhere, but where a process works."""
    for folder in cache_folder().glob("*/"):
        with suppress(OSError, Timeout), FileLock(folder / ".lock", timeout=0):
            tidy(folder)


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
            facts = read_facts(path)
            size = path.with_suffix(".npy").stat().st_size / 1e6
            rows.append(
                (facts.get("about", "damaged"), len(facts.get("keys", [])), size, used, path)
            )
    table = pd.DataFrame(rows, columns=["network", "features", "MB", "used", "path"])
    return table.sort_values("used", ignore_index=True)


def clear_cache() -> None:
    """Remove all features. A training that reads them goes on; it has the files open."""
    for path in cached()["path"]:
        remove(path)
    _tidy_all()


def make_room(size: int, in_use: Set[Path] = frozenset()) -> None:
    """Remove the longest unused files of features until `size` bytes more are within the limit.

    Those `in_use` stay.

    Raises
    ------
    CacheError
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
        raise CacheError(f"features would take {needed / 1e9:.1f} GB, over {LIMIT}={given}")
    others = table[~kept]
    for path, left in zip(others["path"], 1e6 * others["MB"][::-1].cumsum()[::-1], strict=True):
        if needed + left <= limit:
            break
        remove(path)
    free = shutil.disk_usage(cache_folder()).free
    if size > free:
        raise CacheError(
            f"features take {size / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB left"
        )


def read_facts(path: Path) -> dict:
    """Return what is said of a file of features; nothing if that is damaged."""
    try:
        facts = json.loads(path.read_text())
        return facts | {"keys": np.frombuffer(facts["keys"].encode(), KEY)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def remove(path: Path) -> None:
    """Remove a file of features and what is said of it."""
    for each in (path, path.with_suffix(".npy")):  # in this order: never said to be, and gone
        with suppress(OSError):
            each.unlink()
