from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit.metrics.intervals import wilson_interval


def test_features_are_those_of_the_named_layer(binary, small_cnn):
    kernel, bias = small_cnn.layers[-1].get_weights()
    by_hand = 1 / (1 + np.exp(-(xk.features(small_cnn, binary.train) @ kernel + bias)))
    predicted = small_cnn.predict(binary.train.pixels, verbose=0)
    np.testing.assert_allclose(by_hand, predicted, rtol=1e-4)


def test_features_of_a_frozen_backbone_are_computed_once(binary, monkeypatch):
    options = {"weights": None, "end_at": "block2_pool", "image_size": 32}
    model = xk.build_classifier("VGG16", binary.class_names, **options)
    extractor = keras.Model(model.input, model.get_layer("features").output)
    by_hand = extractor.predict(binary.train.pixels, verbose=0)
    first = xk.features(model, binary.train)
    np.testing.assert_allclose(first, by_hand, rtol=0.01, atol=0.01 * by_hand.max())
    monkeypatch.setattr(keras.Model, "predict_on_batch", None)  # which fills the feature cache
    np.testing.assert_array_equal(xk.features(model, binary.train), first)


def test_tsne_has_one_row_per_image_and_repeats_with_the_seed(binary, small_cnn):
    first, again = (xk.tsne(small_cnn, binary.train, seed=1) for _ in range(2))
    assert first["path"].tolist() == list(binary.train.paths)
    assert first["class"].tolist() == [path.split("/")[2] for path in binary.train.paths]
    assert first.equals(again)


def test_tsne_of_few_images_lowers_the_perplexity(binary, small_cnn):
    assert len(xk.tsne(small_cnn, binary.test)) == 8


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [(0, xk.InputError, "same features"), (np.nan, xk.TrainingError, "NaN or inf")],
)
def test_tsne_of_a_dead_model_raises_instead_of_crashing(binary, small_cnn, value, error, message):
    layer = small_cnn.get_layer("features")
    layer.activation = keras.activations.linear
    layer.set_weights([np.full_like(weight, value) for weight in layer.get_weights()])
    with pytest.raises(error, match=message):
        xk.tsne(small_cnn, binary.train)


def test_features_of_a_model_with_a_nested_network_are_found(binary, small_cnn):
    inside = keras.Model(small_cnn.input, small_cnn.get_layer("pool").output)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Dense(4, name="features")(inside(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(x))
    assert xk.features(model, binary.test).shape == (8, 4)


def test_features_without_a_layer_of_that_name_raise(binary):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Flatten(name="flat")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="last")(x))
    with pytest.raises(xk.InputError, match=r"no layer named 'features'.*flat, last"):
        xk.features(model, binary.test)


def get_row(table, property, split):
    return table.set_index(["property", "split"]).loc[(property, split)]


@pytest.mark.parametrize("is_separated", [True, False])
def test_cluster_separation_shows_if_features_predict_the_class(binary, monkeypatch, is_separated):
    def draw_features(model, images):
        noise = np.random.default_rng(len(images)).normal(size=(len(images), 2))
        return noise + 100 * is_separated * images.labels[:, None]

    monkeypatch.setattr("xraykit.explain.embedding.features", draw_features)
    table = xk.cluster_separation(None, binary)
    assert list(table.columns[:6]) == ["property", "split", "correct", "total", "low", "high"]
    test = get_row(table, "class", "test")
    assert (test["silhouette"] > 0.9) == is_separated
    assert (test["correct"] == 8) == is_separated and test["total"] == 8
    assert (test["low"], test["high"]) == wilson_interval(int(test["correct"]), 8)
    assert test["most_frequent"] == 4
    assert get_row(table, "class", "training")["total"] == len(binary.train)


def test_cluster_separation_has_one_row_per_property_and_split(binary, small_cnn):
    table = xk.cluster_separation(small_cnn, binary)
    assert table["property"].tolist() == ["class"] * 2 + ["source"] * 2 + ["age"] * 2
    assert table["split"].tolist() == ["training", "test"] * 3
    assert xk.display_table(table).index.tolist() == ["class", "source", "age"]


def test_cluster_separation_takes_other_patients_as_neighbors(binary, monkeypatch):
    """Each image occurs twice, and the labels are permuted."""
    twice = np.repeat(np.arange(len(binary.train)), 2)
    permuted = np.random.default_rng(1).permutation(binary.train.labels)[twice]
    task = replace(binary, train=replace(binary.train.subset(twice), labels=permuted))

    def draw_features(model, images):
        noise = np.random.default_rng(0).normal(size=(100, 2))
        return noise[twice] if len(images) == len(twice) else noise[: len(images)]

    monkeypatch.setattr("xraykit.explain.embedding.features", draw_features)
    monkeypatch.setattr("xraykit.explain.embedding.N_NEIGHBORS", 1)
    metadata = xk.image_metadata(task).drop_duplicates("path")
    monkeypatch.setattr("xraykit.explain.embedding.image_metadata", lambda task: metadata)
    row = get_row(xk.cluster_separation(None, task), "class", "training")
    assert row["correct"] / row["total"] < 0.8


def test_cluster_separation_of_one_patient_raises(binary, small_cnn):
    train = replace(binary.train, patients=("p",) * len(binary.train))
    with pytest.raises(xk.InputError, match="expected two patients or more"):
        xk.cluster_separation(small_cnn, replace(binary, train=train))


@pytest.mark.parametrize(
    "arguments",
    [{"perplexity": value} for value in (0, -5, "30", float("nan"), True, None, 10**400)]
    + [{"seed": -1}, {"seed": None}],
    ids=lambda arguments: str(arguments)[:40],
)
def test_tsne_impossible_argument_raises_before_it_predicts(binary, small_cnn, arguments):
    with pytest.raises(xk.InputError, match=next(iter(arguments))):
        xk.tsne(small_cnn, binary.test, **arguments)


@pytest.mark.parametrize("nothing", [{"perplexity": ()}, {"models": {}}], ids=str)
def test_plot_tsne_of_nothing_raises(binary, small_cnn, nothing):
    with pytest.raises(xk.InputError, match="at least one"):
        xk.plot_tsne(**{"models": small_cnn, "images": binary.test} | nothing)


def test_features_that_are_not_vectors_raise(binary):
    inputs = keras.Input((32, 32, 3))
    maps = keras.layers.Conv2D(3, 3, name="features")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(pooled))
    for function, images in ((xk.tsne, binary.test), (xk.cluster_separation, binary)):
        with pytest.raises(xk.InputError, match="expected one vector per image"):
            function(model, images)


def test_tsne_of_one_feature_or_few_images_raises(binary, small_cnn):
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    one = keras.layers.Dense(1, activation="sigmoid", name="features")(pooled)
    with pytest.raises(xk.InputError, match="found 8 and 1"):
        xk.tsne(keras.Model(inputs, one), binary.test)
    with pytest.raises(xk.InputError, match="found 2 and 256"):
        xk.tsne(small_cnn, binary.test.subset([0, 1]))


@pytest.mark.parametrize("function", [xk.predict, xk.gradcam, xk.tsne, xk.features])
def test_functions_of_an_empty_image_set_raise(binary, small_cnn, function):
    with pytest.raises(xk.InputError, match="image set is empty"):
        function(small_cnn, binary.test.subset([]))
