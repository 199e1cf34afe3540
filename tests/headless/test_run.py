import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from click.testing import CliRunner
from tiny import XRAYKIT, write_notebook, xraykit

import xraykit as xk
from xraykit.classroom.release import STUB
from xraykit.cli import cli
from xraykit.errors import NotFilledInError, RunFailedError
from xraykit.headless.results import read_results
from xraykit.headless.run import run

SOLUTION = {"solution": True, "grade_id": "build", "points": 10}
FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"


@pytest.fixture
def tiny(tmp_path):
    """A notebook that counts, in a file beside it, how often it was run."""
    count = f"with open({str(tmp_path / 'count')!r}, 'a') as file:\n    file.write('.')"
    return write_notebook(
        tmp_path / "tiny.ipynb", ("show", "print(epochs, backbone)"), ("c", count)
    )


def visible_files(out):
    """The files of a run, without the hidden ones."""
    return sorted(path.name for path in out.iterdir() if not path.name.startswith("."))


def times_run(tiny):
    return len(tiny.with_name("count").read_text())


# Input


@pytest.mark.parametrize(
    ("pair", "message"),
    [(("epcohs", "3"), "Did you mean 'epochs'?"), (("epochs", "3.5"), "expected a whole number")],
)
def test_run_mistyped_parameter_raises_and_writes_nothing(tmp_path, pair, message):
    done = CliRunner().invoke(cli, ["run", "task1", "-p", *pair, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, xk.InputError) and done.stdout == ""
    assert message in str(done.exception) and "\n" not in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere refuse these names")
def test_run_with_names_that_are_not_utf8_gives_results_and_a_linked_report(tmp_path):
    notebook = write_notebook(tmp_path / "r\udcf6ntgen.ipynb", ("show", "print(backbone)"))
    out = tmp_path / "\udce9"
    report = run(notebook, out, parameters=[("backbone", "\udce8")])
    assert report.name == "r\udcf6ntgen.html" and report.is_file()
    results = read_results(out)
    assert results["files"] == ["r\\udcf6ntgen.html", "r\\udcf6ntgen.ipynb"]
    run(notebook, out, parameters=[("backbone", "\udce8")], again=True)
    assert visible_files(out) == ["results.json", "r\udcf6ntgen.html", "r\udcf6ntgen.ipynb"]
    page = tmp_path / "runs.html"
    assert CliRunner().invoke(cli, ["collect", str(out), "--html", str(page)]).exit_code == 0
    assert '"%E9/r%F6ntgen.html"' in page.read_text("utf-8")


def test_when_done_then_all_is_there_under_its_final_name(tmp_path):
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("plot", FIGURE), ("show", "print(epochs)"))
    before = notebook.read_bytes()
    out = tmp_path / "runs" / "a"
    report = run(notebook, out, parameters=[("epochs", "7")])
    assert report == out / "tiny.html" and "<h1>" not in report.name
    assert "Figure plot of “tiny”" in report.read_text()  # for those who don't see it
    assert visible_files(out) == ["figures", "results.json", "tiny.html", "tiny.ipynb"]
    assert [path.name for path in (out / "figures").iterdir()] == ["plot.png"]
    assert not (out / ".partial").exists()
    assert nbformat.read(out / "tiny.ipynb", 4).cells[-1].outputs[0].text == "7\n"
    results = read_results(out)
    assert (results["status"], results["error"], results["notebook"]) == ("done", None, "tiny")
    assert results["parameters"]["epochs"] == 7 and results["parameters"]["backbone"] == "auto"
    assert results["files"] == ["figures/plot.png", "tiny.html", "tiny.ipynb"]
    assert results["seconds"]["total"] > results["seconds"]["cells"]["plot"] > 0
    assert notebook.read_bytes() == before


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("recipe", "task1-vgg61"), "Unknown recipe 'task1-vgg61'"),
        (("overrides", '{"optimizer": "adamm"}'), "Did you mean 'adam'"),
        (("overrides", '{"optimiser": "adam"}'), "Unknown setting of a recipe"),
        (("epochs", "-1"), "epochs=-1"),
        (("data", "nowhere"), "data='nowhere' is not a folder"),
    ],
)
def test_run_impossible_setting_starts_no_kernel(tmp_path, pair, message):
    with pytest.raises(xk.InputError, match=message):
        run("task1", tmp_path / "out", parameters=[pair])
    assert not (tmp_path / "out").exists()


