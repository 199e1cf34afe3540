import os
import subprocess
import sys
from pathlib import Path

XRAYKIT = Path(sys.executable).with_name("xraykit")


def demo(tmp_path, **environment):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("XRAYKIT_")}
    return subprocess.run(
        [XRAYKIT, "demo", "--to", tmp_path / "reports"],
        env=kept | {"HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
    )


def test_when_there_are_no_pictures_then_demo_says_how_to_get_them(tmp_path):
    done = demo(tmp_path, XRAYKIT_CHALLENGE_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "xraykit data challenge --from-folder" in done.stderr
    assert done.stderr.count("\n") <= 2
    assert not (tmp_path / "reports").exists()
