"""How figures look and what they say: one style, a color and marker per class, a text for each."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

Arguments = ParamSpec("Arguments")

# Okabe and Ito's palette, safe for color-blind readers; markers differ in black-and-white print.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "^", "s", "D", "v", "P")
# Large letters and thick lines, for the last row of a classroom and for a phone.
STYLE: Any = {
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,  # a title is nearer to its own row than to the next
    "font.size": 12,
    "axes.titlesize": 12,
    "figure.titlesize": 13,
    "legend.fontsize": 11,
    "legend.title_fontsize": 11,
    "lines.linewidth": 2,
    "grid.alpha": 0.3,
}


def styled(plot: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Return a plotting function whose figures have this kit's style."""

    @wraps(plot)
    def plot_in_style(*arguments: Arguments.args, **options: Arguments.kwargs) -> Figure:
        before = {name: plt.rcParams[name] for name in STYLE}
        plt.rcParams.update(STYLE)  # `rc_context` would undo what Jupyter sets at the first figure
        try:
            return plot(*arguments, **options)
        finally:
            plt.rcParams.update(before)

    return plot_in_style


def class_styles(class_names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return Matplotlib's `color` and `marker` for each class."""
    return {
        name: {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
        for i, name in enumerate(class_names)
    }


def finish(figure: Figure, text: str) -> Figure:
    """Give a figure the text that notebooks and reports read out in its place, and return it.

    Jupyter finds it in the metadata of the image (`alt`), and the caller in the figure's label.
    """
    plt.close(figure)  # or a notebook would show it twice
    figure.set_label(text)
    alt = {"image/png": {"alt": text}}
    figure._repr_mimebundle_ = lambda **_: ({}, alt)  # type: ignore[attr-defined]
    return figure
