import re

import numpy as np
import pandas as pd
import pytest

import xraykit as xk
from xraykit.metrics.intervals import add_intervals


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.images]


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


def test_plot_images_with_shuffled_predictions_gives_each_image_its_own(binary):
    images = binary.test
    predictions = make_predictions(images, lambda i: (i + 1) / (len(images) + 2))
    shuffled = predictions.sample(frac=1, random_state=0)
    # This guards against names in folder order with predictions in the loader's order.
    assert shuffled["predicted"].tolist() != predictions["predicted"].tolist()
    figure = xk.plot_images(images, predictions=shuffled)
    for (_, row), title, axis in zip(
        predictions.iterrows(), titles(figure), figure.axes, strict=False
    ):
        probability = max(row["probability_normal"], row["probability_covid"])
        assert f"{row['predicted']} {probability:.0%}" in title
        assert ("✓" in title) == (row["true"] == row["predicted"])
        assert f"true: {row['true']}" in title
        position = images.paths.index(row["path"])
        assert (axis.images[0].get_array() == images.pixels[position]).all()


def test_plot_images_without_a_prediction_raises(binary):
    predictions = make_predictions(binary.test, lambda i: 0.1).iloc[1:]
    with pytest.raises(xk.InputError, match="1 of 8 images have no prediction"):
        xk.plot_images(binary.test, predictions=predictions)


def test_plot_images_of_few_images_shows_every_class(multiclass):
    labels = titles(xk.plot_images(multiclass.train, max_images=8))
    assert sorted(title.split("\n")[-1] for title in labels) == sorted(2 * multiclass.class_names)


def test_plot_history_draws_and_labels_each_curve():
    history = pd.DataFrame(
        {
            "loss": [0.9, 0.4],
            "accuracy": [0.5, 0.8],
            "val_loss": [0.7, 0.6],
            "val_accuracy": [0.4, 0.7],
        },
        index=[1, 2],
    )
    accuracy, loss = xk.plot_history(history).axes
    for axis, metric in ((accuracy, "accuracy"), (loss, "loss")):
        assert axis.get_xlabel() == "epoch" and axis.get_ylabel().startswith(metric)
        curves = {line.get_label(): line.get_ydata().tolist() for line in axis.lines}
        assert curves == {
            "training": history[metric].tolist(),
            "validation": history[f"val_{metric}"].tolist(),
        }
        assert len({line.get_linestyle() for line in axis.lines}) == 2  # not by color alone


def test_plot_confusion_shows_counts_and_the_interval(binary):
    scores = xk.score(make_predictions(binary.test, lambda i: 0.9))
    (axis,) = xk.plot_confusion(scores, title="All covid").axes
    cells = {text.get_position(): text.get_text() for text in axis.texts}
    assert cells == {(0, 0): "0", (1, 0): "4", (0, 1): "0", (1, 1): "4"}  # by (column, row)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    for labels in (axis.get_xticklabels(), axis.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["normal", "covid"]
    assert re.search(r"All covid\n4/8 = 50 % \[\d+, \d+\]", axis.get_title())


def test_plot_curves_draws_the_points_of_each_class():
    covid = np.array([0.9, 0.7, 0.4, 0.8, 0.3, 0.2])
    predictions = pd.DataFrame(
        {
            "patient": list("abcdef"),
            "true": ["covid"] * 3 + ["normal"] * 3,
            "predicted": np.where(covid > 0.5, "covid", "normal"),
            "probability_normal": 1 - covid,
            "probability_covid": covid,
        }
    )
    curves = xk.curves(predictions)
    roc, precision_recall = xk.plot_curves(curves, title="Test").axes
    for axis, kind in ((roc, "sensitivity"), (precision_recall, "precision")):
        np.testing.assert_array_equal(axis.lines[0].get_xdata(), curves.points["x"])
        np.testing.assert_array_equal(axis.lines[0].get_ydata(), curves.points[kind])
        band = axis.collections[0].get_paths()[0].vertices[:, 1]
        assert band.max() == curves.points[f"{kind}_high"].max()
        assert band.min() == curves.points[f"{kind}_low"].min()
        assert axis.lines[0].get_label().startswith("covid: ")
    labels = ("false positive rate", "true positive rate (sensitivity)")
    assert (roc.get_xlabel(), roc.get_ylabel()) == labels
    labels = ("recall (sensitivity)", "precision")
    assert (precision_recall.get_xlabel(), precision_recall.get_ylabel()) == labels


def test_plot_calibration_draws_accuracy_by_confidence(binary):
    result = xk.calibration(make_predictions(binary.test, lambda i: (i + 1) / 10))
    first, second = xk.plot_calibration({"before": result, "after": result}).axes
    assert first.get_title().startswith("before\n") and second.get_title().startswith("after\n")
    diagonal, accuracy = first.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    assert diagonal.get_label() == "perfect calibration"
    np.testing.assert_array_equal(accuracy.get_xdata(), result.bins["confidence"])
    expected = result.bins["correct"] / result.bins["total"]
    np.testing.assert_array_equal(accuracy.get_ydata(), expected)
    ends = [segment[:, 1].tolist() for segment in first.collections[0].get_segments()]
    assert ends == result.bins[["low", "high"]].to_numpy().tolist()
    assert first.get_xlabel() == "mean predicted probability"
    assert first.get_ylabel() == "fraction correct, 95 % interval"


def test_plot_tsne_of_several_models_has_one_panel_each(binary):
    models = {
        name: xk.build_classifier("SmallCNN", binary.class_names, image_size=32, seed=seed)
        for seed, name in enumerate(("first", "second"))
    }
    figure = xk.plot_tsne(models, binary.test)
    assert [axis.get_title() for axis in figure.axes] == [
        "first, perplexity 2.33",
        "second, perplexity 2.33",
    ]
    for axis in figure.axes:
        assert [len(points.get_offsets()) for points in axis.collections] == [4, 4]
        colors = {tuple(points.get_facecolor()[0]) for points in axis.collections}
        assert len(colors) == 2


