import pytest
from keras.src.applications import mobilenet, mobilenet_v2, vgg16
from keras.src.utils import file_utils

import xraykit as xk
from xraykit.recipes.choose import runnable


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """Nothing in Keras' cache, and an address where nobody answers."""
    monkeypatch.delenv("XRAYKIT_WEIGHTS_DIR", raising=False)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    nobody = "http://127.0.0.1:9/"
    monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", nobody)
    monkeypatch.setattr(mobilenet_v2, "BASE_WEIGHT_PATH", nobody)
    monkeypatch.setattr(vgg16, "WEIGHTS_PATH_NO_TOP", nobody)


@pytest.fixture
def weights_folder(tmp_path, monkeypatch, no_weights):
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    return tmp_path


def keep_weights(folder, backbone, name, **options):
    network = xk.backbone(backbone, weights=None, **options)
    network.save_weights(folder / f"{name}_notop.weights.h5")


@pytest.mark.usefixtures("no_weights")
def test_when_no_weights_can_be_had_then_auto_is_the_small_network_and_says_why(capsys):
    chosen = xk.choose_recipe("auto", "multiclass", {"epochs": 3})
    assert (chosen.name, chosen.epochs) == ("task2-smallcnn", 3)
    said = capsys.readouterr().out
    assert "Recipe task2-smallcnn with epochs=3: the best that can run here" in said
    assert "task2-vgg16-finetuned, task2-mobilenetv2, task2-mobilenet are neither here" in said
    assert said.count("\n") == 1
    second = xk.choose_recipe("auto", "multiclass", apart_from=chosen)
    assert second.name == "task2-smallcnn-narrow"
    assert "Recipe task2-smallcnn-narrow: the next best that can run" in capsys.readouterr().out


def test_when_mobilenets_weights_are_here_then_auto_is_mobilenet(weights_folder, capsys):
    keep_weights(weights_folder, "MobileNetV2", "mobilenetv2", image_size=32)
    assert xk.choose_recipe("auto", "binary").name == "task1-mobilenetv2"
    assert "weights for task1-vgg16-finetuned are neither here" in capsys.readouterr().out


def test_when_vgg16s_weights_are_here_then_auto_is_report_as_best(weights_folder, capsys):
    keep_weights(weights_folder, "VGG16", "vgg16", image_size=32)
    small = {"image_size": 32}
    assert xk.choose_recipe("auto", "binary", small).name == "task1-vgg16-finetuned"
    assert capsys.readouterr().out.endswith("image_size=32: the best there is\n")


@pytest.mark.slow
def test_when_weights_reach_part_of_a_network_then_that_part_runs_and_it_is_said(weights_folder):
    recipe = xk.recipes["task2-resnet50"].override(image_size=32)
    assert runnable(recipe) == (None, "not run: no weights")
    cut = {"cut_at": "conv4_block6_out", "image_size": 32}
    keep_weights(weights_folder, "ResNet50", "resnet50_to_conv4", **cut)
    part, note = runnable(recipe)
    assert part.cut_at == "conv4_block6_out" and note == "cut_at=conv4_block6_out"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("task2-smalcnn", "multiclass"), "Unknown recipe 'task2-smalcnn'.*'task2-smallcnn'"),
        (("task2-smallcnn", "binary"), "task2-smallcnn is not for this task: .*task1-smallcnn"),
        (("auto", "tertiary"), "Unknown task 'tertiary'"),
        (("task1-smallcnn", "binary", 3), r'overrides=3: expected a dict, such as {"epochs": 20}'),
        (("task1-smallcnn", "binary", {"epoch": 3}), "Did you mean 'epochs'"),
        (("task1-smallcnn", "binary", {3: 4}), "Unknown setting of a recipe '3'"),
        ((["task1-smallcnn"], "binary"), r"Unknown recipe \['task1-smallcnn'\]"),
    ],
)
def test_when_the_choice_is_bad_then_one_line_says_so(arguments, message):
    with pytest.raises(xk.InputError, match=message) as raised:
        xk.choose_recipe(*arguments)
    assert "\n" not in str(raised.value)
