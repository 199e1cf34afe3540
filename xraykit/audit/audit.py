"""Audit: problems of a set of images, and the score that is possible without the lungs."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.challenge import LAYOUT
from ..data.tasks import Task, check_task, find_data_folder, load_task
from ..errors import InputError, check_seed
from ..files import to_path
from ..log import only_warnings
from ..metrics.comparison import mcnemar
from ..metrics.intervals import Proportion, add_intervals, display_table
from ..metrics.predictions import as_arrays, class_names, read_predictions
from ..metrics.scores import score
from .baselines import Baseline, fit_baselines, read_gray
from .checks import (
    TOO_FEW,
    check_conflicting_labels,
    check_duplicates,
    check_no_lung_features,
    check_patients,
    check_unusable_files,
    check_unusual_images,
    image_table,
)
from .duplicates import find_near_duplicates
from .features import SIDE
from .report import audit_section, write_page

NETWORK = "the network"


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """The result of `audit_task`; a notebook shows it as a page.

    Attributes
    ----------
    task : Task
    checks : DataFrame
        One row per check: verdict (text), flagged (whether something is wrong), p (corrected; None
        where there is no test), evidence.
    duplicate_pairs : DataFrame
        Pairs of nearly equal images, as `find_near_duplicates` returns them.
    gray_images : dict of str to ndarray
        The images of these pairs, by path.
    baselines : tuple of Baseline
    predictions : DataFrame or None
        Those of a network, for the test images.

    Examples
    --------
    >>> audit.baseline_scores["name"].unique()[:3].tolist()
    ['guessing', 'file metadata', 'border']
    >>> audit.with_predictions(predictions).save("audit.html")
    """

    task: Task
    checks: pd.DataFrame
    duplicate_pairs: pd.DataFrame
    gray_images: dict[str, np.ndarray]
    baselines: tuple[Baseline, ...]
    predictions: pd.DataFrame | None = None

    @property
    def baseline_scores(self) -> pd.DataFrame:
        """Scores of the baselines, most of which cannot see the lungs, and the network's below.

        One row per baseline and split: name, sees (what it is given), split (cross-validated: by
        patient, on the training and validation images; or test), correct, total, low, high.
        """
        counts = [
            (baseline.feature.name, baseline.feature.description, split, *count)
            for baseline in self.baselines
            for split, count in baseline.counts.items()
        ]
        if self.predictions is not None:
            scores = score(self.predictions)
            counts.append((NETWORK, "the image", "test", scores.correct, scores.total))
        columns = ["name", "sees", "split", "correct", "total"]
        return add_intervals(pd.DataFrame(counts, columns=columns))

    @property
    def best_baseline(self) -> Baseline:
        """The no-lung baseline that is best in cross-validation, among flagged ones if any."""
        tested = [baseline for baseline in self.baselines if baseline.feature.is_tested]
        flagged = [
            baseline for baseline in tested if self.checks.loc[baseline.feature.name, "flagged"]
        ]
        return max(flagged or tested, key=lambda baseline: baseline.counts["cross-validated"])

    @property
    def summary(self) -> str:
        """How much of the network's test score is possible without seeing the lungs."""
        best, guessing = score(self.best_baseline.test), score(self.baselines[0].test)
        name = self.best_baseline.feature.name
        is_flagged, verdict = self.checks.loc[name, ["flagged", "verdict"]]
        kind = "flagged" if is_flagged else "no-lung"
        text = (
            f"The best {kind} baseline in cross-validation sees only the {name}. It predicts "
            f"{Proportion(best.correct, best.total)} test images correctly; guessing predicts "
            f"{Proportion(guessing.correct, guessing.total)}."
        )
        if verdict == TOO_FEW:
            text = f"There are too few patients to say whether lungs are needed. {text}"
        elif not is_flagged:
            text = f"No feature outside the lungs was found that predicts the class. {text}"
        if self.predictions is None:
            if is_flagged and best.correct > guessing.correct:
                text += " Up to that score, a network need not use the lungs."
            return text
        network = score(self.predictions)
        text += f" The network predicts {Proportion(network.correct, network.total)} correctly"
        beyond = network.correct - guessing.correct
        if beyond <= 0:
            return f"{text}, no more than guessing."
        text += f", {beyond} more than guessing"
        if is_flagged:
            no_lungs = max(best.correct - guessing.correct, 0)
            text += f"; that baseline, almost without the lungs, {no_lungs} more than guessing"
        only_network, only_best, p = mcnemar(self.predictions, self.best_baseline.test)
        verdict = "differ" if p < 0.05 else "do not differ significantly on these images"
        return (
            f"{text}. Both are correct on {network.correct - only_network} images, the network "
            f"alone on {only_network}, the baseline alone on {only_best}: the two {verdict} "
            f"(exact McNemar test, p = {p:.2g})."
        )

    def with_predictions(self, predictions: pd.DataFrame) -> "Audit":
        """Return the audit with a network's predictions of the test images.

        Raises
        ------
        InputError
            If they are not predictions of the task's test images.
        """
        names, _, true = as_arrays(predictions, ("path",))
        test = self.task.test
        given = sorted(zip(predictions["path"], true.tolist(), strict=True))
        expected = sorted(zip(test.paths, test.labels.tolist(), strict=True))
        if names != test.class_names or given != expected:
            raise InputError(
                f"Expected predictions of the {len(test)} test images of the {self.task.name} "
                f"task, as xk.predict(model, task.test) returns them. Got {len(given)} predictions "
                f"of the classes {', '.join(names)}; "
                f"{len(set(given) & set(expected))} of them have the path and class of a test image"
            )
        return replace(self, predictions=predictions)

    def to_dict(self) -> dict[str, object]:
        """Return the fields for `results.json`: checks, baselines, best_baseline and summary."""
        scores = self.baseline_scores
        scores = scores[scores["name"] != NETWORK]
        checks = self.checks.to_dict("index").items()
        return {
            "checks": [{"check": check, **row} for check, row in checks],
            "baselines": scores.to_dict("records"),
            "best_baseline": self.best_baseline.feature.name,
            "summary": self.summary,
        }

    def to_html(self) -> str:
        """Return the audit as a section of a page, with its own style.

        It holds the images of duplicate pairs: keep it where the images may be.
        """
        return audit_section(
            self.task,
            summary=self.summary,
            checks=self.checks,
            scores=self.baseline_scores,
            duplicate_pairs=self.duplicate_pairs,
            gray_images=self.gray_images,
        )

    def save(self, path: str | Path) -> None:
        """Write the audit as one HTML file that can be read offline and printed.

        It holds the images of duplicate pairs: keep it where the images may be.

        Raises
        ------
        InputError, WriteError
            If it can't be written.
        """
        write_page([self.to_html()], path)

    _repr_html_ = to_html

    def __repr__(self) -> str:
        lines = [f"Audit of the {self.task.name} task", *self.task.notes, ""]
        for check, row in self.checks.iterrows():
            mark = "✗" if row["flagged"] else "·"
            lines += [f"{mark} {check}: {row['verdict']}", f"    {row['evidence']}"]
        table = display_table(self.baseline_scores.drop(columns="sees"))
        return "\n".join([*lines, "", table.to_string(), "", self.summary])


