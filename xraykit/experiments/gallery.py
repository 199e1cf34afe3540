"""The story in ten figures, on one page, from the images at hand."""

import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
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
from ..explain.evaluate_perturbations import evaluate_perturbations
from ..explain.external_validation import external_validation
from ..explain.gradcam import gradcam, thorax_attention
from ..files import atomic_write, write_text
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
from ..templates import render
from ..training.predict import predict
from ..training.train import train

PAGE = "README.md"  # which a folder's page on a code host begins with
MARK = "Made by `xraykit gallery`"  # by which a page is known as one that may be replaced


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


def draw_gallery(
    folder: Path,
    data: str | Path = "auto",
    overrides: Mapping[str, object] | None = None,
    seed: int = 42,
) -> Path:
    """Train both tasks' networks, draw the figures, and return the page, `README.md` in `folder`.

    Parameters
    ----------
    folder : Path
        Made if need be. What an earlier gallery left is replaced, once all figures are drawn.
    data : str or Path
        As in `load_task`.
    overrides : dict, optional
        Settings of both recipes to change; the recipes are the best that can run here.
    seed : int

    Raises
    ------
    InputError
        If the images can't be found, the folder can't be written, or its `README.md` is
        another's.
    """
    with _writing_to(folder):  # or minutes would be lost
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / PAGE
        if page.exists() and MARK not in page.read_text(encoding="utf-8", errors="replace"):
            raise InputError(f"{page} is no gallery's page: name a new or empty folder")
    with redirect_stdout(io.StringIO()):  # the page says it
        plans = [choose_recipe("auto", name, overrides) for name in ("binary", "multiclass")]
        tasks = [load_task(plan.task, data, plan.image_size, seed=seed) for plan in plans]
    plates = []
    for plate in _plates(plans, tasks, seed):
        print(plate.title, flush=True)
        plates.append(plate)
    images = "phantoms" if tasks[0].phantoms else "the challenge's images"
    names = {"first": plans[0].name, "second": plans[1].name}
    text = render("gallery.md", plates=plates, images=images, seed=seed, **names)
    with _writing_to(folder):
        page.unlink(missing_ok=True)  # or it might stand beside others' figures
        for plate in plates:
            save = partial(plate.figure.savefig, dpi=80, bbox_inches="tight", pad_inches=0.1)
            atomic_write(folder / plate.file, save)
    write_text(text, page)
    return page


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"Can't write to {folder}: {error.strerror or error}") from error


