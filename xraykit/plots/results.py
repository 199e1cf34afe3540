"""Results: the confusion matrix, and the flat map of what the network sees."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..data.images import ImageSet
from ..evaluation.embedding import tsne
from ..evaluation.intervals import proportion
from ..evaluation.scores import Scores
from ..quiet import keras
from .style import class_styles


def plot_confusion(scores: Scores, title: str = "") -> Figure:
    """Plot the confusion matrix: a row a true class, a column a predicted one, counts in the cells.

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.
    """
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
    axis.set_title(f"{title}\n{proportion(scores.right, scores.of)}".strip(), fontsize=11)
    plt.close(figure)
    return figure


def plot_tsne(
    models: keras.Model | dict[str, keras.Model],
    images: ImageSet,
    perplexity: float = 30.0,
    seed: int = 42,
) -> Figure:
    """Plot `tsne` of one model, or of several side by side under their names.

    Parameters
    ----------
    models : keras.Model, or dict of name to keras.Model
    images : ImageSet
        The training pictures, to see how the network tells apart what it was shown.
    perplexity, seed
        As in `tsne`.

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.
    """
    if isinstance(models, keras.Model):
        models = {"": models}
    layouts = {name: tsne(model, images, perplexity, seed) for name, model in models.items()}
    return plot_layouts(layouts, images.class_names)


def plot_layouts(layouts: dict[str, pd.DataFrame], class_names: Sequence[str]) -> Figure:
    """Plot layouts that `tsne` gave, side by side under their names, four in a row at most."""
    columns = min(4, len(layouts))
    rows = -(-len(layouts) // columns)
    size = (6 * columns, 5.2 * rows) if columns < 3 else (4 * columns, 3.9 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for axis in axes.flat[len(layouts) :]:
        axis.set_axis_off()
    for axis, (name, layout) in zip(axes.flat, layouts.items(), strict=False):
        for label, style in class_styles(class_names).items():
            own = layout[layout["class"] == label]
            axis.scatter(own["x"], own["y"], s=28, alpha=0.75, linewidths=0, label=label, **style)
        axis.set(xticks=[], yticks=[], title=name)
    axes[0, 0].legend(title="true class")
    pictures = len(next(iter(layouts.values())))
    figure.suptitle(f"t-SNE of the features layer, {pictures} pictures", fontsize=11)
    plt.close(figure)
    return figure
