"""Scores as counts with their 95 % interval, never as bare percentages."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from ..errors import InputError, check_kind, to_number
from .intervals import Proportion, add_intervals, display_table, wilson_interval
from .predictions import as_arrays

MEASURES = "sensitivity", "specificity"
PREDICTIVE_VALUES = "positive predictive value", "negative predictive value"
SMALLEST = 1e-7  # smaller probabilities count as this


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """Scores of a table of predictions.

    Attributes
    ----------
    correct, total : int
        Number of correct predictions, and number of all predictions.
    loss : float
        Mean cross-entropy in nats. Probabilities below 1e-7 count as 1e-7, so that no image adds
        more than 16.1; in a history, whose loss Keras computes before the softmax, it may.
    confusion : DataFrame
        Counts: one row per true class, one column per predicted class.

    Examples
    --------
    >>> scores = xk.score(predictions)
    >>> scores.total == len(task.test)
    True
    >>> scores.confusion.columns.tolist()
    ['normal', 'covid']
    """

    correct: int
    total: int
    loss: float
    confusion: pd.DataFrame

    @property
    def accuracy(self) -> float:
        """The fraction of correct predictions."""
        return self.correct / self.total

    @property
    def by_class(self) -> pd.DataFrame:
        """Sensitivity and specificity of each class against all others.

        One row per class and measure: class, measure, correct, total, low, high.
        """
        rows = [
            {"class": name, "measure": measure, "correct": correct, "total": total}
            for name in self.confusion.index
            for measure, (correct, total) in zip(MEASURES, self.one_vs_rest(name), strict=True)
        ]
        return add_intervals(pd.DataFrame(rows))

    def one_vs_rest(self, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return (correct, total) of the images of a class, and of all other images."""
        hits, predicted = self.confusion.loc[name, name], self.confusion[name].sum()
        positives = self.confusion.loc[name].sum()
        negatives = self.total - positives
        return (int(hits), int(positives)), (int(negatives - predicted + hits), int(negatives))

    @property
    def may_be_clipped(self) -> bool:
        """Whether the loss is so large that a probability below 1e-7 may be in it."""
        return self.loss * self.total >= -np.log(SMALLEST)

    def __repr__(self) -> str:
        note = " (probabilities below 1e-7 count as 1e-7)" if self.may_be_clipped else ""
        confusion = self.confusion.rename_axis(index="true", columns="predicted")
        return (
            f"accuracy {Proportion(self.correct, self.total)}\nloss     {self.loss:.3f}{note}\n\n"
            f"{display_table(self.by_class).to_string()}\n\n{confusion.to_string()}"
        )


def score(predictions: pd.DataFrame) -> Scores:
    """Score a table of predictions, as `predict` returns it.

    Raises
    ------
    InputError
        If the table is empty, or is not a table of predictions.

    Examples
    --------
    >>> table = pd.DataFrame({"true": list("aab"), "predicted": list("aaa")})
    >>> table = table.assign(probability_a=0.75, probability_b=0.25)
    >>> scores = xk.score(table)
    >>> scores.correct, scores.total, round(scores.loss, 3)
    (2, 3, 0.654)
    """
    names, probabilities, labels = as_arrays(predictions)
    true, predicted = predictions["true"], predictions["predicted"]
    counts = confusion_matrix(true, predicted, labels=list(names))
    of_true_class = probabilities[np.arange(len(labels)), labels]
    return Scores(
        correct=int((true == predicted).sum()),
        total=len(predictions),
        loss=float(0 - np.log(np.clip(of_true_class, SMALLEST, 1)).mean()),  # 0, never -0
        confusion=pd.DataFrame(counts, index=names, columns=names),
    )


