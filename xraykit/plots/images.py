"""Galleries: each image under its name and its prediction."""

from pathlib import PurePosixPath

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ..data.images import ImageSet, check_some_images
from ..errors import InputError
from ..explain.perturbations import thorax_mask
from ..metrics.predictions import PROBABILITY
from .style import COLORS, finish, styled

COLUMNS = 6
MAX_NAME = 22  # characters


@styled
def plot_images(
    images: ImageSet,
    predictions: pd.DataFrame | None = None,
    *,
    max_images: int = 36,
    maps: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Show images, each with its true class and, if given, its prediction.

    Predictions are looked up by path, so that their order doesn't matter.

    Parameters
    ----------
    images : ImageSet
    predictions : DataFrame, optional
        As `predict` returns it, in any order.
    max_images : int
        Largest number of images to show: the first of each class in turn.
    maps : ndarray, optional
        As `gradcam` returns them for these images, drawn over the images: the stronger the orange,
        the more a region supports the predicted class. A line encloses the regions above half of
        the maximum, and a dotted line encloses the thorax.
    title : str

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell. ✗ marks a wrong
        prediction.

    Raises
    ------
    InputError
        If an image has no prediction or several, or the numbers of maps and images differ.

    Examples
    --------
    >>> figure = xk.plot_images(task.test, predictions, maps=xk.gradcam(model, task.test))
    >>> figure.savefig("images.png")
    """
    check_some_images(images)
    if maps is not None and len(maps) != len(images):
        raise InputError(f"{len(maps)} maps for {len(images)} images: expected those of gradcam")
    rows = sorted(_alternate_classes(images)[:max_images])
    titles = _format_titles(images, predictions)
    height = -(-len(rows) // COLUMNS)
    figure, axes = plt.subplots(height, COLUMNS, figsize=(12, 2.7 * height), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, row in zip(axes.flat, rows, strict=False):
        axis.imshow(images.pixels[row])
        if maps is not None:
            _draw_map(axis, maps[row])
        axis.set_title(titles[row], fontsize="small")
    if maps is not None:
        legend = "orange: supports the predicted class; line: half of the maximum; dotted: thorax"
        title = ", ".join(filter(None, [title, f"Grad-CAM ({legend})"]))
    figure.suptitle(title)
    return finish(figure, _describe(images.subset(rows), predictions, title))


def _describe(shown: ImageSet, predictions: pd.DataFrame | None, title: str) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in shown.counts().items())
    text = f"{title} {len(shown)} images: {counts}".strip()
    if predictions is None:
        return text
    table = predictions[predictions["path"].isin(shown.paths)]
    wrong = table[table["true"] != table["predicted"]]
    names = [
        f"{true} as {told}" for true, told in zip(wrong["true"], wrong["predicted"], strict=True)
    ]
    correct = f"{len(table) - len(wrong)} of {len(table)} predicted correctly"
    return f"{text}; {correct}; wrong: {', '.join(names) or 'none'}"


def _draw_map(axis: plt.Axes, weights: np.ndarray) -> None:
    maximum = weights.max()
    if maximum > 0:
        axis.imshow(weights, cmap=ListedColormap([COLORS[4]]), alpha=0.6 * weights / maximum)
        axis.contour(weights, [maximum / 2], colors="white", linewidths=1)
    mask = thorax_mask(*weights.shape)
    axis.contour(mask, [0.5], colors="white", linewidths=0.8, linestyles=":")


def _alternate_classes(images: ImageSet) -> list[int]:
    """Return all rows: first the first image of each class, then the second ones, and so on."""
    place = pd.Series(images.labels).groupby(images.labels).cumcount()
    return place.sort_values(kind="stable").index.tolist()


def _format_titles(images: ImageSet, predictions: pd.DataFrame | None) -> list[str]:
    names = [_shorten(PurePosixPath(path).stem) for path in images.paths]
    true = images.label_names
    if predictions is None:
        return [f"{name}\n{label}" for name, label in zip(names, true, strict=True)]
    by_path = predictions.set_index("path")
    if not by_path.index.is_unique:
        twice = by_path.index[by_path.index.duplicated()][0]
        raise InputError(f"{twice} has several predictions: expected one row per image")
    missing = [path for path in images.paths if path not in by_path.index]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(images)} images have no prediction, such as {missing[0]}: "
            "expected the table of xk.predict for the same images"
        )
    titles = []
    for name, label, path in zip(names, true, images.paths, strict=True):
        predicted = by_path.loc[path, "predicted"]
        probability = by_path.loc[path, f"{PROBABILITY}{predicted}"]
        mark = "✓" if predicted == label else "✗"
        titles.append(f"{name}\n{mark} {predicted} {probability:.0%}\ntrue: {label}")
    return titles


def _shorten(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME // 2 - 1]}…{name[-MAX_NAME // 2 :]}"
