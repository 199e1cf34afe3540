import re

import numpy as np
import pandas as pd
import pytest

import xraykit as xk


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.images]


def of_each(images, probability):
    """Predictions that differ from image to image, so that a mix-up can't hide."""
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


def test_when_predictions_are_shuffled_then_each_image_keeps_its_own(binary):
    images = binary.test
    predictions = of_each(images, lambda i: (i + 1) / (len(images) + 2))
    shuffled = predictions.sample(frac=1, random_state=0)
    # The mistake this guards against: names in folder order, answers in the loader's.
    assert shuffled["predicted"].tolist() != predictions["predicted"].tolist()
    figure = xk.plot_images(images, shuffled)
    for (_, row), title, axis in zip(
        predictions.iterrows(), titles(figure), figure.axes, strict=False
    ):
        sure = max(row["probability_normal"], row["probability_covid"])
        assert f"{row['predicted']} {sure:.0%}" in title
        assert ("✓" in title) == (row["true"] == row["predicted"])
        assert f"true: {row['true']}" in title
        position = images.paths.index(row["path"])
        assert (axis.images[0].get_array() == images.pixels[position]).all()


def test_when_an_image_has_no_prediction_then_one_line_says_so(binary):
    predictions = of_each(binary.test, lambda i: 0.1).iloc[1:]
    with pytest.raises(xk.InputError, match="1 of 8 images have no prediction"):
        xk.plot_images(binary.test, predictions)


def test_when_few_images_are_shown_then_every_class_is_among_them(multiclass):
    shown = titles(xk.plot_images(multiclass.train, most=8))
    assert sorted(title.split("\n")[-1] for title in shown) == sorted(2 * multiclass.class_names)


def test_curves_are_named_for_what_they_are():
    columns = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = pd.DataFrame({name: [0.5, 0.4] for name in columns}, index=[1, 2])
    accuracy, loss = xk.plot_history(history).axes
    for axis in (accuracy, loss):
        assert [line.get_label() for line in axis.lines] == ["training", "validation"]
        assert len({line.get_linestyle() for line in axis.lines}) == 2  # without colour, too
        assert axis.get_xlabel() == "epoch" and axis.get_ylabel()


def test_confusion_shows_counts_and_the_interval(binary):
    scores = xk.score(of_each(binary.test, lambda i: 0.9))
    figure = xk.plot_confusion(scores, "All covid")
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["0", "4", "0", "4"]
    assert re.search(r"All covid\n4/8 = 50 % \[\d+, \d+\]", axis.get_title())


def test_when_several_models_are_mapped_then_each_has_a_panel_and_classes_look_alike(binary):
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
        colours = {tuple(points.get_facecolor()[0]) for points in axis.collections}
        assert len(colours) == 2


def test_when_several_perplexities_are_asked_for_then_each_has_a_panel_that_names_it(
    binary, small_cnn
):
    figure = xk.plot_tsne(small_cnn, binary.train, perplexity=(5, 10), seed=1)
    assert [axis.get_title() for axis in figure.axes] == ["perplexity 5", "perplexity 10"]
    assert "38 images, seed 1" in figure.get_suptitle()
    first, second = (axis.collections[0].get_offsets() for axis in figure.axes)
    assert not np.allclose(first, second)


def test_map_is_coloured_by_each_fact_with_more_than_one_value_and_test_is_hollow(
    binary, small_cnn
):
    facts = xk.image_metadata(binary)  # two sources, two ages; one mode, no frame known
    layout = xk.tsne(small_cnn, binary.train.join(binary.test))
    figure = xk.plot_map(layout, facts)
    assert [axis.get_title() for axis in figure.axes] == ["by class", "by source", "by age"]
    for axis in figure.axes:
        filled, hollow = axis.collections[:2], axis.collections[2:]
        assert sum(len(each.get_offsets()) for each in filled) == len(binary.train)
        assert sum(len(each.get_offsets()) for each in hollow) == len(binary.test)
        assert all(len(each.get_facecolor()) == 0 for each in hollow)
        assert len({tuple(each.get_edgecolor()[0]) for each in hollow}) == 2


def test_proportions_are_drawn_where_they_are_with_counts_and_intervals():
    asked, again = [xk.Proportion(18, 18), xk.Proportion(9, 18)], ["", xk.Proportion(3, 4)]
    table = pd.DataFrame({"asked": asked, "again": again}, ["all", "half"])
    (axis,) = xk.plot_proportions(table, "Title", "called so").axes
    shares = [line.get_xdata().tolist() for line in axis.lines]
    assert shares == [[1.0, 0.5], [0.75]]
    assert {text.get_text() for text in axis.texts} == {"18/18", "9/18", "3/4"}
    ends = [segment[:, 0] for each in axis.collections for segment in each.get_segments()]
    assert ends[1] == pytest.approx(xk.Proportion(9, 18).interval)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["all", "half"]
    assert "called so" in axis.get_xlabel()


def test_when_maps_are_given_then_the_weight_lies_over_each_image(binary):
    maps = np.zeros((8, 32, 32), np.float32)
    maps[:, 3, 5] = 1
    maps[0] = 0  # no place speaks for the class
    figure = xk.plot_images(binary.test, maps=maps)
    drawn = [axis for axis in figure.axes if axis.images]
    assert sorted(len(axis.images) for axis in drawn) == [1] + 7 * [2]
    over = next(axis.images[1] for axis in drawn if len(axis.images) == 2)
    assert np.argwhere(over.get_alpha() > 0).tolist() == [[3, 5]]


def test_when_figures_get_something_else_then_one_line_says_what_they_need(binary, small_cnn):
    facts = xk.image_metadata(binary)
    with pytest.raises(xk.InputError, match=r"facts from xk\.image_metadata"):
        xk.plot_map(xk.tsne(small_cnn, binary.train), facts[facts["part"] == "test"])
    with pytest.raises(xk.InputError, match=r"table of xk\.Proportion"):
        xk.plot_proportions(pd.DataFrame({"asked": ["9/18"]}))


def test_when_perplexities_come_to_the_same_then_the_map_is_drawn_once(binary, small_cnn):
    figure = xk.plot_tsne(small_cnn, binary.test, perplexity=(5, 15, 30))
    assert [axis.get_title() for axis in figure.axes] == ["perplexity 2.33"]
