import os
import subprocess
import sys
from pathlib import Path

import pytest

from xraykit.data import challenge
from xraykit.data import phantoms as dataset
from xraykit.headless import demo


def test_when_images_are_named_but_not_there_then_one_line_says_so(tmp_path):
    done = subprocess.run(
        [Path(sys.executable).with_name("xraykit"), "demo", "--to", tmp_path / "reports"],
        env=os.environ | {"XRAYKIT_CHALLENGE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert f"expected two/ and all/ in XRAYKIT_CHALLENGE_DIR={tmp_path}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "reports").exists()


@pytest.mark.usefixtures("no_environment")
def test_when_there_are_no_images_then_phantoms_are_drawn_before_the_notebooks_run(
    tmp_path, monkeypatch, capsys
):
    for module in (challenge, dataset):
        monkeypatch.setattr(module, "DATA", tmp_path)
    full = dataset.draw_phantoms
    monkeypatch.setattr(dataset, "draw_phantoms", lambda folder, shortcut: full(folder, images=34))
    monkeypatch.setattr(demo, "run", lambda task, out, again: out / "report.html")
    reports = demo.run_demo(tmp_path / "reports")
    assert (tmp_path / "phantoms/phantoms.csv").is_file()
    assert reports == [tmp_path / "reports" / task / "report.html" for task in ("task1", "task2")]
    assert "phantoms stand in" in capsys.readouterr().out
