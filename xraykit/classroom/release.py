"""Write the student versions of notebooks, with a stub in place of each solution."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)
from nbgrader.utils import is_grade, is_solution

from ..errors import InputError
from ..files import atomic_write, report_write_errors

STUB = 'raise NotImplementedError("Fill in this cell: the comment above says what to do.")'
TEXT_STUB = "*Double-click this cell, and write your answer.*"
# nbgrader's own order, as its `generate_assignment` has it. Checksums are computed once more after
# hidden tests are gone, for students have the cell without them.
CHAIN = (
    LockCells(),
    ClearSolutions(code_stub={"python": STUB}, text_stub=TEXT_STUB),
    ClearOutput(),
    CheckCellMetadata(),
    ClearHiddenTests(),
    ClearMarkScheme(),
    ComputeChecksums(),
    CheckCellMetadata(),
)
REGION = re.compile(
    r"^[^\n]*BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME)[^\n]*\n(.*?)^[^\n]*END \1", re.M | re.S
)
MARKER = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
MIN_LENGTH = 12  # of a line that could be recognized as a part of a solution
PROMISE = re.compile(r"(\d+) points?\s*$")


def release(notebook: Path, folder: Path) -> Path:
    """Write the student version of `notebook` into `folder`, and return its path.

    It is what nbgrader's `generate_assignment` makes: without solutions, hidden tests and outputs,
    with locked cells and checksums. It is written only if it passes `check_student_version`. An
    existing file is not changed, since it may hold a student's work.

    Raises
    ------
    InputError
        If the notebook can't be read, its solution regions do not match its graded cells, or the
        student version would not be as it should.
    WriteError
        If the disk is full.
    """
    target = folder / notebook.name
    if target.exists():
        return target
    student = make_student_version(notebook)
    with report_write_errors(target):
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(target, lambda partial: nbformat.write(student, partial))
    return target


def make_student_version(notebook: Path) -> NotebookNode:
    """Return the checked student version of a notebook; raises as `release` does."""
    try:
        worked = nbformat.read(notebook, as_version=4)
        student = nbformat.read(notebook, as_version=4)
        for preprocessor in CHAIN:
            student, _ = preprocessor.preprocess(student, {})
        student = nbformat.from_dict(student)
    except Exception as error:
        raise InputError(f"{notebook} can't be made into a student version: {error}") from error
    problems = [*find_leaks(worked, student), *find_faults(worked, student)]
    if problems:
        raise InputError(f"{notebook} can't be made into a student version: {'; '.join(problems)}")
    return student


def find_leaks(worked: NotebookNode, student: NotebookNode) -> Iterator[str]:
    """Yield where a line of a solution or of a hidden test is left in a student version.

    Sources, outputs and metadata are searched. Lines of fewer than 12 characters, and those that
    the worked notebook has outside its solutions as well, are not recognized.
    """
    lines = _find_solution_lines(worked)
    for cell in student.cells:
        places = {
            "text": cell.source,
            "outputs": cell.get("outputs", []),
            "metadata": cell.metadata,
        }
        places["attachments"] = cell.get("attachments", {})
        for place, content in places.items():
            text = str(content)
            if MARKER.search(text) or any(line in text for line in lines):
                yield f"cell {_name(cell)}: its {place} has a part of a solution"
    if any(line in str(student.metadata) for line in lines):
        yield "the metadata of the notebook has a part of a solution"


def find_faults(worked: NotebookNode, student: NotebookNode) -> Iterator[str]:
    """Yield what would confuse students or nbgrader in a student version.

    Each stub has instructions above it, and where they promise points, the cell that checks it
    gives as many. If the notebook's metadata has `"xraykit": {"points": 30}`, the points that are
    computed add up to that.
    """
    for cell in student.cells:
        if cell.cell_type == "code" and is_solution(cell):
            above, found, _ = cell.source.partition(STUB)
            if not found:
                yield f"cell {_name(cell)}: it is a solution cell without a solution region"
            if len(re.findall(r"^#\s*\w", above, re.M)) < 1:
                yield f"cell {_name(cell)}: no comment above its stub says what to do"
            promise = PROMISE.search(above.partition("\n")[0])
            points = find_points(student, cell)
            if promise and points is not None and float(promise[1]) != points:
                yield (
                    f"cell {_name(cell)}: its first line promises {promise[1]} points, the cell "
                    f"that checks it gives {points:g}"
                )
    expected = worked.metadata.get("xraykit", {}).get("points")
    computed = count_points(student)[0]
    if expected is not None and computed != expected:
        yield f"the points of its checks add up to {computed:g}: expected {expected}"


def find_points(notebook: NotebookNode, solution: NotebookNode) -> float | None:
    """Return the points of the next test cell behind a solution cell, or None."""
    later = notebook.cells[notebook.cells.index(solution) + 1 :]
    for cell in later:
        if cell.cell_type == "code" and is_solution(cell):
            return None
        if cell.cell_type == "code" and is_grade(cell):
            return float(cell.metadata["nbgrader"]["points"])
    return None


def count_points(notebook: NotebookNode) -> tuple[float, float]:
    """Return the points that cells compute, and those that a person gives."""
    graded = [cell for cell in notebook.cells if is_grade(cell)]
    by_person = [cell for cell in graded if is_solution(cell)]
    total, written = (
        sum(float(cell.metadata["nbgrader"]["points"]) for cell in cells)
        for cells in (graded, by_person)
    )
    return total - written, written


def _find_solution_lines(worked: NotebookNode) -> set[str]:
    """Return the lines of solutions and hidden tests that are nowhere else in the notebook."""
    solutions, others = set(), ""
    for cell in worked.cells:
        for match in REGION.finditer(cell.source):
            solutions |= {line.strip() for line in match[2].splitlines()}
        others += REGION.sub("", cell.source)
    return {line for line in solutions if len(line) >= MIN_LENGTH and line not in others}


def _name(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id", "?")
