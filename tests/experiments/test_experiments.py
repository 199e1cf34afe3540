import re

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import xraykit as xk
from xraykit.cli import cli
from xraykit.data.external import load_external_set
from xraykit.experiments import experiments, run
from xraykit.metrics.intervals import add_intervals
from xraykit.recipes import published

TINY = xk.recipes["task2-smallcnn"].override(image_size=32, epochs=1)


@pytest.fixture
def external(tmp_path, drawn_challenge, monkeypatch):
    """External images, here the challenge's test images."""
    for label in ("normal", "pneumonia_bac", "pneumonia_vir"):
        (tmp_path / "child").mkdir(exist_ok=True)
        (tmp_path / "child" / label).symlink_to(drawn_challenge / "all" / "test" / label)
    (tmp_path / "adult_covid").mkdir()
    (tmp_path / "adult_covid" / "covid").symlink_to(drawn_challenge / "all" / "test" / "covid")
    monkeypatch.setenv("XRAYKIT_EXTERNAL_DIR", str(tmp_path))


def test_experiments_have_three_or_more_different_settings():
    for name, experiment in experiments.EXPERIMENTS.items():
        settings = experiment.settings(xk.recipes[experiment.recipe])
        assert len(settings) >= 3, name
        recipes = [
            repr(setting.recipe) + str(setting.train_transform) for setting in settings.values()
        ]
        assert len(set(recipes)) == len(recipes), name


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_saved_experiment_is_quoted_by_its_finding(name):
    table = xk.saved_experiment(name).table
    settings = experiments.EXPERIMENTS[name].settings
    recipe = xk.recipes[experiments.EXPERIMENTS[name].recipe]
    assert list(table["setting"]) == list(settings(recipe))
    total = 129 if recipe.task == "binary" else 269
    assert set(table["total"].dropna()) == {total}
    finding = experiments.EXPERIMENTS[name].finding
    quoted = [int(number) for number in re.findall(rf"(\d+) of {total}", finding)]
    assert quoted and set(quoted) <= set(table["correct"].dropna().astype(int))


def test_repairs_vary_the_recipe_as_published_one_by_one():
    settings = experiments.EXPERIMENTS["repairs"].settings(xk.recipes["handout-task2"])
    recipes = [setting.recipe for setting in settings.values()]
    assert [(each.preprocessing, each.augmentation, each.n_views) for each in recipes] == [
        ("own", "none", 16),
        ("rescale", "none", 16),
        ("own", "handout", 16),
        ("rescale", "handout", 16),
    ]
    assert "1/255, the handout's" in settings


@pytest.mark.slow
def test_experiment_command_writes_a_table_and_a_figure(tmp_path, drawn_challenge, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(drawn_challenge))
    monkeypatch.setitem(published.RECIPES, "tiny", TINY)
    command = ["experiment", "early_stopping", "--recipe", "tiny", "--folds", "2"]
    done = CliRunner().invoke(cli, [*command, "--to", str(tmp_path)], catch_exceptions=False)
    assert "epoch   1" not in done.output  # no line per epoch
    assert "1 epochs: " in done.output and "of 3 compared" in done.output
    table = pd.read_csv(tmp_path / "early_stopping.csv")
    assert list(table["total"]) == [96] * 4 and table["p"].notna().sum() == 3
    assert (tmp_path / "early_stopping.png").stat().st_size > 10_000


@pytest.mark.slow
def test_run_experiment_backbones_have_maps_and_test_scores(tmp_path, drawn_challenge, monkeypatch):
    settings = {f"{alpha}": experiments.Setting(TINY.override(alpha=alpha)) for alpha in (1.0, 0.5)}
    settings["VGG16"] = experiments.Setting(TINY.override(backbone="VGG16", weights="imagenet"))
    monkeypatch.setattr(run, "find_runnable", without_vgg16)
    monkeypatch.setitem(
        experiments.EXPERIMENTS,
        "backbones",
        experiments.Experiment("Which?", "", lambda recipe: settings, tested=True),
    )
    result = xk.run_experiment("backbones", TINY, data=drawn_challenge, folds=2)
    assert list(result.layouts) == ["1.0", "0.5"]
    assert list(result.table["note"]) == ["", "", "not run: no weights"]
    assert result.table["test_correct"].notna().tolist() == [True, True, False]
    assert result.table.loc[2, "parameters"] == 14_714_688 + 512 * 256 + 256 + 256 * 4 + 4
    result.save(tmp_path)
    assert (tmp_path / "backbones-tsne.png").exists()


