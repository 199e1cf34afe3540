import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import xraykit

import xraykit as xk

CLONE = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "names", ["xraykit", "xraykit.audit.audit, xraykit.headless.card, xraykit.headless.collect"]
)
def test_names_without_networks_do_not_import_tensorflow(names):
    code = f"import sys, {names}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


HEAVY = {"numpy", "pandas", "scipy", "PIL", "papermill", "jinja2", "tensorflow", "keras"}


@pytest.mark.parametrize("name", ["xraykit", "xraykit.cli"])
def test_import_is_fast_because_it_loads_no_heavy_package(name):
    code = f"import sys, {name}; sys.exit(', '.join({HEAVY} & sys.modules.keys()) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_public_names_types_are_known_to_a_checker(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import xraykit as xk\n"
        "reveal_type(xk.load_task('binary'))\n"
        "reveal_type(xk.recipes['task1-vgg16'])\n"
        "xk.nonsense\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--config-file", CLONE / "pyproject.toml"]
    mypy += ["--cache-dir", tmp_path / "cache", script]
    done = subprocess.run(mypy, capture_output=True, text=True, cwd=CLONE)
    task, recipe, unknown, _ = done.stdout.splitlines()
    assert task.endswith('note: Revealed type is "xraykit.data.tasks.Task"')
    assert recipe.endswith('note: Revealed type is "xraykit.recipes.recipe.Recipe"')
    assert unknown.endswith('error: Module has no attribute "nonsense"  [attr-defined]')


def test_help_cuts_no_line_off():
    done = xraykit("--help", env={"COLUMNS": "80"})
    assert done.returncode == 0 and "reproduce" in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2]


@pytest.mark.parametrize(
    "first", ["keras.ops.ones(3)", pytest.param("train", marks=pytest.mark.slow)]
)
def test_when_keras_is_loaded_then_nothing_is_printed(first):
    code = f"import xraykit as xk; xk.{first}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize("name", xk.__all__)
def test_every_public_name_loads_and_is_documented(name):
    assert getattr(xk, name).__doc__


@pytest.mark.parametrize("kind", [xk.InputError, xk.TrainingError, xk.WriteError])
def test_error_in_a_notebook_is_shown_as_one_line(kind):
    assert kind("what to do")._render_traceback_() == [f"{kind.__name__}: what to do"]


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        ("errors.InputError('what to do')", 2),
        ("errors.TrainingError('what to do')", 1),
        ("errors.WriteError('what to do')", 1),
        ("errors.RunFailedError('what to do')", 1),
        ("errors.NotFilledInError('what to do')", 3),
        ("FileNotFoundError(2, 'what to do', 'file')", 2),
        ("OSError(28, 'what to do', 'file')", 1),
    ],
)
def test_command_that_fails_prints_one_line_and_exits(raised, code):
    program = (
        f"from xraykit import cli, errors\ndef fail(): raise {raised}\ncli.cli = fail\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == code and done.stdout == ""
    assert done.stderr.removeprefix("file: ") == "what to do\n"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_command_on_a_signal_says_so_and_dies_of_it(name):
    program = (
        "import signal\nfrom xraykit import cli\n"
        f"cli.cli = lambda: signal.raise_signal(signal.{name})\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -getattr(signal, name)  # so that a shell loop ends too
    assert (done.stdout, done.stderr) == ("", "Interrupted.\n")


@pytest.mark.slow
def test_wheel_has_the_manifest_the_notebooks_and_the_command(tmp_path):
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path / "wheel", CLONE]
    subprocess.run(build, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = (tmp_path / "wheel").iterdir()
    installed = tmp_path / "installed"
    subprocess.run([*pip, "install", "--no-deps", "--target", installed, wheel], check=True)
    code = (
        "from xraykit.data.challenge import read_manifest\n"
        "from xraykit.headless.parameters import find_notebook\n"
        "from xraykit.cli import main\n"
        "print(len(read_manifest()), find_notebook('task1'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    images, notebook = done.stdout.split()
    assert int(images) > 300
    assert Path(notebook) == installed / "xraykit" / "notebooks" / "task1_binary.ipynb"
