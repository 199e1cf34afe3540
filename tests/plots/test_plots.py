from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from tiny import write_notebook

import xraykit as xk
from xraykit.explain.perturbations import thorax_mask
from xraykit.headless.run import run
from xraykit.metrics import curves
from xraykit.metrics.calibration import Calibration
from xraykit.metrics.curves import Curves
from xraykit.metrics.intervals import add_intervals
from xraykit.plots import maps
from xraykit.plots.style import COLORS, class_styles


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.images]


def tick_labels(axis):
    """Return the labels of the y axis by position."""
    texts = [text.get_text() for text in axis.get_yticklabels()]
    return dict(zip(axis.get_yticks().tolist(), texts, strict=True))


def legend_colors(legend):
    """Return the color that the legend gives each name."""
    colors = {}
    for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
        points = hasattr(handle, "get_facecolors")
        color = handle.get_facecolors()[0] if points else handle.get_color()
        colors[text.get_text()] = to_hex(color).upper()
    return colors


def line_colors(axis):
    """Return the color of each line that has a name."""
    lines = [line for line in axis.lines if not line.get_label().startswith("_")]
    return {line.get_label(): to_hex(line.get_color()).upper() for line in lines}


def is_below(legend, *axes):
    """Return whether a legend is inside the figure and below these axes, not over their points."""
    figure = axes[0].figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    box = legend.get_window_extent(renderer)
    left, right = min(axis.bbox.x0 for axis in axes), max(axis.bbox.x1 for axis in axes)
    is_inside = figure.bbox.y0 <= box.y0 and figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
    return is_inside and box.y1 <= axes[0].bbox.y0 and left < (box.x0 + box.x1) / 2 < right


def make_predictions(images, probability):
    """Return predictions that differ between images, so that a mix-up is noticed."""
    covid = [probability(i) for i in range(len(images))]
    names = ("normal", "covid")
    return pd.DataFrame(
        {
            "path": images.paths,
            "patient": images.patients,
            "true": [names[label] for label in images.labels],
            "predicted": [names[value > 0.5] for value in covid],
            "probability_normal": [1 - value for value in covid],
            "probability_covid": covid,
        }
    )


def test_plot_images_shuffled_predictions_find_their_image(binary):
    images = binary.test
    predictions = make_predictions(images, lambda i: (i + 1) / (len(images) + 2))
    shuffled = predictions.sample(frac=1, random_state=0)
    # This guards against names in folder order with predictions in the loader's order.
    assert shuffled["predicted"].tolist() != predictions["predicted"].tolist()
    figure = xk.plot_images(images, shuffled, title="Test images")
    assert figure.get_suptitle() == "Test images"
    assert titles(figure) == [
        "NORMAL2-IM-7000-0001\n✓ normal 90%\ntrue: normal",
        "NORMAL2-IM-7001-0001\n✓ normal 80%\ntrue: normal",
        "NORMAL2-IM-7002-0001\n✓ normal 70%\ntrue: normal",
        "NORMAL2-IM-7003-0001\n✓ normal 60%\ntrue: normal",
        "covid scan é 7500\n✗ normal 50%\ntrue: covid",
        "covid scan é 7501\n✓ covid 60%\ntrue: covid",
        "covid scan é 7502\n✓ covid 70%\ntrue: covid",
        "covid scan é 7503\n✓ covid 80%\ntrue: covid",
    ]
    for axis, path, pixels in zip(figure.axes, images.paths, images.pixels, strict=False):
        assert axis.get_title().startswith(Path(path).stem)
        assert (axis.images[0].get_array() == pixels).all()


def test_plot_images_without_a_prediction_raises(binary):
    predictions = make_predictions(binary.test, lambda i: 0.1).iloc[1:]
    twice = pd.concat([make_predictions(binary.test, lambda i: 0.1)] * 2)
    with pytest.raises(xk.InputError, match="has several predictions"):
        xk.plot_images(binary.test, twice)
    with pytest.raises(xk.InputError, match="1 of 8 images have no prediction"):
        xk.plot_images(binary.test, predictions=predictions)


