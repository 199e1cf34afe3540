import pytest

from xraykit.files import atomic_write


def test_when_a_file_is_replaced_then_who_reads_the_old_one_reads_it_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with path.open() as reader:
        atomic_write(path, lambda partial: partial.write_text("new and longer"))
        assert reader.read() == "old"
    assert path.read_text() == "new and longer"
    assert list(tmp_path.iterdir()) == [path]


def test_when_writing_fails_then_the_old_file_stays_and_nothing_is_left(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(partial):
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
