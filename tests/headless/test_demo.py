from shutil import copytree

import pytest
from click.testing import CliRunner

from xraykit.cli import cli
from xraykit.data import challenge, phantoms
from xraykit.errors import InputError
from xraykit.headless import run


def test_run_demo_without_the_named_images_raises_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(tmp_path))
    done = CliRunner().invoke(cli, ["demo", "--to", str(tmp_path / "reports")])
    assert isinstance(done.exception, InputError)
    assert f"expected two/ and all/ in XRAYKIT_CHALLENGE_DIR={tmp_path}" in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "reports").exists()


@pytest.mark.usefixtures("no_environment")
def test_run_demo_without_images_draws_phantoms_first(
    confounded_phantoms, tmp_path, monkeypatch, capsys
):
    for module in (challenge, phantoms):
        monkeypatch.setattr(module, "DATA", tmp_path)
    monkeypatch.setattr(
        phantoms, "draw_phantoms", lambda folder, shortcut: copytree(confounded_phantoms, folder)
    )
    monkeypatch.setattr(run, "run", lambda task, out, again: out / "report.html")
    reports = run.run_demo(tmp_path / "reports")
    assert (tmp_path / "phantoms/phantoms.csv").is_file()
    assert reports == [tmp_path / "reports" / task / "report.html" for task in ("task1", "task2")]
    assert "phantoms (synthetic radiographs) are used instead" in capsys.readouterr().out
