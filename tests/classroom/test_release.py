import nbformat
import pytest

import xraykit as xk
from xraykit.classroom.release import STUB, release
from xraykit.headless.parameters import NOTEBOOKS

BOTH = sorted(NOTEBOOKS.glob("*.ipynb"))
BEGIN, END = "### BEGIN SOLUTION\n", "### END SOLUTION"


@pytest.fixture(params=BOTH, ids=lambda path: path.stem)
def versions(request, tmp_path):
    """The worked notebook and its student version."""
    student = release(request.param, tmp_path / "student")
    return nbformat.read(request.param, 4), nbformat.read(student, 4)


def graded(notebook):
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]


def test_release_stubs_are_worth_30_points_and_say_what_to_do(versions):
    _, student = versions
    points = [cell.metadata.nbgrader.points for cell in graded(student)]
    assert points == [10, 5, 5, 10]
    for cell in graded(student):
        assert STUB in cell.source
        first = cell.source.splitlines()[0]
        assert first.startswith("# ") and first.endswith(f"{cell.metadata.nbgrader.points} points")
        assert cell.source.count("\n#") >= 1  # and how


def test_release_leaves_no_solution_and_no_output(versions):
    worked, student = versions
    text = "\n".join(cell.source for cell in student.cells)
    given = {line.strip() for line in text.splitlines()}
    for cell in graded(worked):
        solution = cell.source.split(BEGIN)[1].split(END)[0]
        lines = [line.strip() for line in solution.splitlines() if len(line.strip()) > 1]
        assert lines and not set(lines) & given
    assert "SOLUTION" not in text
    assert not [cell for cell in student.cells if cell.get("outputs")]


def test_release_with_solutions_put_back_is_the_worked_notebook(versions):
    """Which test_notebooks.py runs."""
    worked, student = versions
    assert len(worked.cells) == len(student.cells)
    for ours, theirs in zip(worked.cells, student.cells, strict=True):
        before, region, after = ours.source.partition(BEGIN)
        solution, _, after = after.partition(END)
        assert ours.source == theirs.source.replace(STUB, f"{BEGIN}{solution}{END}")
        assert bool(region) == (STUB in theirs.source) and before in theirs.source
        assert after in theirs.source


def test_when_student_version_is_there_then_it_stays_as_it_is(tmp_path):
    (tmp_path / BOTH[0].name).write_text("a student's work")
    release(BOTH[0], tmp_path)
    assert (tmp_path / BOTH[0].name).read_text() == "a student's work"


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
