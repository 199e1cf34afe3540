"""nbgrader's own chain over this kit's notebooks: assignment, autograding, feedback, validation."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.validator import Validator
from test_release import REGION

from xraykit.classroom.release import STUB, TEXT_STUB, release
from xraykit.headless.parameters import NOTEBOOKS

PATHS = sorted(NOTEBOOKS.glob("task*.ipynb"))
NBGRADER = [sys.executable, "-m", "nbgrader"]
CONFIG = f"""
c = get_config()
c.ClearSolutions.code_stub = {{"python": {STUB!r}}}
c.ClearSolutions.text_stub = {TEXT_STUB!r}
c.ExecutePreprocessor.timeout = 300
"""
# What comes after the last graded cell, or takes long, is left out.
HEAVY = ("baseline", "audit", "gallery", "test-images", "map-by-metadata", "map-table")


def shorten(notebook, task, data):
    """Return a notebook up to its last graded cell, with parameters for seconds."""
    ids = [cell.id for cell in notebook.cells]
    cells = notebook.cells[: ids.index("check-tsne") + 1]
    notebook.cells = [cell for cell in cells if cell.id not in HEAVY]
    notebook.cells += [cell for cell in notebook.cells if cell.id == "answers"]
    for cell in notebook.cells:
        if cell.id == "parameters":
            cell.source += f"\ndata = {str(data)!r}\nrecipe = '{task}-smallcnn'\nepochs = 3"
            cell.source += "\noverrides = {'image_size': 32}"
    return notebook


def solve(student, worked, mistake=""):
    """Return a submission: the student version with the solutions, or with one mistake."""
    for theirs, ours in zip(student.cells, worked.cells, strict=True):
        if theirs.cell_type == "code" and STUB in theirs.source:
            solution = REGION.search(ours.source)[1]
            theirs.source = theirs.source.replace(STUB, solution)
            if mistake and theirs.id == "build":
                theirs.source = theirs.source.replace("plan.layers()", "plan.layers()[:-1]")
        elif TEXT_STUB in theirs.source:
            theirs.source = theirs.source.replace(TEXT_STUB, "An answer of a person.")
    return student


@pytest.fixture(scope="module", autouse=True)
def commands_of_the_environment():
    """Find `alembic`, which nbgrader calls, where this Python is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def course(tmp_path_factory, drawn_challenge):
    """A course of nbgrader with both tasks and three submissions, graded."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "nbgrader_config.py").write_text(CONFIG)
    source = folder / "source/xray"
    source.mkdir(parents=True)
    for path in PATHS:
        worked = shorten(nbformat.read(path, 4), path.stem.partition("_")[0], drawn_challenge)
        nbformat.write(worked, source / path.name)
    call(folder, "generate_assignment", "xray")
    for student in ("perfect", "untouched", "wrong_head"):
        shutil.copytree(folder / "release/xray", folder / "submitted" / student / "xray")
        for path in (folder / "submitted" / student / "xray").glob("*.ipynb"):
            content = nbformat.read(path, 4)
            if student != "untouched":
                worked = nbformat.read(source / path.name, 4)
                solve(content, worked, "" if student == "perfect" else "no dropout")
            nbformat.write(content, path)
    call(folder, "autograde", "xray")
    call(folder, "generate_feedback", "xray")
    return folder


def call(folder, *command):
    done = subprocess.run([*NBGRADER, *command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("student", "points"), [("perfect", 30), ("untouched", 0), ("wrong_head", 27)]
)
def test_nbgrader_gives_the_points_without_a_person(course, student, points):
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        for path in PATHS:
            submission = gradebook.find_submission_notebook(path.stem, "xray", student)
            computed = [
                grade for grade in submission.grades if grade.cell.name.startswith("check-")
            ]
            assert sum(grade.auto_score for grade in computed) == points
            assert sum(grade.max_score for grade in computed) == 30
            assert not any(grade.needs_manual_grade for grade in computed)
            by_person = [grade for grade in submission.grades if grade not in computed]
            waits = [grade for grade in by_person if grade.needs_manual_grade]
            assert len(waits) == (0 if student == "untouched" else len(by_person))
    feedback = course / "feedback" / student / "xray"
    for path in PATHS:
        page = (feedback / f"{path.stem}.html").read_text()
        assert "These are the public checks, not all" in page


@pytest.mark.slow
def test_nbgrader_makes_the_same_student_versions(course, tmp_path):
    for path in PATHS:
        ours = nbformat.read(release(course / "source/xray" / path.name, tmp_path), 4)
        theirs = nbformat.read(course / "release/xray" / path.name, 4)
        assert [cell.source for cell in ours.cells] == [cell.source for cell in theirs.cells]
        assert [cell.metadata for cell in ours.cells] == [cell.metadata for cell in theirs.cells]


@pytest.mark.slow
def test_nbgraders_validate_button_says_that_a_wrong_head_fails(course):
    validator = Validator()
    validator.stream = io.StringIO()
    path = course / "submitted/wrong_head/xray" / PATHS[0].name
    validator.validate_and_print(str(path))
    said = validator.stream.getvalue()
    assert "VALIDATION FAILED ON 1 CELL(S)" in said and 'xk.check("build")' in said
