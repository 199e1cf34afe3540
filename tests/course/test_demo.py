import os
import subprocess
import sys
from pathlib import Path


def test_when_there_is_nothing_to_run_on_then_two_lines_say_how_to_get_it(tmp_path):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("XRAYKIT_")}
    nothing = {"XRAYKIT_CHALLENGE_DIR": str(tmp_path), "KERAS_HOME": str(tmp_path)}
    no_network = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [Path(sys.executable).with_name("xraykit"), "demo", "--to", tmp_path / "reports"],
        env=kept | nothing | no_network,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    pictures, weights = done.stderr.splitlines()
    assert "xraykit data challenge --from-folder" in pictures
    assert "ImageNet weights for MobileNetV2 can't be had" in weights
    assert not (tmp_path / "reports").exists()
