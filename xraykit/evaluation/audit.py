"""What is wrong with a set of pictures, and how much of a score needs no lungs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.tasks import Task
from ..errors import InputError
from .audit_page import as_html, write_page
from .baselines import GUESSING, Baseline, fit_baselines, read_grey
from .comparison import holm, mcnemar
from .duplicates import near_duplicates
from .intervals import proportion
from .permutation import permutation_p
from .predictions import class_names
from .scores import score

LEVEL = 0.01  # of a wrong verdict, over the rows that have a p
NETWORK = "your network"
FEW = 5  # as many of a kind are named


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """What `audit` found; a notebook shows it as a page.

    Attributes
    ----------
    task : Task
    rows : DataFrame
        A row a check: verdict (text), flagged (whether something is wrong), p (corrected; missing
        where there is none), evidence.
    twins : DataFrame
        The pairs of pictures that are alike, as `near_duplicates` gives them.
    greys : dict of str to ndarray
        The pictures of these pairs, by path.
    fitted : tuple of Baseline
    predictions : DataFrame or None
        The network's, of the test pictures.
    """

    task: Task
    rows: pd.DataFrame
    twins: pd.DataFrame
    greys: dict[str, np.ndarray]
    fitted: tuple[Baseline, ...]
    predictions: pd.DataFrame | None = None

    @property
    def baselines(self) -> pd.DataFrame:
        """Scores without lungs, and the network's below them: counts with Wilson's interval.

        A row a baseline: cross-validated by patient on the training and validation pictures, test,
        and what it sees.
        """
        rows = {
            name: {column: proportion(*count) for column, count in counts.items()} | {"sees": sees}
            for name, sees, counts in self.scores
        }
        return pd.DataFrame(rows).T[["cross-validated", "test", "sees"]].fillna("")

    @property
    def scores(self) -> list[tuple[str, str, dict[str, tuple[int, int]]]]:
        """The same as numbers: name, what it sees, and pictures right and of how many."""
        rows = [(each.measure.name, each.measure.sees, each.counts) for each in self.fitted]
        if self.predictions is not None:
            said = score(self.predictions)
            rows.append((NETWORK, "the picture", {"test": (said.right, said.of)}))
        return rows

    @property
    def best(self) -> Baseline:
        """The baseline without lungs that is best in cross-validation."""
        without = [each for each in self.fitted if each.measure.no_lungs]
        return max(without, key=lambda each: each.counts["cross-validated"])

    @property
    def sentence(self) -> str:
        """How much of the network's test score needs no lungs."""
        best, guessing = score(self.best.test), score(self.fitted[0].test)
        name = self.best.measure.name
        said = (
            f"Without any lung, from {name} alone, a forest has {proportion(best.right, best.of)} "
            f"test pictures right; guessing has {proportion(guessing.right, guessing.of)}."
        )
        if self.predictions is None:
            return f"{said} Only what a network has beyond that can come from lungs."
        network = score(self.predictions)
        beyond = network.right - guessing.right
        if beyond <= 0:
            return f"{said} Your network is no better than guessing."
        unseen = min(max(best.right - guessing.right, 0), beyond)
        only_network, only_best, p = mcnemar(self.predictions, self.best.test)
        apart = "differ" if p < 0.05 else "can't be told apart on these pictures"
        return (
            f"{said} Of the {beyond} pictures that your network has right beyond guessing "
            f"({proportion(network.right, network.of)}), {unseen} need no lungs. It alone has "
            f"{only_network} right, the forest alone {only_best}: the two {apart} "
            f"(exact McNemar test, p = {p:.2g})."
        )

    def beside(self, predictions: pd.DataFrame) -> "Audit":
        """Return the audit with a network's predictions of the test pictures.

        Raises
        ------
        InputError
            If they are not of the task's test pictures.
        """
        if class_names(predictions) != self.task.class_names or sorted(
            predictions["path"]
        ) != sorted(self.task.test.paths):
            raise InputError(
                f"Expected predictions of the {len(self.task.test)} test pictures of the "
                f"{self.task.name} task: xk.predict(model, task.test) gives them"
            )
        return replace(self, predictions=predictions)

    def save(self, path: str | Path) -> None:
        """Write the audit as one HTML file, which needs no network and prints.

        Pictures that are alike are in it: keep the file where the pictures may be.

        Raises
        ------
        InputError
            If it can't be written.
        """
        write_page([self], path)

    def _repr_html_(self) -> str:
        return as_html(self)

    def __repr__(self) -> str:
        lines = [f"Audit of the {self.task.name} task", *self.task.notes, ""]
        for check, row in self.rows.iterrows():
            mark = "✗" if row["flagged"] else "·"
            lines += [f"{mark} {check}: {row['verdict']}", f"    {row['evidence']}"]
        table = self.baselines.drop(columns="sees")
        return "\n".join([*lines, "", table.to_string(), "", self.sentence])


