"""Settings side by side: a dot for the share of pictures right, a line for its interval."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..evaluation.intervals import wilson_interval
from .style import COLOURS


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
    figure, axis = plt.subplots(figsize=(9, 1.3 + 0.34 * len(table)), layout="constrained")
    run = table["of"].notna().to_numpy()
    places = np.arange(len(table))
    right, of = (table.loc[run, name].astype(int) for name in ("right", "of"))
    ends = np.array([wilson_interval(*each) for each in zip(right, of, strict=True)])
    axis.hlines(places[run], ends[:, 0], ends[:, 1], color=COLOURS[0])
    axis.plot(right / of, places[run], "o", color=COLOURS[0], label="measured, 95 % interval")
    axis.axvline(right.iloc[0] / of.iloc[0], color="grey", linestyle=":", label="the first row")
    for place in places[~run]:
        axis.text(0.02, place, "not run", va="center", color="grey", fontsize=9)
    if "published" in table and table["published"].notna().any():
        said = table["published"].notna().to_numpy()
        shares = table.loc[said, "published"]
        axis.plot(
            shares,
            places[said],
            "D",
            color=COLOURS[1],
            mfc="none",
            label="a report's, of its own network",
        )
    notes = table.get("note", pd.Series("", table.index)).fillna("")
    alike = len(set(notes)) == 1
    names = [
        f"{setting}, {note}" if note and not alike else setting
        for setting, note in zip(table["setting"], notes.where(run, ""), strict=True)
    ]
    axis.set_yticks(places, names)
    axis.set(xlim=(0, 1), ylim=(len(table) - 0.4, -0.6), xlabel="share of pictures right")
    axis.grid(axis="x", alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    axis.set_title(f"{title}\n{notes.iloc[0]}".strip() if alike else title, fontsize=11)
    plt.close(figure)
    return figure
