import pandas as pd
import pytest
from click.testing import CliRunner
from tiny import xraykit

import xraykit as xk
from xraykit.cli import cli
from xraykit.experiments import reproduce as module
from xraykit.experiments.reproduce import reproduce, saved_reproduction, summarize
from xraykit.experiments.rows import name_images

SMALL = {"image_size": 32, "epochs": 1}
COUNTS = ["correct", "total", "loss", "seconds"]


def without_vgg16(recipe):
    return (None, "not run: no weights") if recipe.backbone == "VGG16" else (recipe, "")


@pytest.fixture
def small_resnet50v2(monkeypatch, drawn_challenge):
    """Report B's ResNet50V2 recipe with a small network, which needs no weights."""
    recipe = xk.recipes["task2-resnet50v2"].override(
        backbone="SmallCNN", head=xk.recipes["task2-smallcnn"].head, **SMALL
    )
    monkeypatch.setitem(module.RECIPES, "task2-resnet50v2", recipe)
    monkeypatch.setattr(module, "find_runnable", without_vgg16)
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(drawn_challenge))
    return recipe


@pytest.mark.slow
@pytest.mark.usefixtures("small_resnet50v2")
def test_reproduce_command_compares_published_and_measured(tmp_path):
    path = tmp_path / "new" / "table.csv"
    command = ["reproduce", "--recipes", "task2-resnet50v2", "--recipes", "task2-vgg16-wide"]
    options = ["--folds", "2", "--to", str(path), "--overrides", '{"batch_size": 20}']
    seeds = ["--seed", "42", "--seed", "1"]
    done = CliRunner().invoke(cli, [*command, *options, *seeds], catch_exceptions=False)
    table = pd.read_csv(path)
    assert list(table["training"]) == ["repaired"] * 3 + ["as published"] * 3
    assert list(table["measure"]) == ["test", "2-fold", "test"] * 2
    assert list(table["total"]) == [16, 96, 16] * 2
    assert table["network"].str.contains("batch_size=20").all()
    assert "6 measurements, 0 of them done. 6 left" in done.output
    assert "[6/6] task2-resnet50v2 (as published" in done.output
    assert "task2-vgg16-wide: not run: no weights" in done.output
    assert "epoch   1" not in done.output  # no line per epoch
    assert "22/36 = 61 % [45, 75]" in done.output


@pytest.mark.usefixtures("small_resnet50v2")
def test_reproduce_killed_run_measures_nothing_twice(tmp_path, monkeypatch, capsys):
    path, measured = tmp_path / "table.csv", []

    def run(self):
        if len(measured) in (1, 2):  # killed while the second and then the third is measured
            measured.append("killed")
            raise KeyboardInterrupt
        measured.append(self.key["seed"])
        return self.key | dict(zip(COUNTS, (9, 16, 0.5, 3), strict=True))

    monkeypatch.setattr(module.Measurement, "run", run)
    arguments = {"names": ["task2-resnet50v2"], "folds": 0, "seeds": (42, 1)}
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            reproduce(path, **arguments)
    text = path.read_text()
    assert text.count("\n") == 2
    table = reproduce(path, **arguments)
    assert path.read_text().startswith(text) and len(table) == 4
    assert measured == [42, "killed", "killed", 1, 42, 1]
    assert "4 measurements, 1 of them done. 3 left" in capsys.readouterr().out
    reproduce(path, **arguments)
    assert "4 measurements, 4 of them done. Nothing is left" in capsys.readouterr().out
    assert len(measured) == 6