def test_plot_images_of_few_images_shows_every_class(multiclass):
    images = multiclass.train
    figure = xk.plot_images(images, max_images=8)
    labels = titles(figure)
    assert sorted(title.split("\n")[-1] for title in labels) == sorted(2 * images.class_names)
    rows = {Path(path).stem: row for row, path in enumerate(images.paths)}
    for axis in figure.axes[:8]:
        name, label = axis.get_title().split("\n")
        assert label == images.label_names[rows[name]]
        assert (axis.images[0].get_array() == images.pixels[rows[name]]).all()


def test_plot_images_long_name_keeps_its_start_and_end(binary):
    image = replace(binary.test.subset([0]), paths=("a/first-letters-and-last-letters.png",))
    assert titles(xk.plot_images(image)) == ["first-lett…ast-letters\nnormal"]


@pytest.mark.slow
def test_figures_of_the_kit_and_later_ones_of_a_student_are_both_shown(tmp_path):
    notebook = write_notebook(
        tmp_path / "tiny.ipynb",
        ("kit", "import xraykit as xk\nxk.plot_confusion(xk.Scores(1, 1, 0.1, COUNTS))"),
        ("student", "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"),
        parameters="import pandas as pd\nCOUNTS = pd.DataFrame({'a': [1]}, index=['a'])",
    )
    run(notebook, tmp_path / "out")
    figures = sorted(path.stem for path in (tmp_path / "out" / "figures").iterdir())
    assert figures == ["kit", "student"]


@pytest.fixture
def history():
    """Two epochs, every number another one."""
    return pd.DataFrame(
        {
            "loss": [0.9, 0.4],
            "accuracy": [0.5, 0.8],
            "val_loss": [0.7, 0.6],
            "val_accuracy": [0.4, 0.75],
        },
        index=[1, 2],
    )


def test_plot_history_draws_and_labels_each_curve(history):
    figure = xk.plot_history(history, "12 epochs")
    assert figure.get_suptitle() == "12 epochs"
    accuracy, loss = figure.axes
    for axis, name, training, validation in (
        (accuracy, "accuracy (fraction correct)", [0.5, 0.8], [0.4, 0.75]),
        (loss, "loss (cross-entropy)", [0.9, 0.4], [0.7, 0.6]),
    ):
        assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", name)
        curves = {line.get_label(): line.get_ydata().tolist() for line in axis.lines}
        assert curves == {"training": training, "validation": validation}
        assert all(line.get_xdata().tolist() == [1, 2] for line in axis.lines)


def test_plot_history_legend_has_the_color_of_each_curve(history):
    for axis in xk.plot_history(history).axes:
        assert legend_colors(axis.get_legend()) == line_colors(axis)
        assert line_colors(axis) == {"training": COLORS[0], "validation": COLORS[1]}
        lines = {line.get_label(): line for line in axis.lines}
        assert lines["training"].get_linestyle() == "-"  # not by color alone
        assert lines["validation"].get_linestyle() == "--"


@pytest.mark.parametrize(("epochs", "markers"), [(30, {"o", "^"}), (31, {"None"})])
def test_plot_history_has_markers_for_few_epochs(history, epochs, markers):
    long = pd.DataFrame([history.loc[1]] * epochs, index=range(1, epochs + 1))
    accuracy, _ = xk.plot_history(long).axes
    assert {line.get_marker() for line in accuracy.lines} == markers


def test_plot_history_axes_start_at_0(history):
    accuracy, loss = xk.plot_history(history).axes
    assert accuracy.get_ylim() == (0, 1.02)
    bottom, top = loss.get_ylim()
    assert bottom == 0 and top > 0.9


def test_plot_history_numbers_whole_epochs_only(history):
    for axis in xk.plot_history(history).axes:
        assert all(tick == int(tick) for tick in axis.get_xticks())


