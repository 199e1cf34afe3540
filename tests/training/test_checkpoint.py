from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit.training import CHECKPOINT_FOLDER, train as train_module

EPOCHS = 4


class Kill(keras.callbacks.Callback):
    """Fails in the middle of an epoch, counted from 0."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (self.at, 2):
            raise RuntimeError("killed")


class ForeignLayer(keras.layers.Layer):
    """Code from outside Keras, which can change without a trace."""

    def call(self, pixels):
        return pixels


def schedule():
    return keras.optimizers.schedules.ExponentialDecay(0.01, 9, 0.5)


OPTIONS = {
    "plain": {},
    "best": {"early_stopping": 2, "restore_best_weights": True},
    "schedule": {"learning_rate": schedule},
}


@pytest.fixture
def hopeless(binary):
    """A task with swapped validation labels, on which training only gets worse."""
    swapped = replace(binary.validation, labels=1 - binary.validation.labels)
    return replace(binary, validation=swapped)


@pytest.fixture
def train(monkeypatch):
    def train(task, at=None, seed=3, weights=None, foreign=False, **options):
        keras.utils.clear_session()  # names of layers start again, as in a new process
        keras.utils.set_random_seed(weights or seed)
        inputs = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(8, 3, strides=2)(keras.layers.Rescaling(1 / 255)(inputs))
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
        x = keras.layers.Flatten()(ForeignLayer()(x) if foreign else x)
        x = keras.layers.Dropout(0.3)(keras.layers.Dense(8)(x))
        model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
        built = {name: value() if callable(value) else value for name, value in options.items()}
        monkeypatch.setattr(train_module, "_make_progress_callback", lambda epochs: Kill(at))
        monkeypatch.setattr(train_module, "MAX_STEPS_PER_EXECUTION", 1)  # fails between two steps
        history = xk.train(
            model, task, epochs=EPOCHS, augmentation=xk.Augmentation(), seed=seed, **built
        )
        return history, model.get_weights()

    return train


@pytest.mark.parametrize(
    "kind",
    ["best", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("plain", "schedule"))],
)
def test_train_interrupted_resumes_with_the_same_result(
    kind, train, hopeless, tmp_path, monkeypatch, capsys
):
    uninterrupted, weights = train(hopeless, **OPTIONS[kind])
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    with pytest.raises(Exception, match="killed"):
        train(hopeless, at=2, **OPTIONS[kind])
    history, weights_again = train(hopeless, **OPTIONS[kind])
    assert "resuming after epoch 2" in capsys.readouterr().out
    assert list(history.index) == list(range(1, len(uninterrupted) + 1))
    assert history.equals(uninterrupted)
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_train_completed_before_is_not_trained_again(train, hopeless, tmp_path, monkeypatch):
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    done, weights = train(hopeless, early_stopping=1)
    assert len(done) < EPOCHS  # stopped early
    again, weights_again = train(hopeless, at=0, early_stopping=1)
    assert again.equals(done)
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_train_damaged_or_other_checkpoint_starts_over(
    train, binary, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    first, _ = train(binary)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    again, _ = train(binary)
    other, _ = train(binary, weights=4)
    assert "resuming" not in capsys.readouterr().out
    assert again.equals(first) and not other.equals(first)
    assert len(list(tmp_path.iterdir())) == 2


def test_train_checkpoint_folder_not_writable_raises(train, binary, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path / "file"))
    with pytest.raises(xk.InputError, match=r"training run could not be saved in .*file:"):
        train(binary)


def test_train_with_a_foreign_layer_writes_no_checkpoint(train, binary, tmp_path, monkeypatch):
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    train(binary, foreign=True)
    assert not list(tmp_path.iterdir())
