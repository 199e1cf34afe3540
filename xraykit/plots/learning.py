"""Learning curves."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .style import COLORS, finish, styled

MAX_MARKED = 30  # epochs that are few enough for a marker each


@styled
def plot_history(history: pd.DataFrame, title: str = "") -> Figure:
    """Plot accuracy and loss by epoch, on the training and the validation images.

    Parameters
    ----------
    history : DataFrame
        As `train` returns it.
    title : str

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell.

    Examples
    --------
    >>> xk.plot_history(history, "SmallCNN").savefig("history.png")
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for axis, metric in zip(axes, ("accuracy", "loss"), strict=True):
        for column, label, line, color, marker in (
            (metric, "training", "-", COLORS[0], "o"),
            (f"val_{metric}", "validation", "--", COLORS[1], "^"),
        ):
            axis.plot(
                history.index,
                history[column],
                line,
                color=color,
                marker=marker if len(history) <= MAX_MARKED else None,
                markersize=5,
                label=label,
            )
        axis.set(xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid()
        axis.set_ylim(bottom=0)
    axes[0].set_ylim(top=1.02)
    axes[0].set_ylabel("accuracy (fraction correct)")
    axes[1].set_ylabel("loss (cross-entropy)")
    axes[0].legend(loc="lower right")
    axes[1].legend(loc="upper right")
    figure.suptitle(title)
    first, last = history.iloc[0], history.iloc[-1]
    parts = [
        f"{name} from {first[column]:.2f} to {last[column]:.2f}"
        for column, name in (
            ("accuracy", "training accuracy"),
            ("val_accuracy", "validation accuracy"),
            ("loss", "training loss"),
            ("val_loss", "validation loss"),
        )
    ]
    lowest = history["val_loss"].idxmin()
    text = (
        f"Learning curves over {len(history)} epochs: {', '.join(parts)}, lowest in epoch {lowest}"
    )
    return finish(figure, text)
