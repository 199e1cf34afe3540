"""The reports' experiments, run: each setting in cross-validation by patient, in one table."""

import io
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from .._keras import keras
from ..data.tasks import Task, load_task
from ..errors import InputError, unknown
from ..explain.embedding import tsne
from ..files import atomic_write
from ..metrics.comparison import holm, mcnemar
from ..metrics.intervals import Proportion, add_intervals, format_counts
from ..metrics.scores import score
from ..models.classifier import trainable_parameters
from ..plots.comparison import plot_comparison
from ..plots.maps import plot_layouts
from ..recipes.choose import SAVED, runnable
from ..recipes.published import recipe_named
from ..recipes.recipe import Recipe
from ..training.cross_validation import cross_validate
from ..training.predict import predict
from .questions import EXPERIMENTS

WHOLE_NUMBERS = (
    "correct",
    "total",
    "only_first",
    "only_this",
    "test_correct",
    "test_total",
)  # columns of whole numbers


@dataclass(frozen=True, eq=False)
class Result:
    """What an experiment gave.

    Attributes
    ----------
    name : str
    table : DataFrame
        A row a setting: right and of (cross-validated, by patient), accuracy (the same with its
        95 % interval), only_first and only_this (images that the first row or this one alone got
        right), p (exact McNemar test against the first row, Holm's correction over the rows),
        parameters, trainable, seconds (of the cross-validation), note; where there is one, the
        published share, and test (images right).
    layouts : dict
        t-SNE of the training images by setting, where there is one.
    """

    name: str
    table: pd.DataFrame
    layouts: dict[str, pd.DataFrame]

    def display_table(self) -> pd.DataFrame:
        """Return the table as a person reads it: nothing twice, and no column that is empty."""
        table = self.table.assign(accuracy=format_counts(self.table))
        if "test_correct" in table:
            test = self.table[["setting", "test_correct", "test_total"]]
            table["test"] = format_counts(test.set_axis(["setting", "correct", "total"], axis=1))
        front = ["setting", "accuracy"]
        hidden = ["correct", "total", "low", "high", "test_correct", "test_total"]
        table = table[[*front, *table.columns.difference([*front, *hidden], sort=False)]]
        table = table.astype(object).set_index("setting")
        for name, short in {"p": "{:.2g}", "published": "{:.2f}", "seconds": "{:.0f}"}.items():
            if name in table:
                table[name] = table[name].map(short.format, na_action="ignore")
        for name in ("parameters", "trainable"):
            if len(set(table[name])) == 1:
                table = table.drop(columns=name)
        return table.replace("", pd.NA).dropna(axis="columns", how="all").fillna("")

    @property
    def answer(self) -> str:
        """The answer in one sentence."""
        run = self.table.dropna(subset="total")
        run = run.assign(accuracy=format_counts(run))
        first, others = run.iloc[0], run.iloc[1:]
        apart = others[others["p"] < 0.05]
        said = ", ".join(f"{row.setting} ({row.accuracy})" for row in apart.itertuples())
        apart = f"Apart from it at p < 0.05: {said}" if said else "None is apart from it"
        return f"{first['setting']}: {first['accuracy']}. {apart}, of {len(others)} compared."

    def figures(self) -> list[Figure]:
        """Return the table as a figure, and the t-SNE maps side by side where there are any."""
        figures = [plot_comparison(self.table, EXPERIMENTS[self.name].question)]
        if self.layouts:
            classes = next(iter(self.layouts.values()))["class"].unique()
            figures.append(plot_layouts(self.layouts, classes))
        return figures

    def save(self, folder: Path) -> None:
        """Write NAME.csv and NAME.png, and NAME-tsne.csv and .png where there are t-SNE maps.

        Raises
        ------
        OSError
            If the folder can't be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        tables = {self.name: self.table}
        if self.layouts:
            maps = [each.assign(network=name) for name, each in self.layouts.items()]
            columns = ["network", "class", "x", "y"]
            tables[f"{self.name}-tsne"] = pd.concat(maps)[columns].round(2)
        for (name, table), figure in zip(tables.items(), self.figures(), strict=True):
            atomic_write(folder / f"{name}.csv", partial(table.to_csv, index=False))
            atomic_write(folder / f"{name}.png", partial(figure.savefig, dpi=110))


def run_experiment(
    name: str,
    recipe: str | Recipe = "",
    data: str | Path = "auto",
    folds: int = 5,
    seed: int = 42,
) -> Result:
    """Run one of the reports' experiments: each setting in cross-validation by patient.

    Parameters
    ----------
    name : str
        task1_recipes, task2_recipes, repairs, repairs_finetuned, backbones, optimizers,
        batch_sizes, depth, dropout, early_stopping, schedules, preprocessing, batch_norm,
        more_images, learning_curve or augmentation.
    recipe : str or Recipe
        Whose settings are varied; "" takes the experiment's own.
    data : str or Path
        As in `xk.load_task`.
    folds, seed : int

    Raises
    ------
    InputError
        If a name is unknown, or the recipe doesn't lend itself to the question.
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    experiment = EXPERIMENTS[name]
    if not isinstance(recipe, Recipe):
        recipe = recipe_named(recipe or experiment.recipe)
    settings = experiment.settings(recipe)
    first = next(iter(settings.values())).recipe
    task = load_task(first.task, data, image_size=first.image_size, seed=seed)
    for setting in settings.values():
        if setting.shown:
            setting.shown(task.train, task.validation)  # images that are missing are missed now
    rows, predictions, layouts = [], {}, {}
    for label, setting in settings.items():
        start = time.perf_counter()
        part, note = runnable(setting.recipe)
        size = (part or setting.recipe).override(weights=None).build(task.class_names)
        row = {"setting": label, "published": setting.published, "note": note}
        row["parameters"] = size.count_params()
        row["trainable"] = trainable_parameters(size)
        if part:
            with redirect_stdout(io.StringIO()):  # or it would flood the table
                found = cross_validate(part, task, 1, folds, seed, setting.shown)
            predictions[label] = found
            row |= _counts(found)
            row["seconds"] = round(time.perf_counter() - start, 1)
            if experiment.tested:
                tested, layouts[label] = _test(part, task, seed)
                row |= {f"test_{name}": count for name, count in tested.items()}
        print(f"{label}: {Proportion(row['correct'], row['total']) if part else note}", flush=True)
        rows.append(row)
        keras.utils.clear_session()
    if not predictions:
        raise InputError(
            f"{name}: no ImageNet weights to be had for any setting; `xraykit doctor` says where "
            "they go. Where the question is not about networks, a recipe with SmallCNN needs none"
        )
    return Result(name, _compared(pd.DataFrame(rows), predictions), layouts)