def audit_task(
    task: Task,
    *,
    predictions: pd.DataFrame | None = None,
    repeats: int = 1,
    folds: int = 5,
    seed: int = 42,
) -> Audit:
    """Audit a task for unusable or unusual images, leaks, duplicates, label conflicts, shortcuts.

    A shortcut is a feature that predicts the class without the lungs: metadata of the file, the
    border of the image, or text-like marks. Whether one does is decided by a permutation test over
    patients (`permutation_p`) on the training and validation images, corrected by Holm's method
    over the three features: the probability of a wrong verdict is at most 1 % per task, if the
    patients are unrelated. How well one does is shown by random forests, in cross-validation and
    on the test images. Brightness and the image at 16 × 16 pixels see the lungs coarsely: they are
    evidence only and get no verdict.

    Parameters
    ----------
    task : Task
        Each of its files is read again, since the features need 256 × 256 gray pixels.
    predictions : DataFrame, optional
        A network's predictions of the test images, as `predict` returns them, to show next to the
        baselines.
    repeats, folds, seed : int
        For the cross-validation by patient, in the same folds as `cross_validate`.

    Returns
    -------
    Audit
        Its `checks`, `baseline_scores` and `summary`; `with_predictions` adds predictions later.

    Raises
    ------
    InputError
        If the task's files can't be read any more, there are too few patients, or the predictions
        are of other images.

    Examples
    --------
    >>> audit = xk.audit_task(task, folds=3)
    >>> print(audit.checks.loc["patients across splits", "verdict"])
    none
    """
    check_task(task)
    check_seed(seed)
    images = image_table(task)
    gray = read_gray([task.file(path) for path in images["path"]])
    pairs = find_near_duplicates(images, np.stack(gray))
    baselines = fit_baselines(task, gray, repeats=repeats, folds=folds, seed=seed)
    checks = {
        "unusable files": check_unusable_files(task),
        "unusual images": check_unusual_images(task, images, gray),
        "patients across splits": check_patients(task, images),
        "exact duplicates": check_duplicates(pairs[pairs["exact"]]),
        "near duplicates": check_duplicates(pairs[~pairs["exact"]]),
        "conflicting labels": check_conflicting_labels(images, pairs),
        **check_no_lung_features(task, baselines, seed=seed),
    }
    table = pd.DataFrame(checks, index=["verdict", "flagged", "p", "evidence"]).T
    paired = set(pairs["first"]) | set(pairs["second"])
    of_pairs = {
        path: pixels for path, pixels in zip(images["path"], gray, strict=True) if path in paired
    }
    result = Audit(task, table, pairs, of_pairs, tuple(baselines))
    return result if predictions is None else result.with_predictions(predictions)


def audit_folder(
    root: str | Path = "auto",
    *,
    name: str | None = None,
    predictions: Path | None = None,
    seed: int = 42,
) -> list[Audit]:
    """Audit the tasks whose images are in a folder.

    Parameters
    ----------
    root : str or Path
        As in `load_task`.
    name : {"binary", "multiclass"}, optional
        By default both, or binary alone where there is no `all/`.
    predictions : Path, optional
        A file of predictions that a run has saved, for the task that has its classes.
    seed : int

    Raises
    ------
    InputError
        As `load_task` and `audit_task`, and if the predictions can't be read or have the classes
        of no task here.
    """
    table = None if predictions is None else read_predictions(predictions)
    root = find_data_folder() if root == "auto" else to_path(root)
    both = list(LAYOUT) if (root / "all").is_dir() else ["binary"]
    audits = []
    for task_name in [name] if name else both:
        with only_warnings():  # the audit repeats it
            task = load_task(task_name, root, image_size=SIDE, seed=seed)
        audits.append(audit_task(task, seed=seed))
    if table is None:
        return audits
    has_classes = [class_names(table) == audit.task.class_names for audit in audits]
    if not any(has_classes):
        raise InputError(
            f"{predictions} has the classes {', '.join(class_names(table))}: expected predictions "
            f"for the {' or '.join(audit.task.name for audit in audits)} task"
        )
    return [
        audit.with_predictions(table) if fits else audit
        for audit, fits in zip(audits, has_classes, strict=True)
    ]
