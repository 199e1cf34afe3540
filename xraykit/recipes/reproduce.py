"""Published against measured: recipes run on the challenge, in one table."""

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd

from ..data.tasks import Task, load_task
from ..errors import check_whole_number
from ..evaluation.cross_validation import cross_validate
from ..evaluation.intervals import Proportion, wilson_interval
from ..evaluation.predict import predict
from ..evaluation.scores import Scores, score
from ..files import write_whole
from ..quiet import keras
from .choose import runnable
from .published import RECIPES, recipe_named
from .recipe import Recipe


def reproduce(
    names: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
    data: str | Path = "auto",
    folds: int = 5,
    seed: int = 42,
) -> Iterator[dict[str, object]]:
    """Run recipes on the challenge, one after another, and give a row of the table for each.

    A recipe of 2020 is run twice: repaired, as this kit has it, and with what its source did. Where
    the ImageNet weights of a whole network can't be had, the part is run whose weights can, or
    nothing, and the row says so; a network that should be pretrained never runs on random weights.

    Parameters
    ----------
    names : sequence of str
        Of `xk.recipes`; none means all of them.
    overrides : dict, optional
        As in `Recipe.override`, for each of them; the rows say so.
    data : str or Path
        As in `xk.load_task`.
    folds : int
        Of the cross-validation by patient, on the training pictures; 0 leaves it out.
    seed : int

    Yields
    ------
    dict
        recipe, way, network (how it differs from the recipe's), published and measured (test
        pictures right, with Wilson's 95 % interval), inside (whether the published share lies in
        the measured interval), published_loss and loss, cross_validated, seconds (of the one
        training that the test pictures were predicted after), pictures.

    Raises
    ------
    InputError
        If a name or setting is unknown, or there are no pictures.
    """
    if folds:
        check_whole_number("folds", folds, least=2)
    recipes = [recipe_named(name).override(**(overrides or {})) for name in names or RECIPES]
    tasks: dict[str, Task] = {}
    for recipe in recipes:
        if recipe.task not in tasks:
            tasks[recipe.task] = load_task(recipe.task, data, recipe.image_size, seed=seed)
        task = tasks[recipe.task]
        part, note = runnable(recipe)
        changed = [f"{setting}={value}" for setting, value in recipe.changed.items()]
        said = recipe.published
        facts = {
            "recipe": recipe.name,
            "network": ", ".join([*filter(None, [note]), *changed]),
            "published": str(Proportion(*said.test)) if said.test else None,
            "published_loss": said.loss,
            "pictures": "phantoms" if task.phantoms else "the challenge",
        }
        if part is None:
            yield facts
            continue
        yield facts | {"way": "repaired" if recipe.repaired else ""} | _run(part, task, folds, seed)
        if recipe.repaired:
            as_then = part.as_published()
            yield facts | {"way": "as published"} | _run(as_then, task, folds, seed)


def _run(recipe: Recipe, task: Task, folds: int, seed: int) -> dict[str, object]:
    keras.utils.clear_session()
    with redirect_stdout(io.StringIO()):  # or it would flood the table
        start = time.perf_counter()
        model, _ = recipe.train(task, seed)
        seconds = time.perf_counter() - start
        scores = score(predict(model, task.test))
        found = score(cross_validate(recipe, task, folds=folds, seed=seed)) if folds else None
    facts = {
        "measured": str(Proportion(scores.right, scores.of)),
        "inside": None if task.phantoms else _inside(recipe, scores),
        "loss": round(scores.loss, 3),
        "seconds": round(seconds),
    }
    return facts | ({"cross_validated": str(Proportion(found.right, found.of))} if found else {})


def _inside(recipe: Recipe, scores: Scores) -> str | None:
    if not recipe.published.test:
        return None
    low, high = wilson_interval(scores.right, scores.of)
    right, of = recipe.published.test
    return "yes" if low <= right / of <= high else "no"


def said(row: dict[str, object]) -> str:
    """Return a row as a line for a person."""
    about = ", ".join(filter(None, [row.get("way"), row["network"]]))
    parts = [
        f"{row['recipe']}{f' ({about})' if about else ''}: {row.get('measured', '')}".rstrip(": ")
    ]
    if row["published"] and row.get("inside"):
        parts.append(f"published {row['published']}, inside the measured interval: {row['inside']}")
    if "cross_validated" in row:
        parts.append(f"cross-validated {row['cross_validated']}")
    if "seconds" in row:
        parts.append(f"{row['seconds']} s on {row['pictures']}")
    return "; ".join(parts)


def write_table(rows: Sequence[dict[str, object]], path: Path) -> pd.DataFrame:
    """Write such rows as CSV, whole or not at all, and return them as a table."""
    order = ["recipe", "way", "network", "published", "measured", "inside", "cross_validated"]
    order += ["published_loss", "loss", "seconds", "pictures"]
    table = pd.DataFrame(rows).reindex(columns=order)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda partial: table.to_csv(partial, index=False))
    return table
