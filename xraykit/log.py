"""Messages: one logger for the whole package, whose lines appear on standard output."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from .errors import escape_name, unknown

LEVELS = ("info", "warning", "error")
logger = logging.getLogger("xraykit")


class _StandardOutput(logging.StreamHandler):
    """Writes to `sys.stdout` as it is at that moment: notebooks and tests replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # StreamHandler's own would set `stream`

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop the message if nobody can read it; a run of hours goes on without its messages."""
        if not isinstance(sys.exc_info()[1], OSError):
            raise


def _escape(record: logging.LogRecord) -> bool:
    """Escape names that are not UTF-8, which no notebook and no log file can take."""
    record.msg, record.args = escape_name(record.getMessage()), ()
    return True


logger.addFilter(_escape)
logger.addHandler(_StandardOutput())
logger.setLevel(logging.INFO)
logger.propagate = False  # or each line would appear twice where the root logger is set up


def set_verbosity(level: str) -> None:
    """Choose which of xraykit's messages are shown.

    This is `logging.getLogger("xraykit").setLevel`, with a name; handlers, formats and files of
    `logging` work with that logger as usual. Its lines go to standard output.

    Parameters
    ----------
    level : {"info", "warning", "error"}
        "info" is the default: progress, and what was decided and why. "warning" also hides
        progress bars, and leaves what needs attention, such as a download of weights.

    Raises
    ------
    InputError
        If there is no such level.

    Examples
    --------
    >>> import xraykit as xk
    >>> xk.set_verbosity("warning")
    >>> xk.set_verbosity("info")
    """
    if level not in LEVELS:
        raise unknown("level", level, LEVELS)
    logger.setLevel(level.upper())


def is_verbose() -> bool:
    """Return whether messages about progress are shown."""
    return logger.isEnabledFor(logging.INFO)


@contextmanager
def only_warnings() -> Iterator[None]:
    """Hide messages about progress inside: for steps whose caller prints one line about them."""
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
