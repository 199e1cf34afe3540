from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit import keras


def test_when_features_are_taken_then_they_are_the_named_layers(binary, small_cnn):
    tapped = xk.features(small_cnn, binary.train)
    last = small_cnn.layers[-1].get_weights()
    by_hand = 1 / (1 + np.exp(-(tapped @ last[0] + last[1])))
    said = small_cnn.predict(binary.train.pixels, verbose=0)
    np.testing.assert_allclose(by_hand, said, rtol=1e-4)


def test_when_the_backbone_is_frozen_then_its_part_is_computed_once(binary, monkeypatch):
    model = xk.build_classifier("MobileNet", binary.class_names, weights=None, image_size=32)
    tap = keras.Model(model.input, model.get_layer("features").output)
    by_hand = tap.predict(binary.train.pixels, verbose=0)
    first = xk.features(model, binary.train)
    np.testing.assert_allclose(first, by_hand, rtol=0.01, atol=0.01 * by_hand.max())
    monkeypatch.setattr(keras.Model, "predict_on_batch", None)  # what fills the bank
    np.testing.assert_array_equal(xk.features(model, binary.train), first)


def test_when_mapped_then_rows_carry_path_and_class_and_repeat_with_the_seed(binary, small_cnn):
    first, again = (xk.tsne(small_cnn, binary.train, seed=1) for _ in range(2))
    assert first["path"].tolist() == list(binary.train.paths)
    assert first["class"].tolist() == [path.split("/")[2] for path in binary.train.paths]
    assert first.equals(again)


def test_when_images_are_few_then_perplexity_is_lowered(binary, small_cnn):
    assert len(xk.tsne(small_cnn, binary.test)) == 8


@pytest.mark.parametrize(("value", "message"), [(0, "the same features"), (np.nan, "no numbers")])
def test_when_network_is_dead_then_one_line_says_so_instead_of_a_crash(
    binary, small_cnn, value, message
):
    layer = small_cnn.get_layer("features")
    layer.activation = keras.activations.linear
    layer.set_weights([np.full_like(weight, value) for weight in layer.get_weights()])
    with pytest.raises(xk.InputError, match=message):
        xk.tsne(small_cnn, binary.train)


def test_when_a_network_stands_inside_then_the_named_layer_is_still_reached(binary, small_cnn):
    inside = keras.Model(small_cnn.input, small_cnn.get_layer("pool").output)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Dense(4, name="features")(inside(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(x))
    assert xk.features(model, binary.test).shape == (8, 4)


def test_when_no_layer_is_named_features_then_one_line_says_so(binary):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Flatten(name="flat")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="last")(x))
    with pytest.raises(xk.InputError, match=r"no layer named 'features'.*flat, last"):
        xk.features(model, binary.test)


@pytest.mark.parametrize("apart", [True, False])
def test_when_features_tell_the_class_then_silhouette_and_neighbours_say_so(
    binary, monkeypatch, apart
):
    def drawn(model, images):
        noise = np.random.default_rng(len(images)).normal(size=(len(images), 2))
        return noise + 100 * apart * images.labels[:, None]

    monkeypatch.setattr("xraykit.explain.embedding.features", drawn)
    row = xk.cluster_separation(None, binary).loc["class"]
    assert (row["silhouette, test"] > 0.9) == apart
    assert (row["15 nearest, test"] == xk.Proportion(8, 8)) == apart
    assert row["15 nearest, training"].total == len(binary.train)
    assert row["most frequent, test"] == xk.Proportion(4, 8)


def test_when_a_patient_has_many_images_then_they_are_not_each_others_neighbours(
    binary, monkeypatch
):
    """Each image is there twice, and the classes are dealt by lot."""
    twice = np.repeat(np.arange(len(binary.train)), 2)
    by_lot = np.random.default_rng(1).permutation(binary.train.labels)[twice]
    task = replace(binary, train=replace(binary.train.subset(twice), labels=by_lot))

    def drawn(model, images):
        noise = np.random.default_rng(0).normal(size=(100, 2))
        return noise[twice] if len(images) == len(twice) else noise[: len(images)]

    monkeypatch.setattr("xraykit.explain.embedding.features", drawn)
    monkeypatch.setattr("xraykit.explain.embedding.NEIGHBOURS", 1)
    facts = xk.image_metadata(task).drop_duplicates("path")
    monkeypatch.setattr("xraykit.explain.embedding.image_metadata", lambda task: facts)
    assert xk.cluster_separation(None, task).loc["class", "15 nearest, training"].share < 0.8
