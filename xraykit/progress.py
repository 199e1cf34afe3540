"""Progress: a bar where a person watches, and nothing that floods a log where nobody does."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tqdm.std import tqdm


def person_watches() -> bool:
    """Return whether someone looks on: in a terminal, or in a notebook opened in JupyterLab."""
    return sys.stdout.isatty() or "JPY_SESSION_NAME" in os.environ


def in_threads(work: Callable, items: Sequence, doing: str) -> list:
    """Return what `work` gives for each item, in order, with a bar that says what it is `doing`.

    For work on pictures, in which Pillow and NumPy let go of Python's lock.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        done = pool.map(work, items)
        hidden = not person_watches()
        return list(tqdm(done, doing, len(items), disable=hidden, leave=False, file=sys.stdout))
