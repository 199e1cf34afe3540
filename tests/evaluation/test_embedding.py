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


def test_when_mapped_then_rows_carry_path_and_class_and_repeat_with_the_seed(binary, small_cnn):
    first, again = (xk.tsne(small_cnn, binary.train, seed=1) for _ in range(2))
    assert first["path"].tolist() == list(binary.train.paths)
    assert first["class"].tolist() == [path.split("/")[2] for path in binary.train.paths]
    assert first.equals(again)


def test_when_pictures_are_few_then_perplexity_is_lowered(binary, small_cnn):
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


def test_when_no_layer_is_named_features_then_one_line_says_so(binary):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Flatten(name="flat")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="last")(x))
    with pytest.raises(xk.InputError, match=r"no layer named 'features'.*flat, last"):
        xk.features(model, binary.test)