def without_vgg16(recipe):
    return (None, "not run: no weights") if recipe.backbone == "VGG16" else (recipe, "")


@pytest.mark.usefixtures("external")
def test_add_external_images_are_of_other_patients(multiclass):
    more = experiments._add_external(2, multiclass.train, multiclass.validation)
    assert more.counts() == {name: n + 2 for name, n in multiclass.train.counts().items()}
    assert list(more.paths[: len(multiclass.train)]) == list(multiclass.train.paths)
    added = more.subset(range(len(multiclass.train), len(more)))
    others = experiments._add_external(
        2, multiclass.train, added
    )  # the added ones are now left out
    assert set(others.patients[len(multiclass.train) :]).isdisjoint(added.patients)


def test_select_eighths_larger_part_contains_the_smaller(multiclass):
    quarter, half = (
        experiments._select_eighths(eighths, multiclass.train, multiclass.validation)
        for eighths in (2, 4)
    )
    assert set(quarter.paths) < set(half.paths) < set(multiclass.train.paths)
    assert min(quarter.counts().values()) >= 3


def test_missing_external_images_raise_before_training(
    monkeypatch, multiclass, tmp_path, drawn_challenge
):
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)
    with pytest.raises(xk.InputError, match="XRAYKIT_EXTERNAL_DIR is not set"):  # and no training
        xk.run_experiment("more_images", TINY.override(epochs=10**6), data=drawn_challenge)
    with pytest.raises(xk.InputError, match="XRAYKIT_EXTERNAL_DIR is not set: expected a folder"):
        load_external_set(("child",), multiclass.class_names)
    (tmp_path / "child" / "normal").mkdir(parents=True)
    monkeypatch.setenv("XRAYKIT_EXTERNAL_DIR", str(tmp_path))
    with pytest.raises(xk.InputError, match="no images of covid, pneumonia_bac, pneumonia_vir"):
        load_external_set(("child",), multiclass.class_names)


def test_run_experiment_unknown_or_unsuitable_name_raises():
    with pytest.raises(xk.InputError, match=r"Unknown experiment 'optimisers'.*'optimizers'"):
        xk.run_experiment("optimisers")
    with pytest.raises(xk.InputError, match="Unknown experiment 'optimisers'"):
        xk.saved_experiment("optimisers")
    with pytest.raises(xk.InputError, match="Unknown recipe 'task2'"):
        xk.run_experiment("dropout", "task2")
    with pytest.raises(xk.InputError, match="depth: expected a recipe with MobileNetV2"):
        xk.run_experiment("depth", "task2-smallcnn")
    with pytest.raises(xk.InputError, match="dropout: the head of handout-task2 has no Dropout"):
        xk.run_experiment("dropout", "handout-task2")


def test_display_table_has_no_empty_or_repeated_columns():
    table = xk.saved_experiment("backbones").display_table()
    assert {"parameters", "seconds", "test", "note"} <= set(table.columns)
    assert table.loc["VGG16", "note"] == "not run: no weights" and table.loc["VGG16", "p"] == ""
    assert table.loc["MobileNetV2", "test"].startswith("26/36 = 72 %")
    table = xk.saved_experiment("dropout").display_table()
    assert list(table.columns) == ["accuracy", "only_first", "only_this", "p", "seconds"]


def test_answer_names_only_the_significant_differences():
    assert xk.saved_experiment("learning_curve").answer == (
        "all: 206/269 = 77 % [71, 81]. Significantly different from it (p < 0.05), of 3 compared: "
        "an eighth (172/269 = 64 % [58, 69])."
    )
    assert xk.saved_experiment("dropout").answer.endswith("of 3 compared: none.")


def test_plot_comparison_marks_rows_that_were_not_run():
    table = pd.DataFrame(
        {
            "setting": ["a", "b", "c"],
            "correct": [20, 30, np.nan],
            "total": [40, 40, np.nan],
            "published": [np.nan, 0.61, np.nan],
        }
    )
    (axis,) = xk.plot_comparison(add_intervals(table), title="Which?").axes
    assert [text.get_text() for text in axis.texts] == ["20/40", "30/40", "not run"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b", "c"]
    dots, diamonds = axis.lines[0].get_xdata(), axis.lines[-1].get_xdata()
    assert list(dots) == [0.5, 0.75] and list(diamonds) == [0.61]
