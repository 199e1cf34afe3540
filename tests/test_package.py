import subprocess
import sys

import pytest
from tiny import xraykit

import xraykit as xk


@pytest.mark.parametrize(
    "names", ["xraykit", "xraykit.audit.audit, xraykit.headless.card, xraykit.headless.collect"]
)
def test_when_no_network_is_needed_then_tensorflow_is_not_imported(names):
    code = f"import sys, {names}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


HEAVY = {"numpy", "pandas", "scipy", "PIL", "papermill", "jinja2", "tensorflow", "keras"}


@pytest.mark.parametrize("name", ["xraykit", "xraykit.cli"])
def test_import_is_fast_because_it_loads_no_heavy_package(name):
    code = f"import sys, {name}; sys.exit(', '.join({HEAVY} & sys.modules.keys()) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


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


def test_when_a_notebook_shows_an_input_error_then_it_is_one_line():
    assert xk.InputError("what to do")._render_traceback_() == ["InputError: what to do"]
