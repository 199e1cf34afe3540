import time

import pytest

from xraykit.progress import thread_map


def test_when_one_fails_then_nothing_goes_on_after_the_error():
    begun, ended = [], []

    def work(number):
        if number == 0:
            raise OSError("No space left on device")
        begun.append(number)
        time.sleep(0.05)
        ended.append(number)

    with pytest.raises(OSError, match="No space left"):
        thread_map(work, range(100))
    assert sorted(begun) == sorted(ended)
    before = len(begun)
    time.sleep(0.2)
    assert len(begun) == before < 100
