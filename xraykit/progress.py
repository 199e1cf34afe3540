"""Progress: a bar where a person watches, and nothing that floods a log where nobody does."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from tqdm.std import tqdm


def is_interactive() -> bool:
    """Return whether someone looks on: in a terminal, or in a notebook opened in JupyterLab."""
    return sys.stdout.isatty() or "JPY_SESSION_NAME" in os.environ


def bar(items: Iterable, doing: str) -> tqdm:
    """Return the items, with a bar where a person watches."""
    return tqdm(items, doing, disable=not is_interactive(), leave=False, file=sys.stdout)


_threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1))  # begins with the first work


def thread_map(work: Callable, *items: Sequence, doing: str | None = None) -> list:
    """Return what `work` gives for the items, in order, with a bar if there is a word for it.

    For work on images, in which Pillow and NumPy let go of Python's lock.
    """
    futures = [_threads.submit(work, *each) for each in zip(*items, strict=True)]
    try:
        return [future.result() for future in (bar(futures, doing) if doing else futures)]
    finally:  # after an error nothing of it goes on
        for future in futures:
            future.cancel()
        wait(futures)
