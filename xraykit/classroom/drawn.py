"""What a reader sees in a student's figure: lines, points, legends and labels."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from .questions import WrongAnswerError


class Curve(NamedTuple):
    """A line in a figure: its axes, its label ("" if it has none) and its points."""

    axes: Axes
    label: str
    x: np.ndarray
    y: np.ndarray


class Marks(NamedTuple):
    """Points in a figure: their label, coordinates (points, 2), and color and marker of each."""

    label: str
    positions: np.ndarray
    colors: list[str]
    markers: list[bytes]


def to_figure(value: object) -> Figure:
    """Return the figure of a figure, axes, or a list, array or dict of axes.

    Raises
    ------
    WrongAnswerError
        If it is nothing of this kind.
    """
    while isinstance(value, dict | list | tuple | np.ndarray) and len(value):
        value = next(iter(value.values() if isinstance(value, dict) else value))
    figure = getattr(value, "figure", None)  # a figure's own is itself
    if not isinstance(figure, Figure):
        raise WrongAnswerError(
            f"expected a figure or its axes, got a value of type {type(value).__name__}"
        )
    if "_repr_mimebundle_" in vars(figure):  # see `plots.style.finish`
        raise WrongAnswerError(
            "expected a figure that you drew with Matplotlib, got one that xk drew"
        )
    return figure


def find_curves(figure: Figure) -> list[Curve]:
    """Return all visible lines, and series of points, in a figure."""
    curves = []
    for axes in figure.axes:
        for line in axes.lines:
            if line.get_visible():
                x, y = (np.asarray(values, float) for values in line.get_data())
                curves.append(Curve(axes, _clean_label(line), x, y))
        for collection in _find_scatters(axes):
            x, y = np.asarray(collection.get_offsets(), float).T
            curves.append(Curve(axes, _clean_label(collection), x, y))
    return curves


def find_marks(figure: Figure) -> list[Marks]:
    """Return all visible points in a figure that are drawn with a marker."""
    return [marks for axes in figure.axes for marks in _find_marks(axes)]


def find_texts(figure: Figure) -> list[str]:
    """Return all visible texts in a figure, in lower case."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text.get_text().lower() for text in texts if text.get_visible() and text.get_text()]


def _find_marks(axes: Axes) -> Iterator[Marks]:
    for collection in _find_scatters(axes):
        collection.update_scalarmappable()  # colors from numbers are computed when it is drawn
        positions = np.asarray(collection.get_offsets(), float)
        faces, edges = collection.get_facecolor(), collection.get_edgecolor()
        colors = [to_hex(color) for color in np.atleast_2d(faces if len(faces) else edges)]
        colors = _repeat(colors, len(positions))
        shapes = [np.asarray(path.vertices).tobytes() for path in collection.get_paths()]
        paths = _repeat(shapes, len(positions))
        yield Marks(_clean_label(collection), positions, colors, paths)
    for line in axes.lines:
        if line.get_visible() and line.get_marker() not in (None, "None", "", " "):
            positions = np.column_stack(line.get_data()).astype(float)
            color, marker = to_hex(to_rgba(line.get_color())), str(line.get_marker()).encode()
            colors, markers = [color] * len(positions), [marker] * len(positions)
            yield Marks(_clean_label(line), positions, colors, markers)


def _find_scatters(axes: Axes) -> list[PathCollection]:
    scatters = [item for item in axes.collections if isinstance(item, PathCollection)]
    return [item for item in scatters if item.get_visible()]


def _repeat(values: Iterable[Any], number: int) -> list:
    """Return one value per point: Matplotlib keeps one if they are all the same."""
    values = list(values)
    return [values[row % len(values)] for row in range(number if values else 0)]


def _clean_label(artist: Artist) -> str:
    label = str(artist.get_label())
    return "" if label.startswith("_") else label.lower()
