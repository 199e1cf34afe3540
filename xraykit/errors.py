"""The errors that xraykit raises on purpose, and the checks that nearly every entry needs."""

import difflib
from collections.abc import Iterable
from numbers import Integral


class InputError(ValueError):
    """Something handed in can't be used: the text says what was expected, found, and what to do.

    Notebooks show the text alone, without a traceback.
    """

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        return [f"InputError: {self}"]


class RunFailedError(RuntimeError):
    """A notebook stopped before its end; the text says where and why."""

    status, exit_code = "failed", 1


class NotFilledInError(RunFailedError):
    """A notebook stopped at a graded cell that is not filled in; the text has its name."""

    status, exit_code = "not filled in", 3


def unknown(what: str, given: object, known: Iterable[str]) -> InputError:
    """Return the error for a name that is none of the `known` ones, the nearest one suggested."""
    known = list(known)
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    rest = ", …" if len(known) > 12 else ""
    return InputError(
        f"Unknown {what} {given!r}: expected one of {', '.join(known[:12])}{rest}.{hint}"
    )


def check_kind(given: object, kind: type, expected: str) -> None:
    """Raise the error for something that is not of a kind; `expected` says how to get one."""
    if not isinstance(given, kind):
        found = "nothing (None)" if given is None else f"a value of type {type(given).__name__}"
        raise InputError(f"Expected {expected}; found {found}")


MAX_SEED = 2**31  # seeds beyond it, and what is added to them, are too large for NumPy


def check_whole_number(name: str, given: object, least: int) -> None:
    """Raise the error for a number that is not whole, below `least` or above MOST."""
    if isinstance(given, bool) or not isinstance(given, Integral) or not least <= given <= MAX_SEED:
        most = (
            f", at most {MAX_SEED}"
            if isinstance(given, Integral) and given > MAX_SEED
            else " or more"
        )
        raise InputError(f"{name}={given!r}: expected a whole number, {least}{most}")
