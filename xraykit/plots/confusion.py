"""Results: the confusion matrix."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..errors import check_kind
from ..metrics.intervals import Proportion
from ..metrics.scores import Scores


def plot_confusion(scores: Scores, title: str = "") -> Figure:
    """Plot the confusion matrix: a row a true class, a column a predicted one, counts in the cells.

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.
    """
    check_kind(scores, Scores, "scores, xk.score(predictions)")
    counts = scores.confusion.to_numpy()
    names = list(scores.confusion.index)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.8 * len(names)
    figure, axis = plt.subplots(figsize=(side + 0.8, side), layout="constrained")
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, count, ha="center", va="center", color=colour, fontsize=13)
    axis.set(xticks=range(len(names)), yticks=range(len(names)), xlabel="predicted", ylabel="true")
    axis.set_xticklabels(names, rotation=30, ha="right")
    axis.set_yticklabels(names)
    axis.set_title(f"{title}\n{Proportion(scores.correct, scores.total)}".strip(), fontsize=11)
    plt.close(figure)
    return figure
