import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit.data.images import FilePixels
from xraykit.training import CHECKPOINT_FOLDER
from xraykit.training.cache_folder import CACHE_VARIABLE, LIMIT_VARIABLE
from xraykit.training.precision import choose_precision

layers = keras.layers
OPTIONS = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


class Losses(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(logs["loss"])  # the epoch's mean so far


@pytest.fixture
def train():
    """Train the last two blocks of a network, with dropout in its head, and record each loss."""

    def train(task, head=None, scale=None, **options):
        losses = Losses()
        head = [
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(16, activation="relu", name="features"),
            layers.Dropout(0.2),
        ]
        model = xk.build_classifier(
            "SmallCNN", task.class_names, head=head, trainable_from="block4_conv", image_size=32
        )
        if scale:
            (kernel,) = model.get_layer("block3_conv").get_weights()
            model.get_layer("block3_conv").set_weights([kernel * scale])
        history = xk.train(model, task, callbacks=[losses], **OPTIONS | options)
        return model, history, np.array(losses.values)

    return train


@pytest.mark.parametrize(
    "class_weight",
    [{"pneumonia_vir": 3, "normal": 0}, pytest.param(None, marks=pytest.mark.slow)],
)
def test_train_from_float32_cache_has_losses_of_whole(multiclass, train, class_weight):
    options = {"class_weight": class_weight}
    whole, _, expected = train(multiclass, use_feature_cache=False, **options)
    cached, _, actual = train(multiclass, cache_dtype="float32", **options)
    assert len(actual) == 3 * -(-len(multiclass.train) // 8)
    np.testing.assert_allclose(actual, expected, rtol=1e-3)
    for one, other in zip(whole.get_weights(), cached.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(
    "cache_dtype", ["float16", pytest.param("float32", marks=pytest.mark.slow)]
)
def test_train_from_cached_views_agrees_with_the_whole_network(
    binary, train, cache_dtype, tmp_path, monkeypatch, capsys
):
    options = {"augmentation": xk.Augmentation(), "n_views": 3, "cache_dtype": cache_dtype}
    _, history, _ = train(binary, **options)
    assert "Using the feature cache: all layers up to" in capsys.readouterr().out
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "another"))
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    _, whole, _ = train(binary, **options)
    assert "Training the whole network: the features would take" in capsys.readouterr().out
    np.testing.assert_allclose(history["loss"], whole["loss"], rtol=2e-2)


def test_train_second_time_reuses_features_with_equal_result(binary, train, monkeypatch):
    first, history, _ = train(binary)
    monkeypatch.setattr(keras.Model, "predict_on_batch", None)
    again, history_again, _ = train(binary)
    assert history.equals(history_again)
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_train_from_cache_updates_the_whole_model(binary, train, tmp_path):
    model, history, _ = train(binary)
    scores = xk.score(xk.predict(model, binary.validation))
    assert scores.loss == pytest.approx(history["val_loss"].iloc[-1], rel=1e-2)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    assert xk.predict(reloaded, binary.test).equals(xk.predict(model, binary.test))
    assert int(reloaded.optimizer.iterations) == 3 * -(-len(binary.train) // 8)


def test_train_computes_only_features_of_new_images(binary, train, monkeypatch):
    train(binary)
    sizes = []
    compute = keras.Model.predict_on_batch
    monkeypatch.setattr(
        keras.Model, "predict_on_batch", lambda self, x: sizes.append(len(x)) or compute(self, x)
    )
    shared = binary.train.subset(range(5, len(binary.train)))
    other = replace(binary, train=binary.test.join(shared))
    train(other)
    assert sum(sizes) == len(binary.test)


@pytest.mark.parametrize("scale", [1e5, 1e-5])
def test_train_stores_features_outside_float16_range_as_float32(binary, train, cache, scale):
    train(binary, scale=scale)
    dtypes = {np.load(path, mmap_mode="r").dtype for path in cache.rglob("*.npy")}
    assert dtypes == {np.dtype("float32")}


@pytest.mark.slow
def test_train_with_zero_views_or_without_cache(binary, train, cache):
    plain, none = train(binary), train(binary, augmentation=xk.Augmentation.handout(), n_views=0)
    assert plain[1].equals(none[1])
    size = sum(1 for _ in cache.rglob("*.npy"))
    fresh = train(binary, augmentation=xk.Augmentation.handout(), use_feature_cache=False)
    assert size == sum(1 for _ in cache.rglob("*.npy")) and not fresh[1].equals(plain[1])


def test_train_in_mixed_precision_leaves_the_model_in_it(binary, train, capsys):
    _, history, _ = train(binary)
    model, mixed, _ = train(binary, precision="mixed_bfloat16")
    assert "Training the whole network" not in capsys.readouterr().out
    assert not mixed.equals(history)
    assert mixed["loss"].iloc[0] == pytest.approx(history["loss"].iloc[0], rel=0.1)
    *layers, last = model.layers
    assert {layer.dtype_policy.name for layer in layers} == {"mixed_bfloat16"}
    assert last.dtype_policy.name == "float32"
    again = xk.train(model, binary, epochs=1, seed=1)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert np.isfinite(again["loss"]).all()


@pytest.mark.parametrize(
    ("flags", "expected"), [("fma avx512_bf16", "mixed_bfloat16"), ("fma avx512f", "float32")]
)
def test_choose_precision_auto_is_bfloat16_if_in_hardware(tmp_path, monkeypatch, flags, expected):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}")
    monkeypatch.setattr("xraykit.training.precision.Path", lambda path: tmp_path / "cpuinfo")
    assert choose_precision("auto") == expected


@pytest.mark.slow
def test_train_with_images_in_files_gives_the_same_predictions(drawn_challenge, binary, train):
    lazy = xk.load_task("binary", drawn_challenge, image_size=32, in_memory=False)
    assert isinstance(lazy.train.pixels, FilePixels)
    assert lazy.digest == binary.digest
    for options in ({"augmentation": xk.Augmentation()}, {"use_feature_cache": False}):
        (model, history, _), (lazy_model, lazy_history, _) = (
            train(binary, **options),
            train(lazy, **options),
        )
        assert history.equals(lazy_history)
        assert xk.predict(model, binary.test).equals(xk.predict(lazy_model, lazy.test))


def test_train_recalibrates_batch_norm_once(binary, capsys):
    def build(batch_norm):
        return xk.build_classifier(
            "ResNet50",
            binary.class_names,
            weights=None,
            end_at="conv2_block1_out",  # with a branch
            batch_norm=batch_norm,
            image_size=32,
        )

    model = build("recalibrate")
    xk.train(model, binary, **OPTIONS)
    text = capsys.readouterr().out
    assert f"Recalibrated 5 BatchNorm layers on {len(binary.train)} images" in text
    assert "Training the whole network" not in text
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            assert not layer.trainable and np.all(layer.moving_variance.numpy() != 1)
    before = keras.Model(model.input, model.get_layer("conv1_bn").input)
    inputs = before.predict(binary.train.pixels, verbose=0)
    mean = model.get_layer("conv1_bn").moving_mean.numpy()
    np.testing.assert_allclose(mean, inputs.mean(axis=(0, 1, 2)), rtol=0.1, atol=0.02)
    xk.train(model, binary, **OPTIONS)
    assert "Recalibrated" not in capsys.readouterr().out
    np.testing.assert_array_equal(mean, model.get_layer("conv1_bn").moving_mean.numpy())


def test_build_optimizer_adam_steps_like_keras(small_cnn):
    from xraykit.training.optimizers import build_optimizer

    gradients = np.random.default_rng(1).normal(size=(4, 50)).astype("float32")
    values = []
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.5)
    for adam in (keras.optimizers.Adam(schedule), build_optimizer("adam", schedule)):
        variable = keras.Variable(np.ones(50, "float32"))
        for gradient in gradients:
            adam.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        values.append(variable.numpy())
    np.testing.assert_allclose(*values, rtol=1e-5)


