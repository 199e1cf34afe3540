import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit.models.graph import NotCacheableError, describe_structure, split_frozen

layers = keras.layers
CLASSES = ("normal", "covid", "pneumonia_bac", "pneumonia_vir")


def build(name="SmallCNN", head=None, **options):
    if head:
        head = [*head, layers.Dense(8, name="features")]
    return xk.build_classifier(name, CLASSES, head=head, weights=None, image_size=32, **options)


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
            "conv3_block1_out",  # inside a block there are two paths
        ),
    ],
)
def test_split_frozen_ends_where_all_data_passes(model, end):
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


class ForeignLayer(layers.Layer):
    """Code from outside Keras."""

    def call(self, x):
        return x


def sandwich(layer):
    """Return a network with this layer between two frozen ones."""
    inputs = keras.Input((32, 32, 3))
    x = layer(layers.Conv2D(4, 3, trainable=False)(inputs))
    x = layers.Flatten()(layers.Conv2D(4, 3, trainable=False)(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="last")(x))


def with_foreign_layer():
    return sandwich(ForeignLayer(name="foreign"))


def frozen_completely():
    model = build()
    model.trainable = False
    return model


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (with_dropout_inside, r"active dropout \('drop'\) is inside the frozen part"),
        (lambda: build("EfficientNetB0"), r"active dropout \('block2b_drop'\) is inside"),
        (
            lambda: build("ResNet50", end_at="conv2_block3_out", batch_norm="train"),
            r"BatchNorm in training mode \('conv1_bn'\) is inside the frozen part",
        ),
        (build, "nothing is frozen before 'block1_conv', so there are no features to cache"),
        (with_foreign_layer, "layer 'foreign' in the frozen part is a Lambda or not from Keras"),
        (
            lambda: sandwich(layers.Lambda(lambda x: x + keras.random.normal((4,)), name="noise")),
            "layer 'noise' in the frozen part is a Lambda or not from Keras",
        ),
        (
            lambda: sandwich(layers.TimeDistributed(layers.Dropout(0.5), name="often")),
            r"active dropout \('often'\) is inside the frozen part",
        ),
        (frozen_completely, "no layer is trainable"),
    ],
)
def test_split_frozen_without_a_frozen_part_says_why(model, reason):
    with pytest.raises(NotCacheableError, match=reason):
        split_frozen(model())


def test_describe_structure_layer_named_like_a_setting_differs():
    def network(activation):
        inputs = keras.Input((8,))
        hidden = layers.Dense(3, trainable=False, name="dense")(inputs)
        hidden = layers.Activation(activation, name=activation)(hidden)
        return keras.Model(inputs, layers.Dense(2, name="last")(hidden))

    relu, tanh = (describe_structure(split_frozen(network(x))[0]) for x in ("relu", "tanh"))
    assert relu != tanh


def test_describe_structure_does_not_depend_on_names_of_layers():
    def network(units):
        inputs = keras.Input((8,))
        hidden = layers.Dense(units, trainable=False)(inputs)
        return keras.Model(inputs, layers.Dense(2)(layers.Activation("relu")(hidden)))

    first, again, other = (describe_structure(split_frozen(network(n))[0]) for n in (3, 3, 4))
    assert first == again != other
