"""Whether two networks differ, asked of the same images."""

from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd
from scipy.stats import binom, binomtest

from ..errors import InputError, check_kind
from .intervals import Proportion

MOST_PICTURES = 10_000_000


def mcnemar(first: pd.DataFrame, second: pd.DataFrame) -> tuple[int, int, float]:
    """Compare two tables of predictions of the same images by the exact McNemar test.

    Only the images that one gets right and the other wrong tell which is better; if neither is,
    each of them falls to either with even odds (McNemar 1947, Psychometrika 12, 153; exact
    binomial, two-sided, as in SciPy).

    Parameters
    ----------
    first, second : DataFrame
        As `predict` gives them, or one repeat of `cross_validate`, in any order.

    Returns
    -------
    only_first, only_second : int
        How many images the one alone got right.
    p : float

    Raises
    ------
    InputError
        If they are no tables of predictions, or not about the same images.

    Examples
    --------
    >>> said = pd.DataFrame({"path": ["a", "b"], "true": ["x", "x"], "predicted": ["x", "y"]})
    >>> mcnemar(said, said.assign(predicted="x"))
    (0, 1, 1.0)
    """
    for table in (first, second):
        check_kind(table, pd.DataFrame, "tables from xk.predict")
        if table.empty or not {"path", "true", "predicted"} <= set(table):
            raise InputError(
                "Expected tables from xk.predict, with columns path, true and predicted; found "
                f"{len(table)} rows of {', '.join(map(str, table))}"
            )
    true, other = (table.set_index("path")["true"].sort_index() for table in (first, second))
    if not true.index.is_unique or not true.equals(other):
        both = len(set(true.items()) & set(other.items()))
        raise InputError(
            "Expected predictions of the same images, each of them once; found "
            f"{len(true)} and {len(other)}, of which {both} are the same"
        )
    correct = [
        (table["true"] == table["predicted"]).set_axis(table["path"]).sort_index()
        for table in (first, second)
    ]
    only_first = int((correct[0] & ~correct[1]).sum())
    only_second = int((correct[1] & ~correct[0]).sum())
    differing = only_first + only_second
    p = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    return only_first, only_second, p


def compare_proportions(first: Proportion, second: Proportion) -> tuple[float, float, float]:
    """Return how much larger the second proportion is, with Newcombe's 95 % interval.

    For two proportions that are both uncertain, such as a published and a measured accuracy. They
    differ significantly if the interval excludes 0. It is Newcombe's hybrid score interval, made
    from both Wilson intervals (Newcombe 1998, Statistics in Medicine 17, 873, method 10). It takes
    the two as independent: for two networks and the same images `mcnemar` sees more.

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
        If one is not a proportion, or is of no image.

    Examples
    --------
    >>> difference, low, high = compare_proportions(Proportion(48, 80), Proportion(56, 70))
    >>> f"{difference:.4f} [{low:.4f}, {high:.4f}]"  # Newcombe's example (a)
    '0.2000 [0.0524, 0.3339]'
    """
    for given in (first, second):
        check_kind(given, Proportion, "a proportion, such as xk.Proportion(28, 36)")
        if not given.total:
            raise InputError("Expected proportions of at least one image, found 0/0")
    low = [given.fraction - given.interval[0] for given in (first, second)]
    high = [given.interval[1] - given.fraction for given in (first, second)]
    difference = second.fraction - first.fraction
    below, above = np.hypot(low[1], high[0]), np.hypot(high[1], low[0])
    return difference, float(difference - below), float(difference + above)


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


def required_test_size(
    first: pd.DataFrame, second: pd.DataFrame, power: float = 0.8, level: float = 0.05
) -> int | None:
    """Return how many test images it takes to tell two networks apart.

    If among new images as many are right by the first alone, and by the second alone, as among
    these, so many give the exact McNemar test a p of `level` or less with probability `power`. What
    few images say of these shares is vague, and so is the number: of 6 against 3 in 36 it is 298,
    but of such sets drawn anew half give less than 100, more than 700 or none. (Power goes up in
    saw teeth: where most images differ, a few less may do.)

    Parameters
    ----------
    first, second : DataFrame
        Predictions of the same images, as for `mcnemar`.
    power, level : float
        Between 0 and 1.

    Returns
    -------
    int or None
        None where both alone are right equally often, or nearly: as far as these images tell, no
        number up to ten million would do.

    Raises
    ------
    InputError
        If the tables are not about the same images, or power or level is out of range.

    Examples
    --------
    >>> images = pd.DataFrame({"path": range(36), "true": "x"})
    >>> first = images.assign(predicted=list("x" * 27 + "y" * 9))
    >>> second = images.assign(predicted=list("y" * 5 + "x" * 29 + "yy"))  # 29 right, not 27
    >>> required_test_size(first, second)
    877
    """
    for name, share in (("power", power), ("level", level)):
        if not (isinstance(share, Real) and 0 < share < 1):
            raise InputError(f"{name}={share!r}: expected a number above 0 and below 1")
    only_first, only_second, _ = mcnemar(first, second)
    if only_first == only_second:
        return None
    shares = only_first / len(first), only_second / len(first)
    few, many = 0, 1
    while mcnemar_power(many, *shares, level) < power:
        few, many = many, 2 * many
        if many > MOST_PICTURES:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        enough = mcnemar_power(middle, *shares, level) >= power
        few, many = (few, middle) if enough else (middle, many)
    return many


def mcnemar_power(images: int, only_first: float, only_second: float, level: float = 0.05) -> float:
    """Return the probability that the exact two-sided McNemar test gives `level` or less.

    Summed over how many of the images differ, and how these fall.

    Parameters
    ----------
    images : int
    only_first, only_second : float
        Shares of images that the one alone gets right, not both 0.
    level : float
    """
    share = only_first + only_second
    middle, width = images * share, 10 * np.sqrt(images * share * (1 - share)) + 10
    differing = np.arange(max(0, middle - width), min(images, middle + width) + 1).astype(int)
    most = binom.ppf(level / 2, differing, 0.5)  # of the rarer kind that is rare enough
    most -= binom.cdf(most, differing, 0.5) > level / 2
    odds = only_first / share
    found = binom.cdf(most, differing, odds) + binom.sf(differing - most - 1, differing, odds)
    return float(binom.pmf(differing, images, share) @ found)
