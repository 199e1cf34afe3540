import re

import nbformat
import pytest

import xraykit as xk
from xraykit.classroom.release import STUB, TEXT_STUB, release
from xraykit.headless.parameters import NOTEBOOKS

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
BEGIN = "### BEGIN SOLUTION\n"
REGION = re.compile(r"^[^\n]*BEGIN SOLUTION[^\n]*\n(.*?)[^\n]*END SOLUTION[^\n]*$", re.M | re.S)


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def versions(request, tmp_path):
    """The worked notebook and its student version."""
    student = release(request.param, tmp_path / "student")
    return nbformat.read(request.param, 4), nbformat.read(student, 4)


def solutions(notebook):
    """Return the cells with a solution, or a stub in its place."""
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]


def test_release_stubs_are_worth_30_points_and_say_what_to_do(versions):
    _, student = versions
    coded = [cell for cell in solutions(student) if cell.cell_type == "code"]
    if not coded:
        pytest.skip("a notebook without points")
    assert [cell.metadata.nbgrader.points for cell in coded] == [10, 5, 5, 10]
    for cell in coded:
        assert STUB in cell.source
        first = cell.source.splitlines()[0]
        assert first.startswith("# ") and first.endswith(f"{cell.metadata.nbgrader.points} points")
        assert cell.source.count("\n#") >= 1  # and how


def test_release_asks_each_question_and_answers_none(versions):
    _, student = versions
    for cell in solutions(student):
        if cell.cell_type == "markdown":
            question, _, answer = cell.source.partition("\n\n")
            assert question.startswith("**Explain.**") and question.endswith(("?", "."))
            assert answer == TEXT_STUB and cell.metadata.nbgrader.points == 0


def test_release_leaves_no_solution_and_no_output(versions):
    worked, student = versions
    text = "\n".join(cell.source for cell in student.cells)
    given = {line.strip() for line in text.splitlines()}
    for cell in solutions(worked):
        lines = [line.strip() for line in REGION.search(cell.source)[1].splitlines()]
        lines = [line for line in lines if len(line) > 1]
        assert lines and not set(lines) & given
    assert "SOLUTION" not in text
    assert not [cell for cell in student.cells if cell.get("outputs")]


def test_release_with_solutions_put_back_is_the_worked_notebook(versions):
    """Which test_notebooks.py runs."""
    worked, student = versions
    for ours, theirs in zip(worked.cells, student.cells, strict=True):
        stub = STUB if ours.cell_type == "code" else TEXT_STUB
        assert theirs.source == REGION.sub(lambda _, stub=stub: stub, ours.source)


def test_when_student_version_is_there_then_it_stays_as_it_is(tmp_path):
    (tmp_path / PATHS[0].name).write_text("a student's work")
    release(PATHS[0], tmp_path)
    assert (tmp_path / PATHS[0].name).read_text() == "a student's work"


def test_release_unclosed_solution_raises_and_writes_nothing(tmp_path):
    cell = nbformat.v4.new_code_cell(BEGIN + "x = 1")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": ""}
    nbformat.write(notebook, tmp_path / "bad.ipynb")
    (tmp_path / "text.ipynb").write_text("not a notebook")
    for name in ("bad.ipynb", "text.ipynb", "missing.ipynb"):
        with pytest.raises(xk.InputError, match=f"{name} can't be made into a student version"):
            release(tmp_path / name, tmp_path / "student")
    assert not list(tmp_path.glob("student/*"))