@pytest.mark.usefixtures("small_resnet50v2")
def test_reproduce_rows_are_of_the_recipe_that_they_name(tmp_path, monkeypatch):
    def run(self):  # instead of training, counts that depend on the recipe
        correct = {"own": 1, "rescale": 2}[self.recipe.preprocessing]
        correct += {"none": 0, "handout": 4}[self.recipe.augmentation]
        counts = correct, 16, 0.1 * self.folds, self.recipe.batch_size
        return self.key | dict(zip(COUNTS, counts, strict=True))

    monkeypatch.setattr(module.Measurement, "run", run)
    monkeypatch.setattr(module, "SLOW_RECIPES", ())
    arguments = {"names": ["task2-resnet50v2"], "folds": 2, "seeds": (42, 1)}
    table = reproduce(tmp_path / "t.csv", overrides={"batch_size": 20}, **arguments)
    assert set(table["recipe"]) == {"task2-resnet50v2"}
    columns = ["training", "measure", "seed", "correct", "loss", "seconds"]
    assert table[columns].to_numpy().tolist() == [
        ["repaired", "test", 42, 1, 0, 20],
        ["repaired", "2-fold", 42, 1, 0.2, 20],
        ["repaired", "test", 1, 1, 0, 20],
        ["as published", "test", 42, 6, 0, 20],
        ["as published", "2-fold", 42, 6, 0.2, 20],
        ["as published", "test", 1, 6, 0, 20],
    ]


@pytest.mark.usefixtures("small_resnet50v2")
def test_reproduce_slow_recipe_has_one_seed(tmp_path, monkeypatch):
    counts = dict(zip(COUNTS, (9, 16, 0.5, 3), strict=True))
    monkeypatch.setattr(module.Measurement, "run", lambda self: self.key | counts)
    monkeypatch.setattr(module, "SLOW_RECIPES", ("task2-resnet50v2",))
    table = reproduce(tmp_path / "t.csv", ["task2-resnet50v2"], folds=0, seeds=(42, 1))
    assert table["seed"].tolist() == [42, 42]  # repaired, as published


@pytest.mark.parametrize("folds", [0, 2])
def test_measurement_counts_test_or_cross_validated_images(multiclass, monkeypatch, folds):
    calls = []

    def make_predictions(correct):
        predicted = ["covid"] * correct + ["normal"] * (10 - correct)
        table = pd.DataFrame({"true": "covid", "predicted": predicted})
        return table.assign(probability_covid=0.6, probability_normal=0.4)

    def train(recipe, task, seed):
        calls.append(("train", recipe.name, seed))
        return "model", None

    def predict(model, images):
        calls.append((model, images))
        return make_predictions(7)

    def cross_validate(recipe, task, folds, seed):
        calls.append(("cross-validate", recipe.name, folds, seed))
        return make_predictions(4)

    monkeypatch.setattr(module.Recipe, "train", train)
    monkeypatch.setattr(module.keras.utils, "clear_session", lambda: None)  # half a second
    monkeypatch.setattr(module, "predict", predict)
    monkeypatch.setattr(module, "cross_validate", cross_validate)
    recipe = xk.recipes["task2-smallcnn"]
    row = module.Measurement(recipe, multiclass, folds, {"seed": 1}).run()
    expected = [("train", recipe.name, 1), ("model", multiclass.test)]
    assert calls == ([("cross-validate", recipe.name, 2, 1)] if folds else expected)
    assert (row["correct"], row["total"]) == ((4, 10) if folds else (7, 10))
    assert row["loss"] == 0.511  # -ln 0.6


@pytest.mark.slow
def test_reproduce_phantoms_are_not_compared_with_published(tmp_path):
    folder = tmp_path / "phantoms"
    xk.draw_phantoms(folder, images=120, shortcut=1.0)
    table = reproduce(tmp_path / "t.csv", ["task1-smallcnn"], data=folder, folds=0, seeds=[42])
    (row,) = summarize(table).to_dict("records")
    assert table["images"][0].startswith("phantoms") and pd.isna(row["difference"])
    assert 0 <= row["measured"].correct <= row["measured"].total and row["seconds"] >= 0


def test_rows_say_whether_their_images_are_phantoms(binary, confounded_phantoms):
    drawn = xk.load_task("binary", confounded_phantoms, image_size=32)
    assert name_images(drawn) == f"phantoms {drawn.digest[:8]}"
    assert name_images(binary) == f"challenge {binary.digest[:8]}"