def saved_experiment(name: str) -> Result:
    """Return what an experiment gave where this kit was made, on the real images.

    Raises
    ------
    InputError
        If there is no such experiment.
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    types = {"setting": str} | dict.fromkeys(WHOLE_NUMBERS, "Int64")
    table = pd.read_csv(SAVED / f"{name}.csv", dtype=types)
    maps = SAVED / f"{name}-tsne.csv"
    layouts = dict(iter(pd.read_csv(maps).groupby("network", sort=False))) if maps.exists() else {}
    return Result(name, table, layouts)


def _counts(predictions: pd.DataFrame) -> dict[str, int]:
    scores = score(predictions)
    return {"correct": scores.correct, "total": scores.total}


def _test(recipe: Recipe, task: Task, seed: int) -> tuple[dict[str, int], pd.DataFrame]:
    with redirect_stdout(io.StringIO()):  # or it would flood the table
        model, _ = recipe.train(task, seed)
    return _counts(predict(model, task.test)), tsne(model, task.train, seed=seed)


def _compared(table: pd.DataFrame, predictions: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Add the paired tests of each row that was run against the first of them."""
    first, *others = predictions
    tests = {label: mcnemar(predictions[first], predictions[label]) for label in others}
    corrected = holm([p for *_, p in tests.values()]) if tests else []
    for (label, (only_first, only_this, _)), p in zip(tests.items(), corrected, strict=True):
        row = table["setting"] == label
        table.loc[row, ["only_first", "only_this", "p"]] = only_first, only_this, float(f"{p:.2g}")
    order = ["setting", "correct", "total", "only_first", "only_this", "p", "published"]
    order += ["test_correct", "test_total", "parameters", "trainable", "seconds", "note"]
    table = add_intervals(table.reindex(columns=[name for name in order if name in table]))
    table = table.round({"low": 4, "high": 4})
    whole = {name: "Int64" for name in WHOLE_NUMBERS if name in table}
    return table.astype(whole).dropna(axis="columns", how="all")
