"""Published and measured scores: recipes run on the challenge, in a table that can be resumed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .._keras import keras
from ..data.tasks import Task, load_task
from ..errors import check_seed, check_whole_number
from ..log import logger, only_warnings
from ..metrics.comparison import compare_proportions
from ..metrics.intervals import Proportion
from ..metrics.scores import score
from ..recipes.choose import SAVED, find_runnable
from ..recipes.published import RECIPES, get_recipe
from ..recipes.recipe import Recipe
from ..training.cross_validation import cross_validate
from ..training.predict import predict
from .rows import identify, name_images, read_rows, write_rows

MEASURED = SAVED / "reproduction.csv"  # on the real images
SEEDS = (42, 1, 2)
# One training takes minutes to half an hour: these are run with the first seed only.
SLOW_RECIPES = ("task2-vgg16-wide", "task2-resnet50")
KEY = ["recipe", "training", "network", "measure", "seed", "images"]
COUNTS = ["correct", "total", "loss", "seconds"]
COMMAND = "xraykit reproduce"


@dataclass(frozen=True)
class Measurement:
    """One row of the table, before it is measured.

    Attributes
    ----------
    recipe : Recipe
        That can run here.
    task : Task
    folds : int
        0 predicts the test images after one training; 2 or more cross-validate.
    key : dict
        The columns that identify the row: recipe, training ("repaired", "as published" or ""),
        network (how it differs from the recipe's), measure, seed, images (the first digits of their
        digest).
    """

    recipe: Recipe
    task: Task
    folds: int
    key: dict[str, Any]

    def run(self) -> dict[str, object]:
        """Train, and return the row: the key, correct, total, loss and seconds."""
        keras.utils.clear_session()
        seed, start = self.key["seed"], time.perf_counter()
        with only_warnings():  # the table has one line per measurement
            if self.folds:
                predictions = cross_validate(self.recipe, self.task, folds=self.folds, seed=seed)
            else:
                model, _ = self.recipe.train(self.task, seed)
                predictions = predict(model, self.task.test)
        scores, seconds = score(predictions), time.perf_counter() - start
        counts = scores.correct, scores.total, round(scores.loss, 3), round(seconds)
        return self.key | dict(zip(COUNTS, counts, strict=True))


def reproduce(
    path: Path,
    names: Sequence[str] = (),
    *,
    overrides: Mapping[str, object] | None = None,
    data: str | Path = "auto",
    folds: int = 5,
    seeds: Sequence[int] = SEEDS,
) -> pd.DataFrame:
    """Measure recipes on the challenge, and save each measurement in a table as soon as it is made.

    Each recipe is trained once per seed and predicts the test images. With the first seed it is
    also cross-validated by patient on the training images. A recipe of 2020 is run twice: repaired,
    with this kit's settings, and as published. Where the ImageNet weights of a whole network are
    not available, a part with available weights is run, or nothing; a network that should be
    pretrained never starts from random weights. Recipes that take minutes to half an hour for one
    training (task2-vgg16-wide, task2-resnet50) are run with the first seed only.

    Rows that the table at `path` already has are not measured again, so a run that was killed can
    be continued. The number of measurements and the expected time are printed first.

    Parameters
    ----------
    path : Path
        A CSV file, rewritten completely after each measurement; created if missing.
    names : sequence of str
        Of `xk.recipes`; if empty, all of them.
    overrides : dict, optional
        As in `Recipe.override`, for each recipe; they are named in the rows.
    data : str or Path
        As in `xk.load_task`.
    folds : int
        Of the cross-validation; 0 skips it.
    seeds : sequence of int

    Returns
    -------
    DataFrame
        One row per requested measurement: recipe, training, network, measure, seed, images,
        correct, total, loss (mean cross-entropy in nats), seconds. `summarize` reads it.

    Raises
    ------
    InputError
        If a name or setting is unknown, there are no images, or the file at `path` is not such a
        table.
    WriteError
        If the disk is full.
    """
    plan = list(_plan(names, overrides or {}, data, folds, seeds))
    rows = read_rows(path, KEY, COUNTS, COMMAND)
    done = {identify(row, KEY) for row in rows}
    todo = [measurement for measurement in plan if identify(measurement.key, KEY) not in done]
    logger.info(
        f"{len(plan)} measurements, {len(plan) - len(todo)} of them done. {_estimate_time(todo)}"
    )
    for number, measurement in enumerate(todo, start=1):
        row = measurement.run()
        rows.append(row)
        write_rows(path, KEY + COUNTS, rows)
        remaining = _estimate_time(todo[number:])
        logger.info(f"[{number}/{len(todo)}] {_describe(row)}. {remaining}")
    requested = {identify(measurement.key, KEY) for measurement in plan}
    rows = [row for row in rows if identify(row, KEY) in requested]
    return pd.DataFrame(rows, columns=KEY + COUNTS)


def saved_reproduction() -> pd.DataFrame:
    """Return the table that `reproduce` made on the real images, as saved with this kit."""
    return pd.DataFrame(read_rows(MEASURED, KEY, COUNTS, COMMAND))


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the published scores with the table of `reproduce`.

    Returns
    -------
    DataFrame
        One row per recipe and training: published and measured (on the test images, with Wilson's
        95 % interval), seeds (correct images with each seed; `measured` is their median),
        difference (measured minus published in percentage points, with the interval of
        `compare_proportions`; empty for phantoms), published_loss, loss (with each seed),
        cross_validation, and seconds (median of one training with its test).
    """
    rows = []
    for (name, training, network, images), part in table.groupby(
        ["recipe", "training", "network", "images"], sort=False
    ):
        published = RECIPES[name].published
        test, folds = part[part["measure"] == "test"], part[part["measure"] != "test"]
        row = {"recipe": name, "training": training, "network": network}
        row["published"] = Proportion(*published.test) if published.test else None
        row["published_loss"] = published.loss
        if len(test):
            median = test.sort_values("correct").iloc[(len(test) - 1) // 2]
            row["measured"] = Proportion(int(median["correct"]), int(median["total"]))
            row["seeds"] = ", ".join(f"{n}: {c}" for n, c in test[["seed", "correct"]].to_numpy())
            row["loss"] = ", ".join(f"{loss:.3f}" for loss in test["loss"])
            row["seconds"] = round(test["seconds"].median())
            if row["published"] and images.startswith("challenge"):
                row["difference"] = _compare_in_points(row["published"], row["measured"])
        if len(folds):
            row["cross_validation"] = Proportion(*map(int, folds.iloc[0][["correct", "total"]]))
        rows.append(row)
    columns = ["recipe", "training", "network", "published", "measured", "seeds", "difference"]
    columns += ["published_loss", "loss", "cross_validation", "seconds"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _plan(
    names: Sequence[str], overrides: Mapping, data: str | Path, folds: int, seeds: Sequence[int]
) -> Iterator[Measurement]:
    if folds:
        check_whole_number("folds", folds, 2)
    for seed in seeds:
        check_seed(seed)
    recipes = [get_recipe(name).override(**overrides) for name in names or RECIPES]
    tasks: dict[tuple[str, int, int], Task] = {}

    def load(recipe: Recipe, seed: int) -> Task:
        key = recipe.task, recipe.image_size, seed
        if key not in tasks:
            with only_warnings():
                tasks[key] = load_task(recipe.task, data, image_size=recipe.image_size, seed=seed)
        return tasks[key]

    for recipe in recipes:
        runnable, note = find_runnable(recipe)
        if runnable is None:
            logger.info(f"{recipe.name}: {note}")
            continue
        changes = [f"{setting}={value}" for setting, value in recipe.changed.items()]
        network = ", ".join([*filter(None, [note]), *changes])
        trainings = {"repaired" if recipe.original_settings else "": runnable}
        if recipe.original_settings:
            trainings["as published"] = runnable.as_published()
        for training, variant in trainings.items():
            for seed in seeds[:1] if recipe.name in SLOW_RECIPES else seeds:
                task = load(variant, seed)
                images = name_images(task)
                measures = {"test": 0}
                if folds and seed == seeds[0]:
                    measures[f"{folds}-fold"] = folds
                for measure, n_folds in measures.items():
                    values = recipe.name, training, network, measure, seed, images
                    key = dict(zip(KEY, values, strict=True))
                    yield Measurement(variant, task, n_folds, key)


def _compare_in_points(published: Proportion, measured: Proportion) -> str:
    """Return measured minus published in percentage points, with its interval."""
    points = [round(100 * value) for value in compare_proportions(published, measured)]
    return "{:+d} [{:+d}, {:+d}]".format(*points)


def _estimate_time(todo: Sequence[Measurement]) -> str:
    """Return how many measurements are left and how long they took for the saved table."""
    if not todo:
        return "Nothing is left to do."
    rows = saved_reproduction().to_dict("records")
    saved = {identify(row, KEY[:5]): row["seconds"] for row in rows}
    keys = [identify(measurement.key, KEY[:5]) for measurement in todo]
    times = pd.Series([saved.get(key) for key in keys], dtype=float)
    minutes, n_unknown = times.sum() / 60, int(times.isna().sum())
    parts = [f"about {minutes:.0f} minutes on two cores"] if n_unknown < len(todo) else []
    parts += [f"{n_unknown} of unknown time"] if n_unknown else []
    return f"{len(todo)} left, {' and '.join(parts)}."


def _describe(row: Mapping[str, Any]) -> str:
    details = ", ".join(filter(None, [row["training"], row["network"]]))
    measured = Proportion(int(row["correct"]), int(row["total"]))
    return (
        f"{row['recipe']}{f' ({details})' if details else ''}, {row['measure']}, seed "
        f"{row['seed']}: {measured}, loss {row['loss']:.3f}, {row['seconds']} s"
    )