def audit(
    task: Task,
    predictions: pd.DataFrame | None = None,
    repeats: int = 1,
    folds: int = 5,
    seed: int = 42,
) -> Audit:
    """Look for what makes a score on these pictures worth less than it seems.

    Patients in several splits; pictures that are there twice; labels that contradict each other;
    and what tells the class without lungs: facts of the file, the border of the picture, marks
    such as letters. Whether these do is a permutation test over patients (`permutation_p`) on the
    training and validation pictures, corrected by Holm's method over the three rows: the chance of
    a wrong verdict is 1 % or less in all. How well they do, random forests show, in
    cross-validation and on the test pictures. Brightness and the picture as 16 × 16 pixels hold
    lungs, if coarse ones: they are evidence, never a verdict.

    Parameters
    ----------
    task : Task
        Its files are read again.
    predictions : DataFrame, optional
        A network's, of the test pictures, as `predict` gives them, to stand beside the baselines.
    repeats, folds, seed : int
        Of the cross-validation by patient, in the very folds that `cross_validate` cuts.

    Returns
    -------
    Audit
        Its `rows`, `baselines` and `sentence`; `beside` adds predictions later.

    Raises
    ------
    InputError
        If the task's files can't be read any more, there are too few patients, or the predictions
        are of other pictures.
    """
    pictures = _pictures(task)
    greys = read_grey([task.root / path for path in pictures["path"]])
    twins = near_duplicates(pictures, np.stack(greys))
    fitted = fit_baselines(task, greys, repeats, folds, seed)
    rows = {
        "patients across splits": _across_splits(task, pictures),
        "exact duplicates": _alike(twins[twins["exact"]]),
        "near duplicates": _alike(twins[~twins["exact"]]),
        "conflicting labels": _conflicts(pictures, twins),
        **_without_lungs(task, fitted, seed),
    }
    table = pd.DataFrame(rows, index=["verdict", "flagged", "p", "evidence"]).T
    shown = {
        path: grey
        for path, grey in zip(pictures["path"], greys, strict=True)
        if path in set(twins["first"]) | set(twins["second"])
    }
    found = Audit(task, table, twins, shown, tuple(fitted))
    return found if predictions is None else found.beside(predictions)


def _pictures(task: Task) -> pd.DataFrame:
    """Return path, patient, class and split of all pictures, those that were dropped included."""
    parts = {"train": task.train, "validation": task.validation, "test": task.test}
    tables = [
        pd.DataFrame(
            {
                "path": images.paths,
                "patient": images.patients,
                "class": np.array(images.class_names)[images.labels],
                "split": split,
            }
        )
        for split, images in parts.items()
    ]
    dropped = task.leaking[~task.leaking["path"].isin(pd.concat(tables)["path"])]
    label = dropped["path"].str.split("/").str[-2]
    dropped = dropped.assign(**{"class": label, "split": "train"})
    return pd.concat([*tables, dropped], ignore_index=True)


def _across_splits(task: Task, pictures: pd.DataFrame) -> tuple:
    splits = pictures.groupby("patient")["split"].nunique()
    crossing = splits.index[splits > 1]
    if crossing.empty:
        return "none", False, None, f"{pictures['patient'].nunique()} patients, each in one split."
    said = []
    for patient in crossing:
        own = pictures[pictures["patient"] == patient]
        counts = own["split"].value_counts(sort=False)
        where = ", ".join(f"{count} in {split}" for split, count in counts.items())
        learned = ", ".join(own.loc[own["split"] == "train", "path"])
        said.append(f"{patient}: {where} (in train: {learned})")
    kept = set(task.leaking["path"]) & set(task.train.paths)
    what = "They are still in train." if kept else "load_task left the training pictures out."
    return f"found: {_count(crossing, 'patient')}", True, None, f"{_listed(said)}. {what}"


def _alike(twins: pd.DataFrame) -> tuple:
    if twins.empty:
        return "none", False, None, "No pair of this kind."
    said = []
    for pair in twins.itertuples():
        same = [name for name in ("patient", "class", "split") if getattr(pair, f"same_{name}")]
        said.append(f"{pair.first} and {pair.second} (same {' and '.join(same) or 'nothing'})")
    apart = int((~(twins["same_split"] & twins["same_class"])).sum())
    verdict = f"found: {_count(twins, 'pair')}, {apart or 'none'} across splits or classes"
    return verdict, True, None, f"{_listed(said)}."


def _conflicts(pictures: pd.DataFrame, twins: pd.DataFrame) -> tuple:
    pairs = twins[~twins["same_class"]]
    classes = pictures.groupby("patient")["class"].nunique()
    both = classes.index[classes > 1]
    note = "No patient has pictures of two classes."
    if len(both):
        note = f"{_count(both, 'patient')} with pictures of two classes, which may be right: "
        note += f"{_listed(list(both))}."
    if pairs.empty:
        return "none", False, None, note
    said = [f"{pair.first} and {pair.second} are alike" for pair in pairs.itertuples()]
    return f"found: {_count(pairs, 'pair')}", True, None, f"{_listed(said)}. {note}"


def _without_lungs(task: Task, fitted: Sequence[Baseline], seed: int) -> dict[str, tuple]:
    learned = task.train.join(task.validation)
    tested = [each for each in fitted if each.measure.no_lungs]
    p_values = holm(
        [permutation_p(each.table, learned.labels, learned.patients, seed) for each in tested]
    )
    corrected = dict(zip([each.measure.name for each in tested], p_values, strict=True))
    guessed = proportion(*fitted[0].counts["cross-validated"])
    rows = {}
    for each in fitted:
        if each.measure is GUESSING:
            continue
        found = proportion(*each.counts["cross-validated"])
        evidence = f"Cross-validated by patient, a forest has {found} right, guessing {guessed}."
        p = corrected.get(each.measure.name)
        if p is None:
            row = "evidence only", False, None, evidence
        elif p <= LEVEL:
            row = "tells the class", True, p, evidence
        else:
            row = "nothing found", False, p, evidence
        rows[each.measure.name] = row
    return rows


def _count(things: Sequence, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _listed(said: list[str]) -> str:
    more = f"; and {len(said) - FEW} more" if len(said) > FEW else ""
    return "; ".join(said[:FEW]) + more
