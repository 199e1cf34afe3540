"""Tables of measurements: saved row by row, so that a run can continue, and labeled."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from ..data.tasks import Task
from ..errors import InputError
from ..files import atomic_write, report_write_errors

Row = dict[str, Any]


def read_rows(path: Path, key: list[str], values: list[str], command: str) -> list[Row]:
    """Return the rows of the table at `path`, none if there is no such file.

    Its columns are those of the key, in which an empty cell is an empty text, and the values.

    Raises
    ------
    InputError
        If the file is not a table that `command` wrote.
    """
    if not path.exists():
        return []
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} can't be read as a table: {error}") from error
    if list(table) != key + values:
        raise InputError(
            f"{path} is not a table of `{command}`: expected the columns "
            f"{', '.join(key + values)}; choose another file"
        )
    table[key] = table[key].astype(object).fillna("")
    return table.to_dict("records")


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write the table completely, or leave it as it was.

    Raises
    ------
    InputError, WriteError
        If the file can't be written.
    """
    table = pd.DataFrame(rows, columns=list(columns))
    with report_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, partial(table.to_csv, index=False))


def identify(row: Mapping[str, object], key: Sequence[str]) -> tuple[str, ...]:
    """Return the values of the columns that identify a row, as in a file."""
    return tuple(str(row[name]) for name in key)


def name_images(task: Task) -> str:
    """Return what identifies a task's images in a row: their kind and the start of their digest."""
    return f"{'phantoms' if task.phantoms else 'challenge'} {task.digest[:8]}"


def label_measured(table: pd.DataFrame, subject: str) -> Styler:
    """Return a table that says that it was measured on the challenge's images, and saved."""
    caption = f"Measured on the challenge's images: {subject}"
    return table.style.set_caption(caption).format(str)
