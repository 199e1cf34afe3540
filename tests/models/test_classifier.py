import numpy as np
import pytest

import xraykit as xk
from xraykit import keras

TWO, FOUR = ("normal", "covid"), ("normal", "covid", "pneumonia_bac", "pneumonia_vir")
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")


def dense(units, activation=None, name=None):
    return keras.layers.Dense(units, activation=activation, name=name)


def flat_head():
    return [keras.layers.Flatten(), dense(256, "relu", "features")]


def small(classes=TWO, head=None, **options):
    return xk.build_classifier("SmallCNN", classes, head=head, image_size=32, **options)


def test_build_classifier_ends_in_a_sigmoid_or_softmax():
    assert small(TWO).output_shape == (None, 1)
    assert small(FOUR).output_shape == (None, 4)
    np.testing.assert_allclose(small(FOUR).predict(PIXELS, verbose=0).sum(axis=1), 1, atol=1e-5)


def test_build_classifier_same_seed_gives_same_weights():
    first, again, other = (small(seed=seed).get_weights() for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_build_classifier_one_head_twice_shares_no_weights():
    head = flat_head()
    first, second = small(head=head), small(head=head)
    before = second.get_layer("features").get_weights()[0]
    first.get_layer("features").set_weights([np.zeros((128, 256)), np.zeros(256)])
    assert (second.get_layer("features").get_weights()[0] == before).all()


@pytest.mark.parametrize(
    "name",
    [
        "VGG16",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("MobileNetV2", "EfficientNetB0")),
    ],
)
def test_build_classifier_saved_and_loaded_predicts_the_same(tmp_path, name):
    model = xk.build_classifier(name, FOUR, weights=None, image_size=32)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.predict(PIXELS, verbose=0) == model.predict(PIXELS, verbose=0)).all()


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ([keras.layers.Flatten()], "no layer named 'features'.*Found flatten"),
        ([dense(8, name="features")], "begin it with Flatten or GlobalAveragePooling2D"),
        ([dense(8, name="features")] * 2, "share a name: features, features"),
        ([keras.layers.Conv2D(4, 9, name="features")], "'features' does not fit"),
    ],
)
def test_build_classifier_head_that_does_not_fit_raises(head, message):
    with pytest.raises(xk.InputError, match=message) as raised:
        small(head=head)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("classes", [("covid",), "covid"])
def test_build_classifier_one_class_raises(classes):
    with pytest.raises(xk.InputError, match="two classes or more"):
        small(classes)