def test_run_without_report_is_complete_and_reported_later(tmp_path, monkeypatch, capsys):
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("show", "print(epochs)"))
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("xraykit.headless.report.HTMLExporter", lambda **_: 1 / 0)
        assert run(notebook, out) == out / "tiny.ipynb"
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert read_results(out)["status"] == "done, without report"
    assert visible_files(out) == ["results.json", "tiny.ipynb"]
    (out / "results.json").with_stem("again").write_text("a file of the user")
    assert run(notebook, out) == out / "tiny.html"
    assert "already complete" in capsys.readouterr().out
    assert read_results(out)["status"] == "done"


def test_run_output_that_is_not_valid_is_one_line(tmp_path):
    source = "class A:\n    def _repr_mimebundle_(self, **_):\n        return {'text/html': 5}\nA()"
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("odd", source))
    with pytest.raises(RunFailedError, match="cell odd: its output can't be stored"):
        run(notebook, tmp_path / "out")
    assert (tmp_path / "out/tiny.ipynb").is_file()


def test_run_hide_inputs_reports_outputs_alone(tiny, tmp_path):
    for hide in (False, True):
        report = run(tiny, tmp_path / f"out{hide}", hide_inputs=hide).read_text()
        assert "3 auto" in report
        assert ("backbone)" in re.sub("<[^>]*>", "", report)) is not hide


@pytest.mark.slow
def test_run_from_another_folder_starts_relative_paths_there(tmp_path):
    show = "print(open(backbone).read())"
    write_notebook(tmp_path / "some where é" / "ä {0} b.ipynb", ("show", show))
    (tmp_path / "file.txt").write_text("found")
    done = xraykit(
        *("run", Path("some where é/ä {0} b.ipynb"), "--out", "ö {x} ü"),
        *("-p", "backbone", "file.txt"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert visible_files(tmp_path / "ö {x} ü") == ["results.json", "ä {0} b.html", "ä {0} b.ipynb"]
    assert "found" in (tmp_path / "ö {x} ü/ä {0} b.html").read_text()


@pytest.mark.slow
def test_run_missing_or_duplicate_cell_ids_prints_no_warning(tmp_path):
    cells = ("a", "print('first')"), ("b", "print('second')")
    text = write_notebook(tmp_path / "tiny.ipynb", *cells).read_text()
    (tmp_path / "doubled.ipynb").write_text(text.replace('"id": "b"', '"id": "a"'))
    old = json.loads(text) | {"nbformat_minor": 4}
    for cell in old["cells"]:
        del cell["id"]
    (tmp_path / "missing.ipynb").write_text(json.dumps(old))
    for name in ("doubled", "missing"):
        done = xraykit("run", tmp_path / f"{name}.ipynb", "--out", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
        assert "second" in (tmp_path / name / f"{name}.html").read_text()


@pytest.mark.slow
def test_run_of_a_notebook_that_changes_its_folder_writes_to_out(tmp_path):
    go = "import os, pathlib\nos.chdir('/')\npathlib.Path(save_to, 'kept.txt').write_text('1')"
    write_notebook(tmp_path / "tiny.ipynb", ("go", go))
    done = xraykit("run", "tiny.ipynb", "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "kept.txt" in visible_files(tmp_path / "out")


def test_run_report_names_the_final_folder_not_the_work_folder(tmp_path):
    out = tmp_path / "ö {x}" / "out"
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("show", "print('saved to', save_to)"))
    report = run(notebook, out)
    executed = nbformat.read(out / "tiny.ipynb", 4)
    (shown,) = (cell.outputs[0].text for cell in executed.cells if cell.id == "show")
    assert shown == f"saved to {out}\n"
    assert executed.metadata.papermill.parameters.save_to == str(out)
    for file in (report, out / "tiny.ipynb", out / "results.json"):
        assert "work-" not in file.read_text()


def test_run_that_fails_names_no_folder_that_is_gone(tmp_path):
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("show", "print(1)"))
    run(notebook, tmp_path / "out")
    write_notebook(notebook, ("show", "print(save_to)\nraise OSError(save_to)"))
    with pytest.raises(RunFailedError) as raised:
        run(notebook, tmp_path / "out", again=True)
    failed = tmp_path / "out/.partial/failed"
    assert f"OSError: {failed}. The executed" in str(raised.value)
    for name in ("tiny.ipynb", "tiny.html", "results.json"):
        text = (failed / name).read_text()
        assert str(failed) in text and "work-" not in text


# Errors


def failing(tmp_path, source, *graded):
    cells = ("before", "print('kept')"), ("bad", source, *graded), ("after", "print('never')")
    return write_notebook(tmp_path / "tiny.ipynb", *cells)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "did not complete: cell bad: ZeroDivisionError: division by zero"),
        ("raise ValueError('a\\nb')", "cell bad: ValueError: a. The executed part"),
        ("import os; os.kill(os.getpid(), 9)", "cell bad: the kernel died, .* lack of memory"),
        ("import sys; sys.exit()", "cell bad: it ends the kernel"),
        ("import time; time.sleep(60)", "cell bad: out of time, 3 s. .* longer --timeout"),
        ("raise NotImplementedError('x')", "cell bad: NotImplementedError: x"),
    ],
)
def test_run_failing_cell_is_one_line_and_keeps_what_ran(tmp_path, source, message):
    out = tmp_path / "out"
    with pytest.raises(RunFailedError, match=message) as raised:
        run(failing(tmp_path, source), out, timeout=3 if "sleep" in source else 60)
    assert raised.value.exit_code == 1 and "\n" not in str(raised.value)
    assert str(out / "tiny.ipynb") in str(raised.value)
    assert visible_files(out) == ["results.json", "tiny.html", "tiny.ipynb"]
    cells = {cell.id: cell for cell in nbformat.read(out / "tiny.ipynb", 4).cells}
    assert cells["before"].outputs[0].text == "kept\n" and not cells["after"].outputs
    results = read_results(out)
    assert results["status"] == "failed" and results["error"] in str(raised.value)


