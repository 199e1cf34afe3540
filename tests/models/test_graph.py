import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit.models.graph import NotCacheableError, description, split_frozen

layers = keras.layers
CLASSES = ("normal", "covid", "pneumonia_bac", "pneumonia_vir")


def build(name="SmallCNN", head=None, **options):
    if head:
        head = [*head, layers.Dense(8, name="features")]
    return xk.build_classifier(name, CLASSES, head, weights=None, image_size=32, **options)


def frozen(**options):
    model = build(**options)
    for layer in model.layers:
        layer.trainable = not layer.name.startswith("block")
    return model


@pytest.mark.parametrize(
    ("model", "end"),
    [
        (lambda: frozen(), "pool"),
        (lambda: frozen(head=[layers.Flatten(), layers.Dropout(0.5)]), "flatten"),
        (lambda: frozen(head=[layers.Flatten(), layers.BatchNormalization()]), "flatten"),
        (lambda: build("VGG16", trainable_from="block5_conv3"), "block5_conv2"),
        (lambda: build("ResNet50V2", end_at="conv3_block4_out"), "pool"),
        (
            lambda: build(
                "ResNet50", end_at="conv3_block4_out", trainable_from="conv3_block2_2_conv"
            ),
            "conv3_block1_out",  # inside a block there are two ways round
        ),
    ],
)
def test_when_layers_are_frozen_then_it_is_cut_where_all_of_the_images_passes(model, end):
    keras.utils.clear_session()
    model = model()
    prefix, tail = split_frozen(model)
    assert prefix.layers[-1].name == end
    assert not prefix.trainable_weights
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(tail(prefix(images)), model(images), rtol=1e-5)
    assert [id(w) for w in tail.trainable_weights] == [id(w) for w in model.trainable_weights]


def with_dropout_inside():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, name="first", trainable=False)(inputs)
    x = layers.SpatialDropout2D(0.1, name="drop")(x)
    x = layers.Flatten()(layers.Conv2D(4, 3, trainable=False)(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


class Own(layers.Layer):
    """Nobody can say what it does next time."""

    def call(self, x):
        return x


def headless(layer):
    """A network with this layer between two frozen ones."""
    inputs = keras.Input((32, 32, 3))
    x = layer(layers.Conv2D(4, 3, trainable=False)(inputs))
    x = layers.Flatten()(layers.Conv2D(4, 3, trainable=False)(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="last")(x))


def with_own_layer():
    return headless(Own(name="own"))


def frozen_whole():
    model = build()
    model.trainable = False
    return model


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (with_dropout_inside, "dropout in use 'drop' is inside its frozen part"),
        (lambda: build("EfficientNetB0"), "dropout in use 'block2b_drop' is inside"),
        (
            lambda: build("ResNet50", end_at="conv2_block3_out", batch_norm="train"),
            "BatchNorm in training mode 'conv1_bn' is inside its frozen part",
        ),
        (build, "no layer before 'block1_conv' is frozen"),
        (with_own_layer, "layer 'own' in its frozen part is not Keras' own"),
        (
            lambda: headless(layers.Lambda(lambda x: x + keras.random.normal((4,)), name="noise")),
            "layer 'noise' in its frozen part is not Keras' own",
        ),
        (
            lambda: headless(layers.TimeDistributed(layers.Dropout(0.5), name="often")),
            "no layer before 'often'|dropout in use 'often'",
        ),
        (frozen_whole, "none of its layers trains"),
    ],
)
def test_when_it_cant_be_cut_then_the_reason_is_said(model, reason):
    with pytest.raises(NotCacheableError, match=reason):
        split_frozen(model())


def test_when_a_layer_is_named_as_a_setting_then_the_description_still_tells_them_apart():
    def network(activation):
        inputs = keras.Input((8,))
        hidden = layers.Dense(3, trainable=False, name="dense")(inputs)
        hidden = layers.Activation(activation, name=activation)(hidden)
        return keras.Model(inputs, layers.Dense(2, name="last")(hidden))

    relu, tanh = (description(split_frozen(network(each))[0]) for each in ("relu", "tanh"))
    assert relu != tanh


def test_when_layers_are_named_otherwise_then_the_description_is_the_same():
    def network(units):
        inputs = keras.Input((8,))
        hidden = layers.Dense(units, trainable=False)(inputs)
        return keras.Model(inputs, layers.Dense(2)(layers.Activation("relu")(hidden)))

    first, again, other = (description(split_frozen(network(units))[0]) for units in (3, 3, 4))
    assert first == again != other
