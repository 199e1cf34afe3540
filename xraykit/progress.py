"""Progress: a bar where a person watches, and one line per step where nobody does."""

import os
import sys
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from tqdm.std import tqdm

from .log import is_verbose

MAX_WORKERS = min(8, os.cpu_count() or 1)


def is_interactive() -> bool:
    """Return whether a person watches: in a terminal, or in a notebook opened in JupyterLab."""
    return sys.stdout.isatty() or "JPY_SESSION_NAME" in os.environ


def bar(items: Iterable, description: str, *, total: int | None = None) -> tqdm:
    """Return the items, with a progress bar where a person watches and INFO messages are shown."""
    hidden = not (is_interactive() and is_verbose())
    return tqdm(items, description, total, disable=hidden, leave=False, file=sys.stdout)


def thread_map(function: Callable, *items: Collection, doing: str | None = None) -> list:
    """Return the function's values for the items, in order, computed in threads.

    For work on images, during which Pillow, OpenCV and NumPy release Python's lock. A description
    gives it a progress bar. After an error no further item is begun. (tqdm's own `thread_map`
    warns in every kernel that lacks ipywidgets.)
    """
    with ThreadPoolExecutor(MAX_WORKERS) as pool:
        results = pool.map(function, *items)
        return list(bar(results, doing, total=len(items[0])) if doing else results)
