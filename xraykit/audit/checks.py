"""The rows of an audit: a verdict each, with its evidence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..data.tasks import Task
from ..metrics.comparison import holm
from ..metrics.intervals import Proportion
from .baselines import GUESSING, Baseline
from .permutation import least_p, permutation_p

LEVEL = 0.01  # of a wrong verdict, over the rows that have a p
FEW = 5  # as many of a kind are named
TOO_FEW = "too few patients for a verdict"


def pictures_of(task: Task) -> pd.DataFrame:
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


def left_out(task: Task) -> tuple:
    """Return the row on files that could not be used."""
    if task.skipped.empty:
        return "none", False, None, "Every file in the folders of the classes was used."
    said = [f"{row.path}: {row.reason}" for row in task.skipped.itertuples()]
    return f"found: {_count(said, 'file')}", True, None, f"{_listed(said)}."


def across_splits(task: Task, pictures: pd.DataFrame) -> tuple:
    """Return the row on patients who are in several splits."""
    splits = pictures.groupby("patient")["split"].nunique()
    crossing = splits.index[splits > 1]
    if crossing.empty:
        return "none", False, None, f"{pictures['patient'].nunique()} patients, each in one split."
    said = []
    for patient in crossing:
        own = pictures[pictures["patient"] == patient]
        counts = own["split"].value_counts(sort=False)
        where = ", ".join(f"{count} in {split}" for split, count in counts.items())
        learned = ", ".join(own.loc[own["split"] != "test", "path"])
        said.append(f"{patient}: {where} (to learn from: {learned})")
    kept = set(task.leaking["path"]) & {*task.train.paths, *task.validation.paths}
    what = "They were kept." if kept else "load_task left the training pictures out."
    return f"found: {_count(crossing, 'patient')}", True, None, f"{_listed(said)}. {what}"


def alike(twins: pd.DataFrame) -> tuple:
    """Return the row on such pairs of pictures."""
    if twins.empty:
        return "none", False, None, "No pair of this kind, at 256 × 256 pixels."
    said = []
    for pair in twins.itertuples():
        same = [
            f"{'same' if getattr(pair, f'same_{name}') else 'another'} {name}"
            for name in ("patient", "class", "split")
        ]
        said.append(f"{pair.first} and {pair.second} ({', '.join(same)})")
    apart = int((~(twins["same_split"] & twins["same_class"])).sum())
    verdict = f"found: {_count(twins, 'pair')}, {apart or 'none'} across splits or classes"
    return verdict, True, None, f"{_listed(said)}."


def conflicts(pictures: pd.DataFrame, twins: pd.DataFrame) -> tuple:
    """Return the row on pictures that are alike and labelled differently."""
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


def without_lungs(task: Task, fitted: Sequence[Baseline], seed: int) -> dict[str, tuple]:
    """Return a row a measure; those that hold no lungs are tested, with Holm's correction."""
    learned = task.train.join(task.validation)
    tested = [each for each in fitted if each.measure.tested]
    p_values = holm(
        [permutation_p(each.table, learned.labels, learned.patients, seed) for each in tested]
    )
    least = len(tested) * least_p(learned.labels, learned.patients)
    corrected = dict(zip([each.measure.name for each in tested], p_values, strict=True))
    guessed = Proportion(*fitted[0].counts["cross-validated"])
    rows = {}
    for each in fitted:
        if each.measure is GUESSING:
            continue
        found = Proportion(*each.counts["cross-validated"])
        evidence = f"Cross-validated by patient, a forest has {found} right, guessing {guessed}."
        p = corrected.get(each.measure.name)
        if p is None:
            row = "evidence only", False, None, evidence
        elif p <= LEVEL:
            row = "tells the class", True, p, evidence
        elif least > LEVEL:
            few = f"However well they told it, p could not be below {least:.2g}."
            row = TOO_FEW, False, p, f"{evidence} {few}"
        else:
            row = "nothing found", False, p, evidence
        rows[each.measure.name] = row
    return rows


def _count(things: Sequence, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _listed(said: list[str]) -> str:
    more = f"; and {len(said) - FEW} more" if len(said) > FEW else ""
    return "; ".join(said[:FEW]) + more
