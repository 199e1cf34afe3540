"""Files that are written whole or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .errors import InputError


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a file under another name beside `path`, and rename it when it is done."""
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


def write_text(text: str, path: str | Path) -> None:
    """Write a text whole or not at all, its folder made if need be.

    Raises
    ------
    InputError
        If it can't be written.
    """
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}") from error
