import pandas as pd
import pytest
from click.testing import CliRunner
from tiny import xraykit

import xraykit as xk
from xraykit.cli import cli
from xraykit.recipes import reproduce as module

SMALL = {"image_size": 32, "epochs": 1}


def without_vgg16(recipe):
    return (None, "not run: no weights") if recipe.backbone == "VGG16" else (recipe, "")


@pytest.mark.slow
def test_when_recipes_are_run_then_published_stands_beside_measured(
    tmp_path, drawn_challenge, monkeypatch
):
    """Report B's ResNet50V2 with a small network in its place, which needs no weights."""
    recipe = xk.recipes["task2-resnet50v2"].override(
        backbone="SmallCNN", head=xk.recipes["task2-smallcnn"].head, **SMALL
    )
    monkeypatch.setitem(module.RECIPES, "task2-resnet50v2", recipe)
    monkeypatch.setattr(module, "runnable", without_vgg16)
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(drawn_challenge))
    path = tmp_path / "new" / "table.csv"
    command = ["reproduce", "--recipes", "task2-resnet50v2", "--recipes", "task2-vgg16-wide"]
    options = ["--folds", "2", "--to", str(path), "--overrides", '{"batch_size": 20}']
    done = CliRunner().invoke(cli, [*command, *options], catch_exceptions=False)
    table = pd.read_csv(path)
    assert list(table["way"].fillna("")) == ["repaired", "as published", ""]
    assert list(table["published"][:2]) == ["22/36 = 61 % [45, 75]"] * 2
    assert table["measured"][0].split(" ")[0].endswith("/16")
    assert table["cross_validated"][0].split(" ")[0].endswith("/96")
    assert list(table["inside"][:2].isin(["yes", "no"])) == [True, True]
    assert "batch_size=20" in table["network"][0]
    assert table["network"][2].startswith("not run: no weights") and pd.isna(table["measured"][2])
    assert "task2-vgg16-wide" in done.output and "epoch   1" not in done.output


@pytest.mark.slow
def test_when_on_phantoms_without_weights_then_it_runs_and_compares_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "phantoms"
    xk.draw_phantoms(folder, pictures=120, shortcut=1.0)
    table = module.write_table(
        list(module.reproduce(["task1-smallcnn"], data=folder, folds=0)), tmp_path / "t.csv"
    )
    (row,) = table.to_dict("records")
    assert row["pictures"] == "phantoms" and pd.isna(row["inside"])
    assert "/" in row["measured"] and row["seconds"] >= 0


@pytest.mark.slow
def test_when_a_recipe_is_unknown_then_nothing_runs_and_one_line_says_so():
    done = xraykit("reproduce", "--recipes", "task1-smalcnn")
    assert done.returncode == 2 and done.stdout == ""
    other = xraykit("reproduce", "--overrides", "epochs=3")
    assert other.returncode == 2 and "expected names and values as JSON" in other.stderr
    assert "Unknown recipe 'task1-smalcnn'" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_when_recipes_are_listed_then_each_is_a_line_with_what_was_published():
    done = xraykit("recipes")
    assert len(done.stdout.splitlines()) == len(xk.recipes)
    assert "task2-resnet50v2" in done.stdout and "22/36 = 61 % [45, 75]" in done.stdout
    one = xraykit("recipes", "task2-resnet50")
    assert "assumed   batch and epochs are not stated" in one.stdout
