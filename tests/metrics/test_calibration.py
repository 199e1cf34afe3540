import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
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
def overconfident():
    """A model whose logits are twice as large as they should be."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (3000, 3))
    true = [rng.choice(list("abc"), p=row) for row in softmax(logits, axis=1)]
    return table(true, softmax(2 * logits, axis=1))


def test_calibration_error_and_brier_are_those_computed_by_hand():
    probabilities = [[0.9, 0.1], [0.8, 0.2], [0.85, 0.15], [0.3, 0.7]]
    predictions = table(list("aabb"), probabilities, ("a", "b"))
    result = xk.calibration(predictions, bins=2)  # one bin: 3 of 4 correct, confidence 0.8125
    assert result.error == pytest.approx(0.8125 - 0.75)
    assert result.brier == pytest.approx(2 * (0.1**2 + 0.2**2 + 0.85**2 + 0.3**2) / 4)
    assert result.bins[["correct", "total"]].to_numpy().tolist() == [[3, 4]]
    rows = [line.split(maxsplit=1) for line in str(result).splitlines()[2:]]
    assert rows == [["confidence", "correct"], ["0.81", "3/4 = 75 % [30, 95]"]]


def test_calibration_error_weights_bins_by_their_images():
    confidence = np.array([0.9, 0.8, 1.0, 0.6, 0.6])
    predictions = table(list("abaaa"), np.column_stack([confidence, 1 - confidence]), ("a", "b"))
    result = xk.calibration(predictions, bins=4)  # at .6: 2 of 2 correct; at .9: 2 of 3
    assert result.bins[["correct", "total"]].to_numpy().tolist() == [[2, 2], [2, 3]]
    assert result.bins["confidence"].to_list() == pytest.approx([0.6, 0.9])
    assert result.error == pytest.approx((2 * 0.4 + 3 * (0.9 - 2 / 3)) / 5)


def test_calibration_error_by_chance_is_that_of_drawn_classes(overconfident):
    few = overconfident.head(36)
    rng = np.random.default_rng(1)
    probabilities = few.filter(like="probability").to_numpy()
    errors = []
    for _ in range(300):
        true = [rng.choice(list("abc"), p=row) for row in probabilities]
        errors.append(xk.calibration(few.assign(true=true)).error)
    mean, quantile = xk.calibration(few).by_chance
    assert mean == pytest.approx(np.mean(errors), abs=0.01)
    assert quantile == pytest.approx(np.quantile(errors, 0.95), abs=0.03)
    assert f"perfectly calibrated network {mean:.3f}" in str(xk.calibration(few))


def test_fit_temperature_finds_that_of_an_overconfident_model(overconfident):
    temperature = xk.fit_temperature(overconfident)
    assert temperature == pytest.approx(2, abs=0.1)
    calibrated = xk.apply_temperature(overconfident, temperature)
    assert xk.calibration(calibrated).error < 0.03 < xk.calibration(overconfident).error
    assert calibrated["predicted"].equals(overconfident["predicted"])
    assert not calibrated["probability_a"].equals(overconfident["probability_a"])


class Logits(ClassifierMixin, BaseEstimator):
    """A classifier for scikit-learn that returns its inputs as logits."""

    def fit(self, logits, true):
        self.classes_ = np.unique(true)
        return self

    def decision_function(self, logits):
        return logits

    def predict(self, logits):
        return self.classes_[logits.argmax(axis=1)]


def test_fit_temperature_agrees_with_scikit_learn(overconfident):
    logits = np.log(overconfident.filter(like="probability").to_numpy())
    frozen = FrozenEstimator(Logits().fit(logits, overconfident["true"]))
    theirs = CalibratedClassifierCV(frozen, method="temperature").fit(logits, overconfident["true"])
    ours = xk.apply_temperature(overconfident, xk.fit_temperature(overconfident))
    expected = theirs.predict_proba(logits)
    np.testing.assert_allclose(ours.filter(like="probability"), expected, atol=2e-3)


def test_fit_temperature_with_a_class_that_is_absent_is_finite(overconfident):
    without = overconfident[overconfident["true"] != "c"]
    assert 1 < xk.fit_temperature(without) < 10


@pytest.mark.parametrize(("temperature", "expected"), [(0.5, 0.8), (1, 2 / 3), (2, 0.5858)])
def test_apply_temperature_below_1_sharpens_above_1_softens(temperature, expected):
    predictions = table(["a"], [[2 / 3, 1 / 3]], ("a", "b"))
    rescaled = xk.apply_temperature(predictions, temperature)
    assert rescaled["probability_a"].item() == pytest.approx(expected, abs=1e-4)


def test_fit_temperature_all_correct_stays_in_its_range():
    predictions = table(list("abc"), np.eye(3) * 0.7 + 0.1)
    assert 0.05 <= xk.fit_temperature(predictions) < 0.06


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf"), "2"])
def test_apply_temperature_not_above_0_raises(overconfident, temperature):
    with pytest.raises(xk.InputError, match="expected a number above 0"):
        xk.apply_temperature(overconfident, temperature)
