"""Which recipe runs: the default by evidence, and what stands in where weights are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ..errors import InputError, unknown
from ..metrics.intervals import Proportion
from . import published
from .recipe import Recipe

AUTO = "auto"
SAVED = Path(__file__).with_name("saved")
# Where the weights of a whole network are not available: the part of it, or the width, to try.
SMALLER = {
    "ResNet50": {"end_at": "conv4_block6_out"},
    "ResNet50V2": {"end_at": "conv4_block6_out"},
    "MobileNet": {"alpha": 0.75},
}
TASKS = {"binary": "task1", "multiclass": "task2"}
# The networks that both reports compared, as this kit trains them.
REPORTS_PAIR = {"multiclass": ("task2-vgg16", "task2-resnet50-frozen")}
LEVEL = 0.05


def rank_recipes(task: str) -> pd.DataFrame:
    """Return the recipes that "auto" chooses from, the default first.

    The default is the fastest of those that do as well as the best in five-fold cross-validation by
    patient on the real training images: the best one itself, and all from which McNemar's test,
    corrected by Holm's method, does not separate it (p at or above 0.05). The others follow by
    their number of images correct. `xraykit experiment task1_recipes` and `task2_recipes` made the
    tables.

    Parameters
    ----------
    task : {"binary", "multiclass"}

    Returns
    -------
    DataFrame
        Indexed by recipe: right, of, seconds (of the cross-validation), tied (with the best).
    """
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    table = pd.read_csv(SAVED / f"{TASKS[task]}_recipes.csv", index_col="setting")
    table["tied"] = ~(table["p"] < LEVEL)
    tied = table[table["tied"]].sort_values("seconds")
    others = table[~table["tied"]].sort_values("correct", ascending=False)
    return pd.concat([tied, others])[["correct", "total", "seconds", "tied"]]


def choose_recipe(name: str, task: str, overrides: Mapping[str, object] | None = None) -> Recipe:
    """Return a recipe with some settings changed, and print which and why.

    Parameters
    ----------
    name : str
        One of `xk.recipes`; or "auto", the default of `rank_recipes`. Where its ImageNet weights
        are not available, the next of that ranking stands in, and `stands_in_for` names the
        default.
    task : {"binary", "multiclass"}
    overrides : dict, optional
        As in `Recipe.override`.

    Raises
    ------
    InputError
        If there is no such recipe or setting, it is for the other task, or a value is impossible.
    """
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    overrides = _checked(overrides)
    if name == AUTO:
        chosen, why = _first_with_weights(task, overrides)
    else:
        chosen, why = _named(name, task).override(**overrides), "as asked"
    changed = ", ".join(f"{setting}={value!r}" for setting, value in chosen.changed.items())
    print(f"Recipe {chosen.name}{f' with {changed}' if changed else ''}: {why}")
    return chosen


def choose_comparison(
    plan: Recipe, names: Sequence[str] = (), overrides: Mapping[str, object] | None = None
) -> list[Recipe]:
    """Return the recipes to compare a Task 2 recipe with, and print which and why.

    Parameters
    ----------
    plan : Recipe
        The one that they are compared with.
    names : sequence of str
        Of `xk.recipes`. None means the reports' pair, VGG16 and a ResNet: those whose ImageNet
        weights are available (of ResNet50 perhaps the first four stages) and whose backbone is not
        that of `plan`; or else the next recipe of `rank_recipes` that can run.
    overrides : dict, optional
        As in `Recipe.override`, for each of them.

    Raises
    ------
    InputError
        As `choose_recipe`.
    """
    overrides = _checked(overrides)
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputError(f'names={names!r}: expected a list, such as ["task2-vgg16"]')
    if names:
        chosen = [_named(name, plan.task).override(**overrides) for name in names]
        print(f"Compared with {', '.join(names)}: as asked")
        return chosen
    chosen = []
    for name in REPORTS_PAIR.get(plan.task, ()):
        if published.RECIPES[name].backbone == plan.backbone:
            continue
        recipe, note = runnable(published.RECIPES[name].override(**overrides))
        print(
            f"Compared with {name}{f' ({note})' if note else ''}" if recipe else f"{name}: {note}"
        )
        chosen += [recipe] if recipe else []
    if not chosen:
        others = [name for name in rank_recipes(plan.task).index if name != plan.name]
        candidates = (published.RECIPES[name].override(**overrides) for name in others)
        chosen = [next(filter(has_weights, candidates))]
        print(f"Compared with {chosen[0].name}, the next best recipe that can run here")
    return chosen


def has_weights(recipe: Recipe) -> bool:
    """Return whether the weights that a recipe begins with are available; download them if so."""
    from ..models.backbones import backbone
    from ..models.weights import NoWeightsError

    try:
        backbone(recipe.backbone, **recipe.network())
    except NoWeightsError:
        return False
    return True


def runnable(recipe: Recipe) -> tuple[Recipe | None, str]:
    """Return a recipe as it can run here, perhaps with less of its network, and what to say of it.

    Returns
    -------
    recipe : Recipe or None
        None if no weights are available.
    note : str
        "" where the recipe runs as it is.
    """
    if has_weights(recipe):
        return recipe, ""
    if smaller := SMALLER.get(recipe.backbone):
        part = recipe.override(**smaller)
        if has_weights(part):
            return part, ", ".join(f"{name}={value}" for name, value in smaller.items())
    return None, "not run: no weights"


def _checked(overrides: Mapping[str, object] | None) -> dict[str, object]:
    if not isinstance(overrides, Mapping | None):
        raise InputError(f'overrides={overrides!r}: expected a dict, such as {{"epochs": 20}}')
    return {str(setting): value for setting, value in (overrides or {}).items()}


def _named(name: str, task: str) -> Recipe:
    own = [recipe.name for recipe in published.RECIPES.values() if recipe.task == task]
    if not isinstance(name, str) or name not in published.RECIPES:
        raise unknown("recipe", name, [AUTO, *own])
    if name not in own:
        raise InputError(f"{name} is not for this task: take one of {', '.join(own)}")
    return published.RECIPES[name]


def _first_with_weights(task: str, overrides: dict) -> tuple[Recipe, str]:
    """Return the first recipe of the ranking that can run here, and why it is this one."""
    ranking = rank_recipes(task)
    counts = {
        name: Proportion(int(row["correct"]), int(row["total"])) for name, row in ranking.iterrows()
    }
    default, best = ranking.index[0], ranking["correct"].idxmax()
    for name in ranking.index:
        recipe = published.RECIPES[name].override(**overrides)
        if has_weights(recipe):
            break
    if name == default:
        tied = int(ranking["tied"].sum())
        return recipe, (
            f"the default, the fastest of the {tied} recipes that McNemar's test does not separate "
            f"from the best in cross-validation ({counts[name]} correct; the best, {best}: "
            f"{counts[best]})"
        )
    recipe = replace(recipe, stands_in_for=default)
    backbone = published.RECIPES[default].backbone
    return recipe, (
        f"it stands in for {default}, whose ImageNet weights are not available here "
        f"({counts[name]} correct in cross-validation against {counts[default]}). For {backbone}, "
        "run once with a network, or see `xraykit doctor`"
    )
