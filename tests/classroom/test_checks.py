import pandas as pd
import pytest

import xraykit as xk
from xraykit import keras

NAMES = ("normal", "covid")


def student(units=256, name="features", activation="relu", scaled=False):
    base = xk.backbone("SmallCNN", image_size=32)
    pixels = keras.Input((32, 32, 3)) if scaled else base.input
    maps = base(keras.layers.Rescaling(1 / 255)(pixels)) if scaled else base.output
    x = keras.layers.GlobalAveragePooling2D()(maps)
    x = keras.layers.Dense(units, activation=activation, name=name)(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))


def check(model, capsys):
    xk.check_classifier(model, xk.recipes["task1-smallcnn"].override(image_size=32), NAMES)
    return capsys.readouterr().out.splitlines()


def test_check_classifier_of_a_correct_model_ticks_every_line(capsys):
    assert [line[0] for line in check(student(), capsys)] == ["✅"] * 6


def test_check_classifier_of_another_width_prints_both_widths(capsys):
    lines = check(student(units=128), capsys)
    assert "❌ wrong: a layer named 'features': expected (256,), got (128,)" in lines


def test_check_classifier_without_the_layer_name_prints_none(capsys):
    lines = check(student(name="dense"), capsys)
    assert "❌ wrong: a layer named 'features': expected (256,), got none" in lines


@pytest.mark.parametrize(
    ("mistake", "line"),
    [
        ({"scaled": True}, "❌ wrong: the backbone's layers, and nothing before them"),
        ({"activation": None}, "❌ wrong: the head's layers, in their order"),
    ],
)
def test_check_classifier_with_one_error_fails_one_line(capsys, mistake, line):
    failed = [line for line in check(student(**mistake), capsys) if line[0] == "❌"]
    assert len(failed) == 1 and failed[0].startswith(line)


def test_check_classifier_with_a_frozen_layer_fails_one_line(capsys):
    model = student()
    model.get_layer("block1_conv").trainable = False
    failed = [line for line in check(model, capsys) if line[0] == "❌"]
    assert len(failed) == 1 and failed[0].startswith("❌ wrong: as many of them trainable")


@pytest.mark.parametrize(("epoch", "mark"), [(2, "✅"), (1, "❌"), (0, "❌"), (7, "❌")])
def test_check_best_epoch_takes_the_lowest_loss_only(capsys, epoch, mark):
    history = pd.DataFrame({"val_loss": [0.7, 0.5, 0.6]}, index=[1, 2, 3])
    xk.check_best_epoch(epoch, history)
    (line,) = capsys.readouterr().out.splitlines()
    assert line[0] == mark and "2" not in line  # the answer is not shown
