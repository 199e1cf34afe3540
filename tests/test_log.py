import logging

import pytest

import xraykit as xk
from xraykit.log import only_warnings
from xraykit.progress import bar


@pytest.fixture(autouse=True)
def default_verbosity():
    yield
    xk.set_verbosity("info")


def load(folder):
    xk.load_task("binary", folder, image_size=8)


def test_set_verbosity_warning_hides_progress_and_keeps_warnings(drawn_challenge, capsys):
    load(drawn_challenge)
    assert capsys.readouterr().out.startswith("Task binary")
    xk.set_verbosity("warning")
    load(drawn_challenge)
    logging.getLogger("xraykit").warning("the disk is nearly full")
    assert capsys.readouterr().out == "the disk is nearly full\n"


def test_set_verbosity_warning_hides_progress_bars(monkeypatch, capsys):
    monkeypatch.setenv("JPY_SESSION_NAME", "a person watches")
    assert list(bar(range(3), "counting")) == [0, 1, 2]
    assert "counting" in capsys.readouterr().out
    xk.set_verbosity("warning")
    list(bar(range(3), "counting"))
    assert capsys.readouterr().out == ""


def test_set_verbosity_unknown_level_lists_the_levels():
    with pytest.raises(xk.InputError, match="Unknown level 'loud': expected one of info, warning"):
        xk.set_verbosity("loud")


def test_logger_takes_handlers_as_usual(drawn_challenge, tmp_path):
    handler = logging.FileHandler(tmp_path / "xraykit.log")
    logger = logging.getLogger("xraykit")
    logger.addHandler(handler)
    try:
        load(drawn_challenge)
    finally:
        logger.removeHandler(handler)
        handler.close()
    assert (tmp_path / "xraykit.log").read_text().startswith("Task binary")


def test_only_warnings_after_an_error_shows_messages_again(capsys):
    with pytest.raises(RuntimeError), only_warnings():
        logging.getLogger("xraykit").info("hidden")
        raise RuntimeError
    logging.getLogger("xraykit").info("shown")
    assert capsys.readouterr().out == "shown\n"


def test_logger_goes_on_when_nobody_can_read(monkeypatch):
    class Closed:
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    logging.getLogger("xraykit").info("lost")