def test_plot_tsne_of_several_perplexities_has_one_panel_each(binary, small_cnn):
    figure = xk.plot_tsne(small_cnn, binary.train, perplexity=(5, 10), seed=1)
    assert [axis.get_title() for axis in figure.axes] == ["perplexity 5", "perplexity 10"]
    assert "38 images, seed 1" in figure.get_suptitle()
    first, second = (axis.collections[0].get_offsets() for axis in figure.axes)
    assert not np.allclose(first, second)


def test_plot_map_has_one_panel_per_property_and_hollow_test_images(binary, small_cnn):
    metadata = xk.image_metadata(binary)  # two sources, two ages; a single mode, no frame known
    layout = xk.tsne(small_cnn, binary.train.join(binary.test))
    figure = xk.plot_map(layout, metadata)
    assert [axis.get_title() for axis in figure.axes] == ["by class", "by source", "by age"]
    for axis in figure.axes:
        filled, hollow = axis.collections[:2], axis.collections[2:]
        assert sum(len(points.get_offsets()) for points in filled) == len(binary.train)
        assert sum(len(points.get_offsets()) for points in hollow) == len(binary.test)
        assert all(len(points.get_facecolor()) == 0 for points in hollow)
        assert len({tuple(points.get_edgecolor()[0]) for points in hollow}) == 2


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


def test_plot_proportions_draws_fractions_intervals_and_counts(counts):
    (axis,) = xk.plot_proportions(counts, title="Title", counted="predicted as covid").axes
    fractions = {line.get_label(): line.get_xdata().tolist() for line in axis.lines}
    assert fractions == {"original": [1.0, 0.5], "retrained": [0.75]}
    texts = {text.get_text(): round(text.get_position()[1], 1) for text in axis.texts}
    assert texts == {"18/18": -0.2, "9/18": 0.8, "3/4": 1.2}
    ends = [segment[:, 0] for lines in axis.collections for segment in lines.get_segments()]
    assert ends[1] == pytest.approx(xk.Proportion(9, 18).interval)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["all", "half"]
    assert axis.get_xlabel() == "fraction of images predicted as covid, 95 % interval"


def test_plot_proportions_marks_a_line_without_totals_as_not_run(counts):
    table = counts[counts["model"] == "retrained"]
    (axis,) = xk.plot_proportions(table).axes
    places = {text.get_text(): text.get_position()[1] for text in axis.texts}
    assert places == {"3/4": 1.0, "not run": 0.0}


def test_plot_proportions_of_one_label_has_one_line_per_value(counts):
    table = counts.iloc[:2].drop(columns="model").rename(columns={"correct": "count"})
    (axis,) = xk.plot_proportions(table).axes
    assert [line.get_xdata().tolist() for line in axis.lines] == [[1.0, 0.5]]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["all", "half"]


def test_plot_comparison_draws_the_first_row_and_published_accuracies():
    table = pd.DataFrame(
        {
            "setting": ["a", "b", "c"],
            "correct": [20, 30, np.nan],
            "total": [40, 40, np.nan],
            "published": [np.nan, 0.61, np.nan],
            "note": ["7 images", "", "no weights"],
        }
    )
    (axis,) = xk.plot_comparison(add_intervals(table), title="Which?").axes
    lines = {line.get_label(): line for line in axis.lines}
    assert lines["measured"].get_xdata().tolist() == [0.5, 0.75]
    assert list(lines["first row"].get_xdata()) == [0.5, 0.5]
    assert lines["published"].get_xdata().tolist() == [0.61]
    assert lines["published"].get_ydata().tolist() == [1]
    assert [text.get_text() for text in axis.texts] == ["20/40", "30/40", "not run"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a, 7 images", "b", "c"]


def test_plot_comparison_writes_a_shared_note_into_the_title():
    table = pd.DataFrame({"setting": ["a", "b"], "correct": [2, 3], "total": 4, "note": "seed 42"})
    (axis,) = xk.plot_comparison(add_intervals(table), title="Which?").axes
    assert axis.get_title() == "Which?\nseed 42"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_plot_images_draws_maps_over_the_images(binary):
    maps = np.zeros((8, 32, 32), np.float32)
    maps[:, 3, 5] = 1
    maps[0] = 0  # no region supports the class
    figure = xk.plot_images(binary.test, maps=maps)
    layers = [axis.images for axis in figure.axes if axis.images]
    assert sorted(map(len, layers)) == [1] + 7 * [2]
    overlay = next(images[1] for images in layers if len(images) == 2)
    assert np.argwhere(overlay.get_alpha() > 0).tolist() == [[3, 5]]


def test_plots_of_other_values_say_what_they_need(binary, small_cnn):
    metadata = xk.image_metadata(binary)
    with pytest.raises(xk.InputError, match=r"metadata of its images from xk\.image_metadata"):
        xk.plot_map(xk.tsne(small_cnn, binary.train), metadata[metadata["part"] == "test"])
    for table in (pd.DataFrame({"model": ["9/18"]}), {"correct": 9, "total": 18}, None):
        with pytest.raises(xk.InputError, match="Expected a table of counts"):
            xk.plot_proportions(table)


def test_plot_tsne_draws_equal_perplexities_once(binary, small_cnn):
    figure = xk.plot_tsne(small_cnn, binary.test, perplexity=(5, 15, 30))
    assert [axis.get_title() for axis in figure.axes] == ["perplexity 2.33"]
