import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score, roc_auc_score

import xraykit as xk
from xraykit.metrics import curves as module

NAMES = ("normal", "covid", "pneumonia")


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 299)


def draw_predictions(images=60, per_patient=2, signal=0.5, names=NAMES, seed=0):
    """Predictions that are a little better than chance; a patient's images are all alike."""
    rng = np.random.default_rng(seed)
    owners = np.arange(images) // per_patient
    labels = rng.integers(0, len(names), owners.max() + 1)[owners]
    logits = rng.normal(0, 1, (owners.max() + 1, len(names)))[owners]
    logits += signal * np.eye(len(names))[labels]
    probabilities = softmax(logits, axis=1)
    columns = {f"probability_{name}": probabilities[:, i] for i, name in enumerate(names)}
    true, predicted = np.array(names)[labels], np.array(names)[probabilities.argmax(axis=1)]
    patients = [f"p{owner}" for owner in owners]
    metadata = {"path": range(images), "patient": patients, "true": true, "predicted": predicted}
    return pd.DataFrame(metadata | columns)


def parse_area(text):
    area, _, ends = text.partition(" [")
    return float(area), *map(float, ends.rstrip("]").split(", "))


def test_curves_areas_agree_with_scikit_learn():
    predictions = draw_predictions()
    areas = xk.curves(predictions).areas
    for name in NAMES:
        is_class, probability = predictions["true"] == name, predictions[f"probability_{name}"]
        for text, function in zip(
            areas.loc[name].iloc[:2], (roc_auc_score, average_precision_score), strict=True
        ):
            assert parse_area(text)[0] == pytest.approx(function(is_class, probability), abs=0.005)


def test_curves_interval_is_that_of_a_bootstrap_by_hand(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 1200)
    predictions = draw_predictions(names=NAMES[:2], signal=1.5)
    rng, ill = np.random.default_rng(5), (predictions["true"] == "covid").to_numpy()
    owners = np.arange(len(ill)) // 2
    groups = np.unique(owners[ill]), np.unique(owners[~ill])
    areas = []
    for _ in range(1200):
        sample = np.concatenate([rng.choice(group, len(group)) for group in groups])
        weights = np.bincount(sample, minlength=len(ill))[owners]
        areas.append(roc_auc_score(ill, predictions["probability_covid"], sample_weight=weights))
    area = parse_area(xk.curves(predictions).areas.loc["covid"].iloc[0])
    np.testing.assert_allclose(area[1:], np.percentile(areas, [2.5, 97.5]), atol=0.013)


def test_curves_points_are_those_computed_by_hand():
    covid = np.array([0.9, 0.7, 0.4, 0.8, 0.3, 0.2])  # by rank: ill, well, ill, ill, well, well
    table = {
        "patient": list("abcdef"),
        "true": ["covid"] * 3 + ["normal"] * 3,
        "predicted": "covid",
    }
    table |= {"probability_normal": 1 - covid, "probability_covid": covid}
    points = xk.curves(pd.DataFrame(table)).points.set_index("x").round(4)
    values = {
        x: points.loc[x, ["sensitivity", "precision"]].to_list() for x in (0, 0.33, 0.34, 0.67)
    }
    assert values == {0: [0.3333, 1], 0.33: [0.3333, 1], 0.34: [1, 0.6667], 0.67: [1, 0.75]}
    for kind in ("sensitivity", "precision"):
        assert (points[f"{kind}_low"] <= points[kind]).all()
        assert (points[kind] <= points[f"{kind}_high"]).all()


def test_curves_of_patients_with_several_images_are_wider():
    together = draw_predictions(per_patient=4)
    widths = [
        np.subtract(*parse_area(xk.curves(predictions).areas.loc["covid"].iloc[0])[:0:-1])
        for predictions in (together, together.assign(patient=range(60)))
    ]
    assert widths[0] > 1.3 * widths[1]


def test_curves_of_two_classes_are_those_of_the_positive_class():
    predictions = draw_predictions(names=NAMES[:2])
    result = xk.curves(predictions, seed=1)
    assert list(result.areas.index) == ["covid"]
    assert result.points.equals(xk.curves(predictions, seed=1).points)
    assert not result.points.equals(xk.curves(predictions, seed=2).points)


def test_curves_of_a_perfect_ranking_have_no_interval():
    result = xk.curves(draw_predictions(signal=50, names=NAMES[:2]))
    assert result.areas.loc["covid"].iloc[0] == "1.00 (perfect ranking)"
    assert (result.points[["sensitivity", "precision"]] == 1).all(axis=None)


def test_curves_have_points_and_counts_of_each_class():
    predictions = draw_predictions(images=20)
    result = xk.curves(predictions)
    counts = predictions["true"].value_counts()
    expected = [[counts[name], 20, 10] for name in NAMES]
    assert (
        result.areas.loc[list(NAMES), ["of the class", "images", "patients"]].to_numpy().tolist()
        == expected
    )
    assert result.points["class"].value_counts().to_dict() == dict.fromkeys(NAMES, 101)
    assert result.points.index.is_unique


def test_curves_of_a_class_with_two_patients_are_measured():
    predictions = draw_predictions(names=NAMES[:2])
    true = np.where(predictions["patient"].isin(["p3", "p4"]), "covid", "normal")
    assert xk.curves(predictions.assign(true=true)).areas.loc["covid", "of the class"] == 4


def test_curves_without_patients_raise():
    with pytest.raises(xk.InputError, match="with columns true, predicted, patient and"):
        xk.curves(draw_predictions().drop(columns="patient"))


def test_curves_of_a_single_true_class_raise():
    with pytest.raises(xk.InputError, match="two patients with images of covid and two without"):
        xk.curves(draw_predictions(names=NAMES[:2]).assign(true="normal"))


def test_curves_of_equal_probabilities_have_no_interval():
    predictions = draw_predictions(names=NAMES[:2])
    result = xk.curves(predictions.assign(probability_normal=0.5, probability_covid=0.5))
    assert result.areas.loc["covid"].iloc[0] == "0.50 (no interval)"


def test_curves_of_a_class_with_one_patient_raise():
    predictions = draw_predictions(names=NAMES[:2])
    true = np.where(predictions["patient"] == "p3", "covid", "normal")
    with pytest.raises(xk.InputError, match=r"two patients with images .* found 1 and 29"):
        xk.curves(predictions.assign(true=true))
