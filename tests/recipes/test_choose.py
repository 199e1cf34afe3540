import pytest
from keras.src.applications import mobilenet, mobilenet_v2, resnet, vgg16
from keras.src.utils import file_utils

import xraykit as xk
from xraykit.models.weights import _announce_download
from xraykit.recipes import choose
from xraykit.recipes.choose import find_runnable, rank_recipes

PREFIXES = {"binary": "task1", "multiclass": "task2"}
both_tasks = pytest.mark.parametrize("task", PREFIXES)


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """An empty Keras cache, and download addresses that do not answer."""
    _announce_download.cache_clear()
    monkeypatch.delenv("XRAYKIT_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    no_server = "http://127.0.0.1:9/"
    monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", no_server)
    monkeypatch.setattr(mobilenet_v2, "BASE_WEIGHT_PATH", no_server)
    monkeypatch.setattr(resnet, "BASE_WEIGHTS_PATH", no_server)
    monkeypatch.setattr(vgg16, "WEIGHTS_PATH_NO_TOP", no_server)


@pytest.fixture
def weights_folder(tmp_path, monkeypatch, no_weights):
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    return tmp_path


def save_weights(folder, recipe, file, **options):
    options = {"weights": None, "alpha": recipe.alpha, "image_size": 32} | options
    xk.backbone(recipe.backbone, **options).save_weights(folder / file)


def save_default_weights(folder, task):
    default = xk.recipes[rank_recipes(task).index[0]]
    width = "" if default.alpha == 1 else f"_{default.alpha}_224".replace(".", "_")
    save_weights(folder, default, f"{default.backbone.lower()}{width}_notop.weights.h5")
    return default


@both_tasks
def test_rank_recipes_default_is_the_fastest_of_the_tied(task):
    ranking, table = rank_recipes(task), xk.saved_experiment(f"{PREFIXES[task]}_recipes").table
    assert table["correct"].idxmax() == 0  # the others are compared with the best
    tied = ranking[ranking["tied"]]
    assert ranking["correct"].max() in tied["correct"].to_numpy()
    assert tied["seconds"].idxmin() == ranking.index[0]
    assert {name.partition("-")[0] for name in ranking.index} == {PREFIXES[task]}


def test_rank_recipes_fast_but_worse_recipe_is_last(tmp_path, monkeypatch):
    rows = [
        "setting,correct,total,p,seconds",
        "task2-vgg16,90,100,,60",
        "task2-smallcnn,70,100,0.01,1",
    ]
    (tmp_path / "task2_recipes.csv").write_text("\n".join([*rows, "task2-mobilenet,85,100,0.3,9"]))
    monkeypatch.setattr(choose, "SAVED", tmp_path)
    assert list(rank_recipes("multiclass").index) == [
        "task2-mobilenet",
        "task2-vgg16",
        "task2-smallcnn",
    ]


@both_tasks
def test_choose_recipe_default_with_weights_prints_the_reason(task, weights_folder, capsys):
    default = save_default_weights(weights_folder, task)
    chosen = xk.choose_recipe("auto", task, overrides={"image_size": 32})
    assert chosen.name == default.name and chosen.stands_in_for == ""
    text = capsys.readouterr().out
    assert "image_size=32: the default, the fastest of the" in text
    assert "correct" not in text  # students guess the scores first
    assert text.count("\n") == 1


def stand_ins(task):
    """Return the recipes that need no weights, the better one first."""
    names = rank_recipes(task).index
    return [name for name in names if xk.recipes[name].backbone == "SmallCNN"]


@pytest.mark.usefixtures("no_weights")
def test_choose_recipe_without_weights_small_network_stands_in(capsys):
    chosen = xk.choose_recipe("auto", "multiclass", overrides={"epochs": 3})
    default = rank_recipes("multiclass").index[0]
    assert (chosen.name, chosen.epochs) == (stand_ins("multiclass")[0], 3)
    assert chosen.stands_in_for == default and f"replaces  {default}" in repr(chosen)
    *requests, text = capsys.readouterr().out.splitlines()
    assert f"with epochs=3: it replaces {default}, whose ImageNet weights are not" in text
    assert "xraykit doctor" in text
    assert all("not on this machine: trying to download them" in line for line in requests)
    assert all(" MB, once" in line for line in requests)
    assert len(requests) == len({line.split()[4] for line in requests})  # each network once


def test_choose_comparison_without_weights_takes_small_network(monkeypatch, capsys):
    monkeypatch.setattr(choose, "has_weights", lambda recipe: recipe.backbone == "SmallCNN")
    first, other = stand_ins("multiclass")
    (second,) = xk.choose_comparison(xk.recipes[first], overrides={"epochs": 3})
    assert (second.name, second.epochs) == (other, 3)
    assert "task2-vgg16: not run: no weights" in capsys.readouterr().out


@pytest.mark.slow
def test_choose_comparison_takes_the_reports_pair(weights_folder, capsys):
    small = {"image_size": 32}
    vgg16, resnet50 = (xk.recipes[f"task2-{name}"] for name in ("vgg16", "resnet50-frozen"))
    save_weights(weights_folder, vgg16, "vgg16_notop.weights.h5")
    end = {"end_at": "conv4_block6_out"}
    save_weights(weights_folder, resnet50, "resnet50_to_conv4_notop.weights.h5", **end)
    plan = xk.recipes["task2-smallcnn"].override(**small)
    others = xk.choose_comparison(plan, overrides=small)
    assert [recipe.name for recipe in others] == ["task2-vgg16", "task2-resnet50-frozen"]
    assert "task2-resnet50-frozen (end_at=conv4_block6_out)" in capsys.readouterr().out
    assert others[1].end_at == "conv4_block6_out"
    for plan in (vgg16, xk.recipes["task2-vgg16-finetuned"]):
        (other,) = xk.choose_comparison(plan.override(**small), overrides=small)
        assert other.name == "task2-resnet50-frozen"  # not with the same backbone


def test_choose_comparison_takes_the_named_recipes():
    plan = xk.recipes["task2-smallcnn"]
    (other,) = xk.choose_comparison(plan, ["task2-smallcnn-narrow"], overrides={"epochs": 2})
    assert (other.name, other.epochs) == ("task2-smallcnn-narrow", 2)
    with pytest.raises(xk.InputError, match="task1-smallcnn is a recipe for the binary task"):
        xk.choose_comparison(plan, ["task1-smallcnn"])
    with pytest.raises(xk.InputError, match="Unknown recipe 'auto': expected one of") as raised:
        xk.choose_comparison(plan, ["auto"])
    assert str(raised.value).count("auto") == 1  # "auto" is not suggested
    with pytest.raises(xk.InputError, match="names='task2-vgg16': expected a list"):
        xk.choose_comparison(plan, "task2-vgg16")


@pytest.mark.slow
def test_find_runnable_weights_of_a_part_return_the_part(weights_folder):
    recipe = xk.recipes["task2-resnet50"].override(image_size=32)
    assert find_runnable(recipe) == (None, "not run: no weights")
    end = {"end_at": "conv4_block6_out"}
    save_weights(weights_folder, recipe, "resnet50_to_conv4_notop.weights.h5", **end)
    part, note = find_runnable(recipe)
    assert part.end_at == "conv4_block6_out" and note == "end_at=conv4_block6_out"


@pytest.mark.parametrize(
    ("name", "task", "overrides", "message"),
    [
        ("task2-smalcnn", "multiclass", None, "Unknown recipe .*'task2-smallcnn'"),
        ("aut", "binary", None, "Did you mean 'auto'"),
        ("task2-smallcnn", "binary", None, "for the multiclass task: .* binary .*task1-smallcnn"),
        ("auto", "tertiary", None, "Unknown task 'tertiary'"),
        ("auto", "binary", 3, r'overrides=3: expected a dict, such as {"epochs": 20}'),
        ("task1-smallcnn", "binary", {"epoch": 3}, "Did you mean 'epochs'"),
        ("task1-smallcnn", "binary", {3: 4}, "Unknown setting of a recipe '3'"),
        (["task1-smallcnn"], "binary", None, r"Unknown recipe \['task1-smallcnn'\]"),
    ],
)
def test_choose_recipe_wrong_input_raises_one_line(name, task, overrides, message):
    with pytest.raises(xk.InputError, match=message) as raised:
        xk.choose_recipe(name, task, overrides=overrides)
    assert "\n" not in str(raised.value)
