"""Whether two networks differ, asked of the same pictures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from ..errors import InputError


def mcnemar(first: pd.DataFrame, second: pd.DataFrame) -> tuple[int, int, float]:
    """Compare two tables of predictions of the same pictures by the exact McNemar test.

    Only the pictures that one gets right and the other wrong tell which is better; if neither is,
    each of them falls to either with even odds (McNemar 1947, Psychometrika 12, 153; exact
    binomial, two-sided, as in SciPy).

    Parameters
    ----------
    first, second : DataFrame
        As `predict` or `cross_validate` gives them, in any order.

    Returns
    -------
    only_first, only_second : int
        How many pictures the one alone got right.
    p : float

    Raises
    ------
    InputError
        If they are not about the same pictures.

    Examples
    --------
    >>> said = pd.DataFrame({"path": ["a", "b"], "true": ["x", "x"], "predicted": ["x", "y"]})
    >>> mcnemar(said, said.assign(predicted="x"))
    (0, 1, 1.0)
    """
    right = [
        (table["true"] == table["predicted"]).set_axis(table["path"]).sort_index()
        for table in (first, second)
    ]
    if not right[0].index.equals(right[1].index) or not right[0].index.is_unique:
        raise InputError("Expected predictions of the same pictures, each of them once")
    only_first = int((right[0] & ~right[1]).sum())
    only_second = int((right[1] & ~right[0]).sum())
    differing = only_first + only_second
    p = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    return only_first, only_second, p


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Correct p values of several tests at once (Holm 1979, Scandinavian J. of Statistics 6, 65).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, float)
    order = p.argsort()
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1)
    return corrected
