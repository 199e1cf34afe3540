"""The notebooks, run as by students, instructors (papermill) and CI (nbval)."""

import re
import subprocess
import sys

import nbformat
import papermill
import pytest

import xraykit as xk
from xraykit.headless.parameters import NOTEBOOKS
from xraykit.recipes.choose import rank_recipes

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
CHECKED = "nbval-check-output"
TASKS = [path for path in PATHS if path.stem.startswith("task")]
EXTRAS = [path for path in PATHS if path not in TASKS]
for_each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
for_both = pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@for_each
def test_code_cells_have_at_most_20_lines(path):
    assert max(len(cell.source.splitlines()) for cell in code_cells(path)) <= 20


@for_each
def test_parameters_have_a_type_and_a_comment(path):
    parameters = papermill.inspect_notebook(path).values()
    assert parameters
    for parameter in parameters:
        assert parameter["inferred_type_name"] in ("str", "int", "bool", "list", "dict")
        assert parameter["help"]


@for_each
def test_outputs_are_stored_for_checked_cells_only(path):
    for cell in code_cells(path):
        assert bool(cell.outputs) == (CHECKED in cell.metadata.get("tags", []))
    assert sum(bool(cell.outputs) for cell in code_cells(path)) >= (5 if path in TASKS else 1)


@for_each
def test_notebook_has_at_most_60_cells_and_2000_words(path):
    cells = nbformat.read(path, 4).cells
    assert len(cells) <= 60
    assert sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown") <= 2000


@for_each
def test_texts_hold_no_counts_of_images(path):
    """What was measured is printed by cells, which can't differ from the saved tables."""
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "markdown":
            assert not re.findall(r"\d+/\d+ =|\d of \d{2,}|\d %.{0,3}\[", cell.source)


def test_bugs_of_the_handout_are_all_explained():
    text = "\n".join(cell.source for path in PATHS for cell in nbformat.read(path, 4).cells)
    for number in range(1, 9):
        assert f"Bug {number} of 8" in text


def quick_parameters(path, data):
    """Return parameters for a run of seconds, without ImageNet weights."""
    task = re.search(r"task\d", path.stem)[0]
    parameters = {"data": str(data), "recipe": f"{task}-smallcnn", "epochs": 2}
    parameters |= {"overrides": {"image_size": 32}}
    if path not in TASKS:
        return parameters | {"n_phantoms": 40}
    if task == "task2":
        parameters |= {"compare_with": ["task2-smallcnn-narrow"], "cross_validation_folds": 2}
    return parameters


@pytest.fixture
def no_external_images(monkeypatch):
    """Hide the hundreds of external images, which a run on drawn images need not read."""
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)


def output_text(path):
    """Return all outputs of an executed notebook as text."""
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    return "\n".join(
        output.get("text") or "\n".join(map(str, output.get("data", {}).values())) or str(output)
        for output in outputs
    )


@for_both
@pytest.mark.slow
@pytest.mark.usefixtures("no_external_images")
def test_notebook_run_headless_saves_without_warnings(path, tmp_path, drawn_challenge):
    papermill.execute_notebook(
        path,
        tmp_path / "out.ipynb",
        quick_parameters(path, drawn_challenge)
        | {"save_to": str(tmp_path / "saved"), "retrain_perturbed": True},
        progress_bar=False,
        kernel_name="python3",
    )
    streams = [
        output
        for cell in code_cells(tmp_path / "out.ipynb")
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]
    assert not streams
    assert "warning" not in output_text(tmp_path / "out.ipynb").lower().replace("| warnings: 1", "")
    if path.stem.startswith("task2"):
        text = output_text(tmp_path / "out.ipynb")
        assert "1: task2-smallcnn" in text and "2: task2-smallcnn-narrow" in text
    if path.stem.startswith("task1"):  # one notebook is enough to test this
        papermill.execute_notebook(
            path,
            tmp_path / "again.ipynb",
            quick_parameters(path, drawn_challenge) | {"save_to": str(tmp_path / "again")},
            progress_bar=False,
            kernel_name="python3",
        )
        for file in ("history.csv", "predictions.csv"):  # new weights are seeded as well
            assert (tmp_path / "saved" / file).read_text() == (
                tmp_path / "again" / file
            ).read_text()
    saved = sorted(file.name for file in (tmp_path / "saved").iterdir())
    tables = ["predictions.csv", "validation_predictions.csv"]
    assert saved == sorted(["history.csv", "model.keras", "results.json", *tables])


