"""What a reader sees in a student's figure: lines, points, legends and labels."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from .questions import WrongAnswerError

NO_LINE = (None, "None", "none", "", " ")  # how Matplotlib names no line and no marker


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
    """Return all visible lines, and series of points, in a figure, with their labels."""
    curves = []
    for axes in _find_axes(figure):
        for line in axes.lines:
            if _is_seen(line) and (_has_marker(line) or line.get_linestyle() not in NO_LINE):
                x, y = (np.asarray(values, float) for values in line.get_data())
                label = _find_label(figure, line, _get_color(line))
                curves.append(Curve(axes, label, x, y))
        for collection in _find_scatters(axes):
            x, y = np.asarray(collection.get_offsets(), float).T
            color = _get_colors(collection)[0]
            curves.append(Curve(axes, _find_label(figure, collection, color[:7]), x, y))
    return curves


def find_marks(figure: Figure) -> list[Marks]:
    """Return all visible points in a figure that are drawn with a marker."""
    return [marks for axes in _find_axes(figure) for marks in _find_marks(figure, axes)]


def find_texts(figure: Figure) -> list[str]:
    """Return the texts in legends and among the drawings, in lower case, with blanks for _."""
    texts = [text for legend in _find_legends(figure) for text in legend.get_texts()]
    texts += [text for axes in _find_axes(figure) for text in axes.texts]
    return [normalize(text.get_text()) for text in texts if _is_seen(text)]


def normalize(text: str) -> str:
    """Return a text as it is compared: in lower case, with blanks for _."""
    return text.lower().replace("_", " ").strip()


def _is_seen(artist: Artist) -> bool:
    return artist.get_visible() and artist.get_alpha() != 0


def _find_axes(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def _find_legends(figure: Figure) -> list[Legend]:
    return [legend for legend in figure.findobj(Legend) if _is_seen(legend)]


def _find_label(figure: Figure, artist: Artist, color: str) -> str:
    """Return the text in a legend beside a handle of this color, else the label of the artist."""
    texts = [
        text.get_text()
        for legend in _find_legends(figure)
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=False)
        if _get_color(handle) == color
    ]
    label = str(artist.get_label())
    own = "" if label.startswith("_") else label
    return normalize(texts[0] if len(set(texts)) == 1 else own)


def _get_color(handle: Artist | None) -> str:
    """Return the color of a handle in a legend."""
    if isinstance(handle, Line2D):
        return to_hex(to_rgba(handle.get_color()))
    return _get_colors(handle)[0][:7] if isinstance(handle, PathCollection) else ""


def _has_marker(line: Line2D) -> bool:
    return line.get_marker() not in NO_LINE and line.get_markersize() > 0


def _get_colors(collection: PathCollection) -> list[str]:
    """Return the color of each point: that of its face, and of its edge if it differs."""
    collection.update_scalarmappable()  # colors from numbers are computed when it is drawn
    faces: list[Any] = list(collection.get_facecolor())
    edges: list[Any] = list(collection.get_edgecolor())
    if not faces or not edges:
        return [to_hex(color) for color in faces or edges] or ["#000000"]
    number = max(len(faces), len(edges))
    pairs = zip(_repeat(faces, number), _repeat(edges, number), strict=True)
    return [
        to_hex(face) if np.allclose(face[:3], edge[:3]) else to_hex(face) + to_hex(edge)
        for face, edge in pairs
    ]


def _find_marks(figure: Figure, axes: Axes) -> Iterator[Marks]:
    for collection in _find_scatters(axes):
        positions = np.asarray(collection.get_offsets(), float)
        colors = _repeat(_get_colors(collection), len(positions))
        shapes = [np.asarray(path.vertices).tobytes() for path in collection.get_paths()]
        label = _find_label(figure, collection, colors[0][:7]) if positions.size else ""
        yield Marks(label, positions, colors, _repeat(shapes, len(positions)))
    for line in axes.lines:
        if _is_seen(line) and _has_marker(line):
            positions = np.column_stack(line.get_data()).astype(float)
            color, number = _get_color(line), len(positions)
            face: Any = line.get_markerfacecolor()
            both = (
                color
                if face is None or str(face) in NO_LINE
                else to_hex(to_rgba(str(face) if isinstance(face, float) else face)) + color
            )
            markers = [str(line.get_marker()).encode()] * number
            yield Marks(_find_label(figure, line, color), positions, [both] * number, markers)


def _find_scatters(axes: Axes) -> list[PathCollection]:
    scatters = [item for item in axes.collections if isinstance(item, PathCollection)]
    return [item for item in scatters if _is_seen(item) and np.any(item.get_sizes())]


def _repeat(values: Iterable[Any], number: int) -> list:
    """Return one value per point: Matplotlib keeps one if they are all the same."""
    values = list(values)
    return [values[row % len(values)] for row in range(number if values else 0)]
