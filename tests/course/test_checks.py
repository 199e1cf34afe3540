import xraykit as xk
from xraykit import keras

NAMES = ("normal", "covid")


def student(units=256, name="features"):
    base = xk.backbone("SmallCNN", image_size=32)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(units, activation="relu", name=name)(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(x))


def checked(model, capsys):
    xk.check_classifier(model, xk.build_classifier("SmallCNN", NAMES, image_size=32))
    return capsys.readouterr().out.splitlines()


def test_when_build_is_right_then_every_line_is_ticked(capsys):
    assert [line[0] for line in checked(student(), capsys)] == ["✅"] * 5


def test_when_layer_has_another_width_then_expected_and_got_are_said(capsys):
    lines = checked(student(units=128), capsys)
    assert "❌ a layer named 'features': expected (256,), got (128,)" in lines


def test_when_layer_has_no_name_then_it_is_said(capsys):
    lines = checked(student(name="dense"), capsys)
    assert "❌ a layer named 'features': expected (256,), got none" in lines


def test_when_backbone_was_left_trainable_then_only_that_line_fails(capsys):
    model = student()
    model.get_layer("block1_conv").trainable = False
    failed = [line for line in checked(model, capsys) if line[0] == "❌"]
    assert len(failed) == 1 and failed[0].startswith("❌ as many of them trainable")
