from dataclasses import replace

import pandas as pd
import pytest

import xraykit as xk
from xraykit.headless.results import read_results, results_schema
from xraykit.metrics.intervals import add_intervals, wilson_interval


@pytest.fixture(scope="module")
def trained(binary):
    options = {"image_size": 32, "end_at": "block1_pool"}
    model = xk.build_classifier("SmallCNN", binary.class_names, seed=1, **options)
    history = xk.train(model, binary, epochs=2, seed=1)
    predictions = xk.predict(model, binary.test)
    return {"task": binary, "model": model, "history": history, "predictions": predictions}


def test_save_results_has_every_documented_field(trained, tmp_path):
    xk.save_results(tmp_path / "new é" / "out", **trained, backbone="SmallCNN", seed=1)
    results = read_results(tmp_path / "new é" / "out")
    run_alone = {"error", "notebook", "parameters", "content", "started", "seconds", "files"}
    assert set(results) == results_schema()["properties"].keys() - run_alone
    for name in ("task", "model", "hardware"):
        assert set(results[name]) == results_schema()["properties"][name]["properties"].keys()
    inner = results_schema()["properties"]["scores"]["additionalProperties"]["properties"]
    assert set(results["scores"]["test"]) == inner.keys()


def test_save_results_of_a_stand_in_names_the_default_too(trained, tmp_path):
    recipe = replace(xk.recipes["task1-smallcnn"], stands_in_for="task1-mobilenetv2")
    xk.save_results(tmp_path, **trained, recipe=recipe)
    results = read_results(tmp_path)
    assert results["settings"]["recipe"] == "task1-smallcnn"
    assert results["settings"]["stands_in_for"] == "task1-mobilenetv2"
    assert "replaces  task1-mobilenetv2, whose ImageNet weights" in results["recipe"]
    xk.save_results(tmp_path, **trained, recipe=xk.recipes["task1-smallcnn"])
    assert "stands_in_for" not in read_results(tmp_path)["settings"]


def test_when_saved_then_figures_are_those_of_the_notebook(trained, tmp_path):
    task, model, history, predictions = trained.values()
    xk.save_results(tmp_path, **trained, backbone="SmallCNN")
    results = read_results(tmp_path)
    scores = xk.score(predictions)
    test = results["scores"]["test"]
    assert (test["correct"], test["total"], test["loss"]) == (
        scores.correct,
        scores.total,
        scores.loss,
    )
    low, high = (round(100 * test[bound]) for bound in ("low", "high"))
    assert f"[{low}, {high}]" in str(xk.Proportion(scores.correct, scores.total))
    assert [row["val_loss"] for row in results["history"]] == list(history["val_loss"])
    assert [row["epoch"] for row in results["history"]] == [1, 2]
    assert results["scores"]["validation"]["total"] == len(task.validation)
    assert results["model"]["parameters"] == model.count_params()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.csv",
        "model.keras",
        "predictions.csv",
        "results.json",
        "validation_predictions.csv",
    ]
    validation = pd.read_csv(tmp_path / "validation_predictions.csv")
    assert list(validation["path"]) == list(task.validation.paths)
    assert xk.score(validation).correct == results["scores"]["validation"]["correct"]


def test_save_results_keeps_counts_as_records(trained, tmp_path):
    rows = [
        ("unchanged", "original model", 2, 4),
        ("cut", "original model", 2, 4),
        ("cut", "retrained", 4, 4),
    ]
    columns = ["perturbation", "model", "correct", "total"]
    perturbations = add_intervals(pd.DataFrame(rows, columns=columns))
    group = pd.DataFrame({"group": ["healthy adults"], "predicted": ["covid"]})
    external = add_intervals(group.assign(count=2, total=4))
    xk.save_results(tmp_path, **trained, perturbations=perturbations, external_validation=external)
    results = read_results(tmp_path)
    for row, saved in zip(rows, results["perturbations"], strict=True):
        low, high = wilson_interval(*row[2:])
        assert saved == dict(zip(columns, row, strict=True)) | {"low": low, "high": high}
    low, high = wilson_interval(2, 4)
    assert results["external_validation"] == [
        {"group": "healthy adults", "predicted": "covid", "count": 2, "total": 4}
        | {"low": low, "high": high}
    ]


def test_when_the_folder_is_empty_text_then_nothing_is_saved(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    xk.save_results("", **trained)
    assert not list(tmp_path.iterdir())


def test_save_results_that_fails_leaves_no_results(trained, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(xk.InputError, match=r"file can't be written: .*Name another path"):
        xk.save_results(tmp_path / "file", **trained)
    with pytest.raises(xk.InputError, match="Can't save to") as raised:
        xk.save_results(tmp_path / "out", **trained, seed=object())
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out" / "results.json").exists()


def test_when_split_by_another_seed_then_the_digest_is_the_same(drawn_challenge, binary):
    other = xk.load_task("binary", drawn_challenge, image_size=32, seed=7)
    assert other.digest == binary.digest and other.validation.paths != binary.validation.paths
    smaller = xk.load_task("binary", drawn_challenge, image_size=16)
    assert smaller.digest != binary.digest


def test_save_results_model_that_cannot_be_loaded_again_raises(trained, tmp_path):
    inputs = xk.keras.Input((32, 32, 3))
    scaled = xk.keras.layers.Lambda(lambda pixels: pixels / 255, name="scale")(inputs)
    output = xk.keras.layers.Dense(1, activation="sigmoid")(xk.keras.layers.Flatten()(scaled))
    model = xk.keras.Model(inputs, output)
    with pytest.raises(xk.InputError, match=r"because of 'scale' \(Lambda\).* in place of Lambda"):
        xk.save_results(tmp_path, **trained | {"model": model})
    assert not list(tmp_path.iterdir())
