"""Graded questions: what is checked of an answer, for how many points, and hints."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from ..errors import InputError

Test = Callable[..., str | None]


class WrongAnswerError(Exception):
    """What a test of an answer may raise in place of returning it: the text is the problem."""


@dataclass(frozen=True)
class Point:
    """One line of a check.

    Attributes
    ----------
    points : int
    text : str
        What is correct if the test finds no problem.
    find_problem : callable
        Its parameters are names of the notebook's variables. It returns None if all is well, or
        what was expected and what was found.
    """

    points: int
    text: str
    find_problem: Test


@dataclass
class Question:
    """The points and hints of one graded question."""

    points: list[Point] = field(default_factory=list)
    hints: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """The sum of points."""
        return sum(point.points for point in self.points)


QUESTIONS: dict[str, Question] = {}


def graded(name: str, points: int, text: str) -> Callable[[Test], Test]:
    """Add a point to the check of a question; a decorator.

    An instructor's own questions are added in the same way, in a module that the notebook imports.

    Parameters
    ----------
    name : str
        Of the question, as in `xk.check(name)`.
    points : int
        At least 1.
    text : str
        What is correct if the test finds no problem.

    Raises
    ------
    InputError
        If `points` is not a whole number of at least 1, or the question is one of another module,
        such as the kit's own.

    Examples
    --------
    >>> @xk.graded("average", 2, "`mean` is the mean of the ages")
    ... def find_wrong_mean(mean, ages):
    ...     if mean != sum(ages) / len(ages):
    ...         return f"expected the sum of the ages divided by their number, got {mean}"
    >>> xk.check("average", {"mean": 4, "ages": [3, 5]})
    ok ✅ 2 of 2: `mean` is the mean of the ages
    2 of 2 points. These are the public checks, not all.
    2.0
    """
    if type(points) is not int or points < 1:
        raise InputError(f"Points of {name!r}: expected a whole number of at least 1, got {points}")

    def add(find_problem: Test) -> Test:
        known = QUESTIONS.setdefault(name, Question()).points
        if any(point.find_problem.__module__ != find_problem.__module__ for point in known):
            raise InputError(f"There is a question {name!r} already: choose another name")
        known[:] = [point for point in known if point.text != text]  # a cell that is run again
        known.append(Point(points, text, find_problem))
        return find_problem

    return add


def add_hints(name: str, *hints: str) -> None:
    """Set the hints of a question, from the first nudge to nearly the answer.

    Examples
    --------
    >>> xk.add_hints("median", "Sort the ages first.", "Take the one in the middle.")
    """
    QUESTIONS.setdefault(name, Question()).hints = hints


def check_table(value: object, expected: str) -> None:
    """Raise WrongAnswerError unless it is a table with rows; `expected` describes it."""
    if not isinstance(value, pd.DataFrame) or value.empty:
        raise WrongAnswerError(f"expected {expected}, got a value of type {type(value).__name__}")
