"""Scores as counts with their 95 % interval, never as bare percentages."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from ..errors import InputError
from .intervals import proportion
from .predictions import PROBABILITY, class_names

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
            hits = self.confusion.loc[name, name]
            positives = self.confusion.loc[name].sum()
            false_alarms = self.confusion[name].sum() - hits
            negatives = self.of - positives
            rows[name] = {
                "sensitivity": proportion(hits, positives),
                "specificity": proportion(negatives - false_alarms, negatives),
            }
        return pd.DataFrame(rows).T

    def __repr__(self) -> str:
        confusion = self.confusion.rename_axis(index="true", columns="predicted")
        return (
            f"accuracy {proportion(self.right, self.of)}\nloss     {self.loss:.3f}\n\n"
            f"{self.by_class.to_string()}\n\n{confusion.to_string()}"
        )


def score(predictions: pd.DataFrame) -> Scores:
    """Score a table of predictions, as `predict` gives it.

    Raises
    ------
    InputError
        If the table is empty, or is not one of predictions.
    """
    names = class_names(predictions)
    if not len(predictions) or not names or not {"true", "predicted"} <= set(predictions):
        raise InputError(
            "Expected a table from xk.predict, with columns true, predicted and probability_CLASS; "
            f"found {len(predictions)} rows of {', '.join(map(str, predictions.columns))}"
        )
    true, predicted = predictions["true"], predictions["predicted"]
    counts = confusion_matrix(true, predicted, labels=list(names))
    probabilities = predictions[[f"{PROBABILITY}{name}" for name in names]].to_numpy(float)
    of_truth = probabilities[np.arange(len(true)), [names.index(label) for label in true]]
    return Scores(
        right=int((true == predicted).sum()),
        of=len(predictions),
        loss=float(-np.log(np.clip(of_truth, SMALLEST, 1)).mean()),
        confusion=pd.DataFrame(counts, index=names, columns=names),
    )
