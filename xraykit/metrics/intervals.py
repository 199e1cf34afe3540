"""Counts and their 95 % intervals."""

from dataclasses import dataclass
from numbers import Integral

import pandas as pd
from scipy.stats import binomtest

from ..errors import InputError


def wilson_interval(correct: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of a fraction, from 0 to 1.

    Wilson (1927), Journal of the American Statistical Association 22, 209, as in SciPy. If the
    total is 0, it is (0, 1).
    """
    if not total:
        return 0.0, 1.0
    low, high = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


@dataclass(frozen=True, repr=False)
class Proportion:
    """A count out of a total, shown with its percentage and Wilson's 95 % interval in percent.

    Attributes
    ----------
    correct, total : int

    Raises
    ------
    InputError
        If they are not whole numbers, or `correct` is larger than `total`.

    Examples
    --------
    >>> Proportion(27, 36)
    27/36 = 75 % [59, 86]
    >>> Proportion(18, 18)
    18/18 = 100 % [82, 100]
    """

    correct: int
    total: int

    def __post_init__(self) -> None:
        are_whole = isinstance(self.correct, Integral) and isinstance(self.total, Integral)
        if not (are_whole and 0 <= self.correct <= self.total):
            raise InputError(
                f"correct={self.correct!r}, total={self.total!r}: expected two whole numbers, "
                "the first not larger than the second"
            )

    @property
    def fraction(self) -> float:
        """From 0 to 1; NaN if the total is 0."""
        return self.correct / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of Wilson's 95 % interval, from 0 to 1."""
        return wilson_interval(self.correct, self.total)

    def __format__(self, specification: str) -> str:
        return format(str(self), specification)

    def __repr__(self) -> str:
        if not self.total:
            return f"{self.correct}/{self.total}"
        return f"{self.correct}/{self.total} = {percent(self.fraction, *self.interval)}"


def percent(fraction: float, low: float, high: float) -> str:
    """Write a fraction and its interval in percent, with enough decimals to separate the ends.

    Examples
    --------
    >>> percent(0.75, 0.589, 0.862)
    '75 % [59, 86]'
    >>> percent(1.0, 0.9997, 1.0)
    '100.00 % [99.97, 100.00]'
    """
    for decimals in range(6):
        texts = [f"{100 * value:.{decimals}f}" for value in (fraction, low, high)]
        if texts[1] != texts[2]:
            break
    return f"{texts[0]} % [{texts[1]}, {texts[2]}]"


def add_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of counts with Wilson's 95 % interval, from 0 to 1, in columns low and high.

    Parameters
    ----------
    table : DataFrame
        Columns that label the rows, then `correct` (or `count`) and `total`, which may be missing
        in some rows, then others. The interval is inserted after the total.

    Examples
    --------
    >>> add_intervals(pd.DataFrame({"model": ["a"], "correct": [27], "total": [36]})).round(2)
      model  correct  total   low  high
    0     a       27     36  0.59  0.86
    """
    correct, total = table[find_count_column(table)], table["total"]
    ends = [
        wilson_interval(int(first), int(second)) if pd.notna(second) else (None, None)
        for first, second in zip(correct, total, strict=True)
    ]
    intervals = pd.DataFrame(ends, table.index, ["low", "high"], dtype=float)
    place = table.columns.get_loc("total") + 1
    return pd.concat([table.iloc[:, :place], intervals, table.iloc[:, place:]], axis=1)


def label_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of a table of counts that label its rows: those before the counts.

    Raises
    ------
    InputError
        If it is not a table of counts, or has no labels.
    """
    count = find_count_column(table)
    labels = list(table.columns[: table.columns.get_loc(count)])
    if not labels:
        raise InputError(f"Expected a table of counts with labels before {count}; found none")
    return labels


def format_counts(table: pd.DataFrame) -> pd.Series:
    """Return the text of each count of a table, "" where it is missing."""
    counts = table[[find_count_column(table), "total"]].to_numpy()
    texts = [
        str(Proportion(int(correct), int(total))) if pd.notna(total) else ""
        for correct, total in counts
    ]
    return pd.Series(texts, table.index, dtype=object)


def display_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a long table of counts as people read it: one column per value of its last label.

    Parameters
    ----------
    table : DataFrame
        As `evaluate_perturbations`, `external_validation` and `Audit.baseline_scores` return it:
        columns that label the rows, then `correct` (or `count`), `total`, `low` and `high`.

    Returns
    -------
    DataFrame of str

    Raises
    ------
    InputError
        If it is not a table of counts.

    Examples
    --------
    >>> table = pd.DataFrame({"group": ["adults"], "predicted": ["covid"]})
    >>> display_table(table.assign(count=3, total=4)).to_dict()
    {'covid': {'adults': '3/4 = 75 % [30, 95]'}}
    """
    *rows, columns = label_columns(table)
    wide = table[[*rows, columns]].assign(text=format_counts(table))
    if not rows:
        return wide.set_index(columns).rename(columns={"text": find_count_column(table)})
    texts = wide.set_index([*rows, columns])["text"]
    return texts.unstack(sort=False).fillna("")  # noqa: PD010 - pivot_table would sort


def find_count_column(table: pd.DataFrame) -> str:
    """Return the name of the column that holds the counts: "correct", or else "count".

    Raises
    ------
    InputError
        If it is not a table of counts.
    """
    for name in ("correct", "count"):
        if isinstance(table, pd.DataFrame) and {name, "total"} <= set(table):
            return name
    columns = map(str, table) if isinstance(table, pd.DataFrame) else [type(table).__name__]
    raise InputError(
        "Expected a table of counts, with columns correct (or count) and total, such as "
        f"xk.evaluate_perturbations returns; found {', '.join(columns)}"
    )
