"""Published against measured: recipes run on the challenge, in one table that can be resumed."""

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from .._keras import keras
from ..data.tasks import Task, load_task
from ..errors import InputError, check_whole_number
from ..files import atomic_write
from ..metrics.comparison import compare_proportions
from ..metrics.intervals import Proportion
from ..metrics.scores import score
from ..recipes.choose import SAVED, runnable
from ..recipes.published import RECIPES, recipe_named
from ..recipes.recipe import Recipe
from ..training.cross_validation import cross_validate
from ..training.predict import predict

MEASURED = SAVED / "reproduction.csv"  # on the real images, where this kit was made
SEEDS = (42, 1, 2)
# One training of these takes minutes to half an hour: they are run with the first seed only.
SLOW = ("task2-vgg16-wide", "task2-resnet50")
KEY = ["recipe", "training", "network", "measure", "seed", "images"]
COUNTS = ["correct", "total", "loss", "seconds"]


@dataclass(frozen=True)
class Measurement:
    """One row of the table, before it is measured.

    Attributes
    ----------
    recipe : Recipe
        As it runs here.
    task : Task
    folds : int
        0 predicts the test images after one training; more cross-validate.
    key : dict
        What identifies the row: recipe, training ("repaired", "as published" or ""), network (how
        it differs from the recipe's), measure, seed, images (the first digits of their digest).
    """

    recipe: Recipe
    task: Task
    folds: int
    key: dict[str, object]

    def run(self) -> dict[str, object]:
        """Train, and return the row: the key with correct, total, loss and seconds."""
        keras.utils.clear_session()
        seed, start = self.key["seed"], time.perf_counter()
        with redirect_stdout(io.StringIO()):  # one line per epoch would hide the table
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
    overrides: Mapping[str, object] | None = None,
    data: str | Path = "auto",
    folds: int = 5,
    seeds: Sequence[int] = SEEDS,
) -> pd.DataFrame:
    """Measure recipes on the challenge, and keep each measurement in a table as soon as it is made.

    Each recipe's test images are predicted after one training per seed, and its training images
    are predicted in cross-validation by patient, with the first seed. A recipe of 2020 is run
    twice: repaired, as this kit has it, and as published. Where the ImageNet weights of a whole
    network are not available, the part is run whose weights are, or nothing; a network that should
    be pretrained never runs on random weights. Recipes that take minutes to half an hour for one
    training (task2-vgg16-wide, task2-resnet50) are run with the first seed only.

    Rows that the table at `path` already has are not measured again, so that a run that was killed
    goes on where it was. What is to be done, and how long it took where this kit was made, is
    printed before it starts.

    Parameters
    ----------
    path : Path
        A CSV file, written whole after each measurement; made if need be.
    names : sequence of str
        Of `xk.recipes`; none means all of them.
    overrides : dict, optional
        As in `Recipe.override`, for each recipe; the rows name them.
    data : str or Path
        As in `xk.load_task`.
    folds : int
        Of the cross-validation by patient, on the training images; 0 leaves it out.
    seeds : sequence of int

    Returns
    -------
    DataFrame
        One row per measurement asked for: recipe, training, network, measure, seed, images,
        correct, total, loss (mean cross-entropy in nats), seconds. `summarize` reads it.

    Raises
    ------
    InputError
        If a name or setting is unknown, there are no images, or the file at `path` is another's.
    """
    plan = list(_plan(names, overrides or {}, data, folds, seeds))
    table = _read(path)
    rows = table.to_dict("records")
    done = {_identity(row) for row in rows}
    left = [each for each in plan if _identity(each.key) not in done]
    print(f"{len(plan)} measurements, {len(plan) - len(left)} of them done. {_expected(left)}")
    for number, each in enumerate(left, start=1):
        row = each.run()
        rows.append(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, partial(_frame(rows).to_csv, index=False))
        print(f"[{number}/{len(left)}] {_describe(row)}. {_expected(left[number:])}", flush=True)
    asked = {_identity(each.key) for each in plan}
    return _frame([row for row in rows if _identity(row) in asked])