@pytest.mark.parametrize(
    "path", [path for path in PATHS if path not in TASKS], ids=lambda p: p.stem
)
@pytest.mark.slow
@pytest.mark.usefixtures("no_external_images")
def test_extra_notebook_shows_what_was_saved(path, tmp_path, drawn_challenge):
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        path,
        out,
        quick_parameters(path, drawn_challenge),
        progress_bar=False,
        kernel_name="python3",
    )
    text = output_text(out)
    assert "stderr" not in [o.get("name") for cell in code_cells(out) for o in cell.outputs]
    assert text.count("Measured on the challenge's images: ") >= 4
    if path.stem == "extra_task2":
        (cell,) = (cell for cell in code_cells(out) if cell.id == "findings")
        shown = "".join(output["data"]["text/markdown"] for output in cell.outputs)
        assert all(experiment.finding in shown for experiment in xk.EXPERIMENTS.values())


@for_each
@pytest.mark.slow
@pytest.mark.usefixtures("no_external_images")
def test_notebook_checked_by_nbval_has_the_stored_outputs(path, tmp_path, drawn_challenge):
    copy = tmp_path / path.name
    papermill.execute_notebook(
        path,
        copy,
        quick_parameters(path, drawn_challenge),
        prepare_only=True,
        progress_bar=False,
    )
    command = [sys.executable, "-m", "pytest", "-p", "nbval", "--nbval-lax", "--nbval-current-env"]
    result = subprocess.run(
        [*command, "-c", "/dev/null", "-p", "no:cacheprovider", copy],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stdout
    assert f"{len(code_cells(copy))} passed" in result.stdout


@for_both
@pytest.mark.slow
def test_notebook_run_on_real_images_takes_the_default_recipe(
    path, tmp_path, real_challenge, real_weights
):
    out = tmp_path / "out.ipynb"
    parameters = {"epochs": 2}
    papermill.execute_notebook(path, out, parameters, progress_bar=False, kernel_name="python3")
    default = rank_recipes("binary" if path.stem.startswith("task1") else "multiclass").index[0]
    assert f"Recipe {default} with epochs=2: the default" in output_text(out)
    assert "Trained 2 epochs" in output_text(out)
    assert "retrained" not in output_text(out)  # retraining takes minutes and is off by default
    if path.stem.startswith("task2"):
        for name in ("2: task2-vgg16", "3: task2-resnet50-frozen"):
            assert name in output_text(out)


@for_both
@pytest.mark.slow
@pytest.mark.usefixtures("no_external_images")
def test_notebook_without_images_and_weights_uses_phantoms(path, tmp_path, monkeypatch):
    xk.draw_phantoms(tmp_path / "phantoms", images=120, shortcut=1.0)
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for proxy in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # an address that does not answer
    out = tmp_path / "out.ipynb"
    parameters = {"data": str(tmp_path / "phantoms"), "overrides": {"image_size": 64}}
    parameters |= {"epochs": 2}
    papermill.execute_notebook(path, out, parameters, progress_bar=False, kernel_name="python3")
    assert "SYNTHETIC IMAGES (phantoms" in output_text(out)
    assert "SmallCNN: pixels" in output_text(out)
    assert "it replaces task" in output_text(out) and "xraykit doctor" in output_text(out)
    assert "Downloading" not in output_text(out)