def test_run_graded_cell_not_filled_in_raises_with_its_name(tmp_path):
    with pytest.raises(NotFilledInError, match=r"cell build \(10 points\) is not") as raised:
        run(failing(tmp_path, STUB, SOLUTION), tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert "kept" in (tmp_path / "out/tiny.html").read_text()
    assert read_results(tmp_path / "out")["status"] == "not filled in"


def test_run_emptied_graded_cell_is_named(tmp_path):
    cells = ("build", "# Build `model`.", SOLUTION), ("check", "print(model)")
    notebook = write_notebook(tmp_path / "tiny.ipynb", *cells)
    with pytest.raises(NotFilledInError, match=r"graded cell build .10 points. is not filled in"):
        run(notebook, tmp_path / "out")


@pytest.mark.slow
def test_run_timeout_is_that_of_the_whole_run(tmp_path):
    naps = [(f"nap{number}", "import time; time.sleep(0.7)") for number in range(9)]
    with pytest.raises(RunFailedError, match=r"cell nap[1-4]: out of time, 3 s"):
        run(write_notebook(tmp_path / "tiny.ipynb", *naps), tmp_path / "out", timeout=3)


def test_run_ends_processes_that_the_notebook_started(tmp_path):
    start = (
        "import subprocess\nprocess = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
    )
    keep = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(process.pid));"
    run(write_notebook(tmp_path / "tiny.ipynb", ("start", start + keep)), tmp_path / "out")
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_run_of_a_notebook_that_writes_results_json_keeps_both(tmp_path):
    write = "open(f'{save_to}/results.json', 'w').write('{\"other\": 1}');"
    out = tmp_path / "out"
    run(write_notebook(tmp_path / "tiny.ipynb", ("write", write)), out)
    assert (out / "notebook-results.json").read_text() == '{"other": 1}'
    assert read_results(out)["status"] == "done"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_when_the_time_is_none_then_one_line_says_so(tiny, tmp_path, timeout):
    with pytest.raises(xk.InputError, match=r"timeout=.*: expected seconds, more than 0"):
        run(tiny, tmp_path / "out", timeout=timeout)
    assert not (tmp_path / "out").exists()


def under_a_file(out):
    out.parent.write_text("a file")


def a_file(out):
    out.parent.mkdir()
    out.write_text("a file")