def test_plot_confusion_has_true_rows_and_predicted_columns():
    names = ("normal", "covid", "pneumonia")
    counts = np.array([[5, 1, 0], [2, 6, 3], [0, 4, 7]])  # not symmetric
    true, predicted = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices((3, 3)))
    table = pd.DataFrame({"true": np.take(names, true), "predicted": np.take(names, predicted)})
    columns = {f"probability_{name}": 1.0 * (table["predicted"] == name) for name in names}
    (axis,) = xk.plot_confusion(xk.score(table.assign(**columns)), "Test images").axes
    cells = {text.get_position(): text.get_text() for text in axis.texts}  # by (column, row)
    assert cells == {(x, y): str(counts[y, x]) for x in range(3) for y in range(3)}
    assert (axis.images[0].get_array() == counts).all()  # the darkness of each cell
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    assert [label.get_text() for label in axis.get_xticklabels()] == list(names)
    assert tick_labels(axis) == {0: "normal", 1: "covid", 2: "pneumonia"}
    assert axis.get_title() == "Test images\n18/28 = 64 % [46, 79]"


def make_curves(*names):
    """Curves of three points per class, every number another one."""
    parts = []
    for number, name in enumerate(names):
        part = pd.DataFrame({"class": name, "x": [0.0, 0.5, 1.0]})
        part["sensitivity"] = np.array([0.1, 0.6, 0.9]) + 0.01 * number
        part["precision"] = np.array([0.8, 0.7, 0.3]) + 0.01 * number
        for kind in ("sensitivity", "precision"):
            part[f"{kind}_low"], part[f"{kind}_high"] = part[kind] - 0.05, part[kind] + 0.02
        parts.append(part)
    areas = {"area under ROC": [f"0.8{n}" for n in range(len(names))]}
    areas |= {"average precision": [f"0.6{n}" for n in range(len(names))], "images": 36}
    return Curves(pd.concat(parts, ignore_index=True), pd.DataFrame(areas, index=list(names)))


def test_plot_curves_draws_and_labels_the_curve_of_each_class():
    names = ("normal", "covid", "pneumonia")
    result = make_curves(*names)
    figure = xk.plot_curves(result, "Test images")
    assert figure.get_suptitle() == "Test images"
    for axis, kind, area in zip(
        figure.axes,
        ("sensitivity", "precision"),
        ("area under ROC", "average precision"),
        strict=True,
    ):
        lines, bands = axis.lines[:3], axis.collections
        labels = [f"{name}: {result.areas.loc[name, area]}" for name in names]
        assert [line.get_label() for line in lines] == labels
        for name, line, band in zip(names, lines, bands, strict=True):
            points = result.points[result.points["class"] == name]
            assert line.get_xydata().tolist() == points[["x", kind]].to_numpy().tolist()
            corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
            ends = (points[["x", f"{kind}_{end}"]].to_numpy() for end in ("low", "high"))
            assert corners == {tuple(corner) for corner in np.concatenate(list(ends))}
            color = class_styles(names)[name]["color"]
            assert (line.get_color(), to_hex(band.get_facecolor()).upper()) == (color, color)
        assert len({line.get_linestyle() for line in lines}) == 3  # not by color alone
        assert legend_colors(axis.get_legend()) == line_colors(axis)
        assert axis.get_legend().get_title().get_text() == f"{area}, 95 % interval by patient"


def test_plot_curves_of_two_classes_has_the_second_color():
    for axis in xk.plot_curves(make_curves("covid")).axes:
        color = class_styles(["normal", "covid"])["covid"]["color"]  # as in t-SNE maps
        assert list(line_colors(axis).values()) == [color]
        assert list(legend_colors(axis.get_legend()).values()) == [color]


