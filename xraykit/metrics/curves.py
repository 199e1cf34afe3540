"""ROC and precision-recall curves, with bands from patients drawn anew."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from sklearn.metrics import auc, roc_curve

from ..errors import InputError, check_whole_number
from .predictions import PROBABILITY, as_arrays

GRID = np.linspace(0, 1, 101)
RESAMPLES = 999
AREAS = ("area under ROC", "average precision")


@dataclass(frozen=True, eq=False, repr=False)
class Curves:
    """ROC and precision-recall curves of classes, each against all the others.

    Attributes
    ----------
    points : DataFrame
        A row a class and x from 0 to 1: sensitivity (where x is the share of the others that is
        called the class, 1 - specificity) and precision (where x is the sensitivity), each with
        _low and _high, the 95 % band point by point.
    areas : DataFrame
        A row a class: area under the ROC curve and average precision, each with its 95 % interval
        as text; images and patients, and how many images are of the class.
    """

    points: pd.DataFrame
    areas: pd.DataFrame

    def __repr__(self) -> str:
        return self.areas.to_string()


def curves(predictions: pd.DataFrame, seed: int = 42) -> Curves:
    """Return ROC and precision-recall curves, with 95 % bands by patient.

    The bands are SciPy's percentile bootstrap: 999 times as many patients are drawn with
    replacement, those with and those without images of the class apart, each with all their
    images. A bootstrap can't see mistakes that were not made: where no image is out of order,
    the band has no width, and the areas say so; how little a few images prove, Wilson's interval
    tells. Nor is it wide enough elsewhere where few images are of the class: with nine the
    intervals hold the truth in 85 to 90 of 100 test sets, and are too high more often than too low.

    Parameters
    ----------
    predictions : DataFrame
        As `predict` gives them. Of two classes the second one alone is drawn, the positive class.
    seed : int

    Raises
    ------
    InputError
        If it is no table of predictions, or a class or its others have fewer than two patients.
    """
    check_whole_number("seed", seed, least=0)
    names, _, _ = as_arrays(predictions, ("patient",))
    found = {
        name: _with_band(predictions, name, seed)
        for name in (names[1:] if len(names) == 2 else names)
    }
    points = pd.concat([table for table, _ in found.values()], ignore_index=True)
    return Curves(points, pd.DataFrame({name: areas for name, (_, areas) in found.items()}).T)


def _with_band(
    predictions: pd.DataFrame, name: str, seed: int
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Return the points and the areas of one class."""
    of_class = (predictions["true"] == name).to_numpy()
    sure = predictions[f"{PROBABILITY}{name}"].to_numpy()
    patients, owner = np.unique(predictions["patient"], return_inverse=True)
    with_it = np.isin(np.arange(len(patients)), owner[of_class])

    if min(with_it.sum(), len(patients) - with_it.sum()) < 2:
        raise InputError(
            f"Expected images of {name} and of others, of two patients each at least: found "
            f"{with_it.sum()} and {len(patients) - with_it.sum()} patients"
        )

    def measured(*drawn: np.ndarray) -> np.ndarray:
        times = np.bincount(np.concatenate(drawn), minlength=len(patients))
        return _curve(of_class, sure, times[owner])

    groups = [np.flatnonzero(with_it), np.flatnonzero(~with_it)]
    band = bootstrap(
        groups,
        measured,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    found = [measured(*groups), band.low, band.high]
    areas = {kind: _said(*(each[place] for each in found)) for place, kind in enumerate(AREAS)}
    areas |= {"of the class": of_class.sum(), "images": len(sure), "patients": len(patients)}
    table = {"class": name, "x": GRID}
    for kind, start in (("sensitivity", 2), ("precision", 2 + len(GRID))):
        for end, each in zip(("", "_low", "_high"), found, strict=True):
            table[kind + end] = each[start : start + len(GRID)]
    return pd.DataFrame(table), areas


def _said(area: float, low: float, high: float) -> str:
    if np.isclose(low, high):
        return f"{area:.2f} ({'none out total order' if np.isclose(area, 1) else 'no interval'})"
    return f"{area:.2f} [{low:.2f}, {high:.2f}]"


def _curve(of_class: np.ndarray, sure: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return both areas, then sensitivity and precision along GRID, of images so many times."""
    others, found, _ = roc_curve(of_class, sure, sample_weight=times, drop_intermediate=False)
    hits, alarms = found * times[of_class].sum(), others * times[~of_class].sum()
    precision = np.divide(hits, hits + alarms, out=np.ones_like(hits), where=hits + alarms > 0)
    average = np.diff(found) @ precision[1:]
    sensitivity = found[np.searchsorted(others, GRID, side="right") - 1]
    at_sensitivity = precision[np.searchsorted(found, GRID - 1e-9)]
    return np.concatenate([[auc(others, found), average], sensitivity, at_sensitivity])
