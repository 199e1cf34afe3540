import errno
import os
from pathlib import Path

import pytest

from xraykit import InputError, WriteError
from xraykit.errors import escape_name
from xraykit.files import atomic_write, is_clutter, to_path, write_text


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


def test_to_path_expands_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert to_path("~/runs") == to_path(Path("~/runs")) == tmp_path / "runs"


@pytest.mark.parametrize("text", [None, 5, "", ["a"], "a\0b", "~nosuchuser/x", "a" * 5000])
def test_to_path_of_no_path_raises_one_line(text):
    with pytest.raises(InputError, match=r"^[^\n\0]+$"):
        to_path(text)


def test_escape_name_is_printable_and_found_again(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xf6ntgen.png"))
    path.touch()
    assert escape_name(path) == f"{tmp_path}/r\\udcf6ntgen.png"
    assert to_path(escape_name(path)) == path and to_path(path).is_file()
    assert escape_name("röntgen") == "röntgen"


@pytest.mark.parametrize(
    "name", [".DS_Store", "Picasa.ini", "ehthumbs.db", "Icon\r", "@eaDir", "Thumbs.db:encryptable"]
)
def test_is_clutter_knows_what_systems_leave_in_folders(name):
    assert is_clutter(name) and not is_clutter(f"scan {name}")
