"""Scores as counts with their 95 % interval, never as bare percentages."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from ..errors import InputError, check_kind
from .intervals import Proportion, percent, wilson_interval
from .predictions import as_arrays

VALUES = "positive predictive value", "negative predictive value"
SMALLEST = 1e-7  # a probability below it counts as it, as in Keras' own cross-entropy


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """What a table of predictions is worth.

    Attributes
    ----------
    right, of : int
        Pictures predicted right, of how many.
    loss : float
        Mean cross-entropy in nats.
    confusion : DataFrame
        Counts: a row a true class, a column a predicted one.
    """

    right: int
    of: int
    loss: float
    confusion: pd.DataFrame

    @property
    def accuracy(self) -> float:
        """The share of pictures predicted right."""
        return self.right / self.of

    @property
    def by_class(self) -> pd.DataFrame:
        """Sensitivity and specificity of each class against all the others."""
        rows = {}
        for name in self.confusion.index:
            found, rejected = self.against_the_rest(name)
            rows[name] = {"sensitivity": Proportion(*found), "specificity": Proportion(*rejected)}
        return pd.DataFrame(rows).T

    def against_the_rest(self, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return how many of a class are found, of how many, and of the others rejected."""
        hits, called = self.confusion.loc[name, name], self.confusion[name].sum()
        positives = self.confusion.loc[name].sum()
        negatives = self.of - positives
        return (int(hits), int(positives)), (int(negatives - called + hits), int(negatives))

    def __repr__(self) -> str:
        confusion = self.confusion.rename_axis(index="true", columns="predicted")
        return (
            f"accuracy {Proportion(self.right, self.of)}\nloss     {self.loss:.3f}\n\n"
            f"{self.by_class.to_string()}\n\n{confusion.to_string()}"
        )


def score(predictions: pd.DataFrame) -> Scores:
    """Score a table of predictions, as `predict` gives it.

    Raises
    ------
    InputError
        If the table is empty, or is not one of predictions.
    """
    names, probabilities, labels = as_arrays(predictions)
    true, predicted = predictions["true"], predictions["predicted"]
    counts = confusion_matrix(true, predicted, labels=list(names))
    of_truth = probabilities[np.arange(len(labels)), labels]
    return Scores(
        right=int((true == predicted).sum()),
        of=len(predictions),
        loss=float(0 - np.log(np.clip(of_truth, SMALLEST, 1)).mean()),  # 0, never -0
        confusion=pd.DataFrame(counts, index=names, columns=names),
    )


def predictive_values(scores: Scores, prevalence: float) -> pd.DataFrame:
    """Return what an answer is worth where a class is as frequent as `prevalence`.

    A test set has as many ill as healthy; a hospital doesn't. By Bayes' rule from sensitivity and
    specificity: of those called a class, how many are (positive predictive value), and of those not
    called it, how many are not (negative predictive value).

    Parameters
    ----------
    scores : Scores
    prevalence : float
        Above 0 and below 1: the share of the class among those that the network is asked about;
        for each class in turn, all others together being the rest.

    Returns
    -------
    DataFrame
        A row a class: positive and negative predictive value in percent, with an interval: the
        values at both ends of Wilson's intervals of sensitivity and specificity, each of them at
        the square root of 95 %, so that both hold at once. It holds the truth in 95 of 100 test
        sets or more; where nearly all of a few pictures are right in fewer, down to 87.

    Raises
    ------
    InputError
        If the prevalence is out of range, or there are no scores.

    Examples
    --------
    >>> counts = pd.DataFrame([[90, 10], [5, 95]], ["ill", "well"], ["ill", "well"])
    >>> predictive_values(Scores(185, 200, 0.2, counts), prevalence=0.01).loc["ill"].iloc[0]
    '15 % [6, 33]'
    """
    check_kind(scores, Scores, "scores, xk.score(predictions)")
    if not (isinstance(prevalence, Real) and 0 < prevalence < 1):
        raise InputError(f"prevalence={prevalence!r}: expected a number above 0 and below 1")
    rows = {}
    for name in scores.confusion.index:
        shares = [_share(*count) for count in scores.against_the_rest(name)]
        values = [_bayes(*pair, prevalence) for pair in zip(*shares, strict=True)]
        rows[name] = {
            kind: _said(*ends) for kind, ends in zip(VALUES, zip(*values, strict=True), strict=True)
        }
    return pd.DataFrame(rows).T


def _share(right: int, of: int) -> tuple[float, float, float]:
    if not of:
        return np.nan, 0.0, 1.0
    return (right / of, *wilson_interval(right, of, np.sqrt(0.95)))


def _bayes(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """Return the positive and the negative predictive value."""
    called = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    rejected = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return tuple(
        right / (right + wrong) if right + wrong else np.nan for right, wrong in (called, rejected)
    )


def _said(value: float, low: float, high: float) -> str:
    said = percent(value, low, high)
    return said.replace("nan %", "unknown")
