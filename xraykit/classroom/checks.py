"""Check graded questions by their name, and give hints."""

import contextlib
import inspect
import io
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from IPython import get_ipython

from ..errors import XraykitError, one_line, unknown
from ..log import logger
from . import curves_and_maps, network  # noqa: F401 - these add the kit's own questions
from .questions import QUESTIONS, Point, WrongAnswerError

HINTS_FILE = "hints.csv"


def check(name: str, variables: Mapping[str, Any] | None = None) -> float:
    """Check the answer to a graded question, and return its points.

    A line for each point says whether it is correct, and if not, what was expected and what was
    found. The answer is found by the names of its variables, so cells may be copied, split, moved
    or run again. Nothing is raised: an answer that can't be checked gets no points, and a line.

    Parameters
    ----------
    name : str
        Of the question, such as "build".
    variables : mapping, optional
        Variables by name. By default those of the notebook.

    Returns
    -------
    float
        As the last value of an nbgrader test cell it is what nbgrader takes as points.

    Examples
    --------
    >>> import pandas as pd
    >>> history = pd.DataFrame({"val_loss": [0.7, 0.5, 0.6]}, index=[1, 2, 3])
    >>> points = xk.check("curves", {"best_epoch": 1, "history": history})
    not yet ❌ 0 of 1: `best_epoch` has the lowest validation loss: expected ...
    """
    question = QUESTIONS.get(name)
    if question is None or not question.points:
        logger.warning(f"not yet ❌ {unknown('check', name, QUESTIONS)}")
        return 0.0
    if variables is None:
        variables = _find_variables()
    points = 0
    for point in question.points:
        problem = _find_problem(point, variables)
        if problem is None:
            points += point.points
            logger.warning(f"ok ✅ {point.points} of {point.points}: {point.text}")
        else:
            logger.warning(f"not yet ❌ 0 of {point.points}: {point.text}: {one_line(problem)}")
    advice = (
        f' xk.hint("{name}") gives a hint.' if points < question.total and question.hints else ""
    )
    summary = f"{points} of {question.total} points. These are the public checks, not all.{advice}"
    logger.warning(summary)
    return float(points)


def hint(name: str) -> None:
    """Show the next hint for a graded question; the last one is nearly the answer.

    That it was asked for is appended to the file `hints.csv` beside the notebook, with the task.

    Parameters
    ----------
    name : str
        Of the question, such as "build".

    Examples
    --------
    >>> xk.hint("curves")
    Hint 1 of 3: history["val_loss"] is a pandas Series...
    """
    question = QUESTIONS.get(name)
    if question is None or not question.hints:
        logger.warning(unknown("hint", name, [key for key in QUESTIONS if QUESTIONS[key].hints]))
        return
    task = getattr(_find_variables().get("task"), "name", "")
    number = min(_count_hints(f"{task},{name}") + 1, len(question.hints))
    logger.warning(f"Hint {number} of {len(question.hints)}: {question.hints[number - 1]}")
    try:
        with Path(HINTS_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{task},{name},{number},{time.strftime('%Y-%m-%d %H:%M:%S')}\n")
    except OSError as error:
        logger.warning(
            f"{HINTS_FILE} can't be written: {error.strerror}; the next hint is this one"
        )


def _count_hints(start: str) -> int:
    """Return how many different hints were shown, by the start of their lines: task and name."""
    try:
        lines = Path(HINTS_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return len({line.split(",")[2] for line in lines if line.startswith(f"{start},")})


def _find_problem(point: Point, variables: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an answer, or None."""
    names = list(inspect.signature(point.find_problem).parameters)
    missing = [name for name in names if name not in variables]
    if missing:
        return f"`{missing[0]}` is missing: run the cell that assigns it"
    try:
        # Any line on standard error in the cell of a check is no points for nbgrader.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return point.find_problem(*(variables[name] for name in names))
    except (WrongAnswerError, XraykitError) as error:
        return str(error)
    except Exception as error:  # whatever an answer contains
        return f"it can't be checked ({type(error).__name__}: {error})"


def _find_variables() -> Mapping[str, Any]:
    """Return the variables of the notebook, or of the interactive session."""
    shell = get_ipython()
    if shell is None:
        import __main__

        return vars(__main__)
    return shell.user_ns
