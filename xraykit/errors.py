"""The one error that xraykit raises on purpose, and the "did you mean" that its texts use."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something handed in can't be used: the text says what was expected, found, and what to do.

    Notebooks show the text alone, without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"InputError: {self}"]


def unknown(what: str, given: object, known: Iterable[str]) -> InputError:
    """Return the error for a name that is none of the `known` ones, the nearest one suggested."""
    known = list(known)
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    rest = ", …" if len(known) > 12 else ""
    return InputError(
        f"Unknown {what} {given!r}: expected one of {', '.join(known[:12])}{rest}.{hint}"
    )
