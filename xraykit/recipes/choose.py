"""Which recipe can run here: ImageNet weights are not to be had everywhere."""

from collections.abc import Mapping

from ..errors import InputError, unknown
from . import published
from .recipe import Recipe

AUTO = "auto"
BEST = ("vgg16-finetuned", "mobilenetv2", "mobilenet", "smallcnn", "smallcnn-narrow")
# Where the weights of a whole network can't be had: the part of it, or the width, that is tried.
SMALLER = {
    "ResNet50": {"cut_at": "conv4_block6_out"},
    "ResNet50V2": {"cut_at": "conv4_block6_out"},
    "MobileNet": {"alpha": 0.75},
}
TASKS = {"binary": "task1", "multiclass": "task2"}


def choose_recipe(
    name: str,
    task: str,
    overrides: Mapping[str, object] | None = None,
    apart_from: Recipe | None = None,
) -> Recipe:
    """Return a recipe with some settings changed, and print which and why.

    Parameters
    ----------
    name : str
        One of `xk.recipes`; or "auto", which is report A's fine-tuned VGG16 where its ImageNet
        weights can be had, else MobileNetV2, else MobileNet, else SmallCNN, which needs none.
    task : {"binary", "multiclass"}
    overrides : dict, optional
        As in `Recipe.override`.
    apart_from : Recipe, optional
        What "auto" is not to be, to have two to compare.

    Raises
    ------
    InputError
        If there is no such recipe or setting, it is for the other task, or a value is impossible.
    """
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    if not isinstance(overrides, Mapping | None):
        raise InputError(f'overrides={overrides!r}: expected a dict, such as {{"epochs": 20}}')
    overrides = {str(setting): value for setting, value in (overrides or {}).items()}
    own = [recipe for recipe in published.RECIPES.values() if recipe.task == task]
    if name != AUTO:
        if not isinstance(name, str) or name not in published.RECIPES:
            raise unknown("recipe", name, [AUTO, *(recipe.name for recipe in own)])
        chosen, why = published.RECIPES[name].override(**overrides), "as asked"
        if chosen.task != task:
            raise InputError(
                f"{name} is not for this task: take one of "
                f"{', '.join(recipe.name for recipe in own)}"
            )
    else:
        chosen, why = _best(task, overrides, apart_from)
    changed = ", ".join(f"{setting}={value!r}" for setting, value in chosen.changed.items())
    print(f"Recipe {chosen.name}{f' with {changed}' if changed else ''}: {why}")
    return chosen


def _best(task: str, overrides: dict, apart_from: Recipe | None) -> tuple[Recipe, str]:
    missing = []
    for ending in BEST:
        recipe = published.RECIPES[f"{TASKS[task]}-{ending}"].override(**overrides)
        if apart_from and recipe.name == apart_from.name:
            continue
        if has_weights(recipe):
            break
        missing.append(recipe.name)
    best = "the next best" if apart_from else "the best"
    if not missing:
        return recipe, f"{best} there is"
    return recipe, (
        f"{best} that can run here. ImageNet weights for {', '.join(missing)} are neither here "
        "nor to be downloaded; `xraykit doctor` says where they go"
    )


def has_weights(recipe: Recipe) -> bool:
    """Return whether the weights that a recipe begins with can be had."""
    from ..models.backbones import backbone
    from ..models.weights import NoWeightsError

    try:
        backbone(recipe.backbone, **recipe.network())
    except NoWeightsError:
        return False
    return True


def runnable(recipe: Recipe) -> tuple[Recipe | None, str]:
    """Return a recipe as it can run here, perhaps with less of its network, and what is to be said.

    Returns
    -------
    recipe : Recipe or None
        None if no weights can be had.
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
