"""Choice of a recipe: the default by evidence, and its replacement where weights are missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError, unknown
from ..log import logger
from . import published
from .recipe import Recipe

AUTO = "auto"
SAVED = Path(__file__).with_name("saved")
# Where the weights of a whole network are not available: its part or width to try instead.
SMALLER_NETWORKS: dict[str, dict[str, Any]] = {
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

    The default is the fastest of the recipes that are tied with the best one in five-fold
    cross-validation by patient on the real training images: those with p at or above 0.05 in
    McNemar's test, corrected by Holm's method, and the best one itself. The others follow by their
    number of correct images. `xraykit experiment task1_recipes` and `task2_recipes` made the
    tables.

    Parameters
    ----------
    task : {"binary", "multiclass"}

    Returns
    -------
    DataFrame
        Indexed by recipe: correct, total, seconds (of the cross-validation), tied (with the best).

    Raises
    ------
    InputError
        If there is no such task.
    """
    _check_task_name(task)
    table = pd.read_csv(SAVED / f"{TASKS[task]}_recipes.csv", index_col="setting")
    table["tied"] = ~(table["p"] < LEVEL)
    tied = table[table["tied"]].sort_values("seconds")
    others = table[~table["tied"]].sort_values("correct", ascending=False)
    return pd.concat([tied, others])[["correct", "total", "seconds", "tied"]]


def first_available(
    task: str, is_available: Callable[[Recipe], bool], overrides: Mapping[str, object] | None = None
) -> Recipe:
    """Return the first recipe of `rank_recipes` that is available, or the last one if none is."""
    for name in rank_recipes(task).index:
        recipe = published.RECIPES[name].override(**overrides or {})
        if is_available(recipe):
            break
    return recipe


def choose_recipe(name: str, task: str, *, overrides: Mapping[str, object] | None = None) -> Recipe:
    """Return a recipe with some settings changed, and print which one and why.

    Parameters
    ----------
    name : str
        One of `xk.recipes`; or "auto", the default of `rank_recipes`. Where the default's ImageNet
        weights are not available, the next recipe of that ranking replaces it, and
        `stands_in_for` names the default.
    task : {"binary", "multiclass"}
    overrides : dict, optional
        As in `Recipe.override`.

    Raises
    ------
    InputError
        If there is no such recipe or setting, it is for the other task, or a value is impossible.

    Examples
    --------
    >>> xk.choose_recipe("task1-smallcnn", "binary", overrides={"epochs": 2}).epochs
    2
    """
    _check_task_name(task)
    overrides = _check_overrides(overrides)
    if name == AUTO:
        recipe, reason = _choose_available(task, overrides)
    else:
        recipe = _get_recipe_of_task(name, task, [AUTO]).override(**overrides)
        reason = "as requested"
    changed = ", ".join(f"{setting}={value!r}" for setting, value in recipe.changed.items())
    logger.info(f"Recipe {recipe.name}{f' with {changed}' if changed else ''}: {reason}")
    return recipe


def choose_comparison(
    plan: Recipe, names: Sequence[str] = (), *, overrides: Mapping[str, object] | None = None
) -> list[Recipe]:
    """Return the recipes to compare a Task 2 recipe with, and print which ones and why.

    Parameters
    ----------
    plan : Recipe
        The recipe that they are compared with.
    names : sequence of str
        Of `xk.recipes`. If empty, the reports' pair is taken, VGG16 and a ResNet: those with
        available ImageNet weights (of ResNet50 perhaps the first four stages) and another backbone
        than `plan`. If there is none, the next recipe of `rank_recipes` that can run is taken.
    overrides : dict, optional
        As in `Recipe.override`, for each of them.

    Raises
    ------
    InputError
        As `choose_recipe`.

    Examples
    --------
    >>> plan = xk.recipes["task2-smallcnn"]
    >>> [other.name for other in xk.choose_comparison(plan, ["task2-smallcnn-narrow"])]
    ['task2-smallcnn-narrow']
    """
    overrides = _check_overrides(overrides)
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputError(f'names={names!r}: expected a list, such as ["task2-vgg16"]')
    if names:
        recipes = [_get_recipe_of_task(name, plan.task).override(**overrides) for name in names]
        logger.info(f"Compared with {', '.join(names)}: as requested")
        return recipes
    recipes = []
    for name in REPORTS_PAIR.get(plan.task, ()):
        if published.RECIPES[name].backbone == plan.backbone:
            continue
        recipe, note = find_runnable(published.RECIPES[name].override(**overrides))
        if recipe:
            recipes.append(recipe)
            logger.info(f"Compared with {name}{f' ({note})' if note else ''}")
        else:
            logger.info(f"{name}: {note}")
    if not recipes:
        others = [name for name in rank_recipes(plan.task).index if name != plan.name]
        candidates = (published.RECIPES[name].override(**overrides) for name in others)
        recipes = [next(filter(has_weights, candidates))]
        logger.info(
            f"Compared with {recipes[0].name}, the next recipe in the ranking that can run here"
        )
    return recipes


def has_weights(recipe: Recipe) -> bool:
    """Return whether the initial weights of a recipe are available; download them if possible."""
    from ..models.backbones import backbone
    from ..models.weights import NoWeightsError

    try:
        backbone(recipe.backbone, **recipe.network_options())
    except NoWeightsError:
        return False
    return True


def find_runnable(recipe: Recipe) -> tuple[Recipe | None, str]:
    """Return a recipe that can run here, perhaps with a smaller network, and a note.

    Returns
    -------
    recipe : Recipe or None
        None if no weights are available.
    note : str
        "" if the recipe runs unchanged.
    """
    if has_weights(recipe):
        return recipe, ""
    if changes := SMALLER_NETWORKS.get(recipe.backbone):
        smaller = recipe.override(**changes)
        if has_weights(smaller):
            return smaller, ", ".join(f"{name}={value}" for name, value in changes.items())
    return None, "not run: no weights"


def _check_task_name(task: str) -> None:
    if task not in TASKS:
        raise unknown("task", task, TASKS)


def _check_overrides(overrides: Mapping[str, object] | None) -> dict[str, object]:
    if not isinstance(overrides, Mapping | None):
        raise InputError(f'overrides={overrides!r}: expected a dict, such as {{"epochs": 20}}')
    return {str(setting): value for setting, value in (overrides or {}).items()}


def _get_recipe_of_task(name: str, task: str, other_choices: Sequence[str] = ()) -> Recipe:
    names = [recipe.name for recipe in published.RECIPES.values() if recipe.task == task]
    if not isinstance(name, str) or name not in published.RECIPES:
        raise unknown("recipe", name, [*other_choices, *names])
    if name not in names:
        raise InputError(
            f"{name} is a recipe for the {published.RECIPES[name].task} task: expected one for the "
            f"{task} task, {', '.join(names)}"
        )
    return published.RECIPES[name]


def _choose_available(task: str, overrides: dict) -> tuple[Recipe, str]:
    """Return the first recipe of the ranking that can run here, and the reason for it."""
    ranking = rank_recipes(task)
    recipe = first_available(task, has_weights, overrides)
    name = recipe.name
    default = ranking.index[0]
    if name == default:
        return recipe, (
            f"the default, the fastest of the {ranking['tied'].sum()} recipes that do not differ "
            "significantly from the best in cross-validation on the challenge's images"
        )
    return replace(recipe, stands_in_for=default), (
        f"it replaces {default}, whose ImageNet weights are not available here. To use {default}, "
        f"run once with an internet connection, or see `xraykit doctor`"
    )
