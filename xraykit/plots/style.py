"""How figures look and what they say: one color and marker per class, and a text for each."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito's palette, safe for color-blind readers; markers differ in black-and-white print.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "^", "s", "D", "v", "P")


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
