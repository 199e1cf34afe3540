"""Progress: a bar where a person watches, and nothing that floods a log where nobody does."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tqdm.std import tqdm


def person_watches() -> bool:
    """Return whether someone looks on: in a terminal, or in a notebook opened in JupyterLab."""
    return sys.stdout.isatty() or "JPY_SESSION_NAME" in os.environ


_threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1))  # begins with the first work


def in_threads(work: Callable, *items: Sequence, doing: str | None = None) -> list:
    """Return what `work` gives for the items, in order, with a bar if there is a word for it.

    For work on pictures, in which Pillow and NumPy let go of Python's lock.
    """
    done = _threads.map(work, *items)
    hidden = doing is None or not person_watches()
    bar = tqdm(done, doing, len(items[0]), disable=hidden, leave=False, file=sys.stdout)
    try:
        return list(bar)
    finally:
        done.close()  # after an error nothing of it goes on
