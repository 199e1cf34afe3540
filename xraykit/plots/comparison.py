"""Proportions side by side: a marker for the fraction, a line for its interval."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..metrics.intervals import find_count_column, format_counts, label_columns
from .style import COLORS, MARKERS, finish, styled


@styled
def plot_proportions(table: pd.DataFrame, title: str = "", *, counted: str = "correct") -> Figure:
    """Plot a long table of counts: one line per row label, one marker per value of its last label.

    Parameters
    ----------
    table : DataFrame
        As `evaluate_perturbations`, `external_validation` and `Audit.baseline_scores` return it.
        A row without a total is marked as not run.
    title : str
    counted : str
        The property of the counted images: the axis is labeled "fraction of images {counted}".

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell.

    Raises
    ------
    InputError
        If it is not a table of counts.

    Examples
    --------
    >>> table = xk.evaluate_perturbations(model, task)
    >>> xk.plot_proportions(table, "Which parts are needed?").savefig("perturbations.png")
    """
    *rows, series = label_columns(table)
    names = table[rows[0]] if rows else table[series]
    figure, _ = _draw(table, names, table[series] if rows else counted, title, counted)
    return _finish(figure, table, title)


@styled
def plot_comparison(table: pd.DataFrame, title: str = "") -> Figure:
    """Plot the accuracy of each setting with its 95 % interval, and published accuracies.

    Parameters
    ----------
    table : DataFrame
        Columns setting, correct, total, low and high; missing counts mean that a setting was not
        run. Optional columns are `published` (accuracies from 0 to 1, drawn as diamonds) and
        `note`, written next to its setting. A note that all rows share goes into the title. A
        dotted line shows the accuracy of the first setting that was run.
    title : str

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell.

    Examples
    --------
    >>> table = pd.DataFrame({"setting": ["a", "b"], "correct": [8, 9], "total": [10, 10]})
    >>> table = table.assign(low=[0.49, 0.60], high=[0.94, 0.98])
    >>> figure = xk.plot_comparison(table, "Which is better?")
    >>> figure.savefig("comparison.png")
    """
    was_run = table["total"].notna()
    notes = table.get("note", pd.Series("", table.index)).fillna("")
    is_shared = len(set(notes)) == 1
    names = [
        f"{setting}, {note}" if note and not is_shared else setting
        for setting, note in zip(table["setting"], notes.where(was_run, ""), strict=True)
    ]
    title = f"{title}\n{notes.iloc[0]}".strip() if is_shared else title
    figure, axis = _draw(table, pd.Series(names, table.index), "measured", title, "correct")
    if was_run.any():
        first = table[was_run].iloc[0]
        fraction = first["correct"] / first["total"]
        axis.axvline(fraction, color="gray", linestyle=":", label="first row")
    if "published" in table and table["published"].notna().any():
        published = table["published"].to_numpy(float)
        places = np.flatnonzero(~np.isnan(published))
        axis.plot(published[places], places, "D", color=COLORS[1], mfc="none", label="published")
    return _finish(figure, table[["setting", "correct", "total"]], title)


def _draw(
    table: pd.DataFrame, names: pd.Series, series: pd.Series | str, title: str, counted: str
) -> tuple[Figure, plt.Axes]:
    """Draw one line per name, with one marker per value of the series."""
    count = find_count_column(table)
    table = table.assign(_name=names, _series=series)
    run = table[table["total"].notna()]
    lines, labels = list(table["_name"].unique()), list(run["_series"].unique())
    height = 1.4 + len(lines) * max(0.4, 0.28 * len(labels))
    figure, axis = plt.subplots(figsize=(9.5, height))
    for number, label in enumerate(labels):
        rows = run[run["_series"] == label]
        offset = 0.8 * (number - (len(labels) - 1) / 2) / len(labels)
        places = np.array([lines.index(name) for name in rows["_name"]]) + offset
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        axis.hlines(places, rows["low"], rows["high"], color=color)
        axis.plot(rows[count] / rows["total"], places, marker, color=color, label=label)
        for place, correct, total in zip(places, rows[count], rows["total"], strict=True):
            axis.text(1.015, place, f"{correct:.0f}/{total:.0f}", va="center", fontsize="small")
    for name in set(lines) - set(run["_name"]):
        axis.text(0.02, lines.index(name), "not run", va="center", color="gray")
    axis.set_yticks(range(len(lines)), lines)
    axis.set(xlim=(-0.01, 1.01), ylim=(len(lines) - 0.4, -0.6))
    axis.set_xlabel(f"fraction of images {counted}, 95 % interval")
    axis.grid(axis="x")
    axis.set_title(title)
    return figure, axis


def _finish(figure: Figure, table: pd.DataFrame, title: str) -> Figure:
    if figure.axes[0].get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
    rows = table.assign(count=format_counts(table))
    names = [*label_columns(table), "count"]
    lines = [", ".join(map(str, row)) for row in rows[names].itertuples(index=False)]
    return finish(figure, "; ".join([title or "Fractions of images", *lines]))
