"""`xraykit run` with a real training is killed, and continues to the same results."""

import random
import subprocess
import time
from functools import partial

import nbformat
import pandas as pd
import psutil
import pytest
from tiny import XRAYKIT, write_notebook

from xraykit.headless.results import read_results

EPOCHS = 8
PARAMETERS = """\
data: str = ""
seed: int = 1
save_to: str = ""
"""
LOAD = """\
import xraykit as xk
task = xk.load_task("binary", data, image_size=32)
"""
TRAIN = f"""\
model = xk.build_classifier("SmallCNN", task.class_names, image_size=32, seed=seed)
history = xk.train(model, task, epochs={EPOCHS}, seed=seed)
"""
SAVE = """\
predictions = xk.predict(model, task.test)
xk.save_results(
    save_to, task, model=model, history=history, predictions=predictions, seed=seed
)
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    path = tmp_path_factory.mktemp("notebook") / "small.ipynb"
    cells = ("load", LOAD), ("train", TRAIN), ("save", SAVE)
    return write_notebook(path, *cells, parameters=PARAMETERS)


@pytest.fixture(scope="module")
def start(notebook, drawn_challenge):
    def start(out):
        command = [XRAYKIT, "run", notebook, "--out", out, "-p", "data", drawn_challenge]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    return start


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory):
    """The results of a run that is not killed, and its duration in seconds."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    begin = time.perf_counter()
    assert start(out).wait() == 0
    return read_results(out), time.perf_counter() - begin


def kill_when(condition, process, out):
    """Kill a run as soon as a condition holds; return whether that was before its end.

    The run and its kernel have ended then. Files have their final names when they are all there,
    or while whole files are being moved, ``results.json`` last.
    """
    while process.poll() is None and not condition():
        time.sleep(0.001)
    if process.poll() is not None:
        return False
    kernels = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert not psutil.wait_procs(kernels, timeout=10)[1]
    names = {path.name for path in out.glob("[!.]*")}
    if "results.json" in names:
        results = read_results(out)
        unlisted = {"small.html"} if results["status"] == "done, without report" else set()
        assert names - unlisted == {*results["files"], "results.json"}
    elif not (out / ".partial/ready").exists():
        assert not names
    return True


def check(out, undisturbed):
    results = read_results(out)
    assert results["scores"] == undisturbed["scores"]
    history, expected = (pd.DataFrame(run["history"]) for run in (results, undisturbed))
    assert list(history["epoch"]) == list(range(1, EPOCHS + 1))
    pd.testing.assert_frame_equal(history, expected, rtol=1e-3)
    names = sorted(path.name for path in out.glob("[!.]*"))
    assert names == sorted([*results["files"], "results.json"])
    assert not (out / ".partial").exists()


STAGES = {
    "before training": "work-*/small.ipynb",
    "in it": "checkpoints/*.npz",
    "while writing": "work-*/.model.partial.keras",
}


def find(out, pattern):
    return list(out.glob(f".partial/{pattern}"))


@pytest.mark.slow
def test_when_killed_at_three_stages_then_the_next_run_goes_on(start, undisturbed, tmp_path):
    out = tmp_path / "out"
    for pattern in STAGES.values():
        assert kill_when(partial(find, out, pattern), start(out), out), pattern
    assert start(out).wait() == 0
    check(out, undisturbed[0])
    cells = {cell.id: cell for cell in nbformat.read(out / "small.ipynb", 4).cells}
    assert "interrupted: resuming after epoch" in "".join(
        output.get("text", "") for output in cells["train"].outputs
    )


@pytest.mark.slow
def test_when_killed_at_random_moments_then_the_next_run_goes_on(start, undisturbed, tmp_path):
    results, seconds = undisturbed
    moments = random.Random(2026)
    killed = 0
    for number in range(5):
        out = tmp_path / str(number)
        end = time.perf_counter() + moments.uniform(0.1, seconds)
        killed += kill_when(lambda end=end: time.perf_counter() > end, start(out), out)
        assert start(out).wait() == 0
        check(out, results)
    assert killed >= 3