def test_plot_curves_names_axes_and_draws_the_roc_diagonal():
    roc, precision_recall = xk.plot_curves(make_curves("a", "b", "c")).axes
    assert (roc.get_title(), precision_recall.get_title()) == ("ROC", "precision-recall")
    labels = ("false positive rate", "true positive rate (sensitivity)")
    assert (roc.get_xlabel(), roc.get_ylabel()) == labels
    labels = ("recall (sensitivity)", "precision")
    assert (precision_recall.get_xlabel(), precision_recall.get_ylabel()) == labels
    assert roc.lines[3].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert len(precision_recall.lines) == 3
    assert roc.bbox.y0 == precision_recall.bbox.y0  # side by side
    for axis in (roc, precision_recall):
        assert is_below(axis.get_legend(), axis)
        assert axis.get_xlim() == axis.get_ylim() == (-0.02, 1.02)


def test_plot_curves_of_predictions_agrees_with_a_count(monkeypatch):
    monkeypatch.setattr(curves, "RESAMPLES", 9)  # the bands don't matter here
    covid = np.array([0.9, 0.7, 0.4, 0.8, 0.3, 0.2])  # by rank: ill, well, ill, ill, well, well
    predictions = pd.DataFrame(
        {
            "patient": list("abcdef"),
            "true": ["covid"] * 3 + ["normal"] * 3,
            "predicted": np.where(covid > 0.5, "covid", "normal"),
            "probability_normal": 1 - covid,
            "probability_covid": covid,
        }
    )
    roc, precision_recall = xk.plot_curves(xk.curves(predictions)).axes
    sensitivity = dict(roc.lines[0].get_xydata().round(2).tolist())
    assert [sensitivity[x] for x in (0, 0.33, 0.34, 1)] == [0.33, 0.33, 1, 1]
    precision = dict(precision_recall.lines[0].get_xydata().round(2).tolist())
    assert [precision[x] for x in (0, 0.33, 0.34, 1)] == [1, 1, 0.67, 0.75]


def make_calibration(confidence, correct, total, **scores):
    bins = pd.DataFrame({"confidence": confidence, "correct": correct, "total": total})
    return Calibration(add_intervals(bins), brier=0.3, **scores)


def test_plot_calibration_draws_accuracy_by_confidence():
    before = make_calibration([0.55, 0.9], [0, 6], [4, 8], error=0.31, by_chance=(0.12, 0.2))
    after = make_calibration([0.65], [5], [7], error=0.04, by_chance=(0.09, 0.2))
    first, second = xk.plot_calibration({"before": before, "after": after}).axes
    title = "{}\nexpected calibration error {}\n(perfect calibration: {})"
    assert first.get_title() == title.format("before", "0.31", "0.12")
    assert second.get_title() == title.format("after", "0.04", "0.09")
    assert first.lines[1].get_xydata().tolist() == [[0.55, 0], [0.9, 0.75]]
    assert second.lines[1].get_xydata().tolist() == [[0.65, 5 / 7]]
    assert {text.get_text(): text.xy for text in first.texts} == {
        "0/4": (0.55, 0),
        "6/8": (0.9, 0.75),
    }
    bars = [segment.ravel().tolist() for segment in first.collections[0].get_segments()]
    assert bars == before.bins[["confidence", "low", "confidence", "high"]].to_numpy().tolist()


def test_plot_calibration_names_axes_and_the_diagonal():
    result = make_calibration([0.9], [6], [8], error=0.1, by_chance=(0.1, 0.2))
    (axis,) = xk.plot_calibration({"test": result}).axes
    assert axis.get_xlabel() == "mean predicted probability"
    assert axis.get_ylabel() == "fraction correct, 95 % interval"
    assert axis.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert axis.lines[0].get_label() == "perfect calibration"
    assert legend_colors(axis.figure.legends[0]) == {"perfect calibration": to_hex("gray").upper()}
    points = axis.lines[1]
    assert (points.get_color(), points.get_marker(), points.get_linestyle()) == (
        COLORS[0],
        "o",
        "None",
    )
    for limits in (axis.get_xlim(), axis.get_ylim()):
        assert limits == pytest.approx((0, 1), abs=0.06)


