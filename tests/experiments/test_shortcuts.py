import pandas as pd
import pytest

import xraykit as xk
from xraykit.experiments import shortcuts
from xraykit.experiments.shortcuts import MEASURES, measure_shortcuts


@pytest.fixture
def quick(monkeypatch):
    """One quick measure, which counts its calls, and no external images."""
    calls = []

    def measure(subject):
        calls.append(subject.recipe.name)
        return pd.DataFrame({"group": ["all"], "outcome": ["correct"], "count": [3], "total": [4]})

    monkeypatch.setattr(shortcuts, "MEASURES", {"test": measure})
    return calls


def test_measure_shortcuts_again_measures_nothing_twice(quick, tmp_path, drawn_challenge, capsys):
    path = tmp_path / "table.csv"
    for seed in (42, 42, 1):
        table = measure_shortcuts(path, ["task1-smallcnn"], data=drawn_challenge, seed=seed)
    assert quick == ["task1-smallcnn"] * 2
    assert table["seed"].tolist() == [42, 1] and table["count"].tolist() == [3, 3]
    assert pd.read_csv(path)["images"].str.startswith("challenge").all()
    assert "already in" in capsys.readouterr().out


def test_measure_shortcuts_another_table_raises_and_keeps_it(quick, tmp_path, drawn_challenge):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(xk.InputError, match="not a table of `xraykit shortcuts`"):
        measure_shortcuts(path, ["task1-smallcnn"], data=drawn_challenge)
    assert path.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(
    "measure",
    ["test", "Grad-CAM", "features", pytest.param("perturbations", marks=pytest.mark.slow)],
)
def test_measures_have_groups_outcomes_and_counts(measure, trained_subject):
    table = MEASURES[measure](trained_subject)
    assert {"group", "outcome"} <= set(table)
    assert (table["count"] <= table["total"]).all() if "count" in table else "value" in table


@pytest.fixture(scope="module")
def trained_subject(drawn_challenge):
    task = xk.load_task("binary", drawn_challenge, image_size=32)
    recipe = xk.recipes["task1-smallcnn"].override(epochs=1, image_size=32)
    return shortcuts.Subject(recipe, task, 42)


def test_saved_shortcuts_says_what_it_is_and_holds_the_counts():
    table = xk.saved_shortcuts("binary", "external validation")
    assert table.caption == "Measured on the challenge's images: external validation, seed 42"
    assert "97/100 = 97 % [92, 99]" in table.to_html()
    saved = pd.read_csv(shortcuts.MEASURED).query("recipe == 'task1-mobilenetv2'")
    row = saved.query("group == 'healthy adults' and outcome == 'covid'").iloc[0]
    count = table.data.loc[("healthy adults", "covid"), "task1-mobilenetv2"]
    assert (count.correct, count.total) == (row["count"], row["total"])


@pytest.mark.parametrize("arguments", [("task1", "test"), ("binary", "tests")])
def test_saved_shortcuts_unknown_name_raises(arguments):
    with pytest.raises(xk.InputError, match=r"Did you mean|expected"):
        xk.saved_shortcuts(*arguments)
