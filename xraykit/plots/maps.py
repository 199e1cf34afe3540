"""t-SNE maps of the features."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .._keras import keras
from ..data.images import ImageSet, check_some_images
from ..data.metadata import METADATA
from ..errors import InputError
from ..explain.embedding import limit_perplexity, tsne
from .style import class_styles, finish, styled


def plot_tsne(
    models: keras.Model | dict[str, keras.Model],
    images: ImageSet,
    *,
    perplexity: float | Sequence[float] = 30.0,
    seed: int = 42,
) -> Figure:
    """Plot `tsne` of one model, or of several models side by side.

    Parameters
    ----------
    models : keras.Model, or dict of name to keras.Model
    images : ImageSet
        The training images, to see how the model separates the classes that it was trained on.
    perplexity : float or sequence of float
        As in `tsne`; several values give one map each.
    seed : int

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell.

    Raises
    ------
    InputError
        As `tsne`, and if there is no model or no perplexity.

    Examples
    --------
    >>> xk.plot_tsne(model, task.train, perplexity=(3, 8)).savefig("tsne.png")
    """
    named_models = {"": models} if isinstance(models, keras.Model) else models
    check_some_images(images)
    values = perplexity if isinstance(perplexity, Sequence) else [perplexity]
    if not named_models or not values:
        raise InputError("Expected at least one model and one perplexity, found none")
    limited = dict.fromkeys(limit_perplexity(value, images) for value in values)  # no duplicates
    layouts = {
        ", ".join(filter(None, [name, f"perplexity {value:.3g}"])): tsne(
            model, images, perplexity=value, seed=seed
        )
        for name, model in named_models.items()
        for value in limited
    }
    return plot_layouts(layouts, images.class_names, note=f"seed {seed}")


@styled
def plot_layouts(
    layouts: dict[str, pd.DataFrame], class_names: Sequence[str], *, note: str = ""
) -> Figure:
    """Plot layouts from `tsne` side by side, four in a row at most; the note ends the title."""
    columns = min(4, len(layouts))
    rows = -(-len(layouts) // columns)
    size = (6 * columns, 5.2 * rows) if columns < 3 else (4 * columns, 3.9 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat[len(layouts) :]:
        axis.set_axis_off()
    for axis, (name, layout) in zip(axes.flat, layouts.items(), strict=False):
        _draw_points(axis, layout, "class", class_names)
        axis.set_title(name)
    handles, names = axes[0, 0].get_legend_handles_labels()
    width = 2 if columns == 1 else 4  # classes side by side
    figure.legend(handles, names, loc="outside lower center", ncols=width, frameon=False)
    images = len(next(iter(layouts.values())))
    parts = ["t-SNE of the features layer", f"{images} images", note]
    title = ", ".join(filter(None, parts))
    figure.suptitle(title)
    counts = next(iter(layouts.values()))["class"].value_counts(sort=False)
    groups = ", ".join(f"{count} {name}" for name, count in counts.items())
    return finish(figure, f"{title}: {groups}. Maps: {', '.join(filter(None, layouts)) or 'one'}")


@styled
def plot_map(layout: pd.DataFrame, metadata: pd.DataFrame) -> Figure:
    """Plot one map several times: colored by class, and by metadata that a model should not use.

    Parameters
    ----------
    layout : DataFrame
        From `tsne`, of training and test images together. Test images are hollow.
    metadata : DataFrame
        From `image_metadata`; properties with a single value are left out.

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell.

    Raises
    ------
    InputError
        If an image of the map has no metadata.

    Examples
    --------
    >>> layout = xk.tsne(model, task.train.join(task.test), perplexity=5)
    >>> xk.plot_map(layout, xk.image_metadata(task)).savefig("map.png")
    """
    columns = ["path", "part", *METADATA]
    if not set(columns) <= set(metadata) or set(layout["path"]) - set(metadata["path"]):
        raise InputError(
            "Expected a map from xk.tsne, and the metadata of its images from xk.image_metadata"
        )
    table = layout.merge(metadata[columns], on="path")
    properties = ["class", *(name for name in METADATA if len(set(table[name])) > 1)]
    size = max(3 * len(properties), 7), 4  # the title is 7 inches wide
    figure, axes = plt.subplots(1, len(properties), figsize=size, squeeze=False)
    is_test = table["part"] == "test"
    for axis, name in zip(axes[0], properties, strict=True):
        values = table[name].unique()
        _draw_points(axis, table[~is_test], name, values)
        _draw_points(axis, table[is_test], name, values, is_hollow=True)
        axis.set_title(f"by {name}")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02))
    settings = [f"{name} {value:.3g}" for name, value in layout.attrs.items()]
    text = ", ".join(["One t-SNE map", f"{len(table)} images", *settings])
    figure.suptitle(f"{text}: training filled, test hollow")
    groups = [
        f"by {name}: "
        + ", ".join(f"{n} {value}" for value, n in table[name].value_counts().items())
        for name in properties
    ]
    return finish(figure, f"{text}, colored {'; '.join(groups)}")


def _draw_points(
    axis: plt.Axes, layout: pd.DataFrame, by: str, values: Sequence[str], is_hollow: bool = False
) -> None:
    for value, style in class_styles(values).items():
        points = layout[layout[by] == value]
        look: dict[str, Any] = {"marker": style["marker"], "s": 36, "alpha": 0.75}
        if is_hollow:
            look |= {"facecolors": "none", "edgecolors": style["color"], "linewidths": 1.3}
        else:
            look |= {"color": style["color"], "linewidths": 0, "label": value}
        axis.scatter(points["x"], points["y"], **look)
    axis.set(xticks=[], yticks=[])
