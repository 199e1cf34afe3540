"""The main findings in ten figures on one page, drawn from the available images."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from .._keras import keras
from ..audit.audit import audit_task
from ..data.external import NoExternalFolderError, load_external
from ..data.metadata import image_metadata
from ..data.phantoms import draw_phantoms
from ..data.tasks import Task, load_task
from ..errors import InputError
from ..explain.embedding import cluster_separation, tsne
from ..explain.external_validation import external_validation
from ..explain.gradcam import gradcam, thorax_attention
from ..explain.perturbations import evaluate_perturbations
from ..files import atomic_write, report_write_errors, write_text
from ..log import logger, only_warnings
from ..metrics.calibration import apply_temperature, calibration, fit_temperature
from ..metrics.intervals import display_table
from ..metrics.scores import score
from ..models.classifier import build_classifier
from ..plots.comparison import plot_proportions
from ..plots.confusion import plot_confusion
from ..plots.images import plot_images
from ..plots.learning import plot_history
from ..plots.maps import plot_map, plot_tsne
from ..plots.reliability import plot_calibration
from ..recipes.choose import choose_recipe
from ..recipes.recipe import Recipe
from ..templates import render
from ..training.predict import predict
from ..training.train import train

PAGE = "README.md"  # code hosts show it as the page of a folder
MARK = "Made by `xraykit gallery`"  # identifies a page that may be replaced


@dataclass(frozen=True)
class Plate:
    """One figure with its numbers.

    Attributes
    ----------
    file, title, text, numbers : str
    figure : Figure
    """

    file: str
    title: str
    text: str
    figure: Figure
    numbers: str


@dataclass(frozen=True, eq=False)
class Material:
    """The tasks and trained networks that the figures are drawn from."""

    seed: int
    recipe: Recipe  # of Task 1
    binary: Task
    binary_model: keras.Model
    multiclass: Task
    multiclass_model: keras.Model
    history: pd.DataFrame  # of the multiclass model
    predictions: pd.DataFrame  # of its test images
    shortcut_phantoms: Task
    phantom_model: keras.Model  # trained on them
    neutral_phantoms: Task  # without a shortcut
    neutral_metadata: pd.DataFrame


def draw_gallery(
    folder: Path,
    *,
    data: str | Path = "auto",
    overrides: Mapping[str, object] | None = None,
    seed: int = 42,
) -> Path:
    """Train both tasks' networks, draw the figures, and return the page, `README.md` in `folder`.

    Parameters
    ----------
    folder : Path
        Created if missing. An earlier gallery in it is replaced after all figures are drawn.
    data : str or Path
        As in `load_task`.
    overrides : dict, optional
        Changed settings of both recipes, which are the best that can run here.
    seed : int

    Raises
    ------
    InputError
        If the images can't be found, the folder can't be used, or its `README.md` is not a
        gallery's page.
    WriteError
        If the disk is full.
    """
    with report_write_errors(folder):  # before minutes of training
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / PAGE
        if page.exists() and MARK not in page.read_text(encoding="utf-8", errors="replace"):
            raise InputError(f"{page} is not the page of a gallery: choose a new or empty folder")
    with only_warnings():  # the page names the recipes and images
        recipes = [
            choose_recipe("auto", name, overrides=overrides) for name in ("binary", "multiclass")
        ]
        tasks = [
            load_task(recipe.task, data, image_size=recipe.image_size, seed=seed)
            for recipe in recipes
        ]
        material = _train_networks(recipes, tasks, seed)
    plates = []
    for draw_plate in PLATES:
        plate = draw_plate(material)
        logger.info(plate.title)
        plates.append(plate)
    images = "phantoms" if tasks[0].phantoms else "the challenge's images"
    first, second = (recipe.name for recipe in recipes)
    text = render("gallery.md", plates=plates, images=images, seed=seed, first=first, second=second)
    with report_write_errors(folder):
        page.unlink(missing_ok=True)  # an old page must not show new figures
        for plate in plates:
            save = partial(plate.figure.savefig, dpi=80, bbox_inches="tight", pad_inches=0.1)
            atomic_write(folder / plate.file, save)
    write_text(text, page)
    return page


def _train_networks(recipes: list[Recipe], tasks: list[Task], seed: int) -> Material:
    phantoms, metadata = [], []
    for shortcut, phantom_seed in ((1.0, seed + 1), (0.0, seed + 2)):
        with tempfile.TemporaryDirectory() as folder:
            draw_phantoms(folder, task="binary", images=148, shortcut=shortcut, seed=phantom_seed)
            phantoms.append(load_task("binary", folder, image_size=128, seed=seed))
            metadata.append(image_metadata(phantoms[-1]))
    names = phantoms[0].class_names
    phantom_model = build_classifier("SmallCNN", names, image_size=128, seed=seed)
    train(phantom_model, phantoms[0], epochs=15, learning_rate=0.001, seed=seed)
    (binary_model, _), (multiclass_model, history) = (
        recipe.train(task, seed) for recipe, task in zip(recipes, tasks, strict=True)
    )
    predictions = predict(multiclass_model, tasks[1].test)
    return Material(
        seed,
        recipes[0],
        *(tasks[0], binary_model),
        *(tasks[1], multiclass_model, history, predictions),
        *(phantoms[0], phantom_model),
        *(phantoms[1], metadata[1]),
    )


def _draw_images(material: Material) -> Plate:
    return Plate(
        "images.jpg",
        "Can you predict the class without the lungs?",
        "Phantoms whose frames, letters, age and brightness are correlated with the class, about "
        "as in the challenge's images.",
        plot_images(material.shortcut_phantoms.train, max_images=12),
        repr(material.shortcut_phantoms),
    )


def _draw_baselines(material: Material) -> Plate:
    audit = audit_task(material.multiclass, predictions=material.predictions, seed=material.seed)
    scores = audit.baseline_scores.drop(columns="sees")
    return Plate(
        "baselines.png",
        "How much of the score is possible without seeing the lungs?",
        "Task 2: random forests that see one feature each, such as the file metadata, the border "
        "or text-like marks, and the network.",
        plot_proportions(scores, title="Correct images, four classes"),
        display_table(scores).to_string(),
    )


def _draw_history(material: Material) -> Plate:
    return Plate(
        "curves.png",
        "Does it learn or memorize?",
        "Task 2: a network that memorizes gets better on the training images, but not on the "
        "validation images.",
        plot_history(material.history),
        material.history.round(3).to_string(),
    )


def _draw_confusion(material: Material) -> Plate:
    scores = score(material.predictions)
    return Plate(
        "confusion.png",
        "Which classes are confused?",
        "Task 2, test images. In the challenge the images of COVID-19 are from one collection, "
        "those of the other three classes from another one.",
        plot_confusion(scores, title="Test images"),
        repr(scores),
    )


def _draw_calibration(material: Material) -> Plate:
    validation = predict(material.multiclass_model, material.multiclass.validation)
    calibrated = apply_temperature(material.predictions, fit_temperature(validation))
    calibrations = {
        "without temperature scaling": calibration(material.predictions),
        "with temperature scaling": calibration(calibrated),
    }
    return Plate(
        "calibration.png",
        "Are the probabilities calibrated?",
        "Task 2, test images. The temperature is fitted on the validation images and does not "
        "always help.",
        plot_calibration(calibrations),
        "\n\n".join(f"{name}: {result}" for name, result in calibrations.items()),
    )


def _draw_perplexities(material: Material) -> Plate:
    model, task = material.multiclass_model, material.multiclass
    return Plate(
        "tsne-perplexity.png",
        "One network, three t-SNE maps",
        "Task 2, training images: the maps differ only in the perplexity. The numbers are of the "
        "features themselves.",
        plot_tsne(model, task.train, perplexity=(5, 15, 45), seed=material.seed),
        cluster_separation(model, task).round(2).to_string(index=False),
    )


def _draw_metadata(material: Material) -> Plate:
    model, task = material.binary_model, material.binary
    layout = tsne(model, task.train.join(task.test), seed=material.seed)
    return Plate(
        "tsne-metadata.png",
        "What does the t-SNE map show?",
        "Task 1, training and test images: the map colored by class, and by metadata that a "
        "network should not use.",
        plot_map(layout, image_metadata(task)),
        cluster_separation(model, task).round(2).to_string(index=False),
    )


def _draw_gradcam(material: Material) -> Plate:
    test = material.neutral_phantoms.test
    predictions = predict(material.phantom_model, test)
    maps = gradcam(material.phantom_model, test)
    return Plate(
        "gradcam.jpg",
        "Where does it look?",
        "Grad-CAM of a small network that was trained on phantoms with a shortcut, for phantoms "
        "without one. Frames, shoulders or lungs?",
        plot_images(test, predictions=predictions, max_images=12, maps=maps),
        thorax_attention(maps, predictions).round(2).to_string(),
    )


def _draw_perturbations(material: Material) -> Plate:
    table = evaluate_perturbations(
        material.binary_model, material.binary, recipe=material.recipe, seed=material.seed
    )
    return Plate(
        "perturbations.png",
        "Which parts of the image does it need?",
        "Task 1, test images with something removed. With the thorax black, the retrained network "
        "sees only the border.",
        plot_proportions(table, title="Perturbed test images"),
        display_table(table).to_string(),
    )


def _draw_external_validation(material: Material) -> Plate:
    try:
        groups = load_external(material.binary.train.pixels.shape[1])
    except NoExternalFolderError:
        task, model = material.neutral_phantoms, material.phantom_model
        images = task.development.join(task.test)
        rows = material.neutral_metadata.groupby(["frame", "class"]).indices
        groups = {
            f"frame {frame}, {label}": images.subset(indices)
            for (frame, label), indices in rows.items()
        }
        text = (
            "There are no external images here. The figure shows phantoms instead, grouped by "
            "frame and class, with the predictions of the eighth figure's network."
        )
    else:
        task, model = material.binary, material.binary_model
        text = (
            "Predictions of Task 1's network for other people. Those with COVID-19 and the "
            "children are from the challenge's two collections, the healthy adults from a third."
        )
    table = external_validation(model, groups, class_names=task.class_names)
    return Plate(
        "external_validation.png",
        "Does it work on external images?",
        text,
        plot_proportions(table, title="External images", counted="predicted as the class"),
        display_table(table).to_string(),
    )


PLATES = (
    _draw_images,
    _draw_baselines,
    _draw_history,
    _draw_confusion,
    _draw_calibration,
    _draw_perplexities,
    _draw_metadata,
    _draw_gradcam,
    _draw_perturbations,
    _draw_external_validation,
)
