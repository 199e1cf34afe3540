import re

import nbformat
import pytest
from tiny import write_notebook, xraykit

import xraykit as xk
from xraykit.classroom.release import (
    STUB,
    TEXT_STUB,
    count_points,
    find_leaks,
    find_points,
    release,
)
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


def test_release_stubs_say_what_to_do_and_their_checks_give_30_points(versions):
    _, student = versions
    coded = [cell for cell in solutions(student) if cell.cell_type == "code"]
    if not coded:
        pytest.skip("a notebook without points")
    assert [find_points(student, cell) for cell in coded] == [10, 5, 5, 10]
    assert count_points(student) == (30, 20)
    for cell in coded:
        assert STUB in cell.source
        first = cell.source.splitlines()[0]
        assert first.startswith("# ") and first.endswith(f"{find_points(student, cell):g} points")
        assert cell.source.count("\n#") >= 1  # and how


def test_release_asks_each_question_and_answers_none(versions):
    _, student = versions
    for cell in solutions(student):
        if cell.cell_type == "markdown":
            question, _, answer = cell.source.rpartition("\n\n")
            assert answer == TEXT_STUB and cell.metadata.nbgrader.points in (2, 10)
            if cell.id != "answers":  # whose questions are the text above it
                assert question.startswith("**Explain.**") and question.endswith(("?", "."))


def test_release_leaves_no_solution_and_no_output(versions):
    worked, student = versions
    text = "\n".join(cell.source for cell in student.cells)
    given = {line.strip() for line in text.splitlines()}
    for cell in solutions(worked):
        if cell.id == "answers":
            continue
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
        if ours.id == "answers":
            assert theirs.source == TEXT_STUB
            continue
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


SOLVED = {"schema_version": 3, "grade": False, "solution": True, "locked": False, "task": False}
CHECKED = {"schema_version": 3, "grade": True, "solution": False, "locked": True, "task": False}
MEAN = """# Set `mean` to the mean of `ages`.{promise}
### BEGIN SOLUTION
mean = sum(ages) / len(ages)
### END SOLUTION"""


def course(folder, promise="", answer=MEAN, points=4, total=None, extra=()):
    """Write a notebook of an instructor's own, with one question and a hidden test."""
    notebook = write_notebook(
        folder / "ages.ipynb",
        ("setup", "import xraykit as xk\nimport age_checks\nages = [3, 5, 10]"),
        ("mean", answer.format(promise=promise), SOLVED | {"grade_id": "mean"}),
        (
            "check-mean",
            "### BEGIN HIDDEN TESTS\nassert abs(mean - 6) < 1e-9\n### END HIDDEN TESTS\n"
            'xk.check("mean")',
            CHECKED | {"grade_id": "check-mean", "points": points},
        ),
        *extra,
    )
    if total is not None:
        content = nbformat.read(notebook, 4)
        content.metadata["xraykit"] = {"points": total}
        nbformat.write(content, notebook)
    (folder / "age_checks.py").write_text(
        "import xraykit as xk\n\n"
        "@xk.graded('mean', 4, 'the mean of the ages')\n"
        "def find_wrong_mean(mean, ages):\n"
        "    return None if mean == 6 else f'expected another number than {mean}'\n"
    )
    return notebook


def test_release_of_an_instructors_own_notebook_hides_tests_and_answers(tmp_path):
    student = nbformat.read(release(course(tmp_path, total=4), tmp_path / "out"), 4)
    cells = {cell.id: cell for cell in student.cells}
    assert cells["mean"].source == f"# Set `mean` to the mean of `ages`.\n{STUB}"
    assert cells["check-mean"].source == 'xk.check("mean")'
    assert cells["check-mean"].metadata.editable is False
    assert cells["mean"].metadata.nbgrader.checksum and cells["mean"].metadata.deletable is False


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"answer": MEAN.partition("\n")[2]},
            "cell mean: no comment above its stub says what to do",
        ),
        ({"answer": "mean = 6"}, "no comment above its stub"),
        ({"promise": "  5 points"}, "cell mean: its first line promises 5 points, the cell that"),
        ({"total": 30}, "the points of its checks add up to 4: expected 30"),
        (
            {"extra": [("recap", "text = 'mean = sum(ages) / len(ages) was the answer'")]},
            "",  # the line stands in the worked notebook's own text: it is no secret
        ),
        ({"answer": MEAN + "\n### BEGIN HIDDEN TESTS"}, "can't be made into a student version"),
    ],
    ids=["no comment", "no region", "promise", "total", "shown elsewhere", "open region"],
)
def test_release_of_a_faulty_notebook_says_what_is_wrong(tmp_path, changes, problem):
    notebook = course(tmp_path, **changes)
    if not problem:
        release(notebook, tmp_path / "out")
        return
    with pytest.raises(xk.InputError, match=re.escape(problem)):
        release(notebook, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["source", "metadata", "attachments"])
def test_find_leaks_sees_each_place(tmp_path, place):
    worked = nbformat.read(course(tmp_path), 4)
    student = nbformat.read(release(course(tmp_path), tmp_path / "out"), 4)
    assert not list(find_leaks(worked, student))
    line = "mean = sum(ages) / len(ages)"
    if place == "metadata":
        student.cells[1].metadata["note"] = line
    else:
        student.cells[1][place] = line
    (problem,) = find_leaks(worked, student)
    assert "has a part of a solution" in problem


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 1])
def test_release_run_tries_the_solutions(tmp_path, code):
    course(tmp_path)
    if code:
        checks = tmp_path / "age_checks.py"
        checks.write_text(checks.read_text().replace("mean == 6", "mean == 7"))
    done = xraykit("release", "ages.ipynb", "--to", "out", "--run", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert (tmp_path / "out").exists() == (code == 0)
    if code:
        assert "its solutions do not get all points: check-mean (0 of 4)" in done.stderr
