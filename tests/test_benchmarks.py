import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_benchmark_part_measures_time_and_memory(drawn_challenge, tmp_path, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(drawn_challenge))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "kit", "growth", str(tmp_path), "200"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["seconds"] > 0 and measured["memory"] > 100
    assert len(list(tmp_path.rglob("*.png"))) == 200
