from functools import cache

import numpy as np
import pytest
from keras import applications

import xraykit as xk
from xraykit import keras
from xraykit.models import SCALINGS

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
MODULES = {
    "VGG16": applications.vgg16,
    "VGG19": applications.vgg19,
    "ResNet50": applications.resnet50,
    "ResNet50V2": applications.resnet_v2,
    "DenseNet121": applications.densenet,
    "MobileNet": applications.mobilenet,
    "MobileNetV2": applications.mobilenet_v2,
}


def batch_norms(model):
    return [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]


@cache
def build(name):
    """Return a random network, for reading only."""
    return xk.backbone(name, weights=None, image_size=32)


def scale(base, pixels):
    return keras.Model(base.input, base.get_layer("preprocessing").output)(pixels)


@pytest.mark.parametrize("name", MODULES)
def test_backbone_scales_pixels_as_the_weights_expect(name):
    expected = MODULES[name].preprocess_input(PIXELS.copy())
    np.testing.assert_allclose(scale(build(name), PIXELS), expected, atol=2e-4)


@pytest.mark.parametrize("name", ["VGG16", "ResNet50V2", "SmallCNN"])
def test_backbone_with_rescale_divides_pixels_by_255(name):
    base = xk.backbone(name, weights=None, preprocessing="rescale", image_size=32)
    np.testing.assert_allclose(scale(base, PIXELS), PIXELS / 255, atol=1e-6)


def test_backbone_inception_scales_pixels_as_its_weights_expect():
    base = xk.backbone("InceptionV3", weights=None, image_size=75)
    pixels = np.full((1, 75, 75, 3), 200.0, "float32")
    expected = applications.inception_v3.preprocess_input(pixels.copy())
    np.testing.assert_allclose(scale(base, pixels), expected, atol=1e-5)


@pytest.mark.parametrize("name", [*MODULES, "EfficientNetB0", "SmallCNN"])
def test_backbone_is_flat_and_ends_in_a_feature_map(name):
    base = build(name)
    assert len(base.output.shape) == 4
    assert not [layer for layer in base.layers if isinstance(layer, keras.Model)]


def test_backbone_by_default_freezes_every_pretrained_layer():
    assert not build("ResNet50").trainable_weights


def test_backbone_trainable_from_trains_that_layer_and_later():
    base = xk.backbone("ResNet50", weights=None, image_size=32, trainable_from="conv5_block3_out")
    assert not base.trainable_weights  # an activation, the last layer
    base = xk.backbone(
        "ResNet50", weights=None, image_size=32, trainable_from="conv5_block3_3_conv"
    )
    assert [layer.name for layer in base.layers if layer.trainable_weights] == [
        "conv5_block3_3_conv"
    ]


def test_backbone_with_batch_norm_train_trains_nothing_else():
    base = xk.backbone("ResNet50", weights=None, image_size=32, batch_norm="train")
    trained = [layer for layer in base.layers if layer.trainable_weights]
    assert trained == batch_norms(base) and trained


def test_backbone_with_end_at_ends_at_that_layer():
    base = xk.backbone("ResNet50", weights=None, end_at="conv4_block6_out", image_size=64)
    assert base.output.shape == (None, 4, 4, 1024)
    assert base.count_params() == 8_589_184


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "VGG-16"}, "Did you mean 'VGG16'"),
        ({"name": "ResNet50", "end_at": "conv4_block6_uot"}, "Did you mean 'conv4_block6_out'"),
        ({"name": "VGG16", "trainable_from": "block6_conv1"}, "Unknown layer of VGG16"),
        ({"name": "VGG16", "batch_norm": "on"}, "Unknown batch_norm 'on'"),
        ({"name": "VGG16", "preprocessing": "none"}, "Unknown preprocessing 'none'"),
        ({"name": "VGG16", "alpha": 0.5}, "VGG16 takes alpha=1"),
        ({"name": "SmallCNN", "image_size": 8}, "could not be built with image_size=8"),
        (
            {"name": "VGG16", "end_at": "block4_pool", "trainable_from": "block5_conv3"},
            "Unknown layer of VGG16 'block5_conv3'",
        ),
        ({"name": "InceptionV3", "image_size": 32}, "could not be built with image_size=32"),
    ],
)
def test_backbone_invalid_argument_raises_in_one_line(arguments, message):
    with pytest.raises(xk.InputError, match=message) as raised:
        xk.backbone(**{"weights": None} | arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "scaling", "message"),
    [
        ("Xception", "ft", "Unknown scaling 'ft': expected one of caffe, tf, torch"),
        ("Xception", "tf", "KERAS_FILES has no file of Xception's ImageNet weights"),
    ],
)
def test_backbone_of_ones_own_says_what_is_missing(name, scaling, message, monkeypatch):
    monkeypatch.setitem(SCALINGS, name, scaling)
    with pytest.raises(xk.InputError, match=message):
        xk.backbone(name, image_size=96)


@pytest.mark.slow
def test_backbone_that_scales_by_itself_is_built_without_that(monkeypatch):
    monkeypatch.setitem(SCALINGS, "MobileNetV3Small", "tf")
    layers = xk.backbone("MobileNetV3Small", weights=None, image_size=32).layers
    assert sum(isinstance(layer, keras.layers.Rescaling) for layer in layers) == 1
