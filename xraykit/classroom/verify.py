"""Run a worked notebook, and see whether its solutions get all points."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbgrader.utils import determine_grade, is_grade, is_solution

from ..headless.run import run


def find_failed_checks(
    notebook: Path, parameters: Iterable[tuple[str, object]] = ()
) -> list[tuple[str, float, float]]:
    """Run a notebook with its solutions, and return the checks that do not give all points.

    The points are what nbgrader would read from the executed notebook. A notebook without checks
    is not run.

    Parameters
    ----------
    notebook : Path
        The worked notebook.
    parameters : pairs of name and value
        For the run, such as ("epochs", 3).

    Returns
    -------
    list of (str, float, float)
        The name of the check's cell, its points, and the most that it gives.

    Raises
    ------
    InputError, RunFailedError
        As `headless.run.run`.
    """
    content = nbformat.read(notebook, as_version=4)
    if not any(is_grade(cell) and not is_solution(cell) for cell in content.cells):
        return []
    with tempfile.TemporaryDirectory() as folder:
        run(notebook, Path(folder, "run"), parameters=parameters)
        executed = nbformat.read(Path(folder, "run", notebook.name), as_version=4)
    failed = []
    for cell in executed.cells:
        if is_grade(cell) and not is_solution(cell):
            points, most = determine_grade(cell)
            if points is None or points < most:
                failed.append((cell.metadata["nbgrader"]["grade_id"], points or 0.0, most))
    return failed
