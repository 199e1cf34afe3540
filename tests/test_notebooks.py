"""Both notebooks as their three users run them: students, instructors (papermill), CI (nbval)."""

import subprocess
import sys

import nbformat
import papermill
import pytest

import xraykit as xk
from xraykit.headless.parameters import NOTEBOOKS
from xraykit.recipes.choose import rank_recipes

BOTH = sorted(NOTEBOOKS.glob("*.ipynb"))
CHECKED = "nbval-check-output"
on_both = pytest.mark.parametrize("path", BOTH, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@on_both
def test_no_cell_is_longer_than_20_lines(path):
    assert max(len(cell.source.splitlines()) for cell in code_cells(path)) <= 20


@on_both
def test_every_parameter_has_a_type_and_a_comment(path):
    parameters = papermill.inspect_notebook(path).values()
    assert parameters
    for parameter in parameters:
        assert parameter["inferred_type_name"] in ("str", "int", "bool", "list", "dict")
        assert parameter["help"]


@on_both
def test_outputs_are_kept_for_the_checked_cells_alone(path):
    for cell in code_cells(path):
        assert bool(cell.outputs) == (CHECKED in cell.metadata.get("tags", []))
    assert sum(bool(cell.outputs) for cell in code_cells(path)) >= 5


def test_every_bug_of_the_handout_is_a_lesson():
    text = "\n".join(cell.source for path in BOTH for cell in nbformat.read(path, 4).cells)
    for number in range(1, 9):
        assert f"Bug {number} of 8" in text


def short(path, data):
    """Parameters for a run of seconds, without ImageNet weights."""
    task = path.stem.partition("_")[0]
    first = {"data": str(data), "recipe": f"{task}-smallcnn", "epochs": 2}
    first |= {"overrides": {"image_size": 32}, "n_phantoms": 40}
    second = {"compare_with": ["task2-smallcnn-narrow"], "cross_validation_folds": 2}
    return first | (second if task == "task2" else {})


@pytest.fixture
def nothing_elsewhere(monkeypatch):
    """Hundreds of images that a run on drawn ones need not read."""
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)


def shown(path):
    """Everything that an executed notebook shows, as text."""
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    return "\n".join(str(output.get("text") or output.get("data") or output) for output in outputs)


@on_both
@pytest.mark.slow
@pytest.mark.usefixtures("nothing_elsewhere")
def test_when_run_headless_then_it_ends_without_a_warning_and_saves(
    path, tmp_path, drawn_challenge
):
    papermill.execute_notebook(
        path,
        tmp_path / "out.ipynb",
        short(path, drawn_challenge)
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
    assert "warning" not in shown(tmp_path / "out.ipynb").lower().replace("| warnings: 1", "")
    if path.stem.startswith("task2"):
        text = shown(tmp_path / "out.ipynb")
        assert "1: task2-smallcnn" in text and "2: task2-smallcnn-narrow" in text
        assert text.count("**On the real images:**") == len(xk.EXPERIMENTS)
    if path.stem.startswith("task1"):  # one of them shows it
        papermill.execute_notebook(
            path,
            tmp_path / "again.ipynb",
            short(path, drawn_challenge) | {"save_to": str(tmp_path / "again"), "n_phantoms": 0},
            progress_bar=False,
            kernel_name="python3",
        )
        for file in ("history.csv", "predictions.csv"):  # from new weights too: all is seeded
            assert (tmp_path / "saved" / file).read_text() == (
                tmp_path / "again" / file
            ).read_text()
    saved = sorted(file.name for file in (tmp_path / "saved").iterdir())
    tables = ["predictions.csv", "validation_predictions.csv"]
    assert saved == sorted(["history.csv", "model.keras", "results.json", *tables])


@on_both
@pytest.mark.slow
@pytest.mark.usefixtures("nothing_elsewhere")
def test_when_checked_by_nbval_then_outputs_are_the_promised_ones(path, tmp_path, drawn_challenge):
    copy = tmp_path / path.name
    papermill.execute_notebook(
        path,
        copy,
        short(path, drawn_challenge) | {"n_phantoms": 0},
        prepare_only=True,
        progress_bar=False,
    )
    command = [sys.executable, "-m", "pytest", "-p", "nbval", "--nbval-lax", "--nbval-current-env"]
    done = subprocess.run(
        [*command, "-c", "/dev/null", "-p", "no:cacheprovider", copy],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(code_cells(copy))} passed" in done.stdout


@on_both
@pytest.mark.slow
def test_when_run_on_real_images_and_weights_then_the_default_runs_and_says_why(
    path, tmp_path, real_challenge, real_weights
):
    out = tmp_path / "out.ipynb"
    few = {"epochs": 2, "n_phantoms": 0}
    papermill.execute_notebook(path, out, few, progress_bar=False, kernel_name="python3")
    default = rank_recipes("binary" if path.stem.startswith("task1") else "multiclass").index[0]
    assert f"Recipe {default} with epochs=2: the default" in shown(out)
    assert "Trained 2 epochs" in shown(out)
    assert "retrained" not in shown(out)  # what takes minutes runs when it is asked for
    if path.stem.startswith("task2"):
        for name in ("2: task2-vgg16", "3: task2-resnet50-frozen"):
            assert name in shown(out)


@on_both
@pytest.mark.slow
@pytest.mark.usefixtures("nothing_elsewhere")
def test_when_there_are_neither_images_nor_weights_then_it_says_so_and_takes_the_small_network(
    path, tmp_path, monkeypatch
):
    xk.draw_phantoms(tmp_path / "phantoms", images=120, shortcut=1.0)
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for proxy in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # where nobody answers
    out = tmp_path / "out.ipynb"
    few = {"data": str(tmp_path / "phantoms"), "overrides": {"image_size": 64}}
    few |= {"epochs": 2, "n_phantoms": 0}
    papermill.execute_notebook(path, out, few, progress_bar=False, kernel_name="python3")
    assert "PHANTOMS, images of nobody" in shown(out)
    assert "SmallCNN: pixels" in shown(out)
    assert "it stands in for task" in shown(out) and "xraykit doctor" in shown(out)
    assert "Downloading" not in shown(out)