def not_empty(out):
    out.mkdir(parents=True)
    (out / "thesis.txt").write_text("mine")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (under_a_file, "out can't be written: Not a directory"),
        (a_file, "out can't be written: Not a directory"),
        (not_empty, r"out is not empty \(it contains thesis.txt\)"),
    ],
)
def test_when_the_folder_cant_be_used_then_one_line_says_so(tiny, tmp_path, spoil, message):
    out = tmp_path / "there" / "out"
    spoil(out)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(xk.InputError, match=message):
        run(tiny, out)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_run_on_a_full_disk_leaves_nothing_half_written(tmp_path):
    """With a limit of 20 kB a file, which the system refuses as it does on a full disk."""
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("much", "print('x' * 50_000)"))
    done = xraykit(
        *("run", notebook, "--out", tmp_path / "out"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 1
    assert re.search(r"out can't be written: File too large.*start it again", done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert visible_files(tmp_path / "out") == []
    run(notebook, tmp_path / "out")


def test_when_the_disk_is_full_then_one_line_says_so(tmp_path):
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("much", "print('x' * 300_000)"))
    (tmp_path / "disk").mkdir()
    command = (
        f"mount -t tmpfs -o size=256k tmpfs {tmp_path}/disk && "
        f"{XRAYKIT} run {notebook} --out {tmp_path}/disk/out"
    )
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 1
    assert "out can't be written: No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# Existing output


def test_run_that_is_complete_is_kept_unless_again(tiny, tmp_path, capsys):
    out = tmp_path / "out"
    run(tiny, out, parameters=[("epochs", "2")])
    run(tiny, out, parameters=[("epochs", "2")])
    assert times_run(tiny) == 1
    assert "This run is already complete. Use --again to repeat it." in capsys.readouterr().out
    run(tiny, out, parameters=[("epochs", "2")], again=True)
    assert times_run(tiny) == 2


def test_run_into_another_runs_folder_needs_again(tmp_path):
    out = tmp_path / "out"
    first = write_notebook(tmp_path / "first.ipynb", ("plot", FIGURE))
    second = write_notebook(tmp_path / "second.ipynb")
    run(first, out)
    for notebook, pairs in ((second, []), (first, [("epochs", "2")])):
        with pytest.raises(xk.InputError, match=r"holds another run, of first.*--again"):
            run(notebook, out, parameters=pairs)
    (out / "notes.txt").write_text("mine")
    run(second, out, again=True)
    assert visible_files(out) == ["notes.txt", "results.json", "second.html", "second.ipynb"]


def test_run_changed_file_of_a_setting_is_another_run(tiny, tmp_path):
    weights = tmp_path / "mine.h5"
    weights.write_text("first")
    settings = [("settings", json.dumps({"weights": str(weights)}))]
    run(tiny, tmp_path / "out", parameters=settings)
    weights.write_text("second")
    with pytest.raises(xk.InputError, match="holds another run"):
        run(tiny, tmp_path / "out", parameters=settings)


def test_run_over_results_not_of_a_run_replaces_nothing(tiny, tmp_path):
    (tmp_path / "out").mkdir()
    for content in ('{"schema": 1, "status": "done"}', '{"other": 1}'):
        (tmp_path / "out/results.json").write_text(content)
        with pytest.raises(xk.InputError, match=r"results.json (was not written by|is damaged)"):
            run(tiny, tmp_path / "out", again=True)
        assert (tmp_path / "out/results.json").read_text() == content


def test_when_results_name_files_outside_then_those_stay(tiny, tmp_path):
    out = tmp_path / "out"
    run(tiny, out)
    results = json.loads((out / "results.json").read_text())
    results["files"] = ["../tiny.ipynb", str(tiny)]
    (out / "results.json").write_text(json.dumps(results))
    run(tiny, out, again=True)
    assert tiny.exists() and times_run(tiny) == 2


def test_when_a_run_again_fails_then_the_one_that_was_done_stays(tmp_path):
    out = tmp_path / "out"
    fragile = failing(tmp_path, f"open({str(tmp_path / 'input')!r})")
    (tmp_path / "input").touch()
    run(fragile, out)
    (tmp_path / "input").unlink()
    with pytest.raises(RunFailedError, match="No such file") as raised:
        run(fragile, out, again=True)
    assert read_results(out)["status"] == "done"
    failed = Path(str(raised.value).partition("The executed part is in ")[2])
    assert failed.is_file() and failed.parent.parent == out / ".partial"
    assert read_results(failed.parent)["status"] == "failed"


def test_run_notebook_inside_out_is_refused(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(RunFailedError):
        run(failing(tmp_path, "1 / 0"), out)
    mended = write_notebook(out / "tiny.ipynb")
    before = mended.read_bytes()
    for again in (False, True):
        with pytest.raises(xk.InputError, match=r"tiny.ipynb lies in .*, where its results would"):
            run(mended, out, again=again)
    assert mended.read_bytes() == before


def test_run_executed_notebook_forgets_its_old_parameters(tmp_path):
    parameters = "epochs: int = 3"  # and no save_to, for which papermill would replace them
    tiny = write_notebook(tmp_path / "tiny.ipynb", ("a", "epochs * 11"), parameters=parameters)
    run(tiny, tmp_path / "a", parameters=[("epochs", "7")])
    run(tmp_path / "a/tiny.ipynb", tmp_path / "b")
    assert nbformat.read(tmp_path / "b/tiny.ipynb", 4).cells[-1].outputs[0].data == {
        "text/plain": "33"
    }
    assert read_results(tmp_path / "b")["parameters"]["epochs"] == 3


def test_run_changed_file_of_a_parameter_is_another_run(tiny, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_text("a")
    run(tiny, tmp_path / "out", parameters=[("backbone", str(images))])
    (images / "a.png").write_text("b")
    with pytest.raises(xk.InputError, match="holds another run"):
        run(tiny, tmp_path / "out", parameters=[("backbone", str(images))])


def test_when_the_run_before_failed_then_it_is_replaced(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(RunFailedError):
        run(failing(tmp_path, "1 / 0"), out)
    run(failing(tmp_path, "1 / 1"), out)
    assert read_results(out)["status"] == "done"
    assert not (out / ".partial").exists()


def test_run_over_damaged_results_replaces_nothing(tiny, tmp_path):
    run(tiny, tmp_path / "out")
    (tmp_path / "out/results.json").write_text('{"schema": 1')
    for again in (False, True):
        with pytest.raises(xk.InputError, match=r"results.json is damaged"):
            run(tiny, tmp_path / "out", again=again)
    assert times_run(tiny) == 1


# Signals

SLEEP = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)"


@pytest.fixture
def sleeping(tmp_path):
    """A run in its second cell, its process and that of its kernel."""
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("show", "print('kept')"), ("nap", SLEEP))
    command = [XRAYKIT, "run", notebook, "--out", tmp_path / "out"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    yield process, psutil.Process(int((tmp_path / "pid").read_text()))
    process.kill()


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_run_on_a_signal_ends_its_kernel_first(sleeping, tmp_path, number):
    process, kernel = sleeping
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert not kernel.is_running()
    assert process.returncode == -number  # so that a shell loop ends too
    assert stderr == "The same command resumes from the last complete epoch.\nInterrupted.\n"
    assert visible_files(tmp_path / "out") == []


def test_when_killed_then_the_kernel_ends_by_itself(sleeping, tmp_path):
    process, kernel = sleeping
    process.kill()
    process.wait()
    assert psutil.wait_procs([kernel], timeout=10)[0]
    assert visible_files(tmp_path / "out") == []


def test_when_another_run_works_there_then_one_line_says_so(sleeping, tmp_path):
    with pytest.raises(xk.InputError, match=r"Another run is working in .*out: wait until it is"):
        run(tmp_path / "tiny.ipynb", tmp_path / "out")
    assert sleeping[0].poll() is None


# Killed while it writes

KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from xraykit.headless.run import run

left = int(sys.argv.pop(1))

def dying(change):
    def changed(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return change(*arguments, **options)
    return changed

for name in ("replace", "rename", "rmdir", "unlink", "write_text", "write_bytes"):
    setattr(Path, name, dying(getattr(Path, name)))
shutil.rmtree = dying(shutil.rmtree)
run(sys.argv[1], sys.argv[2], parameters=[("epochs", sys.argv[3])], again=True)
"""


@pytest.mark.slow
def test_run_killed_at_any_write_has_all_results_or_none(tmp_path):
    """Replacing an older run: every step of it is a place to die at."""
    notebook = write_notebook(tmp_path / "tiny.ipynb", ("plot", FIGURE), ("show", "print(epochs)"))
    old, out = tmp_path / "old", tmp_path / "out"
    run(notebook, old, parameters=[("epochs", "1")])
    (old / "figures/plot.png").rename(old / "figures/older.png")
    text = (old / "results.json").read_text().replace("plot.png", "older.png")
    (old / "results.json").write_text(text)
    deaths = 0
    while True:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(old, out)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(deaths), notebook, out, "2"], capture_output=True
        )
        if (out / "results.json").exists():
            results = read_results(out)
            names = {name.split("/")[0] for name in results["files"]} | {"results.json"}
            unlisted = {"tiny.html"} if results["status"] == "done, without report" else set()
            assert names <= set(visible_files(out)) <= names | unlisted
            output = nbformat.read(out / "tiny.ipynb", 4).cells[-1].outputs[0].text
            assert output == f"{results['parameters']['epochs']}\n"
            figures = "plot.png" if results["parameters"]["epochs"] == 2 else "older.png"
            assert [path.name for path in (out / "figures").iterdir()] == [figures]
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        deaths += 1
        run(notebook, out, parameters=[("epochs", "2")], again=results["parameters"]["epochs"] == 1)
        assert read_results(out)["parameters"]["epochs"] == 2
        assert visible_files(out) == ["figures", "results.json", "tiny.html", "tiny.ipynb"]
        assert not (out / ".partial").exists()
    assert deaths > 15
