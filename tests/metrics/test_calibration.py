import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

import xraykit as xk


def table(true, probabilities, names=("a", "b", "c")):
    probabilities = np.asarray(probabilities, float)
    columns = {f"probability_{name}": probabilities[:, i] for i, name in enumerate(names)}
    predicted = np.array(names)[probabilities.argmax(axis=1)]
    return pd.DataFrame({"true": true, "predicted": predicted} | columns)


@pytest.fixture
def too_sure():
    """A network whose logits are twice what they should be."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (3000, 3))
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = [rng.choice(list("abc"), p=each) for each in share]
    sure = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    return table(true, sure)


def test_calibration_error_and_brier_are_those_worked_out_by_hand():
    said = table(list("aabb"), [[0.9, 0.1], [0.8, 0.2], [0.85, 0.15], [0.3, 0.7]], ("a", "b"))
    found = xk.calibration(said, bins=2)  # all in the upper bin: 3 of 4 right, 0.8125 sure
    assert found.error == pytest.approx(0.8125 - 0.75)
    assert found.brier == pytest.approx(2 * (0.1**2 + 0.2**2 + 0.85**2 + 0.3**2) / 4)
    assert found.bins[["correct", "total"]].to_numpy().tolist() == [[3, 4]]
    assert "3/4 = 75 % [30, 95]" in str(found)


def test_calibration_error_weighs_bins_by_their_images_and_lets_none_make_up_for_another():
    sure = [0.9, 0.8, 1.0, 0.6, 0.6]
    said = table(list("abaaa"), [[each, 1 - each] for each in sure], ("a", "b"))
    found = xk.calibration(said, bins=4)  # .6 sure, 2 of 2 right; .9 sure, 2 of 3 right
    assert found.bins[["correct", "total"]].to_numpy().tolist() == [[2, 2], [2, 3]]
    assert found.bins["confidence"].to_list() == pytest.approx([0.6, 0.9])
    assert found.error == pytest.approx((2 * 0.4 + 3 * (0.9 - 2 / 3)) / 5)


def test_error_by_chance_is_that_of_truths_drawn_from_the_probabilities(too_sure):
    few = too_sure.head(36)
    rng = np.random.default_rng(1)
    probabilities = few.filter(like="probability").to_numpy()
    errors = []
    for _ in range(300):
        true = [rng.choice(list("abc"), p=each) for each in probabilities]
        errors.append(xk.calibration(few.assign(true=true)).error)
    mean, most = xk.calibration(few).by_chance
    assert mean == pytest.approx(np.mean(errors), abs=0.01)
    assert most == pytest.approx(np.quantile(errors, 0.95), abs=0.03)
    assert f"(by chance alone {mean:.3f}" in str(xk.calibration(few))


def test_when_too_sure_then_the_temperature_that_was_put_in_is_found(too_sure):
    temperature = xk.fit_temperature(too_sure)
    assert temperature == pytest.approx(2, abs=0.1)
    cooler = xk.apply_temperature(too_sure, temperature)
    assert xk.calibration(cooler).error < 0.03 < xk.calibration(too_sure).error
    assert cooler["predicted"].equals(too_sure["predicted"])
    assert "probability_a" in too_sure and not cooler["probability_a"].equals(too_sure.iloc[:, 2])


class Logits(ClassifierMixin, BaseEstimator):
    """For scikit-learn: a classifier whose decision function is what it is given."""

    def fit(self, logits, true):
        self.classes_ = np.unique(true)
        return self

    def decision_function(self, logits):
        return logits

    def predict(self, logits):
        return self.classes_[logits.argmax(axis=1)]


def test_temperature_is_scikit_learns(too_sure):
    logits = np.log(too_sure.filter(like="probability").to_numpy())
    frozen = FrozenEstimator(Logits().fit(logits, too_sure["true"]))
    theirs = CalibratedClassifierCV(frozen, method="temperature").fit(logits, too_sure["true"])
    ours = xk.apply_temperature(too_sure, xk.fit_temperature(too_sure))
    expected = theirs.predict_proba(logits)
    np.testing.assert_allclose(ours.filter(like="probability"), expected, atol=2e-3)


def test_when_every_answer_is_right_then_temperature_stays_in_its_range():
    said = table(list("abc"), np.eye(3) * 0.7 + 0.1)
    assert 0.05 <= xk.fit_temperature(said) < 0.06


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf"), "2"])
def test_when_temperature_is_not_above_0_then_one_line_says_so(too_sure, temperature):
    with pytest.raises(xk.InputError, match="expected a number above 0"):
        xk.apply_temperature(too_sure, temperature)
