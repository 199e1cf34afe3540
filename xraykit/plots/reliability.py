"""How far probabilities can be trusted: ROC, precision-recall and reliability curves."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ..errors import InputError, check_kind
from ..metrics.calibration import Calibration
from ..metrics.curves import Curves
from .style import COLOURS, class_styles

LINES = ("-", "--", "-.", ":")


def plot_curves(found: Curves, title: str = "") -> Figure:
    """Plot ROC and precision-recall curves with their 95 % bands, a line a class.

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.
    """
    check_kind(found, Curves, "curves, xk.curves(predictions)")
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    styles = class_styles(list(found.areas.index))
    for (name, style), line in zip(styles.items(), LINES * len(styles), strict=False):
        own = found.points[found.points["class"] == name]
        for axis, kind, area in zip(
            axes, ("sensitivity", "precision"), found.areas.columns, strict=False
        ):
            label = f"{name}: {found.areas.loc[name, area]}"
            axis.plot(own["x"], own[kind], line, color=style["color"], label=label)
            axis.fill_between(
                own["x"],
                own[f"{kind}_low"],
                own[f"{kind}_high"],
                color=style["color"],
                alpha=0.15,
                linewidth=0,
            )
    axes[0].plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes[0].set(title="ROC", xlabel="1 - specificity", ylabel="sensitivity")
    axes[1].set(title="precision-recall", xlabel="sensitivity", ylabel="precision")
    for axis, area in zip(axes, found.areas.columns, strict=False):
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.grid(alpha=0.3)
        axis.legend(
            title=f"{area}, 95 % by patient",
            fontsize=8,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
        )
    figure.suptitle(title)
    plt.close(figure)
    return figure


def plot_calibration(found: dict[str, Calibration]) -> Figure:
    """Plot how often networks are right where they are so sure, with Wilson's 95 % interval.

    Parameters
    ----------
    found : dict of name to Calibration

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.
    """
    check_kind(found, dict, 'a dict, {"a name": xk.calibration(predictions)}')
    if not found:
        raise InputError("Expected a calibration at least; found an empty dict")
    for each in found.values():
        check_kind(each, Calibration, "values from xk.calibration")
    figure, axes = plt.subplots(
        1, len(found), figsize=(4.6 * len(found), 4.3), layout="constrained", squeeze=False
    )
    for axis, (name, each) in zip(axes[0], found.items(), strict=True):
        bins = each.bins
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, label="as sure as right")
        axis.vlines(bins["confidence"], bins["low"], bins["high"], color=COLOURS[0])
        axis.plot(bins["confidence"], bins["correct"] / bins["total"], "o", color=COLOURS[0])
        for row in bins.itertuples():
            axis.annotate(
                f"{row.correct}/{row.total}",
                (row.confidence, row.correct / row.total),
                xytext=(-4, -11 if row.correct else 4),  # not over the axis
                textcoords="offset points",
                ha="right",
                fontsize=8,
            )
        axis.set(xlim=(0, 1.05), ylim=(-0.02, 1.05), xlabel="how sure (mean of a bin)")
        axis.set_title(
            f"{name}\nexpected calibration error {each.error:.2f}"
            f" (by chance {each.by_chance[0]:.2f})",
            fontsize=10,
        )
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("share right, 95 % interval")
    axes[0, 0].legend(loc="upper left", fontsize=8)
    plt.close(figure)
    return figure
