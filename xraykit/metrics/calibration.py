"""Calibration: how well predicted probabilities agree with accuracy, and temperature scaling."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

from ..errors import InputError, check_whole_number, to_number
from .intervals import add_intervals, format_counts
from .predictions import PROBABILITY, as_arrays, class_names
from .scores import SMALLEST

TEMPERATURE_RANGE = 0.05, 20.0
N_SIMULATIONS = 999


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """Confidence of a model (the probability of its predicted class) compared with its accuracy.

    Attributes
    ----------
    bins : DataFrame
        One row per bin of confidence: confidence (the mean of the bin), correct, total, low, high
        (Wilson's 95 % interval of the accuracy).
    error : float
        Expected calibration error: the mean distance between confidence and accuracy over the
        bins, weighted by their images (Naeini et al. 2015, AAAI, 2901).
    by_chance : tuple of float
        The error of a perfectly calibrated model with the same probabilities: the mean and the 95 %
        quantile of 999 simulations (after Bröcker and Smith 2007, Weather and Forecasting 22,
        651). With few images they are far from 0. An error below the quantile shows no fault.
    brier : float
        Brier score: the mean over the images of the sum over the classes of squared differences
        between probability and truth, 0 to 2 (Brier 1950, Monthly Weather Review 78, 1).
    """

    bins: pd.DataFrame
    error: float
    by_chance: tuple[float, float]
    brier: float

    def __repr__(self) -> str:
        table = self.bins[["confidence"]].assign(correct=format_counts(self.bins))
        mean, quantile = self.by_chance
        return (
            f"expected calibration error {self.error:.3f} (expected for a perfectly calibrated "
            f"network {mean:.3f}, 95 % limit {quantile:.3f}), Brier score {self.brier:.3f}\n\n"
            f"{table.to_string(index=False, float_format='{:.2f}'.format)}"
        )


def calibration(predictions: pd.DataFrame, *, bins: int = 10, seed: int = 42) -> Calibration:
    """Compare the confidence of a model with its accuracy.

    Parameters
    ----------
    predictions : DataFrame
        As `predict` returns it.
    bins : int
        Number of bins of equal width, from 0 to 1. Empty bins are left out.
    seed : int
        Random seed for the simulations of `by_chance`.

    Raises
    ------
    InputError
        If it is not a table of predictions, or bins or seed is not a whole number.

    Examples
    --------
    >>> predictions = pd.DataFrame({"true": list("aaab"), "predicted": list("aaaa")})
    >>> predictions = predictions.assign(probability_a=0.75, probability_b=0.25)
    >>> calibration(predictions).error
    0.0
    """
    check_whole_number("bins", bins, 1)
    check_whole_number("seed", seed, 0)
    probabilities, true = _normalize(predictions)
    confidence = probabilities.max(axis=1)
    is_correct = probabilities.argmax(axis=1) == true
    numbers = np.minimum((confidence * bins).astype(int), bins - 1)
    members = numbers[:, None] == np.unique(numbers)  # one column per bin that is not empty
    rows = [(confidence[rows].mean(), is_correct[rows].sum(), rows.sum()) for rows in members.T]
    table = add_intervals(pd.DataFrame(rows, columns=["confidence", "correct", "total"]))
    draws = np.random.default_rng(seed).random((N_SIMULATIONS, len(confidence)))
    simulated = _measure_error(confidence, members, draws < confidence)
    labels = range(probabilities.shape[1])
    return Calibration(
        bins=table,
        error=float(_measure_error(confidence, members, is_correct)),
        by_chance=(float(simulated.mean()), float(np.quantile(simulated, 0.95))),
        brier=float(brier_score_loss(true, probabilities, labels=labels, scale_by_half=False)),
    )


def _measure_error(
    confidence: np.ndarray, members: np.ndarray, is_correct: np.ndarray
) -> np.ndarray:
    """Return the expected calibration error of each row of `is_correct`."""
    return np.abs((confidence - is_correct) @ members).sum(axis=-1) / len(confidence)


def fit_temperature(predictions: pd.DataFrame) -> float:
    """Return the temperature that calibrates a model best.

    The logits are divided by this number, so that the mean cross-entropy is lowest (temperature
    scaling; Guo et al. 2017, Proceedings of Machine Learning Research 70, 1321). Above 1 the model
    was overconfident. Scaling changes the probabilities, not the predicted classes.

    Parameters
    ----------
    predictions : DataFrame
        Of the validation images, never of the test images.

    Returns
    -------
    float
        From 0.05 to 20; near the lower end if every prediction is correct.

    Examples
    --------
    >>> table = pd.DataFrame({"true": list("aaab"), "predicted": list("aaaa")})
    >>> overconfident = table.assign(probability_a=0.99, probability_b=0.01)
    >>> round(xk.fit_temperature(overconfident), 1)  # ln(99) / ln(3)
    4.2
    """
    probabilities, true = _normalize(predictions)
    labels = range(probabilities.shape[1])

    def measure_loss(log_temperature: float) -> float:
        rescaled = _rescale_logits(probabilities, np.exp(log_temperature))
        return log_loss(true, rescaled, labels=labels)

    bounds = np.log(TEMPERATURE_RANGE)
    return float(np.exp(minimize_scalar(measure_loss, bounds=bounds, method="bounded").x))


def apply_temperature(predictions: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """Return the predictions of the same model after its logits are divided by `temperature`.

    Raises
    ------
    InputError
        If the temperature is not above 0, or it is not a table of predictions.

    Examples
    --------
    >>> table = pd.DataFrame({"true": ["b"], "predicted": ["b"]})
    >>> table = table.assign(probability_a=0.1, probability_b=0.9)
    >>> xk.apply_temperature(table, 2).probability_b.round(2).tolist()  # less confident
    [0.75]
    """
    probabilities, _ = _normalize(predictions)
    if not (0 < to_number(temperature) < np.inf):
        raise InputError(f"temperature={temperature!r}: expected a number above 0")
    rescaled = _rescale_logits(probabilities, temperature)
    columns = [f"{PROBABILITY}{name}" for name in class_names(predictions)]
    return predictions.assign(**dict(zip(columns, rescaled.T, strict=True)))


def _rescale_logits(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    return softmax(np.log(np.maximum(probabilities, SMALLEST)) / temperature, axis=1)


def _normalize(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities that sum to 1 without rounding errors, and the true labels."""
    _, probabilities, true = as_arrays(predictions)
    return probabilities / probabilities.sum(axis=1, keepdims=True), true
