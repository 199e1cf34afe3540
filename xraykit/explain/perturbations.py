"""Changed images: something taken away, or made the same in all of them."""

import io
from contextlib import redirect_stdout
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from .._keras import keras
from ..audit.features import SIDE, find_text_like_regions
from ..data.images import ImageSet
from ..data.tasks import Task, check_task
from ..errors import InputError, unknown
from ..metrics.intervals import add_intervals
from ..progress import bar, thread_map
from ..training.cross_validation import Trainable, fold_tasks
from ..training.predict import predict

UNCHANGED = "unchanged"
EDGE = 1 / 8  # of height and width: what is further in than this from each side is the thorax
WIDER, RADIUS = 5, 3  # pixels: what a mark is widened by, of 256, and what the filling looks at


def thorax(height: int, width: int) -> np.ndarray:
    """Return a mask of the thorax: three quarters of height and of width, in the middle.

    It holds the lungs in the challenge's mean image of each class. A rectangle, no segmentation:
    in a single image it may miss a little of a lung, or hold a mark.
    """
    inside = np.zeros((height, width), bool)
    top, left = round(EDGE * height), round(EDGE * width)
    inside[top : height - top, left : width - left] = True
    return inside


def unchanged(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels, unchanged."""
    return images.pixels[:]


def border_black(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels, all but the thorax black."""
    return images.pixels[:] * _thorax_of(images)[..., None]


def thorax_black(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels, the thorax black."""
    return images.pixels[:] * ~_thorax_of(images)[..., None]


def text_marks_filled(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels, letter-like pieces near the edges filled in from around them.

    What counts as such is what the audit's `marks` count, edges of ribs there included; faint text
    is not found, nor any in images of few pixels. Filled by Telea's method (2004, Journal of
    Graphics Tools 9, 23), as in OpenCV.
    """

    def filled(pixels: np.ndarray) -> np.ndarray:
        large = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (SIDE, SIDE))
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for place, box, piece in find_text_like_regions(large):
            if place != (1, 1):
                mask[box] |= piece
        mask = cv2.dilate(mask, np.ones((WIDER, WIDER), np.uint8))
        mask = cv2.resize(255 * mask, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
        return cv2.inpaint(pixels, np.uint8(mask > 0), RADIUS, cv2.INPAINT_TELEA)

    return np.stack(thread_map(filled, images.pixels[:]))


def brightness_and_border_equal(images: ImageSet, known: ImageSet) -> np.ndarray:
    """Return the pixels in grey, with one border and one histogram of the thorax for all images.

    Border and histogram are the mean of the classes' means among the images of `known`. Levels
    of the thorax change, their order doesn't: the darkest pixel of each gets the same level, and so
    on up to the brightest. Pixels that were equal stay so, on the level in the middle of theirs.
    Sharpness, texture and the build of the chest remain as they are.
    """
    inside = _thorax_of(images)
    learned = _grey(known)
    levels = _mean(np.sort(learned[:, inside], axis=1), known.labels)
    ranks = rankdata(_grey(images)[:, inside], axis=1) - 1
    equal = np.empty(images.pixels.shape[:3], np.uint8)
    equal[:, inside] = np.round(np.interp(ranks, np.arange(len(levels)), levels))
    equal[:, ~inside] = _mean(learned[:, ~inside], known.labels)
    return np.repeat(equal[..., None], 3, axis=-1)


def _thorax_of(images: ImageSet) -> np.ndarray:
    return thorax(*images.pixels.shape[1:3])


def _grey(images: ImageSet) -> np.ndarray:
    return np.stack([cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in images.pixels[:]])


def _mean(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of the classes' means, rounded, so that a large class counts no more."""
    means = [values[labels == label].mean(axis=0) for label in np.unique(labels)]
    return np.round(np.mean(means, axis=0)).astype(np.uint8)


PERTURBATIONS = {
    UNCHANGED: unchanged,
    "border black": border_black,
    "thorax black": thorax_black,
    "text-like marks filled": text_marks_filled,
    "brightness and border equal": brightness_and_border_equal,
}


def perturb(images: ImageSet, way: str, known: ImageSet) -> ImageSet:
    """Return the images, changed in one of the ways of `evaluate_perturbations`.

    Parameters
    ----------
    images : ImageSet
    way : str
        as they are, border black, thorax black, text-like marks filled, brightness and border equal.
    known : ImageSet
        The training images: what is made equal is taken from them.

    Raises
    ------
    InputError
        If there is no such way, or the training images are of another size.
    """
    if way not in PERTURBATIONS:
        raise unknown("way to perturb", way, PERTURBATIONS)
    if images.pixels.shape[1:] != known.pixels.shape[1:]:
        raise InputError(
            f"Images of {images.pixels.shape[1:]}, training images of "
            f"{known.pixels.shape[1:]}: use the same image_size for both"
        )
    return replace(images, pixels=PERTURBATIONS[way](images, known))


ORIGINAL, RETRAINED = "original model", "retrained"


def evaluate_perturbations(
    model: keras.Model, task: Task, recipe: Trainable | None = None, seed: int = 42
) -> pd.DataFrame:
    """Count right answers about test images from which something was taken away.

    A network that went by it does worse; so does one that is merely surprised, as by black that it
    never saw in training. One that is retrained on such images shows what they still tell: of
    images with the thorax black, what can be had with hardly a lung in sight.

    Parameters
    ----------
    model : keras.Model
        Trained on the task.
    task : Task
    recipe : Recipe, optional
        Trains new networks on training images changed in the same way; without it none is.
    seed : int
        Of these trainings.

    Returns
    -------
    DataFrame of Proportion
        A row a way: as they are; border black (the outer eighth on each side); thorax black (the
        rest); text-like marks filled; brightness and border equal in all images. A column for the
        network, and one for those retrained; text "" where there is none.

    Raises
    ------
    InputError
        If the model or the recipe doesn't fit the task.
    """
    check_task(task)
    return _count_correct(_predict_perturbed(model, task, recipe, seed))


def cross_validate_perturbations(
    recipe: Trainable, task: Task, folds: int = 5, seed: int = 42
) -> pd.DataFrame:
    """Count the same for the training and validation images, each left out once, by patient.

    Parameters
    ----------
    recipe, task
        As in `evaluate_perturbations`.
    folds, seed : int
        As in `cross_validate`, which cuts the same folds.

    Returns
    -------
    DataFrame of Proportion
        As of `evaluate_perturbations`.

    Raises
    ------
    InputError
        If there are too few patients for so many folds.
    """
    parts = []
    for _, _, cut in fold_tasks(recipe, task, 1, folds, seed):
        with redirect_stdout(io.StringIO()):
            model, _ = recipe.train(cut, seed)
        parts.append(_predict_perturbed(model, cut, recipe, seed))
    return _count_correct(pd.concat(parts))


def _predict_perturbed(
    model: keras.Model, task: Task, recipe: Trainable | None, seed: int
) -> pd.DataFrame:
    """Return predictions of the test images, with the way that they were changed, and whose."""
    parts = []
    for name in bar(PERTURBATIONS, "perturbing"):
        test = perturb(task.test, name, task.train)
        parts.append(predict(model, test).assign(perturbation=name, model=ORIGINAL))
        if recipe and name != UNCHANGED:
            train, validation = (
                perturb(images, name, task.train) for images in (task.train, task.validation)
            )
            with redirect_stdout(io.StringIO()):  # or it would flood the table
                other, _ = recipe.train(replace(task, train=train, validation=validation), seed)
            parts.append(predict(other, test).assign(perturbation=name, model=RETRAINED))
    return pd.concat(parts)


def _count_correct(predictions: pd.DataFrame) -> pd.DataFrame:
    is_correct = predictions["true"] == predictions["predicted"]
    labels = [predictions["perturbation"], predictions["model"]]
    counts = is_correct.groupby(labels, sort=False).agg(correct="sum", total="size")
    return add_intervals(counts.reset_index())