def make_row(**values):
    row = {"recipe": "task2-vgg16-finetuned", "training": "repaired", "network": ""}
    row |= {"measure": "test", "seed": 42, "images": "challenge 0", "total": 36, "loss": 0.0}
    return row | {"seconds": 10} | values


def test_summarize_compares_the_median_seed_with_published():
    seeds = [make_row(seed=s, correct=c, loss=0.1 * s) for s, c in ((1, 30), (2, 20), (3, 22))]
    folds = make_row(measure="5-fold", correct=200, total=269)
    (row,) = summarize(pd.DataFrame([*seeds, folds])).to_dict("records")
    assert row["seeds"] == "1: 30, 2: 20, 3: 22" and row["loss"] == "0.100, 0.200, 0.300"
    assert str(row["measured"]) == "22/36 = 61 % [45, 75]"
    assert str(row["published"]) == "28/36 = 78 % [62, 88]"
    assert row["difference"] == "-17 [-36, +5]"
    assert str(row["cross_validation"]).startswith("200/269")
    assert row["published_loss"] == 0.6274 and row["seconds"] == 10


@pytest.mark.parametrize(
    ("correct", "difference"), [(36, "+22 [+8, +38]"), (5, "-64 [-77, -42]"), (28, "+0 [-19, +19]")]
)
def test_summarize_difference_is_above_0_if_measured_is_better(correct, difference):
    (row,) = summarize(pd.DataFrame([make_row(correct=correct)])).to_dict("records")
    assert str(row["published"]).startswith("28/36")
    assert row["difference"] == difference


def test_summarize_keeps_trainings_networks_and_images_apart():
    rows = [
        make_row(correct=30),
        make_row(correct=20, training="as published"),
        make_row(correct=10, network="end_at=block4_pool"),
        make_row(correct=15, images="phantoms 0"),
    ]
    table = summarize(pd.DataFrame(rows))
    labels = ["repaired, ", "as published, ", "repaired, end_at=block4_pool", "repaired, "]
    assert (table["training"] + ", " + table["network"]).tolist() == labels
    assert table["measured"].map(str).str[:5].tolist() == ["30/36", "20/36", "10/36", "15/36"]
    assert table["difference"].notna().tolist() == [True, True, True, False]  # of the phantoms


def test_saved_reproduction_has_every_vgg16_recipe_twice():
    table = saved_reproduction()
    measured = {(row.recipe, row.training) for row in table.itertuples() if row.measure == "test"}
    for name in xk.recipes:
        if xk.recipes[name].original_settings and xk.recipes[name].backbone == "VGG16":
            assert {(name, "repaired"), (name, "as published")} <= measured
    assert (table["correct"] <= table["total"]).all() and not (table["loss"] < 0).any()


def test_reproduce_other_table_raises_and_is_kept(tmp_path, drawn_challenge):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(xk.InputError, match="is not a table of `xraykit reproduce`") as raised:
        reproduce(path, ["task1-smallcnn"], data=drawn_challenge)
    assert "\n" not in str(raised.value) and path.read_text() == "a,b\n1,2\n"


@pytest.mark.slow
def test_reproduce_command_unknown_recipe_prints_one_line():
    done = xraykit("reproduce", "--recipes", "task1-smalcnn")
    assert done.returncode == 2 and done.stdout == ""
    other = xraykit("reproduce", "--overrides", "epochs=3")
    assert other.returncode == 2 and "expected names and values as JSON" in other.stderr
    assert "Unknown recipe 'task1-smalcnn'" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_recipes_command_prints_one_line_per_recipe():
    done = xraykit("recipes")
    assert len(done.stdout.splitlines()) == len(xk.recipes)
    assert "task2-resnet50v2" in done.stdout and "22/36 = 61 % [45, 75]" in done.stdout
    one = xraykit("recipes", "task2-resnet50")
    assert "assumed   batch size and epochs are not stated" in one.stdout
