import re
from types import SimpleNamespace

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

OTHERS = {name: experiment.others for name, experiment in experiments.EXPERIMENTS.items()}
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


SAVED = [(name, recipe) for name in experiments.EXPERIMENTS for recipe in ("", *OTHERS[name])]


@pytest.mark.parametrize(("name", "other"), SAVED)
def test_saved_experiment_is_quoted_by_its_finding(name, other):
    table = xk.saved_experiment(name, other).table
    settings = experiments.EXPERIMENTS[name].settings
    recipe = xk.recipes[other or experiments.EXPERIMENTS[name].recipe]
    assert list(table["setting"]) == list(settings(recipe))
    total = 129 if recipe.task == "binary" else 269
    assert set(table["total"].dropna()) == {total}
    finding = OTHERS[name][other] if other else experiments.EXPERIMENTS[name].finding
    quoted = [int(number) for number in re.findall(rf"(\d+) of {total}", finding)]
    assert quoted and set(quoted) <= set(table["correct"].dropna().astype(int))
    p_values = {float(p.rstrip(".")) for p in re.findall(r"p = ([\d.]+)", finding)}
    assert p_values <= set(table["p"])


@pytest.mark.slow
def test_experiment_command_writes_a_table_and_a_figure(tmp_path, drawn_challenge, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(drawn_challenge))
    monkeypatch.setitem(published.RECIPES, "tiny", TINY)
    command = ["experiment", "early_stopping", "--recipe", "tiny", "--folds", "2"]
    done = CliRunner().invoke(cli, [*command, "--to", str(tmp_path)], catch_exceptions=False)
    assert "epoch   1" not in done.output  # no line per epoch
    assert "1 epochs: " in done.output and "of 3 compared" in done.output
    table = pd.read_csv(tmp_path / "early_stopping-task2-smallcnn.csv")
    assert list(table["total"]) == [96] * 4 and table["p"].notna().sum() == 3
    assert (tmp_path / "early_stopping-task2-smallcnn.png").stat().st_size > 10_000


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
    assert (tmp_path / "backbones-task2-smallcnn-tsne.png").exists()


@pytest.fixture
def fake_training(monkeypatch):
    """Instead of training, predictions of 20 images that depend on the optimizer and its rate.

    The images that a rate of 0.1, 0.01 or 0.001 predicts correctly are the first 4, 8 or 12; those
    of Adam are the last ones. Returned are the recipes and transforms that were cross-validated.
    """
    trained = []

    def make_predictions(recipe):
        paths = np.arange(20)
        correct = 4 * round(-np.log10(recipe.learning_rate))
        is_correct = paths >= 20 - correct if recipe.optimizer == "adam" else paths < correct
        predicted = np.where(is_correct, "covid", "normal")
        table = pd.DataFrame({"path": paths, "true": "covid", "predicted": predicted})
        return table.assign(
            probability_covid=1.0 * is_correct, probability_normal=1.0 * ~is_correct
        )

    def cross_validate(recipe, task, repeats, folds, seed, train_transform):
        assert (repeats, folds, seed) == (1, 5, 42)  # the defaults of run_experiment
        trained.append((recipe, train_transform))
        return make_predictions(recipe)

    def train(recipe, task, seed):
        assert seed == 42
        return recipe, None

    monkeypatch.setattr(run, "cross_validate", cross_validate)
    monkeypatch.setattr(run.Recipe, "train", train)
    monkeypatch.setattr(
        run, "predict", lambda recipe, images: make_predictions(recipe).head(len(images))
    )
    monkeypatch.setattr(run, "tsne", lambda recipe, images, seed: recipe)
    monkeypatch.setattr(run, "find_runnable", lambda recipe: (recipe, ""))
    network = SimpleNamespace(count_params=lambda: 7, trainable_weights=())
    monkeypatch.setattr(run.Recipe, "build", lambda recipe, class_names: network)
    monkeypatch.setattr(run.keras.utils, "clear_session", lambda: None)  # half a second each
    return trained


def test_run_experiment_rows_are_the_settings_they_name(fake_training, drawn_challenge, capsys):
    table = xk.run_experiment("optimizers", TINY, data=drawn_challenge).table
    trained = [f"{recipe.optimizer}, {recipe.learning_rate:g}" for recipe, _ in fake_training]
    assert list(table["setting"]) == trained
    assert dict(zip(table["setting"], table["correct"], strict=True)) == {
        "adam, 0.001": 12,
        "rmsprop, 0.001": 12,
        "sgd, 0.001": 12,
        "sgd, 0.01": 8,
        "sgd, 0.1": 4,
    }
    # Adam's are the images 8 to 19, the others' 0 to 11, 0 to 7 and 0 to 3.
    assert table["only_first"].tolist() == [pd.NA, 8, 8, 12, 12]
    assert table["only_this"].tolist() == [pd.NA, 8, 8, 8, 4]
    assert table["p"][1:].tolist() == [1, 1, 1, 0.31]  # 0.077 for 12 against 4, times 4 (Holm)
    assert "sgd, 0.1: 4/20 = 20 % [8, 42]" in capsys.readouterr().out


