"""Files: those that come with the package, and atomic output (completely, or not at all)."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import cannot_write


def shipped_path(name: str) -> Path:
    """Return a file or folder that is next to the package in a clone, and inside it in a wheel."""
    package = Path(__file__).parent
    return package / name if (package / name).exists() else package.parent / name


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path beside `path`, then rename that file to `path`."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


@contextmanager
def report_write_errors(path: Path) -> Iterator[None]:
    """Raise InputError or WriteError if a file can't be written inside."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(text: str, path: str | Path) -> None:
    """Write a text file atomically; its folder is created if necessary.

    Raises
    ------
    InputError, WriteError
        If the file can't be written.
    """
    path = Path(path).expanduser()
    with report_write_errors(path):
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda partial: partial.write_text(text, encoding="utf-8"))
