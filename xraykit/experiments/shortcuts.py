"""What networks rely on: perturbations, external validation, Grad-CAM, features, in one table."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from pandas.io.formats.style import Styler

from .._keras import keras
from ..data.external import load_external
from ..data.tasks import Task, load_task
from ..errors import unknown
from ..explain.embedding import cluster_separation
from ..explain.external_validation import external_validation
from ..explain.gradcam import gradcam, thorax_attention
from ..explain.perturbations import cross_validate_perturbations
from ..log import logger, only_warnings
from ..metrics.intervals import Proportion
from ..recipes.choose import SAVED, TASKS, find_runnable
from ..recipes.published import get_recipe
from ..recipes.recipe import Recipe
from ..training.predict import predict
from .rows import identify, label_measured, name_images, read_rows, write_rows

MEASURED = SAVED / "shortcuts.csv"  # on the real images
RECIPES = [
    "task1-mobilenetv2",
    "task2-mobilenetv2",
    "task2-resnet50-frozen",
    "task1-vgg16",
    "task2-vgg16",
]
CONFIDENCE = 0.93  # report A: every test image of Task 1 is predicted with more
KEY = ["recipe", "network", "measure", "seed", "images"]
VALUES = ["group", "outcome", "count", "total", "value", "seconds"]
COMMAND = "xraykit shortcuts"


@dataclass(frozen=True)
class Subject:
    """A recipe that can run here, with its task and the seed of its training."""

    recipe: Recipe
    task: Task
    seed: int

    @cached_property
    def model(self) -> keras.Model:
        """The trained model."""
        return self.recipe.train(self.task, self.seed)[0]


def _measure_test(subject: Subject) -> pd.DataFrame:
    predictions = predict(subject.model, subject.task.test)
    confidence = predictions.filter(like="probability").max(axis=1)
    correct = predictions["true"] == predictions["predicted"]
    counts = {"correct": correct.sum(), f"above {CONFIDENCE}": (confidence > CONFIDENCE).sum()}
    rows = [("test images", name, int(count)) for name, count in counts.items()]
    table = pd.DataFrame(rows, columns=["group", "outcome", "count"])
    return table.assign(total=len(predictions))


def _measure_perturbations(subject: Subject) -> pd.DataFrame:
    table = cross_validate_perturbations(subject.recipe, subject.task, seed=subject.seed)
    names = {"perturbation": "group", "model": "outcome", "correct": "count"}
    return table.rename(columns=names)


def _measure_external(subject: Subject) -> pd.DataFrame:
    groups = load_external(subject.recipe.image_size)
    table = external_validation(subject.model, groups, class_names=subject.task.class_names)
    return table.rename(columns={"predicted": "outcome"})


def _measure_attention(subject: Subject) -> pd.DataFrame:
    test = subject.task.test
    table = thorax_attention(gradcam(subject.model, test), predict(subject.model, test))
    table = table.rename_axis("group").reset_index().rename(columns={"images": "total"})
    return table.assign(outcome="fraction in the thorax", value=table["thorax"].round(3))


def _measure_features(subject: Subject) -> pd.DataFrame:
    table = cluster_separation(subject.model, subject.task)
    names = {"property": "group", "split": "outcome", "correct": "count", "silhouette": "value"}
    return table.rename(columns=names)


MEASURES: dict[str, Callable[[Subject], pd.DataFrame]] = {
    "test": _measure_test,
    "external validation": _measure_external,
    "Grad-CAM": _measure_attention,
    "features": _measure_features,
    "perturbations": _measure_perturbations,  # the slowest last
}


def measure_shortcuts(
    path: Path, names: Sequence[str] = (), *, data: str | Path = "auto", seed: int = 42
) -> pd.DataFrame:
    """Measure what trained networks rely on, and save each measure as soon as it is made.

    Each recipe is trained once, and cross-validated in five folds by patient for the perturbations.
    Measures that the table at `path` already has are not made again. Where the ImageNet weights of
    a whole network are not available, a part with available weights is trained, or nothing.

    Parameters
    ----------
    path : Path
        A CSV file, rewritten completely after each measure; created if missing.
    names : sequence of str
        Of `xk.recipes`; if empty, MobileNetV2, ResNet50 and VGG16 as this kit trains them.
    data : str or Path
        As in `xk.load_task`.
    seed : int
        Random seed for splits and training.

    Returns
    -------
    DataFrame
        The table: recipe, network (how it differs from the recipe's), measure (test, external
        validation, Grad-CAM, features or perturbations), seed, images (the first digits of their
        digest), group, outcome, count and total (of images), value (the mean fraction of Grad-CAM
        in the thorax, or the silhouette of features), seconds (of the measure).

    Raises
    ------
    InputError
        If a name is unknown, there are no images or external images, or the file at `path` is not
        such a table.
    WriteError
        If the disk is full.
    """
    rows = read_rows(path, KEY, VALUES, COMMAND)
    done = {identify(row, KEY) for row in rows}
    for name in names or RECIPES:
        recipe, note = find_runnable(get_recipe(name))
        if recipe is None:
            logger.info(f"{name}: {note}")
            continue
        with only_warnings():  # one line per measure
            task = load_task(recipe.task, data, image_size=recipe.image_size, seed=seed)
        images = name_images(task)
        subject = Subject(recipe, task, seed)
        for measure, run in MEASURES.items():
            key = dict(zip(KEY, (name, note, measure, seed, images), strict=True))
            if identify(key, KEY) in done:
                logger.info(f"{name}, {measure}: already in {path}")
                continue
            start = time.perf_counter()
            with only_warnings():
                table = run(subject)
            seconds = round(time.perf_counter() - start)
            table = table.reindex(columns=VALUES).assign(seconds=seconds)
            rows += [key | row for row in table.to_dict("records")]
            write_rows(path, KEY + VALUES, rows)
            logger.info(f"{name}, {measure}: {seconds} s")
        keras.utils.clear_session()
    return pd.DataFrame(rows, columns=KEY + VALUES)


def saved_shortcuts(task: str, measure: str) -> Styler:
    """Return one measure of `measure_shortcuts` on the challenge's images, saved with this kit.

    Parameters
    ----------
    task : {"binary", "multiclass"}
    measure : {"test", "external validation", "Grad-CAM", "features", "perturbations"}

    Returns
    -------
    Styler
        The labeled table; `data` is its DataFrame, indexed by group and outcome. One column per
        recipe, with counts as `Proportion`, or the value where the measure is not a count.

    Raises
    ------
    InputError
        If there is no such task or measure.

    Examples
    --------
    >>> table = saved_shortcuts("binary", "external validation")
    >>> print(table.data.loc[("healthy adults", "covid"), "task1-mobilenetv2"])
    97/100 = 97 % [92, 99]
    """
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    if measure not in MEASURES:
        raise unknown("measure", measure, MEASURES)
    table = pd.DataFrame(read_rows(MEASURED, KEY, VALUES, COMMAND))
    table = table[(table["measure"] == measure) & table["recipe"].str.startswith(TASKS[task])]
    columns = table["recipe"] + table["network"].map(lambda note: f" ({note})" if note else "")
    cells = [
        row.value if pd.isna(row.count) else Proportion(int(row.count), int(row.total))
        for row in table[["count", "total", "value"]].itertuples(index=False)
    ]
    table = table.assign(column=columns, cell=pd.Series(cells, table.index, dtype=object))
    cells = table.pivot_table("cell", ["group", "outcome"], "column", aggfunc="first", sort=False)
    seeds = ", ".join(table["seed"].unique().astype(str))
    return label_measured(cells.rename_axis(columns=None).fillna(""), f"{measure}, seed {seeds}")