def make_layout(images, first):
    """A map on which every image has its own place."""
    x = first + np.arange(len(images), dtype=float)
    table = {"path": images.paths, "class": images.label_names, "x": x, "y": -x}
    return pd.DataFrame(table)


def find_scatter(collections):
    """Return the points of each collection of a figure, by color and marker."""
    looks = {}
    for points in collections:
        is_hollow = len(points.get_facecolors()) == 0
        color = points.get_edgecolors() if is_hollow else points.get_facecolors()
        (marker,) = points.get_paths()
        key = to_hex(color[0]).upper(), str(marker.vertices.round(2).tolist())
        looks[key] = np.asarray(points.get_offsets()).tolist()
    return looks


def expected_points(layout, column, values):
    """Return the points of each value, by its color and marker."""
    looks = {}
    for value, style in class_styles(values).items():
        marker = MarkerStyle(style["marker"])
        corners = marker.get_path().transformed(marker.get_transform()).vertices
        rows = layout[layout[column] == value]
        looks[style["color"], str(corners.round(2).tolist())] = rows[["x", "y"]].to_numpy().tolist()
    return looks


@pytest.fixture
def fake_tsne(monkeypatch):
    """Instead of t-SNE, a layout that depends on the model's name, the perplexity and the seed."""

    def tsne(model, images, perplexity, seed):
        return make_layout(images, {"first": 100, "second": 200}[model] + perplexity + seed)

    monkeypatch.setattr(maps, "tsne", tsne)


@pytest.mark.usefixtures("fake_tsne")
def test_plot_tsne_draws_each_model_and_perplexity_in_its_panel(binary):
    models = {"report A": "first", "report B": "second"}
    figure = xk.plot_tsne(models, binary.train, perplexity=(5, 10), seed=7)
    panels = {axis.get_title(): find_scatter(axis.collections) for axis in figure.axes}
    assert panels == {
        f"{name}, perplexity {perplexity}": expected_points(
            make_layout(binary.train, start + perplexity + 7), "class", binary.class_names
        )
        for name, start in (("report A", 100), ("report B", 200))
        for perplexity in (5, 10)
    }
    assert figure.get_suptitle() == "t-SNE of the features layer, 38 images, seed 7"


@pytest.mark.usefixtures("fake_tsne")
def test_plot_tsne_legend_has_the_color_of_each_class(multiclass):
    figure = xk.plot_tsne({"one": "first"}, multiclass.test)
    styles = class_styles(multiclass.class_names)
    assert legend_colors(figure.legends[0]) == {
        name: style["color"] for name, style in styles.items()
    }
    assert len({style["marker"] for style in styles.values()}) == 4  # not by color alone
    assert is_below(figure.legends[0], *figure.axes)


def test_plot_tsne_draws_equal_perplexities_once(binary, small_cnn):
    figure = xk.plot_tsne(small_cnn, binary.test, perplexity=(5, 15, 30))
    assert [axis.get_title() for axis in figure.axes] == ["perplexity 2.33"]
    assert [len(points.get_offsets()) for points in figure.axes[0].collections] == [4, 4]


@pytest.fixture
def map_of_images(binary):
    """A map of training and test images, and their metadata: two sources and two ages."""
    layout = make_layout(binary.train.join(binary.test), 0)
    layout.attrs = {"perplexity": 15.333, "seed": 7}
    return layout, xk.image_metadata(binary)


