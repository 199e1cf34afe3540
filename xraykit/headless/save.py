"""Save the results of a notebook, in its last cell."""

import os
import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import psutil
from jsonschema import ValidationError

from .._keras import keras
from ..audit.audit import Audit
from ..data.tasks import Task, check_task
from ..errors import InputError, cannot_write, check_kind
from ..files import atomic_write, to_path
from ..metrics.calibration import calibration
from ..metrics.intervals import wilson_interval
from ..metrics.scores import score
from ..models.classifier import trainable_parameters
from ..recipes.recipe import Recipe
from ..training.predict import predict
from .results import SCHEMA, write_results

PACKAGES = ("xraykit", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "pillow", "pandas")


def save_results(
    folder: str | Path,
    task: Task,
    *,
    model: keras.Model,
    history: pd.DataFrame,
    predictions: pd.DataFrame,
    recipe: Recipe | None = None,
    audit: Audit | None = None,
    perturbations: pd.DataFrame | None = None,
    external_validation: pd.DataFrame | None = None,
    **settings: str | float | bool,
) -> None:
    """Save the model, its history, its predictions and results.json.

    The files are model.keras, history.csv, predictions.csv (test images),
    validation_predictions.csv (to choose a threshold or a temperature) and results.json. Each is
    written whole or not at all, results.json last. `xraykit collect` makes one table of many
    results, `xraykit card` a model card of one; docs/reference/results-json.md lists the fields.

    Parameters
    ----------
    folder : str or Path
        Created if it does not exist; "" saves nothing.
    task : Task
    model : keras.Model
        Saved with its preprocessing; it also predicts the validation images.
    history : DataFrame
        From `xk.train`.
    predictions : DataFrame
        From `xk.predict`, of the test images.
    recipe : Recipe, optional
        Its name, backbone and alpha become settings.
    audit : Audit, optional
        From `xk.audit_task`, of this task; saved with the predictions beside it.
    perturbations, external_validation : DataFrame, optional
        From `xk.evaluate_perturbations` and `xk.external_validation`.
    **settings
        Other columns for the table of runs, such as `seed=42`.

    Raises
    ------
    InputError
        If the folder can't be used, an argument is not of the expected kind, or the model could
        not be loaded again.
    WriteError
        If the disk is full.

    Examples
    --------
    >>> xk.save_results(
    ...     folder, task, model=model, history=history, predictions=predictions, seed=42
    ... )
    >>> sorted(path.name for path in folder.iterdir())[:3]
    ['history.csv', 'model.keras', 'predictions.csv']
    """
    if not folder:
        return
    check_task(task)
    check_kind(history, pd.DataFrame, "a history, as xk.train gives it")
    folder = to_path(folder)
    validation = predict(model, task.validation)
    results = {
        "schema": SCHEMA,
        "status": "done",
        "settings": (_describe_recipe(recipe) if recipe else {}) | settings,
        "task": _describe_task(task),
        "recipe": repr(recipe) if recipe else None,
        "model": {"parameters": model.count_params(), "trainable": trainable_parameters(model)},
        "history": history.reset_index().to_dict("records"),
        "scores": {
            "validation": _describe_scores(validation),
            "test": _describe_scores(predictions),
        },
        "audit": audit.with_predictions(predictions).to_dict() if audit else None,
        "perturbations": _to_records(perturbations),
        "external_validation": _to_records(external_validation),
        **_describe_environment(),
    }
    tables = {"predictions": predictions, "validation_predictions": validation}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / "model.keras", partial(_save_model, model))
        atomic_write(folder / "history.csv", history.to_csv)
        for name, table in tables.items():
            atomic_write(folder / f"{name}.csv", partial(table.to_csv, index=False))
        write_results(folder, results)
    except OSError as error:
        raise cannot_write(folder, error) from error
    except InputError:
        raise
    except (TypeError, ValueError, ValidationError) as error:
        raise InputError(f"Can't save to {folder}: {str(error).partition(chr(10))[0]}") from error


def _save_model(model: keras.Model, path: Path) -> None:
    """Save a model, and make sure that it can be loaded again, while its layers are still known."""
    model.save(path)
    try:
        keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises errors of many types
        layers = [layer for layer in model.layers if _is_own(layer)]
        names = ", ".join(f"{layer.name!r} ({type(layer).__name__})" for layer in layers)
        raise InputError(
            f"The model could not be loaded again, because of {names or 'its layers'}: build it of "
            "Keras' own layers, such as Rescaling in place of Lambda"
        ) from error


def _is_own(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.Lambda) or not type(layer).__module__.startswith("keras.")


def _describe_recipe(recipe: Recipe) -> dict[str, object]:
    settings = {"recipe": recipe.name, "backbone": recipe.backbone, "alpha": recipe.alpha}
    if recipe.stands_in_for:
        settings["stands_in_for"] = recipe.stands_in_for
    return settings


def _describe_task(task: Task) -> dict[str, object]:
    return {
        "name": task.name,
        "classes": list(task.class_names),
        "phantoms": task.phantoms,
        "images": {split: len(images) for split, images in task.parts.items()},
        "patients": {split: len(set(images.patients)) for split, images in task.parts.items()},
        "notes": list(task.notes),
        "digest": task.digest,
    }


def _describe_scores(predictions: pd.DataFrame) -> dict[str, object]:
    scores, calibrated = score(predictions), calibration(predictions)
    low, high = wilson_interval(scores.correct, scores.total)
    return {
        "correct": scores.correct,
        "total": scores.total,
        "low": low,
        "high": high,
        "loss": scores.loss,
        "brier": calibrated.brier,
        "calibration_error": calibrated.error,
        "calibration_by_chance": calibrated.by_chance[0],
        "confusion": scores.confusion.to_numpy().tolist(),
    }


def _to_records(table: pd.DataFrame | None) -> list[dict[str, object]] | None:
    return None if table is None else table.to_dict("records")


def _describe_environment() -> dict[str, dict[str, object]]:
    return {
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "hardware": {
            "system": f"{platform.system()} {platform.machine()}",
            "cpus": os.cpu_count(),
            "memory": round(psutil.virtual_memory().total / 2**30, 1),
            "devices": keras.distribution.list_devices(),
        },
    }
