from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

import xraykit as xk
from xraykit import keras
from xraykit.explain.gradcam import _find_last_maps
from xraykit.models.backbones import SCALINGS

LINEAR = [
    keras.layers.GlobalAveragePooling2D(name="pool"),
    keras.layers.Dense(8, name="features"),
]


def at_size(images, size):
    """Four images of noise, as large as the largest network needs."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    return replace(images.subset([0, 1, 2, 3]), pixels=pixels)


def class_activation_maps(model, images):
    """Return Grad-CAM of a model with a linear head by hand (Zhou et al. 2016).

    The maps before a max-pooling layer give the same: their gradients have the same sum.
    """
    before, pool, hidden, last = model.layers[-4:]
    layer_output = before.input if isinstance(before, keras.layers.MaxPooling2D) else pool.input
    features = keras.Model(model.input, layer_output).predict(images.pixels, verbose=0)
    weights = hidden.get_weights()[0] @ last.get_weights()[0]
    probabilities = model.predict(images.pixels, verbose=0)
    if last.units == 1:
        class_weights = np.where(probabilities > 0.5, 1, -1) * weights[:, 0]
    else:
        class_weights = weights.T[probabilities.argmax(axis=1)]
    maps = np.maximum((features * class_weights[:, None, None, :]).sum(axis=-1), 0)
    large = tf.image.resize(maps[..., None], images.pixels.shape[1:3])[..., 0].numpy()
    total = large.sum(axis=(1, 2), keepdims=True)
    return np.divide(large, total, out=np.zeros_like(large), where=total > 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALINGS)
def test_gradcam_of_a_linear_head_is_the_class_activation_map(name, multiclass):
    size = 128
    model = xk.build_classifier(
        name, multiclass.class_names, head=LINEAR, weights=None, image_size=size
    )
    kernel, _ = model.layers[-1].get_weights()
    images = at_size(multiclass.test, size)
    for bias in 9 * np.eye(4)[:2]:  # for each class in turn: with new weights neither is certain
        model.layers[-1].set_weights([kernel, bias])
        maps = xk.gradcam(model, images)
        assert maps.shape == (4, size, size) and maps.dtype == np.float32
        np.testing.assert_allclose(maps, class_activation_maps(model, images), atol=1e-6)


def test_gradcam_explains_the_first_class_by_opposite_logit(binary):
    inputs = keras.Input((32, 32, 3))
    keras.utils.set_random_seed(0)
    x = keras.layers.Conv2D(16, 3, activation="relu")(inputs)
    for layer in LINEAR:
        x = type(layer).from_config(layer.get_config())(x)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    last = model.layers[-1]
    maps = []
    for bias in (-1e4, 1e4):  # predicts normal for all, then covid: the true class has no effect
        last.set_weights([last.get_weights()[0], np.array([bias], np.float32)])
        maps.append(xk.gradcam(model, binary.test))
        np.testing.assert_allclose(maps[-1], class_activation_maps(model, binary.test), atol=1e-6)
    assert np.any(maps)


@pytest.mark.slow
def test_gradcam_finds_the_corner_that_predicts_the_class(tmp_path):
    """Phantoms in two random classes; one class has a white square in a corner."""
    xk.draw_phantoms(tmp_path / "set", task="binary", images=148, shortcut=0.0, seed=5)
    task = xk.load_task("binary", tmp_path / "set", image_size=128)

    def add_squares(images, seed):
        random = np.random.default_rng(seed)
        labels = random.permutation(np.arange(len(images)) % 2)
        pixels = images.pixels.copy()
        for row in np.flatnonzero(labels):
            start = random.integers(8)
            pixels[row, start : start + 25, start : start + 25] = 255
        return replace(images, pixels=pixels, labels=labels)

    parts = task.parts
    task = replace(
        task, **{name: add_squares(part, i) for i, (name, part) in enumerate(parts.items())}
    )
    model = xk.build_classifier("SmallCNN", task.class_names, image_size=128)
    xk.train(model, task, epochs=15, learning_rate=1e-3)
    held_out = task.validation.join(task.test)
    predictions = xk.predict(model, held_out)
    assert (predictions["true"] == predictions["predicted"]).mean() > 0.95
    has_square = (predictions["predicted"] == "covid").to_numpy()
    corner = xk.gradcam(model, held_out)[has_square, :64, :64].sum(axis=(1, 2))
    assert corner.mean() >= 0.9


def test_gradcam_maps_sum_to_one_and_leave_the_model_unchanged(multiclass):
    model = xk.build_classifier("SmallCNN", multiclass.class_names, image_size=32)
    before = model.predict(multiclass.test.pixels, verbose=0)
    maps = xk.gradcam(model, multiclass.train)  # more than a batch
    assert (maps >= 0).all()
    total = maps.sum(axis=(1, 2))
    np.testing.assert_allclose(total[total > 0], 1, rtol=1e-4)
    assert (total > 0).any()
    np.testing.assert_array_equal(model.predict(multiclass.test.pixels, verbose=0), before)
    np.testing.assert_array_equal(xk.gradcam(model, multiclass.test.subset([3]))[0].shape, (32, 32))


def test_thorax_attention_leaves_out_maps_without_weight(binary):
    model = xk.build_classifier("SmallCNN", binary.class_names, image_size=32)
    last = model.layers[-1]
    last.set_weights([np.zeros_like(last.get_weights()[0]), np.array([1.0])])
    maps = xk.gradcam(model, binary.test)
    assert not maps.any()
    table = xk.thorax_attention(maps, xk.predict(model, binary.test))
    assert table.loc["all", "images"] == 0


def test_gradcam_without_a_last_dense_layer_raises(binary):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Dense(1)(keras.layers.Flatten(name="features")(inputs))
    model = keras.Model(inputs, keras.layers.Activation("sigmoid", name="squashed")(x))
    with pytest.raises(xk.InputError, match="last layer that is Dense, found 'squashed'"):
        xk.gradcam(model, binary.test)


def test_thorax_attention_is_the_fraction_in_the_thorax(binary):
    maps = np.zeros((8, 32, 32), np.float32)
    maps[:4, 0, 0] = 1  # normal: all weight in a corner
    maps[4:, 16, 16] = 0.75  # covid: three quarters of it in the middle
    maps[4:, 31, 31] = 0.25
    predictions = xk.predict(
        xk.build_classifier("SmallCNN", binary.class_names, image_size=32), binary.test
    )
    table = xk.thorax_attention(maps, predictions)
    assert list(table) == ["images", "thorax", "border", "lowest", "highest", "uniform"]
    assert table["thorax"].tolist() == [0, 0.75, 0.375]
    assert table["border"].tolist() == [1, 0.25, 0.625]
    assert table["lowest"].tolist() == [0, 0.75, 0]
    assert table["highest"].tolist() == [0, 0.75, 0.75]
    assert table["images"].tolist() == [4, 4, 8]
    assert set(table["uniform"]) == {(24 / 32) ** 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [
        ("InceptionV3", 75, "mixed7"),
        ("ResNet50V2", 32, "conv4_block5_out"),
        ("MobileNetV2", 32, "block_13_expand_relu"),
    ],
)
def test_find_last_maps_of_tiny_images_takes_a_bottleneck(name, size, layer, multiclass):
    """If the last maps are 1 × 1: not a branch, and not a layer that only pads."""
    model = xk.build_classifier(name, multiclass.class_names, weights=None, image_size=size)
    assert _find_last_maps(model)._keras_history.operation.name == layer


def test_find_last_maps_skips_pooling_and_dropout_of_the_head(binary):
    head = [
        keras.layers.AveragePooling2D(2),
        keras.layers.SpatialDropout2D(0.5),
        keras.layers.Flatten(name="features"),
    ]
    model = xk.build_classifier(
        "SmallCNN", binary.class_names, head=head, image_size=96, alpha=0.5, end_at="block4_relu"
    )
    assert _find_last_maps(model)._keras_history.operation.name == "block4_relu"
    assert xk.gradcam(model, at_size(binary.test, 96)).shape == (4, 96, 96)


def test_gradcam_in_half_precision_gives_the_same_maps(binary, small_cnn):
    expected = xk.gradcam(small_cnn, binary.test)
    weights = small_cnn.get_weights()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = xk.build_classifier("SmallCNN", binary.class_names, image_size=32)
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(weights)
    maps = xk.gradcam(half, binary.test)
    assert maps.dtype == np.float32
    assert np.corrcoef(maps.ravel(), expected.ravel())[0, 1] > 0.95


def test_gradcam_and_features_of_a_nested_model_raise(binary, small_cnn):
    inside = keras.Model(small_cnn.input, small_cnn.layers[-2].output, name="inside")
    model = keras.Sequential([inside, keras.layers.Dense(1, "sigmoid")])
    model.build((None, 32, 32, 3))
    for function in (xk.gradcam, xk.features):
        with pytest.raises(xk.InputError, match=r"'inside' is a layer of the model.*build it flat"):
            function(model, binary.test)


def test_thorax_attention_and_plot_images_with_other_maps_raise(binary, small_cnn):
    maps = xk.gradcam(small_cnn, binary.validation)
    with pytest.raises(xk.InputError, match="10 maps and 8 predictions"):
        xk.thorax_attention(maps, xk.predict(small_cnn, binary.test))
    with pytest.raises(xk.InputError, match="10 maps for 8 images"):
        xk.plot_images(binary.test, maps=maps)


def test_thorax_attention_of_a_sorted_table_raises(binary, small_cnn):
    maps = xk.gradcam(small_cnn, binary.test)
    predictions = xk.predict(small_cnn, binary.test)
    with pytest.raises(xk.InputError, match="another order than the images"):
        xk.thorax_attention(maps, predictions.iloc[::-1])
