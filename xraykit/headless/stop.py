"""Where and why an executed notebook stopped."""

import ast
import re

from nbformat import NotebookNode
from papermill.execute import remove_error_markers

from ..errors import NotFilledInError, RunFailedError
from .parameters import has_tag, nbgrader_metadata

EXPECTED_ERROR = "raises-exception"  # the tag with which nbclient, nbval and JupyterLab go on
EXITS = ("", "0")  # messages of SystemExit that are no error
COLORS = re.compile(r"\x1b\[[0-9;]*m")
FAILING_LINE = re.compile(r"^-+> \d+ (.*\S)", re.MULTILINE)  # of a traceback by IPython


def find_stop(notebook: NotebookNode, reason: str) -> tuple[str, type[RunFailedError] | None]:
    """Return where and why a notebook stopped, and the error class; "" and None if it completed.

    Parameters
    ----------
    notebook : NotebookNode
        As papermill executed it. If it completed, papermill's remarks on errors that cells were
        expected to raise are removed.
    reason : str
        Why it stopped, if that is not in the output of a cell: such as for lack of time.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    started = [cell for cell in code if cell.metadata.papermill.get("start_time")]
    failed = [cell for cell in started if _find_error(cell)]
    if failed:
        reason = reason or _find_error(failed[0])
    elif not reason and len(started) < len(code):
        reason = "it ends the kernel (SystemExit), so the cells after it did not run"
    if not reason:
        remove_error_markers(notebook)
        return "", None
    cell = [*failed, *started[-1:], *code][0]
    graded = [cell for cell in started if nbgrader_metadata(cell).get("solution")]
    empty = [cell for cell in graded if _is_empty(cell.source)]
    if cell in graded and reason.startswith("NotImplementedError"):
        empty.append(cell)
    if empty:
        metadata = nbgrader_metadata(empty[0])
        points = _find_points(notebook, metadata)
        return (
            f"graded cell {metadata.get('grade_id', empty[0].id)}{points} is not filled in",
            NotFilledInError,
        )
    return f"cell {nbgrader_metadata(cell).get('grade_id', cell.id)}: {reason}", RunFailedError


def _find_points(notebook: NotebookNode, solution: dict) -> str:
    """Return the points of a graded cell, or of the cell that checks it, as text."""
    name = solution.get("grade_id")
    for metadata in (solution, *map(nbgrader_metadata, notebook.cells)):
        if metadata.get("grade_id") in (name, f"check-{name}") and "points" in metadata:
            return f" ({metadata['points']:g} points)"
    return ""


def _find_error(cell: NotebookNode) -> str:
    """Return why a cell failed, in one line, or "" if it did not, or was expected to."""
    if has_tag(cell, EXPECTED_ERROR):
        return ""
    errors = [output for output in cell.outputs if output.output_type == "error"]
    exits = [output for output in errors if output.ename == "SystemExit" and output.evalue in EXITS]
    for output in errors:
        if output not in exits:
            message = COLORS.sub("", output.evalue).strip().partition("\n")[0]
            lines = FAILING_LINE.findall(COLORS.sub("", "\n".join(output.traceback)))
            return ": ".join([output.ename, *([message] if message else lines[-1:])])
    if exits or not cell.metadata.papermill.get("exception"):
        return ""
    texts = [output.text for output in cell.outputs if output.get("name") == "stderr"]
    lines = COLORS.sub("", "\n".join(texts)).split("\n")  # IPython prints errors of its own there
    return next((line.strip() for line in reversed(lines) if line.strip()), "it failed silently")


def _is_empty(source: str) -> bool:
    try:
        return not ast.parse(source).body
    except SyntaxError:
        return False
