"""Does a network that is 80 % sure get 80 % right? And how to make it so, on validation."""

from dataclasses import dataclass
from functools import partial
from numbers import Real

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

from ..errors import InputError, check_whole_number
from .intervals import Proportion, wilson_interval
from .predictions import PROBABILITY, as_arrays, class_names
from .scores import SMALLEST

COOLEST, HOTTEST = 0.05, 20.0  # temperatures that are tried
DRAWN = 999


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """How sure a network is, beside how often it is right.

    Attributes
    ----------
    bins : DataFrame
        A row a bin of the probability of the class it names: confidence (its mean), right, of, and
        Wilson's interval (low, high) of their share.
    error : float
        Expected calibration error: the mean distance between confidence and share right, over the
        bins, by their images (Naeini et al. 2015, AAAI, 2901).
    by_chance : tuple of float
        What that error would be of a network that is right just as often as it is sure: the mean
        of 999 sets of answers drawn from its own probabilities, and what 95 % of them stay under
        (after Bröcker and Smith 2007, Weather and Forecasting 22, 651). With few images it is
        far from 0; an error below the second number shows no fault.
    brier : float
        Brier score: the mean over the images of the sum over the classes of squared differences
        between probability and truth, 0 to 2 (Brier 1950, Monthly Weather Review 78, 1).
    """

    bins: pd.DataFrame
    error: float
    by_chance: tuple[float, float]
    brier: float

    def __repr__(self) -> str:
        table = self.bins.drop(columns=["correct", "total", "low", "high"])
        table["correct"] = [
            Proportion(*counts) for counts in self.bins[["correct", "total"]].to_numpy()
        ]
        mean, most = self.by_chance
        return (
            f"expected calibration error {self.error:.3f} (by chance alone {mean:.3f}, at most "
            f"{most:.3f} in 95 %), Brier score {self.brier:.3f}\n\n"
            f"{table.to_string(index=False, float_format='{:.2f}'.format)}"
        )


def calibration(predictions: pd.DataFrame, bins: int = 10, seed: int = 42) -> Calibration:
    """Compare how sure a network is with how often it is right.

    Parameters
    ----------
    predictions : DataFrame
        As `predict` gives them.
    bins : int
        Of equal width, from 0 to 1. Empty ones are left out.
    seed : int
        Of the sets drawn for `by_chance`.

    Raises
    ------
    InputError
        If it is no table of predictions, or bins or seed is no whole number.

    Examples
    --------
    >>> sure = pd.DataFrame({"true": list("aaab"), "predicted": list("aaaa")})
    >>> sure = sure.assign(probability_a=0.75, probability_b=0.25)
    >>> calibration(sure).error
    0.0
    """
    check_whole_number("bins", bins, least=1)
    check_whole_number("seed", seed, least=0)
    probabilities, true = _of(predictions)
    sure, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == true
    place = np.minimum((sure * bins).astype(int), bins - 1)
    rows = []
    for own in (place == number for number in np.unique(place)):
        low, high = wilson_interval(int(correct[own].sum()), int(own.sum()))
        rows.append((sure[own].mean(), int(correct[own].sum()), int(own.sum()), low, high))
    table = pd.DataFrame(rows, columns=["confidence", "correct", "total", "low", "high"])
    error = partial(_error, sure, place[:, None] == np.unique(place))
    drawn = error(np.random.default_rng(seed).random((DRAWN, len(sure))) < sure)
    labels = range(probabilities.shape[1])
    brier = brier_score_loss(true, probabilities, labels=labels, scale_by_half=False)
    chance = float(drawn.mean()), float(np.quantile(drawn, 0.95))
    return Calibration(table, float(error(correct)), chance, float(brier))


def _error(sure: np.ndarray, bins: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Return the expected calibration error; `bins` says of each image in which bin it is."""
    return np.abs((sure - correct) @ bins).sum(axis=-1) / len(sure)


def fit_temperature(predictions: pd.DataFrame) -> float:
    """Return the temperature that makes a network as sure as it should be.

    The one number that its logits are divided by, such that the mean cross-entropy is lowest
    (temperature scaling; Guo et al. 2017, Proceedings of Machine Learning Research 70, 1321). Above
    1 the network was too sure. It changes no answer, only how sure it is.

    Parameters
    ----------
    predictions : DataFrame
        Of the validation images, never of the test.

    Returns
    -------
    float
        From 0.05 to 20; at the lower end where every answer is right.
    """
    probabilities, true = _of(predictions)
    labels = range(probabilities.shape[1])

    def loss(log_temperature: float) -> float:
        return log_loss(true, _heated(probabilities, np.exp(log_temperature)), labels=labels)

    ends = np.log([COOLEST, HOTTEST])
    return float(np.exp(minimize_scalar(loss, bounds=ends, method="bounded").x))


def apply_temperature(predictions: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """Return predictions as a network gives them whose logits are divided by `temperature`.

    Raises
    ------
    InputError
        If it is not above 0, or there are no predictions.
    """
    probabilities, _ = _of(predictions)
    if not (isinstance(temperature, Real) and 0 < temperature < np.inf):
        raise InputError(f"temperature={temperature!r}: expected a number above 0")
    heated = _heated(probabilities, temperature)
    columns = [f"{PROBABILITY}{name}" for name in class_names(predictions)]
    return predictions.assign(**dict(zip(columns, heated.T, strict=True)))


def _heated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    return softmax(np.log(np.maximum(probabilities, SMALLEST)) / temperature, axis=1)


def _of(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities that add up to 1 to the last digit, and the true classes."""
    _, probabilities, true = as_arrays(predictions)
    return probabilities / probabilities.sum(axis=1, keepdims=True), true
