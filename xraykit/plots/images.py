"""Galleries: each image under its own name and its own prediction."""

from pathlib import PurePosixPath

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ..data.images import ImageSet, check_images
from ..errors import InputError
from ..explain.perturbations import thorax
from ..metrics.predictions import PROBABILITY
from .style import COLOURS

COLUMNS = 6


def plot_images(
    images: ImageSet,
    predictions: pd.DataFrame | None = None,
    most: int = 36,
    maps: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Show images, each under its true class and, where there are predictions, its own.

    Predictions are looked up by path, so that their order doesn't matter.

    Parameters
    ----------
    images : ImageSet
    predictions : DataFrame, optional
        As `predict` returns it, in any order.
    most : int
        How many images to show at most: the first of each class in turn.
    maps : ndarray, optional
        What `gradcam` gives for these images: drawn over them, the brighter the more it speaks
        for the class predicted, with a line around all above half of the most, and a dotted one
        around the thorax.
    title : str

    Returns
    -------
    Figure
        Shown by a notebook if it is a cell's last line. ✗ marks a wrong prediction.

    Raises
    ------
    InputError
        If an image has no prediction, or there are not as many maps as images.
    """
    check_images(images)
    if maps is not None and len(maps) != len(images):
        raise InputError(f"{len(maps)} maps for {len(images)} images: expected those of gradcam")
    shown = _in_turn(images)[:most]
    titles = _titles(images, predictions)
    rows = -(-len(shown) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(12, 2.5 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, row in zip(axes.flat, sorted(shown), strict=False):
        axis.imshow(images.pixels[row])
        if maps is not None:
            _overlay(axis, maps[row])
        axis.set_title(titles[row], fontsize=8)
    if maps is not None:
        legend = "orange speaks for the class named, line: half of the most, dotted: the thorax"
        title = f"{title} Grad-CAM: {legend}".strip()
    figure.suptitle(title, fontsize=10)
    plt.close(figure)
    return figure


def _overlay(axis: plt.Axes, weight: np.ndarray) -> None:
    most = weight.max()
    if most > 0:
        axis.imshow(weight, cmap=ListedColormap([COLOURS[4]]), alpha=0.6 * weight / most)
        axis.contour(weight, [most / 2], colors="white", linewidths=1)
    axis.contour(thorax(*weight.shape), [0.5], colors="white", linewidths=0.8, linestyles=":")


def _in_turn(images: ImageSet) -> list[int]:
    """Return rows so that any first few hold the classes evenly."""
    place = pd.Series(images.labels).groupby(images.labels).cumcount()
    return place.sort_values(kind="stable").index.tolist()


def _titles(images: ImageSet, predictions: pd.DataFrame | None) -> list[str]:
    names = [_short(PurePosixPath(path).name) for path in images.paths]
    true = images.label_names
    if predictions is None:
        return [f"{name}\n{label}" for name, label in zip(names, true, strict=True)]
    by_path = predictions.set_index("path")
    without = [path for path in images.paths if path not in by_path.index]
    if without:
        raise InputError(
            f"{len(without)} of {len(images)} images have no prediction, {without[0]} the first: "
            "expected the table that xk.predict gives for these very images"
        )
    titles = []
    for name, label, path in zip(names, true, images.paths, strict=True):
        said = by_path.loc[path, "predicted"]
        sure = by_path.loc[path, f"{PROBABILITY}{said}"]
        mark = "✓" if said == label else "✗"
        titles.append(f"{name}\n{mark} {said} {sure:.0%}\ntrue: {label}")
    return titles


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-most // 2 :]}"
