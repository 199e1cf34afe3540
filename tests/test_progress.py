import time

import pytest

from xraykit.progress import thread_map


def test_thread_map_starts_nothing_after_an_error():
    started, finished = [], []

    def work(number):
        if number == 0:
            raise OSError("No space left on device")
        started.append(number)
        time.sleep(0.05)
        finished.append(number)

    with pytest.raises(OSError, match="No space left"):
        thread_map(work, range(100))
    assert sorted(started) == sorted(finished)
    before = len(started)
    time.sleep(0.2)
    assert len(started) == before < 100
