"""The checks of an audit: one row each, with a verdict and its evidence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from ..data.tasks import Task
from ..metrics.comparison import holm
from ..metrics.intervals import Proportion
from .baselines import GUESSING, Baseline
from .permutation import permutation_p, smallest_p

LEVEL = 0.01  # probability of a wrong verdict, over the rows that have a p
MAX_LISTED = 5
MIN_SIDE, MAX_ASPECT_RATIO = 64, 4  # pixels of a whole radiograph, and longer side by shorter
TOO_FEW = "too few patients for a verdict"
PREDICTS_CLASS = "predicts the class"


class Check(NamedTuple):
    """A row of an audit: verdict, whether something is wrong, corrected p or None, evidence."""

    verdict: str
    flagged: bool
    p: float | None
    evidence: str


def image_table(task: Task) -> pd.DataFrame:
    """Return path, patient, class and split of all images, including those that were dropped."""
    tables = [
        pd.DataFrame(
            {
                "path": images.paths,
                "patient": images.patients,
                "class": images.label_names,
                "split": split,
            }
        )
        for split, images in task.parts.items()
    ]
    dropped = task.leaking[~task.leaking["path"].isin(pd.concat(tables)["path"])]
    label = dropped["path"].str.split("/").str[-2]
    dropped = dropped.assign(**{"class": label, "split": "train"})
    return pd.concat([*tables, dropped], ignore_index=True)


def check_unusable_files(task: Task) -> Check:
    """Return the row on files that could not be used."""
    if task.skipped.empty:
        return Check("none", False, None, "Every file in the class folders can be read.")
    files = [f"{row.path}: {row.reason}" for row in task.skipped.itertuples()]
    return Check(f"found: {_count(files, 'file')}", True, None, f"{_join(files)}.")


def check_unusual_images(
    task: Task, images: pd.DataFrame, gray_images: Sequence[np.ndarray]
) -> Check:
    """Return the row on images that can hardly be whole radiographs.

    One side is shorter than 64 pixels, one side is over 4 times as long as the other, or all pixels
    have one color. In the challenge the shortest side has 237 pixels, and the longest image is
    2.2 times as long as wide.
    """
    lines = []
    for path, gray in zip(images["path"], gray_images, strict=True):
        with Image.open(task.file(path)) as image:
            width, height = image.size
        shorter, longer = sorted((width, height))
        problems = {
            f"a side below {MIN_SIDE}": shorter < MIN_SIDE,
            f"an aspect ratio above {MAX_ASPECT_RATIO}": longer > MAX_ASPECT_RATIO * shorter,
            "one color": gray.min() == gray.max(),
        }
        found = [problem for problem, is_present in problems.items() if is_present]
        if found:
            lines.append(f"{path}: {width} × {height} pixels, {', '.join(found)}")
    if lines:
        return Check(f"found: {_count(lines, 'image')}", True, None, f"{_join(lines)}.")
    evidence = (
        f"Every image has sides of {MIN_SIDE} pixels or more, an aspect ratio of at most "
        f"{MAX_ASPECT_RATIO}, and more than one color."
    )
    return Check("none", False, None, evidence)


def check_patients(task: Task, images: pd.DataFrame) -> Check:
    """Return the row on patients with images in several splits."""
    splits = images.groupby("patient")["split"].nunique()
    crossing = splits.index[splits > 1]
    if crossing.empty:
        patients = images["patient"].nunique()
        return Check("none", False, None, f"{patients} patients, each in one split.")
    lines = []
    for patient in crossing:
        rows = images[images["patient"] == patient]
        counts = rows["split"].value_counts(sort=False)
        where = ", ".join(f"{count} in {split}" for split, count in counts.items())
        lines.append(f"{patient}: {where}")
    kept = set(task.leaking["path"]) & set(task.development.paths)
    others = images[images["patient"].isin(crossing) & (images["split"] != "test")]
    note = f"load_task {'kept' if kept else 'dropped'} those outside test: {_join(others['path'])}."
    verdict = f"found: {_count(crossing, 'patient')}"
    return Check(verdict, True, None, f"{_join(lines)}. {note}")


def check_duplicates(pairs: pd.DataFrame) -> Check:
    """Return the row on such pairs of images."""
    if pairs.empty:
        return Check("none", False, None, "No such pair, at 256 × 256 pixels.")
    lines = []
    for pair in pairs.itertuples():
        same = [
            f"{'same' if getattr(pair, f'same_{name}') else 'another'} {name}"
            for name in ("patient", "class", "split")
        ]
        lines.append(f"{pair.first} and {pair.second} ({', '.join(same)})")
    harmful = int((~(pairs["same_split"] & pairs["same_class"])).sum())
    verdict = f"found: {_count(pairs, 'pair')}, {harmful or 'none'} across splits or classes"
    return Check(verdict, True, None, f"{_join(lines)}.")


def check_conflicting_labels(images: pd.DataFrame, pairs: pd.DataFrame) -> Check:
    """Return the row on duplicates with different labels."""
    conflicts = pairs[~pairs["same_class"]]
    classes = images.groupby("patient")["class"].nunique()
    patients = classes.index[classes > 1]
    note = "No patient has images of two classes."
    if len(patients):
        count = _count(patients, "patient")
        note = f"{count} with images of two classes, which may be correct: {_join(list(patients))}."
    if conflicts.empty:
        return Check("none", False, None, note)
    lines = [f"{pair.first} and {pair.second} are duplicates" for pair in conflicts.itertuples()]
    return Check(f"found: {_count(conflicts, 'pair')}", True, None, f"{_join(lines)}. {note}")


def check_no_lung_features(
    task: Task, baselines: Sequence[Baseline], *, seed: int
) -> dict[str, Check]:
    """Return one row per feature; those outside the lungs are tested, with Holm's correction."""
    images = task.development
    tested = [baseline for baseline in baselines if baseline.feature.is_tested]
    p_values = holm(
        [
            permutation_p(baseline.values, images.labels, patients=images.patients, seed=seed)
            for baseline in tested
        ]
    )
    smallest = len(tested) * smallest_p(images.labels, images.patients)
    corrected = {baseline.feature.name: p for baseline, p in zip(tested, p_values, strict=True)}
    guessing = Proportion(*baselines[0].counts["cross-validated"])
    rows = {}
    for baseline in baselines:
        if baseline.feature is GUESSING:
            continue
        measured = Proportion(*baseline.counts["cross-validated"])
        evidence = (
            f"Cross-validated by patient, a random forest is correct on {measured} images, "
            f"guessing on {guessing}."
        )
        p = corrected.get(baseline.feature.name)
        if p is None:
            row = Check("evidence only", False, None, evidence)
        elif p <= LEVEL:
            row = Check(PREDICTS_CLASS, True, p, evidence)
        elif smallest > LEVEL:
            note = f"With so few patients p cannot be below {smallest:.2g}."
            row = Check(TOO_FEW, False, p, f"{evidence} {note}")
        else:
            row = Check("nothing found", False, p, evidence)
        rows[baseline.feature.name] = row
    return rows


def _count(things: Sequence, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _join(lines: list[str]) -> str:
    more = f"; and {len(lines) - MAX_LISTED} more" if len(lines) > MAX_LISTED else ""
    return "; ".join(lines[:MAX_LISTED]) + more
