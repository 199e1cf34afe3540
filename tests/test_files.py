import errno
import os

import pytest

from xraykit import InputError, WriteError
from xraykit.files import atomic_write, write_text


def test_atomic_write_leaves_open_readers_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with path.open() as reader:
        atomic_write(path, lambda partial: partial.write_text("new and longer"))
        assert reader.read() == "old"
    assert path.read_text() == "new and longer"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(partial):
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_text_on_a_full_disk_raises_write_error(tmp_path, monkeypatch):
    def fail(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match=r"a\.txt can't be written: No space left.*Free some disk"):
        write_text("text", tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_write_text_below_a_file_raises_input_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"a\.txt can't be written: .*Name another path"):
        write_text("text", tmp_path / "file" / "a.txt")
