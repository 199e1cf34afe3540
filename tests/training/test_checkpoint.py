from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit.training import CHECKPOINT_FOLDER
from xraykit.training import train as train_module

EPOCHS = 4


class Kill(keras.callbacks.Callback):
    """Ends everything in the middle of an epoch, counted from 0."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (self.at, 2):
            raise RuntimeError("killed")


class Own(keras.layers.Layer):
    """Code that can change without a trace."""

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
    """A task on whose validation images, under the wrong names, training only gets worse."""
    swapped = replace(binary.validation, labels=1 - binary.validation.labels)
    return replace(binary, validation=swapped)


@pytest.fixture
def train(monkeypatch):
    def train(task, at=None, seed=3, weights=None, own=False, **options):
        keras.utils.clear_session()  # layers get the names of a new process
        keras.utils.set_random_seed(weights or seed)
        base = xk.backbone("SmallCNN", image_size=32)
        x = keras.layers.GlobalAveragePooling2D()(Own()(base.output) if own else base.output)
        x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, name="features")(x))
        model = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(x))
        made = {name: value() if callable(value) else value for name, value in options.items()}
        monkeypatch.setattr(train_module, "_progress", lambda epochs: Kill(at))
        monkeypatch.setattr(
            train_module, "MAX_STEPS_PER_EXECUTION", 1
        )  # so that it ends between two
        history = xk.train(model, task, EPOCHS, augmentation=xk.Augmentation(), seed=seed, **made)
        return history, model.get_weights()

    return train


@pytest.mark.parametrize(
    "kind",
    ["best", *(pytest.param(each, marks=pytest.mark.slow) for each in ("plain", "schedule"))],
)
def test_when_interrupted_and_started_again_then_it_goes_on_as_if_nothing_happened(
    kind, train, hopeless, tmp_path, monkeypatch, capsys
):
    undisturbed, weights = train(hopeless, **OPTIONS[kind])
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    with pytest.raises(Exception, match="killed"):
        train(hopeless, at=2, **OPTIONS[kind])
    history, weights_again = train(hopeless, **OPTIONS[kind])
    assert "going on after epoch 2" in capsys.readouterr().out
    assert list(history.index) == list(range(1, len(undisturbed) + 1))
    assert history.equals(undisturbed)
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_when_it_was_done_before_then_nothing_is_trained_again(
    train, hopeless, tmp_path, monkeypatch
):
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    done, weights = train(hopeless, early_stopping=1)
    assert len(done) < EPOCHS  # stopped early, and stays so
    again, weights_again = train(hopeless, at=0, early_stopping=1)
    assert again.equals(done)
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_when_the_file_is_damaged_or_anothers_then_it_trains_from_the_start(
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
    assert "going on" not in capsys.readouterr().out
    assert again.equals(first) and not other.equals(first)
    assert len(list(tmp_path.iterdir())) == 2


def test_when_the_folder_cant_be_written_then_one_line_says_so(
    train, binary, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path / "file"))
    with pytest.raises(xk.InputError, match=r"Can't keep the state of the training in .*file:"):
        train(binary)


def test_when_a_layer_is_not_kerass_own_then_nothing_is_kept(train, binary, tmp_path, monkeypatch):
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    train(binary, own=True)
    assert not list(tmp_path.iterdir())
