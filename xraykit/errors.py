"""The errors that xraykit raises on purpose, and checks of arguments."""

import difflib
from collections.abc import Iterable
from numbers import Integral

MAX_SEED = 2**31  # NumPy rejects larger seeds, and some seeds get a number added


class InputError(ValueError):
    """An input can't be used; the text says what was expected, what was found, and what to do.

    Notebooks show the text without a traceback.
    """

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        return [f"InputError: {self}"]


class RunFailedError(RuntimeError):
    """A notebook stopped before its end; the text says where and why."""

    status, exit_code = "failed", 1


class NotFilledInError(RunFailedError):
    """A notebook stopped at a graded cell that is not filled in; the text names the cell."""

    status, exit_code = "not filled in", 3


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


def check_whole_number(name: str, value: object, minimum: int) -> None:
    """Raise InputError unless the value is a whole number from `minimum` to `MAX_SEED`."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not minimum <= value <= MAX_SEED:
        limit = f", at most {MAX_SEED}" if is_whole and value > MAX_SEED else " or more"
        raise InputError(f"{name}={value!r}: expected a whole number, {minimum}{limit}")