def predictive_values(scores: Scores, prevalence: float) -> pd.DataFrame:
    """Return predictive values of each class at a given prevalence.

    In a test set there may be as many ill as healthy people; in a hospital there are not. Bayes'
    rule gives the probability that an image predicted as a class is of that class (positive
    predictive value), and that one not predicted as it is not of it (negative predictive value).

    Parameters
    ----------
    scores : Scores
    prevalence : float
        Above 0 and below 1: the fraction of people to be examined who have the class; for each
        class in turn, against all others together.

    Returns
    -------
    DataFrame
        One row per class and measure: class, measure, value, low, high, each from 0 to 1. The
        interval combines the ends of Wilson's intervals of sensitivity and specificity, each at
        the square root of 95 %, so that both hold at once. It covers the truth in at least 95 of
        100 test sets; where nearly all of few images are correct, in fewer, down to 87.

    Raises
    ------
    InputError
        If the prevalence is out of range, or `scores` is not a Scores.

    Examples
    --------
    >>> counts = pd.DataFrame([[90, 10], [5, 95]], ["ill", "well"], ["ill", "well"])
    >>> table = predictive_values(Scores(185, 200, 0.2, counts), prevalence=0.01)
    >>> print(table.round(2).head(2).to_string(index=False))
    class                   measure  value  low  high
      ill positive predictive value   0.15 0.06  0.33
      ill negative predictive value   1.00 1.00  1.00
    """
    check_kind(scores, Scores, "scores, xk.score(predictions)")
    if not (0 < to_number(prevalence) < 1):
        raise InputError(f"prevalence={prevalence!r}: expected a number above 0 and below 1")
    rows = []
    for name in scores.confusion.index:
        sensitivity, specificity = (_estimate(*count) for count in scores.one_vs_rest(name))
        values = [_bayes(*pair, prevalence) for pair in zip(sensitivity, specificity, strict=True)]
        rows += [
            (name, measure, *estimates)
            for measure, estimates in zip(PREDICTIVE_VALUES, zip(*values, strict=True), strict=True)
        ]
    return pd.DataFrame(rows, columns=["class", "measure", "value", "low", "high"])


def _estimate(correct: int, total: int) -> tuple[float, float, float]:
    """Return a fraction and the ends of its interval at the square root of 95 %."""
    fraction = correct / total if total else np.nan
    return fraction, *wilson_interval(correct, total, confidence=np.sqrt(0.95))


def _bayes(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """Return the positive and the negative predictive value."""
    positive = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    negative = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    first, second = (
        correct / (correct + wrong) if correct + wrong else np.nan
        for correct, wrong in (positive, negative)
    )
    return first, second


def summarize_cross_validation(predictions: pd.DataFrame) -> str:
    """Summarize the predictions of `cross_validate`: correct images and their variation.

    With several repeats it is the mean number of correct images per repeat, followed by the lowest
    and the highest. The interval counts each image once, not once per repeat. The standard error
    is over the folds of a repeat, averaged over the repeats. It is rather too small, because the
    training images of the folds overlap (Bengio and Grandvalet 2004, Journal of Machine Learning
    Research 5, 1089).

    Examples
    --------
    >>> table = pd.DataFrame({"true": ["a"] * 8, "repeat": [1] * 4 + [2] * 4})
    >>> summarize_cross_validation(table.assign(predicted=list("aaabaabb"), fold=[1, 1, 2, 2] * 2))
    '3/4 = 75 % [30, 95] on average, 2 to 3 in a repeat, standard error of the accuracy 0.375'
    """
    is_correct = predictions["true"] == predictions["predicted"]
    counts = is_correct.groupby(predictions["repeat"]).sum()
    accuracies = is_correct.groupby([predictions["repeat"], predictions["fold"]]).mean()
    error = accuracies.groupby("repeat").sem().mean()
    text = f"{Proportion(*mean_correct(predictions))}"
    if len(counts) > 1:
        text += f" on average, {counts.min()} to {counts.max()} in a repeat"
    return f"{text}, standard error of the accuracy {error:.3f}"


def mean_correct(predictions: pd.DataFrame) -> tuple[int, int]:
    """Return the mean number of correct images per repeat, rounded, and the number of images."""
    is_correct = predictions["true"] == predictions["predicted"]
    counts = is_correct.groupby(predictions["repeat"]).agg(["sum", "size"])
    return int(counts["sum"].mean() + 0.5), int(counts["size"].iloc[0])