CHILD = """
    import os, signal, sys
    import xraykit as xk
    from xraykit import keras
    from xraykit.training import train

    at = int(sys.argv[2])

    class Kill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == at:
                os.kill(os.getpid(), signal.SIGKILL)

    train._make_progress_callback = lambda epochs: Kill()
    task = xk.load_task("binary", sys.argv[1], image_size=32)
    model = xk.build_classifier(
        "SmallCNN", task.class_names, trainable_from="block4_conv", image_size=32
    )
    history = xk.train(model, task, epochs=5, augmentation=xk.Augmentation(), n_views=2)
    print(history.to_json(double_precision=15))
"""


@pytest.mark.slow
def test_train_killed_3_times_resumes_with_the_same_result(drawn_challenge, tmp_path, monkeypatch):
    def child(at):
        command = [sys.executable, "-c", textwrap.dedent(CHILD), str(drawn_challenge), str(at)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.stdout.splitlines()

    uninterrupted = child(at=-1)[-1]
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path / "checkpoints"))
    for at in (0, 2, 3):
        child(at)
    last = child(at=-1)
    assert any("resuming after epoch 3" in line for line in last)
    assert last[-1] == uninterrupted


@pytest.mark.slow
def test_train_in_two_processes_gives_equal_results(drawn_challenge):
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(drawn_challenge), "-1"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0].splitlines()[-1] for process in both)
    assert first == second and os.environ[CACHE_VARIABLE]
