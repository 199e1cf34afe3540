from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit.training import CHECKPOINT_FOLDER

EPOCHS = 4


class Kill(keras.layers.Layer):
    """An augmentation that changes nothing, and ends everything at a batch of the third epoch."""

    def __init__(self, layer, at, **options):
        super().__init__(**options)
        self.layer, self.at = layer, at

    def call(self, pixels, training=False):
        self.at -= 1
        if self.at == 0:
            raise RuntimeError("killed")
        return self.layer(pixels, training=training)

    def get_config(self):
        return {"layer": keras.saving.serialize_keras_object(self.layer)}


def schedule():
    return keras.optimizers.schedules.ExponentialDecay(0.01, 9, 0.5)


OPTIONS = {
    "plain": {},
    "best": {"early_stopping": 2, "keep": "best"},
    "schedule": {"learning_rate": schedule},
}


def train(task, at=0, seed=3, **options):
    keras.utils.clear_session()  # layers get the names of a new process
    keras.utils.set_random_seed(seed)
    base = xk.backbone("SmallCNN", image_size=32)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, name="features")(x))
    model = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(x))
    turned = Kill(keras.layers.RandomRotation(0.05, seed=5, name="turned"), at, name="kill")
    made = {name: value() if callable(value) else value for name, value in options.items()}
    history = xk.train(model, task, EPOCHS, augmentation=turned, seed=seed, **made)
    return history, model.get_weights()


def steps(task, epochs):
    """How many batches are drawn before that many epochs are over: Keras looks at two first."""
    return 2 + epochs * -(-len(task.train) // 10)


@pytest.mark.parametrize(
    "kind", ["plain", "best", pytest.param("schedule", marks=pytest.mark.slow)]
)
def test_when_interrupted_and_started_again_then_it_goes_on_as_if_nothing_happened(
    kind, binary, tmp_path, monkeypatch, capsys
):
    undisturbed, weights = train(binary, **OPTIONS[kind])
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    with pytest.raises(Exception, match="killed"):
        train(binary, at=steps(binary, 2) + 2, **OPTIONS[kind])
    history, weights_again = train(binary, **OPTIONS[kind])
    assert "Going on after epoch 2" in capsys.readouterr().out
    assert list(history.index) == list(range(1, len(undisturbed) + 1))
    assert history.equals(undisturbed)
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_when_it_was_done_before_then_nothing_is_trained_again(binary, tmp_path, monkeypatch):
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    swapped = replace(binary.validation, labels=1 - binary.validation.labels)
    task = replace(binary, validation=swapped)
    done, weights = train(task, early_stopping=1)
    assert len(done) < EPOCHS  # stopped early, and stays so
    again, weights_again = train(task, at=steps(task, 1), early_stopping=1)
    assert again.equals(done)
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_when_the_file_is_damaged_or_anothers_then_it_trains_from_the_start(
    binary, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path))
    first, _ = train(binary)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    again, _ = train(binary)
    other, _ = train(binary, seed=4)
    assert "Going on" not in capsys.readouterr().out
    assert again.equals(first) and not other.equals(first)
    assert len(list(tmp_path.iterdir())) == 2


def test_when_the_folder_cant_be_written_then_one_line_says_so(binary, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CHECKPOINT_FOLDER, str(tmp_path / "file"))
    with pytest.raises(xk.InputError, match=r"Can't keep the state of the training in .*file:"):
        train(binary)
