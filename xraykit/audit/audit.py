"""What is wrong with a set of pictures, and how much of a score needs no lungs."""

import io
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.challenge import LAYOUT
from ..data.tasks import Task, check_task, find_pictures, load_task
from ..errors import InputError, check_whole_number
from ..metrics.comparison import mcnemar
from ..metrics.intervals import Proportion
from ..metrics.predictions import as_arrays, class_names, read_predictions
from ..metrics.scores import score
from .baselines import Baseline, fit_baselines, read_grey
from .checks import TOO_FEW, across_splits, alike, conflicts, left_out, pictures_of, without_lungs
from .duplicates import near_duplicates
from .features import SIDE
from .report import as_html, write_page

NETWORK = "the network"


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
            name: {column: Proportion(*count) for column, count in counts.items()} | {"sees": sees}
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
        """The baseline without lungs that is best in cross-validation, of those with a verdict."""
        without = [each for each in self.fitted if each.measure.tested]
        told = [each for each in without if self.rows.loc[each.measure.name, "flagged"]]
        return max(told or without, key=lambda each: each.counts["cross-validated"])

    @property
    def sentence(self) -> str:
        """How much of the network's test score needs no lungs."""
        best, guessing = score(self.best.test), score(self.fitted[0].test)
        name = self.best.measure.name
        told, verdict = self.rows.loc[name, ["flagged", "verdict"]]
        said = (
            f"From {name} alone a forest has {Proportion(best.right, best.of)} test pictures "
            f"right; guessing has {Proportion(guessing.right, guessing.of)}."
        )
        if verdict == TOO_FEW:
            said = f"There are too few patients to say whether lungs are needed. {said}"
        elif not told:
            said = f"Nothing was found that tells the class without lungs. {said}"
        if self.predictions is None:
            if told and best.right > guessing.right:
                said += " Up to that, a network's score need not come from lungs."
            return said
        network = score(self.predictions)
        said += f" The network has {Proportion(network.right, network.of)} right"
        beyond = network.right - guessing.right
        if beyond <= 0:
            return f"{said}, no more than guessing."
        said += f", {beyond} beyond guessing"
        if told:
            unseen = min(max(best.right - guessing.right, 0), beyond)
            said += f"; {unseen} beyond guessing can be had without lungs"
        only_network, only_best, p = mcnemar(self.predictions, self.best.test)
        apart = "differ" if p < 0.05 else "can't be told apart on these pictures"
        return (
            f"{said}. Both have {network.right - only_network} right, the network alone "
            f"{only_network}, the forest alone {only_best}: the two {apart} (exact McNemar test, "
            f"p = {p:.2g})."
        )

    def beside(self, predictions: pd.DataFrame) -> "Audit":
        """Return the audit with a network's predictions of the test pictures.

        Raises
        ------
        InputError
            If they are not of the task's test pictures, or no predictions.
        """
        names, _, true = as_arrays(predictions, ("path",))
        test = self.task.test
        given = sorted(zip(predictions["path"], true.tolist(), strict=True))
        expected = sorted(zip(test.paths, test.labels.tolist(), strict=True))
        if names != test.class_names or given != expected:
            raise InputError(
                f"Expected predictions of the {len(test)} test pictures of the {self.task.name} "
                f"task, as xk.predict(model, task.test) gives them; found {len(given)} of the "
                f"classes {', '.join(names)}, {len(set(given) & set(expected))} of them of these "
                "pictures"
            )
        return replace(self, predictions=predictions)

    def results(self) -> dict[str, object]:
        """Return what `results.json` keeps: rows, baselines, the best one's name, the sentence."""
        return {
            "rows": [{"check": check, **row} for check, row in self.rows.to_dict("index").items()],
            "baselines": [
                {"name": name, "sees": sees}
                | {column.replace("-", "_"): list(count) for column, count in counts.items()}
                for name, sees, counts in self.scores
                if name != NETWORK
            ],
            "best": self.best.measure.name,
            "sentence": self.sentence,
        }

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

    Files that can't be used; patients in several splits; pictures that are there twice; labels that
    contradict each other; and what tells the class without lungs: facts of the file, the border of
    the picture, marks such as letters. Whether these do is a permutation test over patients
    (`permutation_p`) on the training and validation pictures, corrected by Holm's method over the
    three rows: the chance of a wrong verdict is 1 % or less for the task, if the patients are
    unrelated. How well they do, random forests show, in cross-validation and on the test pictures.
    Brightness and the picture as 16 × 16 pixels hold lungs, if coarse ones: they are evidence,
    never a verdict.

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
    check_task(task)
    check_whole_number("seed", seed, least=0)
    pictures = pictures_of(task)
    greys = read_grey([task.root / path for path in pictures["path"]])
    twins = near_duplicates(pictures, np.stack(greys))
    fitted = fit_baselines(task, greys, repeats, folds, seed)
    rows = {
        "files left out": left_out(task),
        "patients across splits": across_splits(task, pictures),
        "exact duplicates": alike(twins[twins["exact"]]),
        "near duplicates": alike(twins[~twins["exact"]]),
        "conflicting labels": conflicts(pictures, twins),
        **without_lungs(task, fitted, seed),
    }
    table = pd.DataFrame(rows, index=["verdict", "flagged", "p", "evidence"]).T
    shown = {
        path: grey
        for path, grey in zip(pictures["path"], greys, strict=True)
        if path in set(twins["first"]) | set(twins["second"])
    }
    found = Audit(task, table, twins, shown, tuple(fitted))
    return found if predictions is None else found.beside(predictions)


def audit_folder(
    root: str | Path = "auto",
    name: str | None = None,
    predictions: Path | None = None,
    seed: int = 42,
) -> list[Audit]:
    """Audit the tasks whose pictures are in a folder.

    Parameters
    ----------
    root : str or Path
        As in `load_task`.
    name : {"binary", "multiclass"}, optional
        By default both, or binary alone where there is no `all/`.
    predictions : Path, optional
        A file of predictions, as a run leaves it, for the task that has its classes.
    seed : int

    Raises
    ------
    InputError
        As `load_task` and `audit`, and if the predictions can't be read or are of no task here.
    """
    said = None if predictions is None else read_predictions(predictions)
    root = find_pictures() if root == "auto" else Path(root).expanduser()
    both = list(LAYOUT) if (root / "all").is_dir() else ["binary"]
    found = []
    for each in [name] if name else both:
        with redirect_stdout(io.StringIO()):  # the audit says it again
            task = load_task(each, root, image_size=SIDE, seed=seed)
        found.append(audit(task, seed=seed))
    if said is None:
        return found
    theirs = [class_names(said) == each.task.class_names for each in found]
    if not any(theirs):
        raise InputError(
            f"{predictions} is of the classes {', '.join(class_names(said))}: expected predictions "
            f"for the {' or '.join(each.task.name for each in found)} task"
        )
    return [each.beside(said) if own else each for each, own in zip(found, theirs, strict=True)]
