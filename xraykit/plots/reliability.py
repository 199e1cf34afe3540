"""Curves of predicted probabilities: ROC, precision-recall and calibration."""

import re

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ..errors import InputError, check_kind
from ..metrics.calibration import Calibration
from ..metrics.curves import Curves
from .style import COLORS, class_styles, finish, styled

LINES = ("-", "--", "-.", ":")


@styled
def plot_curves(curves: Curves, title: str = "") -> Figure:
    """Plot ROC and precision-recall curves with their 95 % bands, one line per class.

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell.

    Examples
    --------
    >>> xk.plot_curves(xk.curves(predictions)).savefig("curves.png")
    """
    check_kind(curves, Curves, "curves, xk.curves(predictions)")
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.8))
    names = list(curves.areas.index)
    # Of two classes only the second has a curve: in its own color, as in every figure.
    styles = class_styles(names if len(names) > 1 else ["", *names])
    panels = list(zip(axes, ("sensitivity", "precision"), curves.areas.columns, strict=False))
    for name, line in zip(names, LINES * len(names), strict=False):
        points, color = curves.points[curves.points["class"] == name], styles[name]["color"]
        for axis, kind, area in panels:
            label = f"{name}: {curves.areas.loc[name, area]}"
            axis.plot(points["x"], points[kind], line, color=color, label=label)
            band = points[f"{kind}_low"], points[f"{kind}_high"]
            axis.fill_between(points["x"], *band, color=color, alpha=0.15, linewidth=0)
    axes[0].plot([0, 1], [0, 1], color="gray", linewidth=1)
    axes[0].set(title="ROC", xlabel="false positive rate")
    axes[0].set_ylabel("true positive rate (sensitivity)")
    axes[1].set(title="precision-recall", xlabel="recall (sensitivity)", ylabel="precision")
    for axis, _, area in panels:
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.grid()
        axis.legend(
            title=f"{area}, 95 % interval by patient",
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
        )
    figure.suptitle(title)
    texts = [f"{name} {row.to_dict()}" for name, row in curves.areas.iterrows()]
    text = re.sub(r"[{}']", "", "; ".join(texts))
    return finish(figure, f"ROC and precision-recall curves. Areas: {text}")


@styled
def plot_calibration(calibrations: dict[str, Calibration]) -> Figure:
    """Plot calibration curves side by side: accuracy by confidence, with Wilson's 95 % interval.

    Parameters
    ----------
    calibrations : dict of name to Calibration

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell.

    Examples
    --------
    >>> figure = xk.plot_calibration({"test": xk.calibration(predictions)})
    >>> figure.savefig("calibration.png")
    """
    check_kind(calibrations, dict, 'a dict, {"a name": xk.calibration(predictions)}')
    if not calibrations:
        raise InputError("Expected at least one Calibration, got an empty dict")
    for calibration in calibrations.values():
        check_kind(calibration, Calibration, "values from xk.calibration")
    count = len(calibrations)
    figure, axes = plt.subplots(1, count, figsize=(4.8 * count, 4.8), squeeze=False)
    for axis, (name, calibration) in zip(axes[0], calibrations.items(), strict=True):
        _draw_calibration(axis, calibration)
        axis.set_title(
            f"{name}\nexpected calibration error {calibration.error:.2f}\n"
            f"(perfect calibration: {calibration.by_chance[0]:.2f})"
        )
    axes[0, 0].set_ylabel("fraction correct, 95 % interval")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False)
    parts = [
        f"{name}, mean probability and count correct per bin: "
        + ", ".join(
            f"{row.confidence:.2f} {row.correct}/{row.total}" for row in c.bins.itertuples()
        )
        for name, c in calibrations.items()
    ]
    return finish(figure, f"Calibration curves. {'; '.join(parts)}")


def _draw_calibration(axis: plt.Axes, calibration: Calibration) -> None:
    bins = calibration.bins
    axis.plot([0, 1], [0, 1], color="gray", linewidth=1, label="perfect calibration")
    axis.vlines(bins["confidence"], bins["low"], bins["high"], color=COLORS[0])
    axis.plot(bins["confidence"], bins["correct"] / bins["total"], "o", color=COLORS[0])
    for row in bins.itertuples():
        axis.annotate(
            f"{row.correct}/{row.total}",
            (row.confidence, row.correct / row.total),
            xytext=(-4, -11 if row.correct else 4),  # not over the axis
            textcoords="offset points",
            ha="right",
            fontsize="small",
        )
    axis.set(xlim=(0, 1.05), ylim=(-0.02, 1.05), xlabel="mean predicted probability")
    axis.grid()
