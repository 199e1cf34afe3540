"""The graded questions on figures: learning curves and maps."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from .._keras import keras
from ..data.tasks import Task
from ..explain.embedding import features, tsne
from ..models.classifier import FEATURE_LAYER
from .drawn import Curve, find_curves, find_marks, find_texts, normalize, to_figure
from .questions import add_hints, check_table, graded

METRICS = ("accuracy", "loss")


@graded("curves", 1, "`best_epoch` has the lowest validation loss")
def find_other_epoch(best_epoch: int, history: pd.DataFrame) -> str | None:
    """Look up the validation loss of this epoch."""
    losses = history["val_loss"]
    is_epoch = np.ndim(best_epoch) == 0 and best_epoch in losses.index
    if is_epoch and losses[best_epoch] == losses.min():
        return None
    first, last = losses.index[0], losses.index[-1]
    return (
        f"expected the epoch, from {first} to {last}, of the smallest value, as one number; got "
        f"{best_epoch!r}"
    )


@graded("curves", 1, "accuracy is drawn for training and validation")
def find_missing_accuracy(curves_figure: Figure, history: pd.DataFrame) -> str | None:
    """Compare the drawn points with the history."""
    return _find_missing_curves(curves_figure, history, "accuracy")


@graded("curves", 1, "loss is drawn for training and validation")
def find_missing_loss(curves_figure: Figure, history: pd.DataFrame) -> str | None:
    """Compare the drawn points with the history."""
    return _find_missing_curves(curves_figure, history, "loss")


@graded("curves", 1, "both axes have labels: the epoch, and what is drawn")
def find_missing_labels(curves_figure: Figure, history: pd.DataFrame) -> str | None:
    """Read the labels of each axes that has a curve, or its title."""
    figure = to_figure(curves_figure)
    found = [(name, curve) for name in METRICS for _, curve in _match(figure, history, name)]
    if not found:
        return "expected the curves of accuracy and loss, found neither"
    for name, curve in found:
        axes = curve.axes
        shared = axes.get_shared_x_axes().get_siblings(axes)
        texts = [other.get_xlabel() for other in (axes, *shared)] + [figure.get_supxlabel()]
        if not any("epoch" in text.lower() for text in texts):
            return (
                f"expected 'epoch' below the horizontal axis of {name}, got {axes.get_xlabel()!r}"
            )
        texts = [axes.get_ylabel(), axes.get_title(), axes.get_title("left"), curve.label]
        if not any(name in text.lower() for text in texts):
            return (
                f"expected {name!r} beside the vertical axis or as title, got {axes.get_ylabel()!r}"
            )
    return None


@graded("curves", 1, "a reader can tell training from validation")
def find_missing_legend(curves_figure: Figure, history: pd.DataFrame) -> str | None:
    """Read the labels of the curves, and see whether a legend or a text shows them."""
    figure = to_figure(curves_figure)
    found = [pair for name in METRICS for pair in _match(figure, history, name)]
    if not found:
        return "expected the curves of accuracy and loss, found neither"
    texts = find_texts(figure)
    for column, curve in found:
        is_validation = column.startswith("val_")
        role, other = ("val", "train") if is_validation else ("train", "val")
        label = curve.label
        if other in label or (is_validation and "test" in label):
            return f"the curve of {column} is labeled {label!r}"
        names = (text == normalize(column) or f" {role}" in f" {text}" for text in texts)
        if not any(names):
            return f"expected a legend that names {'validation' if is_validation else 'training'}"
    return None


@graded("tsne", 3, "`image_features` has the features of the training images")
def find_other_image_features(
    image_features: np.ndarray, model: keras.Model, task: Task
) -> str | None:
    """Compute the features again, from the feature cache where it has them."""
    output = model.get_layer(FEATURE_LAYER).output
    found, expected = np.shape(image_features), (len(task.train), output.shape[-1])
    if found != expected:
        return f"expected the shape {expected}, one row per training image; got {found}"
    values = features(model, task.train)
    if not np.allclose(image_features, values, atol=0.05 * np.abs(values).max()):
        return "expected the output of the layer 'features' of `model` for task.train, got others"
    return None


@graded("tsne", 3, "`layout` is the t-SNE map of these features, with the seed")
def find_other_layout(layout: np.ndarray, image_features: np.ndarray, seed: int) -> str | None:
    """Compute the map again."""
    expected = (len(image_features), 2)
    if np.shape(layout) != expected:
        return f"expected the shape {expected}, one point per image; got {np.shape(layout)}"
    third = len(image_features) / 3
    for perplexity in sorted({min(third, 30), min(third // 1, 30)}):
        tsne_map = TSNE(perplexity=perplexity, random_state=seed)
        ours = tsne_map.fit_transform(np.asarray(image_features))
        if np.allclose(np.asarray(layout, float), ours, atol=1e-2 * np.abs(ours).max()):
            return None
    return (
        f"expected scikit-learn's TSNE of image_features with perplexity {perplexity:.3g} and "
        f"random_state {seed}, else as by default; got another map"
    )


@graded("tsne", 1, "each image is one point of the figure")
def find_missing_points(map_figure: Figure, layout: np.ndarray, task: Task) -> str | None:
    """Look for a drawn point at each place of the map."""
    drawn = int(_find_drawn(map_figure, layout)["color"].notna().sum())
    total = len(task.train)
    return None if drawn == total else f"expected {total} points of `layout`, found {drawn}"


@graded("tsne", 1, "each class has a color")
def find_shared_color(map_figure: Figure, layout: np.ndarray, task: Task) -> str | None:
    """Compare the colors of the drawn points with the classes."""
    return _find_shared(map_figure, layout, task, "color")


@graded("tsne", 1, "each class has a marker")
def find_shared_marker(map_figure: Figure, layout: np.ndarray, task: Task) -> str | None:
    """Compare the markers of the drawn points with the classes."""
    return _find_shared(map_figure, layout, task, "marker")


@graded("tsne", 1, "a legend names the classes")
def find_wrong_legend(map_figure: Figure, layout: np.ndarray, task: Task) -> str | None:
    """Look for the class names among the texts, and for points under the name of another class."""
    texts = find_texts(to_figure(map_figure))
    class_names = [normalize(name) for name in task.class_names]
    missing = [
        name
        for name, shown in zip(task.class_names, class_names, strict=True)
        if not any(shown in text for text in texts)
    ]
    if missing:
        return f"expected {', '.join(missing)} in the legend"
    labels = _find_drawn(map_figure, layout)["label"]
    true_names = np.take(class_names, task.train.labels)
    for label, true in zip(labels, true_names, strict=False):
        names = [name for name in class_names if name in str(label)]
        if len(labels) == len(true_names) and names and true not in names:
            return f"an image of {true} is drawn under the label {label!r}"
    return None


@graded("neighbors", 2, "`layout` is the t-SNE map of the training images, with the seed")
def find_other_map(layout: pd.DataFrame, model: keras.Model, task: Task, seed: int) -> str | None:
    """Compute the map again."""
    check_table(layout, "the table that xk.tsne returns")
    if list(layout["path"]) != list(task.train.paths):
        return f"expected the {len(task.train)} training images, got {len(layout)} others"
    ours = tsne(model, task.train, seed=seed)[["x", "y"]].to_numpy()
    if np.allclose(layout[["x", "y"]], ours, atol=1e-2 * np.abs(ours).max()):
        return None
    return f"expected the map of `model` with seed={seed}, got another"


graded("neighbors", 1, "each image is one point of the figure")(find_missing_points)
graded("neighbors", 1, "each class has a color")(find_shared_color)
graded("neighbors", 1, "each class has a marker")(find_shared_marker)
graded("neighbors", 1, "a legend names the classes")(find_wrong_legend)


@graded("neighbors", 1, "`same_class` has one fraction for each class")
def find_missing_fractions(same_class: pd.Series, task: Task) -> str | None:
    """Compare the names with the classes."""
    if not isinstance(same_class, pd.Series | dict):
        return f"expected a Series, got a value of type {type(same_class).__name__}"
    names = [str(name) for name in pd.Series(same_class).index]
    expected = list(task.class_names)
    return None if sorted(names) == sorted(expected) else f"expected {expected}, got {names}"


@graded("neighbors", 3, "`same_class` counts the nearest other point in the map")
def find_other_fractions(same_class: pd.Series, layout: pd.DataFrame, task: Task) -> str | None:
    """Compute the fractions again from the map."""
    _, nearest = (
        NearestNeighbors(n_neighbors=2).fit(layout[["x", "y"]]).kneighbors(layout[["x", "y"]])
    )
    own = np.arange(len(layout))
    others = np.where(nearest[:, 0] == own, nearest[:, 1], nearest[:, 0])
    classes = np.take(task.class_names, task.train.labels)
    if len(classes) != len(layout):
        return f"expected the {len(classes)} training images in `layout`, got {len(layout)}"
    expected = pd.Series(classes == classes[others]).groupby(classes).mean()
    found = pd.Series(same_class).reindex(expected.index).astype(float)
    wrong = [name for name in expected.index if not abs(found[name] - expected[name]) < 0.005]
    if not wrong:
        return None
    if (found == 1).all():
        return (
            "expected the nearest *other* point, got 1 for every class: is each its own neighbor?"
        )
    if found.max() > 1:
        return f"expected fractions from 0 to 1, got {found.max():.3g}"
    return f"another fraction for {', '.join(wrong)}: expected it from x and y of `layout`"


add_hints(
    "curves",
    'history["val_loss"] is a pandas Series whose index is the epoch. You look for the index of '
    "its smallest value, not for its position.",
    'Draw two axes side by side, with two lines in each: history["loss"] and '
    'history["val_loss"], and the same for accuracy. A line has a label=, axes have set_xlabel '
    "and set_ylabel, and axes.legend() shows the labels.",
    "best_epoch = SERIES.idxmin(); curves_figure, axes = plt.subplots(1, 2); "
    'axes[0].plot(TRAINING, label="training"), and so on.',
)
add_hints(
    "tsne",
    'A keras.Model may end at any layer: model.get_layer("features").output is one.',
    "image_features comes from that model's predict(task.train.pixels, verbose=0). "
    "TSNE(…).fit_transform takes it and returns one row per image. task.train.labels == 0 selects "
    "the images of the first class.",
    "For each label and marker: axis.scatter(layout[ROWS, 0], layout[ROWS, 1], marker=MARKER, "
    "label=CLASS NAME), with ROWS = task.train.labels == LABEL; at the end axis.legend().",
)
add_hints(
    "neighbors",
    'layout is a table with the columns class, x and y: layout.groupby("class") gives the rows of '
    "each class, for the scatter plot.",
    "NearestNeighbors(n_neighbors=1).fit(POINTS).kneighbors() without arguments leaves each point "
    "itself out. It returns distances and row numbers.",
    'is_same = layout["class"] == (the class of the row numbers), as an array; then the mean of '
    "is_same for each class.",
)


def _match(figure: Figure, history: pd.DataFrame, metric: str) -> list[tuple[str, Curve]]:
    """Return the columns of this metric that are drawn, each with its curve."""
    matches: list[tuple[str, Curve]] = []
    for column in (metric, f"val_{metric}"):
        if column not in history:
            continue
        values = history[column].to_numpy(float)
        for curve in find_curves(figure):
            is_same = curve.y.shape == values.shape and any(
                np.allclose(curve.y, factor * values)
                for factor in (1, 100)  # or in percent
            )
            if is_same and column not in [name for name, _ in matches]:
                matches.append((column, curve))
    return matches


def _find_missing_curves(figure: object, history: pd.DataFrame, metric: str) -> str | None:
    figure = to_figure(figure)
    drawn = dict(_match(figure, history, metric))
    for column in (metric, f"val_{metric}"):
        if column not in drawn:
            return f'expected a line through the values of history["{column}"], found none'
        if not np.array_equal(drawn[column].x, history.index):
            first, last = drawn[column].x[[0, -1]]
            return (
                f"expected {column} from epoch {history.index[0]} to {history.index[-1]}, got it "
                f"from {first:g} to {last:g}"
            )
    return None


def _find_drawn(figure: object, layout: np.ndarray | pd.DataFrame) -> pd.DataFrame:
    """Return color, marker and label of each point of a map, missing where it is not drawn.

    A map is a table with x and y, or an array whose first two columns are these.
    """
    is_table = isinstance(layout, pd.DataFrame) and {"x", "y"} <= set(layout)
    positions = np.asarray(layout[["x", "y"]] if is_table else layout, float)[:, :2]
    columns = ["color", "marker", "label"]
    styles = pd.DataFrame(None, index=range(len(positions)), columns=columns, dtype=object)
    tolerance = 1e-4 * max(float(np.ptp(positions)), 1e-9)
    for marks in find_marks(to_figure(figure)):
        distances, rows = NearestNeighbors(n_neighbors=1).fit(positions).kneighbors(marks.positions)
        for distance, row, color, marker in zip(
            distances[:, 0], rows[:, 0], marks.colors, marks.markers, strict=True
        ):
            if distance <= tolerance:
                styles.loc[row] = [color, marker, marks.label]
    return styles


def _find_shared(
    figure: object, layout: np.ndarray | pd.DataFrame, task: Task, style: str
) -> str | None:
    styles = _find_drawn(figure, layout)[style]
    if len(styles) != len(task.train) or styles.isna().any():
        return "expected every training image as a point, found fewer"
    by_class = {
        name: set(styles[task.train.labels == label]) for label, name in enumerate(task.class_names)
    }
    for name, found in by_class.items():
        if len(found) > 1:
            return f"expected one {style} for {name}, got {len(found)}"
    owners: dict[object, str] = {}
    for name, (value,) in by_class.items():
        if value in owners:
            return f"expected another {style} for {name} than for {owners[value]}"
        owners[value] = name
    return None
