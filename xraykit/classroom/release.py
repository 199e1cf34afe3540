"""Student versions of the notebooks: the solutions taken out, a stub that stops in their place."""

from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor
from nbgrader.preprocessors import ClearSolutions

from ..errors import InputError
from ..files import atomic_write

STUB = 'raise NotImplementedError("Fill in this cell: the comment above says what to do.")'


def release(notebook: Path, folder: Path) -> Path:
    """Write the student version of `notebook` into `folder`, and return its path.

    Made by nbgrader's `ClearSolutions` from `### BEGIN SOLUTION` to `### END SOLUTION`; outputs
    are cleared. A file that is there already is a student's work, and stays as it is.

    Raises
    ------
    InputError
        If the notebook can't be read, or its solution regions don't fit its graded cells.
    """
    target = folder / notebook.name
    if target.exists():
        return target
    try:
        content = nbformat.read(notebook, as_version=4)
        clear = ClearSolutions(code_stub={"python": STUB})
        content, _ = clear.preprocess(content, {})
        content, _ = ClearOutputPreprocessor().preprocess(content, {})
    except Exception as error:
        raise InputError(f"{notebook} can't be made into a student version: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(target, lambda partial: nbformat.write(content, partial))
    return target