def test_plot_map_draws_a_panel_for_each_property_that_varies(map_of_images):
    layout, metadata = map_of_images
    figure = xk.plot_map(layout, metadata.sample(frac=1, random_state=0))
    assert figure.get_suptitle() == (
        "One t-SNE map, 46 images, perplexity 15.3, seed 7: training filled, test hollow"
    )
    values = {
        "class": ["normal", "covid"],
        "source": ["Kermany et al.", "unknown"],
        "age": ["child", "unknown"],  # the files have one mode, and no frame is known
    }
    assert [axis.get_title() for axis in figure.axes] == [f"by {name}" for name in values]
    table = layout.merge(metadata.drop(columns="class"), on="path")
    is_test = table["part"] == "test"
    for axis, name in zip(figure.axes, values, strict=True):
        filled, hollow = axis.collections[:2], axis.collections[2:]
        assert find_scatter(filled) == expected_points(table[~is_test], name, values[name])
        assert find_scatter(hollow) == expected_points(table[is_test], name, values[name])
        assert all(len(collection.get_facecolors()) == 0 for collection in hollow)
        colors = dict(zip(values[name], COLORS, strict=False))
        assert legend_colors(axis.get_legend()) == colors
        assert is_below(axis.get_legend(), axis)


def test_plot_map_names_a_value_that_only_test_images_have(map_of_images):
    layout, metadata = map_of_images
    metadata["mode"] = np.where(metadata["part"] == "test", "RGBA", "L")
    axis = xk.plot_map(layout, metadata).axes[3]
    assert axis.get_title() == "by mode"
    assert legend_colors(axis.get_legend()) == {"L": COLORS[0], "RGBA": COLORS[1]}
    filled, hollow = axis.collections[0], axis.collections[3]
    assert (len(filled.get_offsets()), len(hollow.get_offsets())) == (38, 8)


def test_plot_map_of_one_panel_has_room_for_its_title(map_of_images):
    layout, metadata = map_of_images
    figure = xk.plot_map(layout, metadata.assign(source="unknown", age="unknown"))
    assert [axis.get_title() for axis in figure.axes] == ["by class"]
    (title,) = [text for text in figure.texts if text.get_text() == figure.get_suptitle()]
    extent = title.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1


@pytest.fixture
def counts():
    """Two perturbations by two models; one of them was not run."""
    table = pd.DataFrame(
        {
            "perturbation": ["all", "half", "all", "half"],
            "model": ["original", "original", "retrained", "retrained"],
            "correct": [18, 9, np.nan, 3],
            "total": [18, 18, np.nan, 4],
        }
    )
    return add_intervals(table)


def find_bars(axis):
    """Return both ends of each horizontal bar by its height and color."""
    return {
        (round(float(segment[0, 1]), 2), to_hex(bars.get_color()[0]).upper()): tuple(segment[:, 0])
        for bars in axis.collections
        for segment in bars.get_segments()
    }


def texts_by_place(axis):
    return {text.get_text(): round(text.get_position()[1], 2) for text in axis.texts}


def find_points(axis):
    """Return the points of each series, x to y, by its name."""
    return {
        line.get_label(): dict(line.get_xydata().round(2).tolist())
        for line in axis.lines
        if line.get_linestyle() == "None"
    }


def test_plot_proportions_draws_fractions_intervals_and_counts(counts):
    figure = xk.plot_proportions(counts, "Perturbed", counted="predicted as covid")
    (axis,) = figure.axes
    assert axis.get_title() == "Perturbed"
    assert axis.get_xlabel() == "fraction of images predicted as covid, 95 % interval"
    assert tick_labels(axis) == {0: "all", 1: "half"} and axis.yaxis.get_inverted()
    assert find_points(axis) == {"original": {1.0: -0.2, 0.5: 0.8}, "retrained": {0.75: 1.2}}
    assert find_bars(axis) == {
        (-0.2, COLORS[0]): xk.Proportion(18, 18).interval,
        (0.8, COLORS[0]): xk.Proportion(9, 18).interval,
        (1.2, COLORS[1]): xk.Proportion(3, 4).interval,
    }
    assert texts_by_place(axis) == {"18/18": -0.2, "9/18": 0.8, "3/4": 1.2}
    assert axis.get_xlim() == pytest.approx((0, 1), abs=0.02)
    assert all(1 < text.get_position()[0] < 1.05 for text in axis.texts)  # to the right of it
    assert is_below(figure.legends[0], axis)