def _plates(plans: list, tasks: list[Task], seed: int) -> Iterator[Plate]:
    with redirect_stdout(io.StringIO()):
        tied, free, facts, small = _phantoms(seed)
        (first, _), (second, history) = (
            plan.train(task, seed) for plan, task in zip(plans, tasks, strict=True)
        )
    one, four = tasks
    predictions = predict(second, four.test)
    scores = score(predictions)

    yield Plate(
        "images.jpg",
        "Cover the lungs: can you still tell?",
        "Phantoms whose frames, letters, age and brightness go with the class, about as in the "
        "challenge's images.",
        plot_images(tied.train, most=12),
        repr(tied),
    )
    baselines = audit_task(four, predictions, seed=seed).baseline_scores.drop(columns="sees")
    yield Plate(
        "without-lungs.png",
        "What needs no lungs",
        "Task 2: random forests that see the file, the border or marks, beside the network.",
        plot_proportions(baselines, "Correct images, four classes"),
        display_table(baselines).to_string(),
    )
    yield Plate(
        "curves.png",
        "Does it learn, or recite?",
        "Task 2: what matters is whether validation follows training.",
        plot_history(history),
        history.round(3).to_string(),
    )
    yield Plate(
        "confusion.png",
        "Which classes are mixed up",
        "Task 2, test images. In the challenge COVID-19 comes from a collection of its own, and "
        "the other three share one.",
        plot_confusion(scores, "Test images"),
        repr(scores),
    )
    cooler = apply_temperature(predictions, fit_temperature(predict(second, four.validation)))
    sure = {"as trained": calibration(predictions), "with temperature": calibration(cooler)}
    yield Plate(
        "calibration.png",
        "As sure as it is right?",
        "Task 2, test images; the temperature is fitted on validation, and need not help.",
        plot_calibration(sure),
        "\n\n".join(f"{name}: {each}" for name, each in sure.items()),
    )
    yield Plate(
        "tsne-perplexity.png",
        "One network, three maps",
        "Task 2, training images: what changes with the perplexity is the map's doing. The "
        "numbers are of the features themselves.",
        plot_tsne(second, four.train, perplexity=(5, 15, 45), seed=seed),
        cluster_separation(second, four).to_string(),
    )
    yield Plate(
        "tsne-facts.png",
        "A map of what?",
        "Task 1, training and test images: the map by class, and the same map by what a network "
        "should not go by.",
        plot_map(tsne(first, one.train.join(one.test), seed=seed), image_metadata(one)),
        cluster_separation(first, one).to_string(),
    )
    said = predict(small, free.test)
    maps = gradcam(small, free.test)
    yield Plate(
        "gradcam.jpg",
        "Where it looks",
        "Grad-CAM of a small network that learned phantoms whose habits go with the class, on "
        "phantoms in which they don't. Frames, shoulders or lungs?",
        plot_images(free.test, said, most=12, maps=maps),
        thorax_attention(maps, said).round(2).to_string(),
    )
    perturbed = evaluate_perturbations(first, one, plans[0], seed)
    yield Plate(
        "perturbations.png",
        "What it can do without",
        "Task 1, test images with something taken away. With the thorax black a network is "
        "retrained on the border alone.",
        plot_proportions(perturbed, "Test images right, of images changed"),
        display_table(perturbed).to_string(),
    )
    called, where = _called_elsewhere(first, one, small, free, facts)
    yield Plate(
        "external_validation.png",
        "Does it hold elsewhere?",
        where,
        plot_proportions(called, "Images from elsewhere", "called so"),
        display_table(called).to_string(),
    )


def _phantoms(seed: int) -> tuple[Task, Task, pd.DataFrame, keras.Model]:
    """Return phantoms at shortcut 1 and 0, facts about the second, and a network of the first."""
    tasks, facts = [], []
    for shortcut, number in ((1.0, seed + 1), (0.0, seed + 2)):
        with tempfile.TemporaryDirectory() as folder:
            draw_phantoms(folder, "binary", 148, shortcut, number)
            tasks.append(load_task("binary", folder, image_size=128, seed=seed))
            facts.append(image_metadata(tasks[-1]))
    tied, free = tasks
    small = build_classifier("SmallCNN", tied.class_names, image_size=128, seed=seed)
    train(small, tied, epochs=15, learning_rate=0.001, seed=seed)
    return tied, free, facts[1], small


def _called_elsewhere(
    model: keras.Model, task: Task, small: keras.Model, free: Task, facts: pd.DataFrame
) -> tuple[pd.DataFrame, str]:
    """Return what images from elsewhere are called, or phantoms if there are none, and which."""
    try:
        groups = load_external(task.train.pixels.shape[1])
    except NoExternalFolderError:
        images = free.development.join(free.test)
        rows = facts.groupby(["frame", "class"]).indices
        groups = {
            f"frame {frame}, {label}": images.subset(own) for (frame, label), own in rows.items()
        }
        where = (
            "No images from elsewhere are here, so phantoms show it: by the frame around them "
            "and by class, as called by the network of the eighth figure."
        )
        return external_validation(small, free.class_names, groups), where
    where = (
        "What Task 1's network calls other people. Those with COVID-19 and the children are from "
        "the challenge's own two collections; the healthy adults are from a third."
    )
    return external_validation(model, task.class_names, groups), where
