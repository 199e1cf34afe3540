"""Tests of whether two models differ, most of them on the same images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binom, binomtest

from ..errors import InputError, check_kind, to_number
from .intervals import Proportion

MAX_IMAGES = 10_000_000


def mcnemar(first: pd.DataFrame, second: pd.DataFrame) -> tuple[int, int, float]:
    """Compare two tables of predictions of the same images by the exact McNemar test.

    Only the images that exactly one model predicts correctly show which is better. If the models
    are equally good, each of these images favors either model with probability 1/2 (McNemar 1947,
    Psychometrika 12, 153; exact binomial, two-sided, as in SciPy).

    Parameters
    ----------
    first, second : DataFrame
        As `predict` returns them, or one repeat of `cross_validate`, in any order.

    Returns
    -------
    only_first, only_second : int
        Number of images that only the first, or only the second, predicts correctly.
    p : float

    Raises
    ------
    InputError
        If they are not tables of predictions of the same images.

    Examples
    --------
    >>> first = pd.DataFrame({"path": ["a", "b"], "true": ["x", "x"], "predicted": ["x", "y"]})
    >>> mcnemar(first, first.assign(predicted="x"))
    (0, 1, 1.0)
    """
    for table in (first, second):
        check_kind(table, pd.DataFrame, "tables from xk.predict")
        if table.empty or not {"path", "true", "predicted"} <= set(table):
            raise InputError(
                "Expected tables from xk.predict, with columns path, true and predicted; found "
                f"{len(table)} rows of {', '.join(map(str, table))}"
            )
    first, second = (table.set_index("path").sort_index() for table in (first, second))
    true, other = first["true"], second["true"]
    if not true.index.is_unique or not true.equals(other):
        common = len(set(true.items()) & set(other.items()))
        raise InputError(
            "Expected predictions of the same images, one row per image; found "
            f"{len(true)} and {len(other)}, of which {common} are the same"
        )
    first_correct, second_correct = (table["predicted"] == true for table in (first, second))
    only_first = int((first_correct & ~second_correct).sum())
    only_second = int((second_correct & ~first_correct).sum())
    differing = only_first + only_second
    p = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    return only_first, only_second, p


def compare_proportions(first: Proportion, second: Proportion) -> tuple[float, float, float]:
    """Return how much larger the second proportion is, with Newcombe's 95 % interval.

    For two proportions that are both uncertain, such as a published and a measured accuracy. They
    differ significantly if the interval excludes 0. Newcombe's hybrid score interval combines both
    Wilson intervals (Newcombe 1998, Statistics in Medicine 17, 873, method 10). It assumes that
    the two are independent: for two models on the same images `mcnemar` has more power.

    Parameters
    ----------
    first, second : Proportion
        Each of at least one image.

    Returns
    -------
    difference, low, high : float
        Second minus first, from -1 to 1.

    Raises
    ------
    InputError
        If one is not a proportion, or its total is 0.

    Examples
    --------
    >>> difference, low, high = compare_proportions(Proportion(48, 80), Proportion(56, 70))
    >>> f"{difference:.4f} [{low:.4f}, {high:.4f}]"  # Newcombe's example (a)
    '0.2000 [0.0524, 0.3339]'
    """
    for proportion in (first, second):
        check_kind(proportion, Proportion, "a proportion, such as xk.Proportion(28, 36)")
        if not proportion.total:
            raise InputError("Expected proportions of at least one image, found 0/0")
    low = [proportion.fraction - proportion.interval[0] for proportion in (first, second)]
    high = [proportion.interval[1] - proportion.fraction for proportion in (first, second)]
    difference = second.fraction - first.fraction
    below, above = np.hypot(low[1], high[0]), np.hypot(high[1], low[0])
    return difference, float(difference - below), float(difference + above)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Correct p-values for multiple tests (Holm 1979, Scandinavian J. of Statistics 6, 65).

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


def required_test_size(
    first: pd.DataFrame, second: pd.DataFrame, *, power: float = 0.8, level: float = 0.05
) -> int | None:
    """Return how many test images are needed to show that two models differ.

    With this number of new images the exact McNemar test gives p ≤ `level` with probability
    `power`. It assumes that the fractions of images which only one model predicts correctly are
    those of the given predictions. Few images say little about these fractions, and so the number
    is uncertain: for 6 against 3 of 36 it is 298, but half of the test sets that are drawn from
    the same fractions give less than 100, more than 700 or none. (Power does not rise steadily
    with the number of images: if most images differ, a few less may be enough.)

    Parameters
    ----------
    first, second : DataFrame
        Predictions of the same images, as for `mcnemar`.
    power, level : float
        Between 0 and 1.

    Returns
    -------
    int or None
        None if both counts are equal, or so close that ten million images are too few.

    Raises
    ------
    InputError
        If the tables are not about the same images, or power or level is out of range.

    Examples
    --------
    >>> images = pd.DataFrame({"path": range(36), "true": "x"})
    >>> first = images.assign(predicted=list("x" * 27 + "y" * 9))
    >>> second = images.assign(predicted=list("y" * 5 + "x" * 29 + "yy"))  # 29 correct, not 27
    >>> required_test_size(first, second)
    877
    """
    for name, value in (("power", power), ("level", level)):
        if not (0 < to_number(value) < 1):
            raise InputError(f"{name}={value!r}: expected a number above 0 and below 1")
    only_first, only_second, _ = mcnemar(first, second)
    if only_first == only_second:
        return None
    fractions = {"only_first": only_first / len(first), "only_second": only_second / len(first)}
    too_few, enough = 0, 1
    while mcnemar_power(enough, **fractions, level=level) < power:
        too_few, enough = enough, 2 * enough
        if enough > MAX_IMAGES:
            return None
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        is_enough = mcnemar_power(middle, **fractions, level=level) >= power
        too_few, enough = (too_few, middle) if is_enough else (middle, enough)
    return enough


def mcnemar_power(
    images: int, *, only_first: float, only_second: float, level: float = 0.05
) -> float:
    """Return the probability that the exact two-sided McNemar test gives p ≤ `level`.

    It is the sum over the number of images on which the models differ.

    Parameters
    ----------
    images : int
    only_first, only_second : float
        Fractions of images that only one model predicts correctly, not both 0.
    level : float
    """
    fraction = only_first + only_second
    mean, width = images * fraction, 10 * np.sqrt(images * fraction * (1 - fraction)) + 10
    differing = np.arange(max(0, mean - width), min(images, mean + width) + 1).astype(int)
    critical = binom.ppf(level / 2, differing, 0.5)  # the largest count that is significant
    critical -= binom.cdf(critical, differing, 0.5) > level / 2
    odds = only_first / fraction
    power = binom.cdf(critical, differing, odds) + binom.sf(
        differing - critical - 1, differing, odds
    )
    return float(binom.pmf(differing, images, fraction) @ power)
