import re
import subprocess
import sys
import zipfile

import nbformat
import pytest
from nbclient import NotebookClient
from test_release import REGION, course

import xraykit as xk
from xraykit.classroom.bundle import write_bundle
from xraykit.headless.parameters import NOTEBOOKS

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The bundle of the kit's notebooks, unpacked."""
    folder = tmp_path_factory.mktemp("bundle")
    with zipfile.ZipFile(write_bundle(folder / "course.zip", PATHS)) as archive:
        archive.extractall(folder)
    return folder / "xraykit-course"


def test_bundle_has_no_worked_notebook_no_test_and_no_history(bundle):
    assert sorted(path.name for path in bundle.iterdir()) == sorted(
        ["LICENSE", "README.md", "data", "pyproject.toml", "student", "xraykit"]
    )
    names = {path.name for path in bundle.rglob("*")}
    assert not names & {"notebooks", "tests", ".git", "__pycache__", ".ipynb_checkpoints"}
    assert sorted(path.name for path in bundle.glob("student/*")) == [path.name for path in PATHS]


def test_bundle_has_no_line_of_a_solution_in_any_file(bundle):
    """But for three lines of the kit's own code that say nothing of an answer."""
    texts = [path.read_text() for path in bundle.rglob("*") if path.suffix in (".py", ".md")]
    notebooks = [nbformat.read(path, 4) for path in bundle.glob("student/*.ipynb")]
    texts += [str(notebook) for notebook in notebooks]
    whole = "\n".join(texts)
    found = set()
    for path in PATHS:
        for cell in nbformat.read(path, 4).cells:
            for region in REGION.findall(cell.source):
                lines = {line.strip() for line in region.splitlines()}
                found |= {line for line in lines if len(line) > 12 and line in whole}
    loop = 'for axis, metric in zip(axes, ("accuracy", "loss"), strict=True):'
    assert found <= {"x = base.output", "axis.legend()", loop}
    assert "SOLUTION" not in str(notebooks) and not any(
        cell.get("outputs") for notebook in notebooks for cell in notebook.cells
    )


def test_bundle_readme_installs_in_three_lines(bundle):
    text = (bundle / "README.md").read_text()
    for name in ("Linux and macOS", "Windows"):
        block = re.search(rf"{name}:\n\n((?:    .*\n)+)", text)[1]
        assert len(block.splitlines()) == 3
    assert "phantoms" in text and "3.11, 3.12 or 3.13" in text and "not a medical device" in text


def test_bundle_shares_images_and_weights_only_if_told_to(tmp_path, drawn_challenge, monkeypatch):
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(weights))
    images = {"images": drawn_challenge}
    with pytest.raises(xk.InputError, match="No ImageNet weights are on this machine"):
        write_bundle(tmp_path / "a.zip", PATHS[:1], with_weights=True, **images)
    assert not (tmp_path / "a.zip").exists()
    (weights / "vgg16_notop.weights.h5").write_bytes(b"weights")
    write_bundle(tmp_path / "a.zip", PATHS[:1], with_weights=True, **images)
    names = zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert "xraykit-course/weights/vgg16_notop.weights.h5" in names
    pictures = [name for name in names if name.endswith((".png", ".jpeg"))]
    assert len(pictures) == (24 + 4) * (4 + 2)
    with pytest.raises(xk.InputError, match="has no images: expected the folders two/ and all/"):
        write_bundle(tmp_path / "b.zip", PATHS[:1], images=weights)
    with pytest.raises(xk.InputError, match="Two files for the bundle are named"):
        write_bundle(tmp_path / "b.zip", PATHS[:1], include=PATHS[:1])
    with pytest.raises(xk.InputError, match="does not exist"):
        write_bundle(tmp_path / "b.zip", PATHS[:1], include=[tmp_path / "no.py"])
    assert not (tmp_path / "b.zip").exists()


def new_cell(source):
    return nbformat.v4.new_code_cell(source)


# What editors and students do to cells, and what the check says: points, and the end of a line.
CHANGES = {
    "as handed out": (lambda cells: cells, 4, "the mean of the ages"),
    "split": (
        lambda cells: [
            *cells[:2],
            new_cell("total = sum(ages)"),
            new_cell("mean = total / 3"),
            *cells[3:],
        ],
        4,
        "the mean of the ages",
    ),
    "copied": (lambda cells: [*cells[:3], cells[2], *cells[3:]], 4, "the mean of the ages"),
    "check copied": (lambda cells: [*cells, cells[-1]], 4, "the mean of the ages"),
    "check first": (
        lambda cells: [*cells[:2], cells[3], cells[2]],
        0,
        "`mean` is missing: run the cell that assigns it",
    ),
    "deleted": (
        lambda cells: [*cells[:2], cells[3]],
        0,
        "`mean` is missing: run the cell that assigns it",
    ),
    "ids and metadata lost": (
        lambda cells: [new_cell(cell.source) for cell in cells],
        4,
        "the mean of the ages",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_bundle_of_an_instructors_own_notebook_is_checked_there(tmp_path, change):
    notebook = course(tmp_path / "source")
    checks = tmp_path / "source/age_checks.py"
    path = write_bundle(tmp_path / "course.zip", [notebook], include=[checks])
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    student = nbformat.read(tmp_path / "xraykit-course/student/ages.ipynb", 4)
    next(cell for cell in student.cells if cell.id == "mean").source = "mean = 6"
    make, points, text = CHANGES[change]
    student.cells = make(student.cells)
    folder = {"metadata": {"path": str(tmp_path / "xraykit-course/student")}}
    NotebookClient(student, resources=folder, kernel_name="python3").execute()
    cell = next(cell for cell in student.cells if cell.source == 'xk.check("mean")')
    first, *_, result = cell.outputs
    assert result.data["text/plain"] == f"{points}.0"
    assert first.text.splitlines()[0].endswith(text)


@pytest.mark.slow
def test_bundle_installs_as_its_readme_says(bundle, tmp_path):
    """The second line, without the dependencies, which are here already."""
    pip = [sys.executable, "-m", "pip", "install", "--no-deps"]
    subprocess.run([*pip, "--target", tmp_path, "-e", bundle], check=True, capture_output=True)
    assert list(tmp_path.glob("xraykit-*.dist-info"))