def test_run_experiment_test_scores_and_maps_are_of_their_row(
    fake_training, drawn_challenge, monkeypatch
):
    rates = {"slow": 0.1, "medium": 0.01, "fast": 0.001}
    settings = {
        name: experiments.Setting(
            TINY.override(optimizer="sgd", learning_rate=rate), published=rate
        )
        for name, rate in rates.items()
    }
    experiment = experiments.Experiment("Which?", "", lambda recipe: settings, tested=True)
    monkeypatch.setitem(experiments.EXPERIMENTS, "backbones", experiment)
    result = xk.run_experiment("backbones", TINY, data=drawn_challenge)
    columns = ["setting", "correct", "total", "test_correct", "test_total", "published"]
    assert result.table[columns].to_numpy().tolist() == [
        ["slow", 4, 20, 4, 16, 0.1],
        ["medium", 8, 20, 8, 16, 0.01],
        ["fast", 12, 20, 12, 16, 0.001],
    ]
    assert {name: recipe.learning_rate for name, recipe in result.layouts.items()} == rates


def test_run_experiment_trains_on_the_images_of_each_row(fake_training, drawn_challenge):
    xk.run_experiment("learning_curve", TINY, data=drawn_challenge)
    eighths = [transform.args if transform else None for _, transform in fake_training]
    assert eighths == [None, (4,), (2,), (1,)]


def without_vgg16(recipe):
    return (None, "not run: no weights") if recipe.backbone == "VGG16" else (recipe, "")


def test_run_experiment_without_weights_keeps_the_row(
    fake_training, drawn_challenge, monkeypatch, capsys
):
    recipes = TINY.override(learning_rate=0.1), TINY.override(backbone="VGG16", weights="imagenet")
    settings = dict(zip("ab", map(experiments.Setting, recipes), strict=True))
    experiment = experiments.Experiment("Which?", "", lambda recipe: settings)
    monkeypatch.setitem(experiments.EXPERIMENTS, "backbones", experiment)
    monkeypatch.setattr(run, "find_runnable", without_vgg16)
    table = xk.run_experiment("backbones", TINY, data=drawn_challenge).table
    assert table["note"].tolist() == ["", "not run: no weights"]
    assert table["total"].isna().tolist() == table["seconds"].isna().tolist() == [False, True]
    assert (table["parameters"] == 7).all() and (table["trainable"] == 0).all()
    assert "published" not in table  # none of them has one
    assert "b: not run: no weights" in capsys.readouterr().out


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
    with pytest.raises(xk.InputError, match="Unknown recipe of the saved experiment backbones"):
        xk.saved_experiment("backbones", "task2-vgg16-frozen")
    with pytest.raises(xk.InputError, match="Unknown recipe 'task2'"):
        xk.run_experiment("dropout", "task2")
    with pytest.raises(xk.InputError, match="depth: expected a recipe with MobileNetV2"):
        xk.run_experiment("depth", "task2-smallcnn")
    with pytest.raises(xk.InputError, match="dropout: the head of handout-task2 has no Dropout"):
        xk.run_experiment("dropout", "handout-task2")


def test_display_table_has_no_empty_or_repeated_columns():
    table = xk.saved_experiment("backbones").display_table()
    counts = ["accuracy", "only_first", "only_this", "p"]
    assert list(table.columns) == [*counts, "parameters", "trainable", "seconds", "note", "test"]
    assert all(str(seconds).isdigit() for seconds in table["seconds"] if seconds)
    assert table.loc["VGG16", "note"] == "not run: no weights" and table.loc["VGG16", "p"] == ""
    assert table.loc["MobileNetV2", "test"].startswith("26/36 = 72 %")
    table = xk.saved_experiment("dropout").display_table()
    assert list(table.columns) == ["accuracy", "only_first", "only_this", "p", "seconds"]


def test_answer_names_settings_with_p_below_005():
    table = pd.DataFrame(
        {
            "setting": ["first", "not run", "worse", "better", "limit", "equal"],
            "correct": [20, np.nan, 10, 30, 12, 20],
            "total": [40, np.nan, 40, 40, 40, 40],
            "p": [np.nan, np.nan, 0.049, 0.001, 0.05, 1],
        }
    )
    assert run.Result("dropout", add_intervals(table), {}).answer == (
        "first: 20/40 = 50 % [35, 65]. Significantly different from it (p < 0.05), of 4 compared: "
        "worse (10/40 = 25 % [14, 40]), better (30/40 = 75 % [60, 86])."
    )


def test_answer_of_a_saved_experiment_names_its_differences():
    assert xk.saved_experiment("learning_curve").answer == (
        "all: 206/269 = 77 % [71, 81]. Significantly different from it (p < 0.05), of 3 compared: "
        "an eighth (172/269 = 64 % [58, 69])."
    )
    assert xk.saved_experiment("dropout").answer.endswith("of 3 compared: none.")
