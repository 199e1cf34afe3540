"""Files: paths that people type, names, clutter, and atomic output (completely, or not at all)."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError, cannot_write, escape_name

# What operating systems and programs leave in folders, besides hidden files.
CLUTTER = {"__macosx", "__pycache__", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "icon\r"}
CLUTTER |= {"picasa.ini", "thumbs.db", "@eadir", "@recycle", "#recycle", "$recycle.bin"}
CLUTTER |= {"lost+found", "system volume information", "temporary items", "network trash folder"}


def shipped_path(name: str) -> Path:
    """Return a file or folder that is next to the package in a clone, and inside it in a wheel."""
    package = Path(__file__).parent
    return package / name if (package / name).exists() else package.parent / name


def is_clutter(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or no one's work."""
    return name.startswith(".") or name.lower().partition(":")[0] in CLUTTER


def to_path(text: object, *, variable: str = "") -> Path:
    """Return the path that a person typed; `~` is expanded, and escaped bytes are resolved.

    Parameters
    ----------
    text : str or path
    variable : str
        The environment variable that holds the text, for messages.

    Raises
    ------
    InputError
        If it is not a text or a path, or no file can have this name.
    """
    if not isinstance(text, str | os.PathLike) or not str(text):
        raise InputError(f"Expected a path, found {text!r}")
    escaped = re.compile(r"\\u(dc[89a-f][0-9a-f])")
    name = escaped.sub(lambda match: chr(int(match[1], 16)), os.fspath(text))
    try:
        if "\0" in name:
            raise ValueError("it has a zero byte")
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long; no such user
        reason = getattr(error, "strerror", None) or error
        shown, place = escape_name(name)[:100], f" in {variable}" if variable else ""
        raise InputError(
            f"{shown!r} can't be used as a path: {reason}. Name another one{place}"
        ) from error
    return path


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
    path = to_path(path)
    with report_write_errors(path):
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda partial: partial.write_text(text, encoding="utf-8"))
