"""The errors that xraykit raises on purpose, and checks of arguments."""

import difflib
import math
import re
from collections.abc import Iterable
from contextlib import suppress
from numbers import Integral, Real
from pathlib import Path
from typing import Any

MAX_WHOLE = 2**32 - 1  # NumPy rejects larger seeds
MAX_SEED = 2**31  # of a whole notebook or experiment, whose parts get a number added
WRONG_PATH: tuple[type[OSError], ...] = (FileExistsError, FileNotFoundError, IsADirectoryError)
WRONG_PATH += (NotADirectoryError, PermissionError)


def escape_name(name: str | Path) -> str:
    """Return a path as text that can be printed, hashed and stored, even if it is not UTF-8.

    Python holds such a byte as half of a surrogate pair, which no file and no JSON can take. It
    becomes an escape sequence, which `files.to_path` understands.
    """
    return str(name).encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    """Return a text in one line: line breaks and other control characters become escapes."""
    control = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
    return control.sub(lambda match: repr(match[0])[1:-1], escape_name(text.strip()))


class XraykitError(Exception):
    """Any error that xraykit raises on purpose.

    Notebooks and the `xraykit` command show one line without a traceback: what happened, what was
    expected, what to do. The command then ends with `exit_code`.

    Examples
    --------
    >>> try:
    ...     xk.recipes["task1-vgg61"]
    ... except xk.XraykitError as error:
    ...     print(error.exit_code)
    2
    """

    exit_code = 1

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class InputError(XraykitError, ValueError):
    """An argument, a file or a setting can't be used.

    Examples
    --------
    >>> xk.load_task("binray")
    Traceback (most recent call last):
        ...
    xraykit.errors.InputError: Unknown task 'binray': ... Did you mean 'binary'?
    """

    exit_code = 2


class TrainingError(XraykitError, RuntimeError):
    """A training diverged: the loss or the model's output is NaN or infinite.

    Examples
    --------
    >>> try:
    ...     raise xk.TrainingError("The loss is not a number: lower the learning rate")
    ... except xk.XraykitError as error:
    ...     print(error.exit_code, error)
    1 The loss is not a number: lower the learning rate
    """


class WriteError(XraykitError, OSError):
    """The disk can't take a file, for example because it is full.

    Examples
    --------
    >>> issubclass(xk.WriteError, OSError), xk.WriteError.exit_code
    (True, 1)
    """


class RunFailedError(XraykitError, RuntimeError):
    """A notebook stopped before its end."""

    status = "failed"


class NotFilledInError(RunFailedError):
    """A notebook stopped at a graded cell that is not filled in."""

    status, exit_code = "not filled in", 3


def error_class(error: OSError) -> type[InputError | WriteError]:
    """Return InputError if the path is wrong, otherwise WriteError."""
    return InputError if isinstance(error, WRONG_PATH) else WriteError


def cannot_write(path: object, error: OSError) -> InputError | WriteError:
    """Return the error for a path that can't be written."""
    kind = error_class(error)
    remedy = "Name another path" if kind is InputError else "Free some disk space and try again"
    return kind(f"{path} can't be written: {error.strerror or error}. {remedy}")


def unknown(what: str, value: object, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not one of `known`; it suggests the nearest one."""
    known = list(known)
    near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    rest = ", …" if len(known) > 12 else ""
    return InputError(
        f"Unknown {what} {value!r}: expected one of {', '.join(known[:12])}{rest}.{hint}"
    )


def check_kind(value: object, kind: type, expected: str) -> None:
    """Raise InputError unless the value is an instance of `kind`; `expected` describes one."""
    if not isinstance(value, kind):
        actual = "nothing (None)" if value is None else f"a value of type {type(value).__name__}"
        raise InputError(f"Expected {expected}; found {actual}")


def check_choice(what: str, value: object, known: Iterable[str]) -> None:
    """Raise InputError unless the value is one of the known names."""
    if not isinstance(value, str) or value not in known:
        raise unknown(what, value, known)


def to_number(value: object) -> float:
    """Return a number of any type, NumPy's too, as float; NaN if it is none, or too large."""
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    return math.nan


def check_seed(seed: Any) -> None:
    """Raise InputError unless this is a seed to which small numbers can be added."""
    check_whole_number("seed", seed, 0, MAX_SEED)


def check_whole_number(name: str, value: Any, minimum: int, maximum: int = MAX_WHOLE) -> None:
    """Raise InputError unless the value is a whole number from `minimum` to `maximum`."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not minimum <= value <= maximum:
        limit = f", at most {maximum}" if is_whole and value > maximum else " or more"
        raise InputError(f"{name}={value!r}: expected a whole number, {minimum}{limit}")
