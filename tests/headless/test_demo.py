import os
import subprocess
import sys
from pathlib import Path

import pytest

from xraykit.data import challenge, phantoms
from xraykit.headless import run


def test_run_demo_without_the_named_images_prints_one_line(tmp_path):
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
def test_run_demo_without_images_draws_phantoms_first(tmp_path, monkeypatch, capsys):
    for module in (challenge, phantoms):
        monkeypatch.setattr(module, "DATA", tmp_path)
    draw = phantoms.draw_phantoms
    monkeypatch.setattr(phantoms, "draw_phantoms", lambda folder, shortcut: draw(folder, images=34))
    monkeypatch.setattr(run, "run", lambda task, out, again: out / "report.html")
    reports = run.run_demo(tmp_path / "reports")
    assert (tmp_path / "phantoms/phantoms.csv").is_file()
    assert reports == [tmp_path / "reports" / task / "report.html" for task in ("task1", "task2")]
    assert "phantoms (synthetic radiographs) are used instead" in capsys.readouterr().out