def test_plot_proportions_legend_has_the_color_of_each_series(counts):
    figure = xk.plot_proportions(counts)
    expected = {"original": COLORS[0], "retrained": COLORS[1]}
    assert legend_colors(figure.legends[0]) == line_colors(figure.axes[0]) == expected
    assert [line.get_marker() for line in figure.axes[0].lines] == ["o", "^"]


def test_plot_proportions_marks_a_line_without_totals_as_not_run(counts):
    table = counts[counts["model"] == "retrained"]
    (axis,) = xk.plot_proportions(table).axes
    assert texts_by_place(axis) == {"3/4": 1.0, "not run": 0.0}
    (not_run,) = [text for text in axis.texts if text.get_text() == "not run"]
    assert 0 < not_run.get_position()[0] < 0.5
    assert tick_labels(axis) == {0: "all", 1: "half"}


def test_plot_proportions_of_one_label_has_one_line_per_value(counts):
    table = counts.iloc[:2].drop(columns="model").rename(columns={"correct": "count"})
    (axis,) = xk.plot_proportions(table).axes
    assert find_points(axis) == {"correct": {1.0: 0.0, 0.5: 1.0}}
    assert tick_labels(axis) == {0: "all", 1: "half"}


@pytest.fixture
def comparison():
    """Three settings, of which the last was not run; the second has a published accuracy."""
    table = pd.DataFrame(
        {
            "setting": ["a", "b", "c"],
            "correct": [20, 30, np.nan],
            "total": [40, 40, np.nan],
            "published": [np.nan, 0.61, np.nan],
            "note": ["7 images", "", "no weights"],
        }
    )
    return add_intervals(table)


def test_plot_comparison_draws_measured_and_published(comparison):
    (axis,) = xk.plot_comparison(comparison, "Which?").axes
    assert axis.get_title() == "Which?"
    assert axis.get_xlabel() == "fraction of images correct, 95 % interval"
    assert tick_labels(axis) == {0: "a, 7 images", 1: "b", 2: "c"}
    assert find_points(axis) == {"measured": {0.5: 0.0, 0.75: 1.0}, "published": {0.61: 1.0}}
    ends = [xk.Proportion(correct, 40).interval for correct in (20, 30)]
    assert find_bars(axis) == {(0, COLORS[0]): ends[0], (1, COLORS[0]): ends[1]}
    assert texts_by_place(axis) == {"20/40": 0, "30/40": 1, "not run": 2}


@pytest.mark.parametrize(("rows", "accuracy"), [([0, 1, 2], 0.5), ([2, 1, 0], 0.75)])
def test_plot_comparison_line_is_at_the_first_row_run(comparison, rows, accuracy):
    (axis,) = xk.plot_comparison(comparison.iloc[rows]).axes
    (line,) = [line for line in axis.lines if line.get_label() == "first row"]
    assert list(line.get_xdata()) == [accuracy, accuracy] and list(line.get_ydata()) == [0, 1]
    assert (line.get_color(), line.get_linestyle()) == ("gray", ":")


def test_plot_comparison_legend_has_the_color_of_each_series(comparison):
    figure = xk.plot_comparison(comparison)
    gray = to_hex("gray").upper()
    expected = {"measured": COLORS[0], "first row": gray, "published": COLORS[1]}
    assert legend_colors(figure.legends[0]) == line_colors(figure.axes[0]) == expected
    figure = xk.plot_comparison(comparison.drop(columns="published"))
    assert list(legend_colors(figure.legends[0])) == ["measured", "first row"]


def test_plot_comparison_without_notes_shows_the_settings(comparison):
    (axis,) = xk.plot_comparison(comparison.drop(columns="note")).axes
    assert tick_labels(axis) == {0: "a", 1: "b", 2: "c"}
    published = next(line for line in axis.lines if line.get_label() == "published")
    assert published.get_markerfacecolor() == "none"  # over a measured point both are seen


