"""Maps: what the network sees, laid out flat by t-SNE."""

from collections.abc import Sequence
from numbers import Real

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .._keras import keras
from ..data.images import ImageSet
from ..data.metadata import METADATA
from ..errors import InputError
from ..explain.embedding import tsne, usable
from .style import class_styles


def plot_tsne(
    models: keras.Model | dict[str, keras.Model],
    images: ImageSet,
    perplexity: float | Sequence[float] = 30.0,
    seed: int = 42,
) -> Figure:
    """Plot `tsne` of one model, or of several side by side under their names.

    Parameters
    ----------
    models : keras.Model, or dict of name to keras.Model
    images : ImageSet
        The training images, to see how the network tells apart what it was shown.
    perplexity : float or sequence of float
        As in `tsne`; several give a map each.
    seed : int

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.
    """
    named = {"": models} if isinstance(models, keras.Model) else models
    asked = [perplexity] if isinstance(perplexity, Real) else perplexity
    wanted = dict.fromkeys(usable(each, images) for each in asked)  # each once
    layouts = {
        ", ".join(filter(None, [name, f"perplexity {each:.3g}"])): tsne(model, images, each, seed)
        for name, model in named.items()
        for each in wanted
    }
    return plot_layouts(layouts, images.class_names, f"seed {seed}")


def plot_layouts(
    layouts: dict[str, pd.DataFrame], class_names: Sequence[str], how: str = ""
) -> Figure:
    """Plot layouts that `tsne` gave, side by side under their names, four in a row at most."""
    columns = min(4, len(layouts))
    rows = -(-len(layouts) // columns)
    size = (6 * columns, 5.2 * rows) if columns < 3 else (4 * columns, 3.9 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for axis in axes.flat[len(layouts) :]:
        axis.set_axis_off()
    for axis, (name, layout) in zip(axes.flat, layouts.items(), strict=False):
        _scatter(axis, layout, "class", class_names)
        axis.set_title(name, fontsize=10)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    images = len(next(iter(layouts.values())))
    said = ["t-SNE of the features layer", f"{images} images", how]
    figure.suptitle(", ".join(filter(None, said)), fontsize=11)
    plt.close(figure)
    return figure


def plot_map(layout: pd.DataFrame, facts: pd.DataFrame) -> Figure:
    """Plot one map several times: coloured by class, and by what a network should not go by.

    Parameters
    ----------
    layout : DataFrame
        From `tsne`, of training and test images together.
    facts : DataFrame
        From `image_metadata`; those that have one value alone are left out. Test images are
        hollow.

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line.

    Raises
    ------
    InputError
        If there are no facts about an image of the map.
    """
    if not {"path", "part", *METADATA} <= set(facts) or set(layout["path"]) - set(facts["path"]):
        raise InputError(
            "Expected a map from xk.tsne, and the facts from xk.image_metadata about its images"
        )
    table = layout.merge(facts[["path", "part", *METADATA]], on="path")
    shown = ["class", *(name for name in METADATA if len(set(table[name])) > 1)]
    figure, axes = plt.subplots(
        1, len(shown), figsize=(3 * len(shown), 4), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes[0], shown, strict=True):
        values = table[name].unique()
        tested = table["part"] == "test"
        _scatter(axis, table[~tested], name, values)
        _scatter(axis, table[tested], name, values, facecolors="none", linewidths=1.3, label=None)
        axis.set_title(f"by {name}", fontsize=10)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), fontsize=9)
    how = [f"{name} {value:.3g}" for name, value in layout.attrs.items()]
    said = ", ".join(["One t-SNE map", f"{len(table)} images", *how])
    figure.suptitle(f"{said}: training filled, test hollow", fontsize=11)
    plt.close(figure)
    return figure


def _scatter(
    axis: plt.Axes, layout: pd.DataFrame, by: str, values: Sequence[str], **options: object
) -> None:
    look = {"s": 28, "alpha": 0.75, "linewidths": 0} | options
    for value, style in class_styles(values).items():
        own = layout[layout[by] == value]
        named = {"label": value} | look
        if "facecolors" in look:
            named |= {"edgecolors": style["color"], "marker": style["marker"]}
        else:
            named |= style
        axis.scatter(own["x"], own["y"], **named)
    axis.set(xticks=[], yticks=[])