def saved_reproduction() -> pd.DataFrame:
    """Return the table that `reproduce` made on the real images, where this kit was made."""
    return _read(MEASURED)


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Set what was published beside what `reproduce` measured.

    Returns
    -------
    DataFrame
        One row per recipe and training: published and measured (test images, with Wilson's 95 %
        interval), seeds (images correct with each seed; `measured` is the middle one),
        difference (measured minus published in percentage points, with the interval of
        `compare_proportions`; empty for phantoms), published_loss, loss (with each seed),
        cross_validation, and seconds (of one training with its test, the middle one).
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
            middle = test.sort_values("correct").iloc[(len(test) - 1) // 2]
            row["measured"] = Proportion(int(middle["correct"]), int(middle["total"]))
            row["seeds"] = ", ".join(f"{n}: {c}" for n, c in test[["seed", "correct"]].to_numpy())
            row["loss"] = ", ".join(f"{loss:.3f}" for loss in test["loss"])
            row["seconds"] = round(test["seconds"].median())
            if row["published"] and images.startswith("challenge"):
                row["difference"] = _points(row["published"], row["measured"])
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
        check_whole_number("folds", folds, least=2)
    for seed in seeds:
        check_whole_number("seed", seed, least=0)
    recipes = [recipe_named(name).override(**overrides) for name in names or RECIPES]
    tasks: dict[tuple[str, int, int], Task] = {}

    def task_of(recipe: Recipe, seed: int) -> Task:
        wanted = recipe.task, recipe.image_size, seed
        if wanted not in tasks:
            with redirect_stdout(io.StringIO()):
                tasks[wanted] = load_task(recipe.task, data, recipe.image_size, seed=seed)
        return tasks[wanted]

    for recipe in recipes:
        part, note = runnable(recipe)
        if part is None:
            print(f"{recipe.name}: {note}")
            continue
        changed = [f"{setting}={value}" for setting, value in recipe.changed.items()]
        network = ", ".join([*filter(None, [note]), *changed])
        trainings = {"repaired" if recipe.original_settings else "": part}
        if recipe.original_settings:
            trainings["as published"] = part.as_published()
        for training, each in trainings.items():
            for seed in seeds[:1] if recipe.name in SLOW else seeds:
                for measure, count in (("test", 0), (f"{folds}-fold", folds)):
                    if measure == "test" or (folds and seed == seeds[0]):
                        task = task_of(each, seed)
                        kind = "phantoms" if task.phantoms else "challenge"
                        images = f"{kind} {task.digest[:8]}"
                        values = recipe.name, training, network, measure, seed, images
                        key = dict(zip(KEY, values, strict=True))
                        yield Measurement(each, task, count, key)


def _points(published: Proportion, measured: Proportion) -> str:
    """Return measured minus published in percentage points, with its interval."""
    points = [round(100 * part) for part in compare_proportions(published, measured)]
    return "{:+d} [{:+d}, {:+d}]".format(*points)


def _identity(row: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in KEY)


def _frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=KEY + COUNTS)


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        return _frame([])
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} can't be read as a table: {error}") from error
    if list(table) != KEY + COUNTS:
        raise InputError(
            f"{path} is not a table of `xraykit reproduce`: expected columns "
            f"{', '.join(KEY + COUNTS)}; name another file"
        )
    return table.fillna({"training": "", "network": ""})  # empty texts


def _expected(left: Sequence[Measurement]) -> str:
    """Say how long measurements took where this kit was made."""
    if not left:
        return "Nothing is left to do."
    known = {_identity(row)[:5]: row["seconds"] for row in saved_reproduction().to_dict("records")}
    times = pd.Series([known.get(_identity(each.key)[:5]) for each in left], dtype=float)
    minutes, unknown = times.sum() / 60, int(times.isna().sum())
    parts = [f"about {minutes:.0f} minutes on two cores"] if unknown < len(left) else []
    parts += [f"{unknown} of unknown time"] if unknown else []
    return f"{len(left)} left, {' and '.join(parts)}."


def _describe(row: Mapping[str, object]) -> str:
    details = ", ".join(filter(None, [row["training"], row["network"]]))
    measured = Proportion(int(row["correct"]), int(row["total"]))
    return (
        f"{row['recipe']}{f' ({details})' if details else ''}, {row['measure']}, seed "
        f"{row['seed']}: {measured}, loss {row['loss']:.3f}, {row['seconds']} s"
    )
