"""Proportions side by side: a dot for the share, a line for its interval."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..errors import InputError
from ..metrics.intervals import Proportion
from .style import COLOURS, MARKERS


def plot_proportions(table: pd.DataFrame, title: str = "", shares: str = "right") -> Figure:
    """Plot a table of proportions: a row each, and in it a dot and an interval for each column.

    Parameters
    ----------
    table : DataFrame of Proportion
        As `occlusion` and `elsewhere` give it; other cells are left out, a row without any is
        marked as not run.
    title : str
    shares : str
        What the pictures counted are: right, say.

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.

    Raises
    ------
    InputError
        If the table has no proportion.
    """
    if not table.apply(_is_proportion).to_numpy().any():
        raise InputError(
            "Expected a table of xk.Proportion, such as xk.occlusion and xk.elsewhere give; "
            "found none"
        )
    figure, _ = _draw(table, title, shares)
    return _finish(figure)


def plot_comparison(table: pd.DataFrame, title: str = "") -> Figure:
    """Plot a row a setting: its accuracy with Wilson's 95 % interval, published ones beside it.

    Parameters
    ----------
    table : DataFrame
        Columns setting, right and of (missing where it was not run); perhaps `published`, shares
        from 0 to 1, drawn as diamonds, and `note`, which stands beside the setting.
    title : str

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.
    """
    run = table["of"].notna()
    counts = zip(table["right"], table["of"], run, strict=True)
    cells = [Proportion(int(right), int(of)) if there else "" for right, of, there in counts]
    notes = table.get("note", pd.Series("", table.index)).fillna("")
    alike = len(set(notes)) == 1
    names = [
        f"{setting}, {note}" if note and not alike else setting
        for setting, note in zip(table["setting"], notes.where(run, ""), strict=True)
    ]
    title = f"{title}\n{notes.iloc[0]}".strip() if alike else title
    figure, axis = _draw(pd.DataFrame({"measured": cells}, names), title, "right")
    first = next((cell for cell in cells if cell), None)
    if first:
        axis.axvline(first.share, color="grey", linestyle=":", label="the first row")
    if "published" in table and table["published"].notna().any():
        said = table["published"].notna().to_numpy()
        axis.plot(
            table.loc[said, "published"],
            np.flatnonzero(said),
            "D",
            color=COLOURS[1],
            mfc="none",
            label="a report's, of its own network",
        )
    return _finish(figure)


def _draw(table: pd.DataFrame, title: str, shares: str) -> tuple[Figure, plt.Axes]:
    series = [name for name in table if _is_proportion(table[name]).any()]
    step = 0.8 / max(len(series), 1)
    height = 1.4 + len(table) * max(0.34, 0.24 * len(series))
    figure, axis = plt.subplots(figsize=(9.5, height), layout="constrained")
    places = np.arange(len(table), dtype=float)
    for number, name in enumerate(series):
        run = _is_proportion(table[name]).to_numpy()
        found = table.loc[run, name]
        at = places[run] + (number - (len(series) - 1) / 2) * step
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        low, high = zip(*(each.interval for each in found), strict=True)
        axis.hlines(at, low, high, color=colour)
        axis.plot([each.share for each in found], at, marker, color=colour, label=name)
        for each, place in zip(found, at, strict=True):
            axis.text(1.015, place, f"{each.right}/{each.of}", va="center", fontsize=8)
    for place in places[~table.apply(_is_proportion).any(axis=1)]:
        axis.text(0.02, place, "not run", va="center", color="grey", fontsize=9)
    axis.set_yticks(places, table.index)
    axis.set(xlim=(-0.01, 1.01), ylim=(len(table) - 0.4, -0.6))
    axis.set_xlabel(f"share of pictures {shares}, 95 % interval")
    axis.grid(axis="x", alpha=0.3)
    axis.set_title(title, fontsize=11)
    return figure, axis


def _finish(figure: Figure) -> Figure:
    if figure.axes[0].get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    plt.close(figure)
    return figure


def _is_proportion(cells: pd.Series) -> pd.Series:
    return cells.map(lambda cell: isinstance(cell, Proportion))