def test_plot_comparison_writes_a_shared_note_into_the_title():
    table = pd.DataFrame({"setting": ["a", "b"], "correct": [2, 3], "total": 4, "note": "seed 42"})
    (axis,) = xk.plot_comparison(add_intervals(table), title="Which?").axes
    assert axis.get_title() == "Which?\nseed 42"
    assert tick_labels(axis) == {0: "a", 1: "b"}


def test_plot_images_draws_each_map_over_its_image(binary):
    weights = np.zeros((8, 32, 32), np.float32)
    for row in range(1, 8):  # the first has no region that supports the class
        weights[row, row, 5], weights[row, row, 6] = 2, 1
    figure = xk.plot_images(binary.test, maps=weights, title="Test images")
    assert figure.get_suptitle() == (
        "Test images, Grad-CAM (orange: supports the predicted class; line: half of the maximum; "
        "dotted: thorax)"
    )
    assert len(figure.axes[0].images) == 1
    for row in range(1, 8):
        image, overlay = figure.axes[row].images
        assert (image.get_array() == binary.test.pixels[row]).all()
        expected = np.zeros((32, 32))
        expected[row, 5], expected[row, 6] = 0.6, 0.3
        np.testing.assert_allclose(overlay.get_alpha(), expected, rtol=1e-6)
        assert to_hex(overlay.cmap(1.0)).upper() == COLORS[4]


def test_plot_images_outlines_half_the_maximum_and_the_thorax(binary):
    weights = np.zeros((8, 32, 32), np.float32)
    weights[:, 4:20, 6:12] = 4
    axis = xk.plot_images(binary.test, maps=weights).axes[0]
    half, thorax = axis.collections
    assert half.levels.tolist() == [2]
    x, y = np.concatenate(half.get_paths()[0].to_polygons()).T
    assert (x.min(), x.max(), y.min(), y.max()) == (5.5, 11.5, 3.5, 19.5)
    assert thorax.linestyles == ":"
    x, y = np.concatenate(thorax.get_paths()[0].to_polygons()).T
    inside = np.argwhere(thorax_mask(32, 32))
    assert (y.min() + 0.5, x.min() + 0.5) == tuple(inside.min(axis=0))


def test_plot_images_with_too_few_maps_raises(binary):
    with pytest.raises(xk.InputError, match="7 maps for 8 images"):
        xk.plot_images(binary.test, maps=np.zeros((7, 32, 32)))


def test_plots_of_other_values_say_what_they_need(map_of_images):
    layout, metadata = map_of_images
    with pytest.raises(xk.InputError, match=r"metadata of its images from xk\.image_metadata"):
        xk.plot_map(layout, metadata[metadata["part"] == "test"])
    for table in (pd.DataFrame({"model": ["9/18"]}), {"correct": 9, "total": 18}, None):
        with pytest.raises(xk.InputError, match="Expected a table of counts"):
            xk.plot_proportions(table)


def test_figures_carry_their_numbers_as_text_for_jupyter(binary):
    """Jupyter's reports and screen readers take the text from the image's metadata."""
    predictions = make_predictions(binary.test, lambda i: 0.9 if i else 0.2)
    figure = xk.plot_confusion(xk.score(predictions))
    formatter = DisplayFormatter()
    formatter.formatters["image/png"].for_type(Figure, lambda figure: b"png")
    _, metadata = formatter.format(figure)
    wrong = int((predictions["true"] != predictions["predicted"]).sum())
    text = metadata["image/png"]["alt"]
    assert f"{len(predictions) - wrong}/{len(predictions)} =" in text
    assert "normal as covid" in text


def test_plot_history_text_has_first_and_last_values(history):
    text = xk.plot_history(history).get_label()
    assert "validation accuracy from 0.40 to 0.75" in text and "lowest in epoch 2" in text
