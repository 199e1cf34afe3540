"""The reports' experiments: each setting in cross-validation by patient, in one table."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from .._keras import keras
from ..data.tasks import Task, load_task
from ..errors import InputError, unknown
from ..explain.embedding import tsne
from ..files import atomic_write, report_write_errors
from ..log import logger, only_warnings
from ..metrics.comparison import holm, mcnemar
from ..metrics.intervals import Proportion, add_intervals, format_counts
from ..metrics.scores import score
from ..models.classifier import trainable_parameters
from ..plots.comparison import plot_comparison
from ..plots.maps import plot_layouts
from ..recipes.choose import SAVED, find_runnable
from ..recipes.published import get_recipe
from ..recipes.recipe import Recipe
from ..training.cross_validation import cross_validate
from ..training.predict import predict
from .experiments import EXPERIMENTS, Setting
from .rows import label_measured

COUNTS = ("correct", "total", "only_first", "only_this", "test_correct", "test_total")
# The columns of a table; `add_intervals` inserts low and high after total.
COLUMNS: tuple[str, ...] = ("setting", "correct", "total", "only_first", "only_this", "p")
COLUMNS += ("published", "test_correct", "test_total", "parameters", "trainable", "seconds", "note")


@dataclass(frozen=True, eq=False)
class Result:
    """The result of an experiment.

    Attributes
    ----------
    name : str
    table : DataFrame
        One row per setting: correct, total, low and high (cross-validated by patient, with the 95 %
        interval), only_first and only_this (images on which only the first row or only this one is
        correct), p (exact McNemar test against the first row, Holm's correction over the rows),
        parameters, trainable, seconds (of the cross-validation), note; in some experiments the
        published accuracy, test_correct and test_total.
    layouts : dict of str to DataFrame
        t-SNE of the training images by setting; empty in most experiments.
    recipe : str
        The recipe whose settings were varied; "" is the experiment's own.
    """

    name: str
    table: pd.DataFrame
    layouts: dict[str, pd.DataFrame]
    recipe: str = ""

    @property
    def stem(self) -> str:
        """The name of its files without the ending: with the recipe, unless that is the default."""
        return _file_stem(self.name, self.recipe)

    def display_table(self) -> pd.DataFrame:
        """Return the table as people read it: counts as text, no empty or constant columns."""
        table = self.table.assign(accuracy=format_counts(self.table))
        if "test_correct" in table:
            test = self.table[["setting", "test_correct", "test_total"]]
            table["test"] = format_counts(test.set_axis(["setting", "correct", "total"], axis=1))
        front = ["setting", "accuracy"]
        hidden = ["correct", "total", "low", "high", "test_correct", "test_total"]
        table = table[[*front, *table.columns.difference([*front, *hidden], sort=False)]]
        table = table.astype(object).set_index("setting")
        for name, form in {"p": "{:.2g}", "published": "{:.2f}", "seconds": "{:.0f}"}.items():
            if name in table:
                table[name] = table[name].map(form.format, na_action="ignore")
        for name in ("parameters", "trainable"):
            if len(set(table[name])) == 1:
                table = table.drop(columns=name)
        return table.replace("", pd.NA).dropna(axis="columns", how="all").fillna("")

    def labeled_table(self) -> Styler:
        """Return `display_table` of a saved experiment, with a caption that says what it is."""
        experiment = EXPERIMENTS[self.name]
        recipe = self.recipe or experiment.recipe
        settings = experiment.settings(get_recipe(recipe)).values()
        backbones = {setting.recipe.backbone for setting in settings}
        several = f"{len(backbones)} backbones, else as in " if len(backbones) > 1 else ""
        subject = f"{several}{recipe}, five folds by patient, seed 42"
        return label_measured(self.display_table(), subject)

    @property
    def answer(self) -> str:
        """The answer in two sentences."""
        rows = self.table.dropna(subset="total")
        rows = rows.assign(accuracy=format_counts(rows))
        first, others = rows.iloc[0], rows.iloc[1:]
        different = others[others["p"] < 0.05]
        names = ", ".join(f"{row.setting} ({row.accuracy})" for row in different.itertuples())
        return (
            f"{first['setting']}: {first['accuracy']}. Significantly different from it (p < 0.05), "
            f"of {len(others)} compared: {names or 'none'}."
        )

    def figures(self) -> list[Figure]:
        """Return the table as a figure, and one of the t-SNE maps if there are any."""
        title = EXPERIMENTS[self.name].question + (f" ({self.recipe})" if self.recipe else "")
        figures = [plot_comparison(self.table, title=title)]
        if self.layouts:
            classes = next(iter(self.layouts.values()))["class"].unique()
            figures.append(plot_layouts(self.layouts, classes))
        return figures

    def save(self, folder: Path) -> None:
        """Write STEM.csv and STEM.png, and STEM-tsne.csv and .png if there are t-SNE maps.

        Raises
        ------
        InputError, WriteError
            If the folder can't be written.
        """
        tables = {self.stem: self.table}
        if self.layouts:
            maps = [layout.assign(network=name) for name, layout in self.layouts.items()]
            columns = ["network", "class", "x", "y"]
            tables[f"{self.stem}-tsne"] = pd.concat(maps)[columns].round(2)
        with report_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for (name, table), figure in zip(tables.items(), self.figures(), strict=True):
                atomic_write(folder / f"{name}.csv", partial(table.to_csv, index=False))
                atomic_write(folder / f"{name}.png", partial(figure.savefig, dpi=110))


def run_experiment(
    name: str,
    recipe: str | Recipe = "",
    *,
    data: str | Path = "auto",
    folds: int = 5,
    seed: int = 42,
) -> Result:
    """Run one of the reports' experiments: each setting in cross-validation by patient.

    Parameters
    ----------
    name : str
        One of `EXPERIMENTS`, such as "backbones" or "dropout".
    recipe : str or Recipe
        The recipe whose settings are varied; "" takes the experiment's default.
    data : str or Path
        As in `xk.load_task`.
    folds, seed : int
        As in `xk.cross_validate`.

    Raises
    ------
    InputError
        If a name is unknown, the recipe does not suit the experiment, or no weights are available.

    Examples
    --------
    >>> result = xk.run_experiment("dropout", recipe, data=task.root, folds=2)
    >>> result.table["setting"].tolist()
    ['0.2', '0', '0.5', '0.8']
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    experiment = EXPERIMENTS[name]
    if not isinstance(recipe, Recipe):
        recipe = get_recipe(recipe or experiment.recipe)
    settings = experiment.settings(recipe)
    first = next(iter(settings.values())).recipe
    task = load_task(first.task, data, image_size=first.image_size, seed=seed)
    for setting in settings.values():
        if setting.train_transform:  # fails now if external images are missing
            setting.train_transform(task.train, task.validation)
    rows, predictions, layouts = [], {}, {}
    for label, setting in settings.items():
        row, predicted, layout = _run_setting(setting, task, folds, seed, experiment.tested)
        if predicted is not None:
            predictions[label] = predicted
        if layout is not None:
            layouts[label] = layout
        text = row["note"] if predicted is None else Proportion(row["correct"], row["total"])
        logger.info(f"{label}: {text}")
        rows.append({"setting": label} | row)
        keras.utils.clear_session()
    if not predictions:
        raise InputError(
            f"{name}: ImageNet weights are not available for any setting; `xraykit doctor` says "
            "where to put them. Experiments that do not compare networks run with a SmallCNN "
            "recipe, which needs none"
        )
    other = "" if recipe.name == experiment.recipe else recipe.name
    return Result(name, _compare_with_first(pd.DataFrame(rows), predictions), layouts, other)


def saved_experiment(name: str, recipe: str = "") -> Result:
    """Return the result of an experiment on the real images, as saved with this kit.

    Parameters
    ----------
    name : str
        Of the experiment.
    recipe : str
        The recipe whose settings were varied: one of the experiment's `others`. By default the
        experiment's own.

    Raises
    ------
    InputError
        If there is no such experiment, or no result with this recipe.

    Examples
    --------
    >>> table = xk.saved_experiment("optimizers").display_table()
    >>> table.loc["sgd, 0.1", ["accuracy", "p"]].tolist()
    ['180/269 = 67 % [61, 72]', '0.035']
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    experiment = EXPERIMENTS[name]
    if recipe not in ("", experiment.recipe, *experiment.others):
        known = [experiment.recipe, *experiment.others]
        raise unknown(f"recipe of the saved experiment {name}", recipe, known)
    other = recipe if recipe in experiment.others else ""
    stem = _file_stem(name, other)
    types = {"setting": str} | dict.fromkeys(COUNTS, "Int64")
    table = pd.read_csv(SAVED / f"{stem}.csv", dtype=types)
    maps = SAVED / f"{stem}-tsne.csv"
    layouts = dict(iter(pd.read_csv(maps).groupby("network", sort=False))) if maps.exists() else {}
    return Result(name, table, layouts, other)


def _file_stem(name: str, recipe: str) -> str:
    return f"{name}-{recipe}" if recipe else name


def _run_setting(
    setting: Setting, task: Task, folds: int, seed: int, is_tested: bool
) -> tuple[dict[str, Any], pd.DataFrame | None, pd.DataFrame | None]:
    """Return the row of a setting, its cross-validated predictions, and its t-SNE map."""
    start = time.perf_counter()
    recipe, note = find_runnable(setting.recipe)
    model = (recipe or setting.recipe).override(weights=None).build(task.class_names)
    row = {"published": setting.published, "note": note, "parameters": model.count_params()}
    row["trainable"] = trainable_parameters(model)
    if not recipe:
        return row, None, None
    with only_warnings():  # the table has one line per setting
        predictions = cross_validate(
            recipe, task, repeats=1, folds=folds, seed=seed, train_transform=setting.train_transform
        )
    scores = score(predictions)
    row |= {"correct": scores.correct, "total": scores.total}
    row["seconds"] = round(time.perf_counter() - start, 1)
    if not is_tested:
        return row, predictions, None
    with only_warnings():
        model, _ = recipe.train(task, seed)
    test_scores = score(predict(model, task.test))
    row |= {"test_correct": test_scores.correct, "test_total": test_scores.total}
    return row, predictions, tsne(model, task.train, seed=seed)


def _compare_with_first(table: pd.DataFrame, predictions: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Add the intervals, and the paired tests of each row that was run against the first one."""
    first, *others = predictions
    tests = {label: mcnemar(predictions[first], predictions[label]) for label in others}
    corrected = holm([p for *_, p in tests.values()])
    for (label, (only_first, only_this, _)), p in zip(tests.items(), corrected, strict=True):
        row = table["setting"] == label
        table.loc[row, ["only_first", "only_this", "p"]] = only_first, only_this, float(f"{p:.2g}")
    table = add_intervals(table.reindex(columns=[name for name in COLUMNS if name in table]))
    types = {name: "Int64" for name in COUNTS if name in table}
    table = table.round({"low": 4, "high": 4}).astype(types)
    return table.dropna(axis="columns", how="all")
