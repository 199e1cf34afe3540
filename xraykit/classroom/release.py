"""Write the student versions of the notebooks, with a stub in place of each solution."""

from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor
from nbgrader.preprocessors import ClearSolutions

from ..errors import InputError
from ..files import atomic_write, report_write_errors

STUB = 'raise NotImplementedError("Fill in this cell: the comment above says what to do.")'
TEXT_STUB = "*Double-click this cell, and write your answer.*"


def release(notebook: Path, folder: Path) -> Path:
    """Write the student version of `notebook` into `folder`, and return its path.

    nbgrader's `ClearSolutions` replaces the lines from `### BEGIN SOLUTION` to `### END SOLUTION`,
    in a text from `<!-- BEGIN SOLUTION -->` to `<!-- END SOLUTION -->`. Outputs are cleared. An
    existing file is not changed, since it may hold a student's work.

    Raises
    ------
    InputError
        If the notebook can't be read, or its solution regions do not match its graded cells.
    WriteError
        If the disk is full.
    """
    target = folder / notebook.name
    if target.exists():
        return target
    try:
        content = nbformat.read(notebook, as_version=4)
        clear = ClearSolutions(code_stub={"python": STUB}, text_stub=TEXT_STUB)
        content, _ = clear.preprocess(content, {})
        content, _ = ClearOutputPreprocessor().preprocess(content, {})
    except Exception as error:
        raise InputError(f"{notebook} can't be made into a student version: {error}") from error
    with report_write_errors(target):
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(target, lambda partial: nbformat.write(content, partial))
    return target
