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


def checked(model, capsys):
    xk.check_classifier(model, xk.build_classifier("SmallCNN", NAMES, image_size=32))
    return capsys.readouterr().out.splitlines()


def test_when_build_is_right_then_every_line_is_ticked(capsys):
    assert [line[0] for line in checked(student(), capsys)] == ["✅"] * 6


def test_when_layer_has_another_width_then_expected_and_got_are_said(capsys):
    lines = checked(student(units=128), capsys)
    assert "❌ a layer named 'features': expected (256,), got (128,)" in lines


def test_when_layer_has_no_name_then_it_is_said(capsys):
    lines = checked(student(name="dense"), capsys)
    assert "❌ a layer named 'features': expected (256,), got none" in lines


@pytest.mark.parametrize(
    ("mistake", "line"),
    [
        ({"scaled": True}, "❌ the backbone's layers, and nothing before them"),
        ({"activation": None}, "❌ the head's layers, in their order"),
    ],
)
def test_when_one_thing_is_wrong_then_only_its_line_fails(capsys, mistake, line):
    failed = [line for line in checked(student(**mistake), capsys) if line[0] == "❌"]
    assert len(failed) == 1 and failed[0].startswith(line)


def test_when_a_layer_was_frozen_by_mistake_then_only_that_line_fails(capsys):
    model = student()
    model.get_layer("block1_conv").trainable = False
    failed = [line for line in checked(model, capsys) if line[0] == "❌"]
    assert len(failed) == 1 and failed[0].startswith("❌ as many of them trainable")
