"""How a class looks in every figure: one color, one marker."""

from collections.abc import Sequence

# Okabe and Ito's palette, safe for color-blind readers; markers differ in black-and-white print.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "^", "s", "D", "v", "P")


def class_styles(class_names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return Matplotlib's `color` and `marker` for each class."""
    return {
        name: {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
        for i, name in enumerate(class_names)
    }
