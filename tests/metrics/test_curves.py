import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import xraykit as xk
from xraykit.metrics import curves as module

NAMES = ("normal", "covid", "pneumonia")


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 299)


def drawn(images=60, a_patient=2, told=0.5, names=NAMES, seed=0):
    """Predictions that know the class a little; `a_patient` images of each are alike."""
    rng = np.random.default_rng(seed)
    owners = np.arange(images) // a_patient
    labels = rng.integers(0, len(names), owners.max() + 1)[owners]
    logits = rng.normal(0, 1, (owners.max() + 1, len(names)))[owners]
    logits += told * np.eye(len(names))[labels]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = {f"probability_{name}": shares[:, i] for i, name in enumerate(names)}
    true, said = np.array(names)[labels], np.array(names)[shares.argmax(axis=1)]
    patients = [f"p{owner}" for owner in owners]
    facts = {"path": range(images), "patient": patients, "true": true, "predicted": said}
    return pd.DataFrame(facts | columns)


def numbers(said):
    area, _, ends = said.partition(" [")
    return float(area), *map(float, ends.rstrip("]").split(", "))


def test_areas_are_scikit_learns():
    predictions = drawn()
    found = xk.curves(predictions)
    for name in NAMES:
        is_it, sure = predictions["true"] == name, predictions[f"probability_{name}"]
        expected = roc_auc_score(is_it, sure), average_precision_score(is_it, sure)
        for said, area in zip(found.areas.loc[name].iloc[:2], expected, strict=True):
            assert numbers(said)[0] == pytest.approx(area, abs=0.005)


def test_band_is_that_of_patients_drawn_anew_by_hand(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 1200)
    predictions = drawn(names=NAMES[:2], told=1.5)
    rng, ill = np.random.default_rng(5), (predictions["true"] == "covid").to_numpy()
    owners = np.arange(len(ill)) // 2
    groups = np.unique(owners[ill]), np.unique(owners[~ill])
    areas = []
    for _ in range(1200):
        again = np.concatenate([rng.choice(own, len(own)) for own in groups])
        times = np.bincount(again, minlength=len(ill))[owners]
        areas.append(roc_auc_score(ill, predictions["probability_covid"], sample_weight=times))
    found = numbers(xk.curves(predictions).areas.loc["covid"].iloc[0])
    np.testing.assert_allclose(found[1:], np.percentile(areas, [2.5, 97.5]), atol=0.013)


def test_points_are_those_of_curves_drawn_by_hand():
    sure = [0.9, 0.7, 0.4, 0.8, 0.3, 0.2]  # in falling order: ill, well, ill, ill, well, well
    table = {
        "patient": list("abcdef"),
        "true": ["covid"] * 3 + ["normal"] * 3,
        "predicted": "covid",
    }
    table |= {"probability_normal": 1 - np.array(sure), "probability_covid": sure}
    points = xk.curves(pd.DataFrame(table)).points.set_index("x").round(4)
    found = {
        x: points.loc[x, ["sensitivity", "precision"]].to_list() for x in (0, 0.33, 0.34, 0.67)
    }
    assert found == {0: [0.3333, 1], 0.33: [0.3333, 1], 0.34: [1, 0.6667], 0.67: [1, 0.75]}
    for kind in ("sensitivity", "precision"):
        assert (points[f"{kind}_low"] <= points[kind]).all()
        assert (points[kind] <= points[f"{kind}_high"]).all()


def test_when_patients_have_several_images_then_the_band_is_wider():
    alone = drawn(a_patient=4).assign(patient=range(60))
    widths = [
        np.subtract(*numbers(xk.curves(each).areas.loc["covid"].iloc[0])[:0:-1])
        for each in (drawn(a_patient=4), alone)
    ]
    assert widths[0] > 1.3 * widths[1]


def test_when_of_two_classes_then_the_positive_one_is_drawn_and_repeats_with_the_seed():
    predictions = drawn(names=NAMES[:2])
    found = xk.curves(predictions, seed=1)
    assert list(found.areas.index) == ["covid"]
    assert found.points.equals(xk.curves(predictions, seed=1).points)
    assert not found.points.equals(xk.curves(predictions, seed=2).points)


def test_when_no_images_is_out_of_order_then_no_interval_is_made_up():
    found = xk.curves(drawn(told=50, names=NAMES[:2]))
    assert found.areas.loc["covid"].iloc[0] == "1.00 (none out of order)"
    assert (found.points[["sensitivity", "precision"]] == 1).all(axis=None)


def test_when_every_image_is_of_one_class_then_one_line_says_so():
    with pytest.raises(xk.InputError, match="images of covid and of others"):
        xk.curves(drawn(names=NAMES[:2]).assign(true="normal"))


def test_when_every_image_is_given_the_same_then_no_order_is_claimed():
    found = xk.curves(drawn(names=NAMES[:2]).assign(probability_normal=0.5, probability_covid=0.5))
    assert found.areas.loc["covid"].iloc[0] == "0.50 (no interval)"


def test_when_a_class_has_one_patient_then_one_line_says_so():
    predictions = drawn(names=NAMES[:2])
    alone = predictions["true"].where(predictions["patient"] == "p3", "normal")
    alone = alone.mask(predictions["patient"] == "p3", "covid")
    with pytest.raises(xk.InputError, match="two patients each at least: found 1 and 29"):
        xk.curves(predictions.assign(true=alone))
