"""Perturbed images: a region is removed, or made the same in all images."""

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
from ..log import only_warnings
from ..metrics.intervals import add_intervals
from ..progress import bar, thread_map
from ..training.cross_validation import Trainable, fold_tasks
from ..training.predict import predict

UNCHANGED, ORIGINAL, RETRAINED = "unchanged", "original model", "retrained"
BORDER = 1 / 8  # of height and width on each side
DILATION, RADIUS = 5, 3  # pixels: around a mark, of 256; of the neighborhood for inpainting


def thorax_mask(height: int, width: int) -> np.ndarray:
    """Return a mask of the thorax: the middle three quarters of height and width.

    It holds the lungs in the challenge's mean image of each class. It is a rectangle, not a
    segmentation: in a single image it may miss a little of a lung, or contain a mark.
    """
    mask = np.zeros((height, width), bool)
    top, left = round(BORDER * height), round(BORDER * width)
    mask[top : height - top, left : width - left] = True
    return mask


def keep_unchanged(images: ImageSet, reference: ImageSet) -> np.ndarray:
    """Return the pixels, unchanged."""
    return images.pixels[:]


def blacken_border(images: ImageSet, reference: ImageSet) -> np.ndarray:
    """Return the pixels; all but the thorax is black."""
    return images.pixels[:] * _mask_of(images)[..., None]


def blacken_thorax(images: ImageSet, reference: ImageSet) -> np.ndarray:
    """Return the pixels; the thorax is black."""
    return images.pixels[:] * ~_mask_of(images)[..., None]


def fill_text_marks(images: ImageSet, reference: ImageSet) -> np.ndarray:
    """Return the pixels; text-like marks near the edges are inpainted.

    The marks are those that the audit counts, including edges of ribs. Faint text is missed, and
    any text in very small images. Inpainted by Telea's method (2004, Journal of Graphics Tools 9,
    23), as in OpenCV.
    """

    def fill(pixels: np.ndarray) -> np.ndarray:
        gray = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (SIDE, SIDE))
        mask: np.ndarray = np.zeros((SIDE, SIDE), np.uint8)
        for place, box, region in find_text_like_regions(gray):
            if place != (1, 1):
                mask[box] |= region
        mask = cv2.dilate(mask, np.ones((DILATION, DILATION), np.uint8))
        mask = cv2.resize(255 * mask, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
        return cv2.inpaint(pixels, (mask > 0).astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)

    return np.stack(thread_map(fill, images.pixels[:]))


def equalize_images(images: ImageSet, reference: ImageSet) -> np.ndarray:
    """Return gray pixels; all images have the same border and the same histogram of the thorax.

    Border and histogram are the mean over the classes of their means among the reference images.
    Gray levels of the thorax change, their order does not: the darkest pixel of each image gets
    the same level, and so on up to the brightest. Equal pixels stay equal, at the level in the
    middle of their ranks. Sharpness, texture and the build of the chest remain.
    """
    mask = _mask_of(images)
    gray = _to_gray(reference)
    levels = _average_classes(np.sort(gray[:, mask], axis=1), reference.labels)
    ranks = rankdata(_to_gray(images)[:, mask], axis=1) - 1
    equalized = np.empty(images.pixels.shape[:3], np.uint8)
    equalized[:, mask] = np.round(np.interp(ranks, np.arange(len(levels)), levels))
    equalized[:, ~mask] = _average_classes(gray[:, ~mask], reference.labels)
    return np.repeat(equalized[..., None], 3, axis=-1)


def _mask_of(images: ImageSet) -> np.ndarray:
    return thorax_mask(*images.pixels.shape[1:3])


def _to_gray(images: ImageSet) -> np.ndarray:
    return np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images.pixels[:]])


def _average_classes(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of the classes' means, rounded, so that all classes have equal weight."""
    means = [values[labels == label].mean(axis=0) for label in np.unique(labels)]
    return np.mean(means, axis=0).round().astype(np.uint8)


PERTURBATIONS = {
    UNCHANGED: keep_unchanged,
    "border black": blacken_border,
    "thorax black": blacken_thorax,
    "text-like marks filled": fill_text_marks,
    "brightness and border equal": equalize_images,
}


def perturb(images: ImageSet, perturbation: str, *, reference: ImageSet) -> ImageSet:
    """Return the images with one of the perturbations of `evaluate_perturbations`.

    Parameters
    ----------
    images : ImageSet
    perturbation : str
        unchanged, border black, thorax black, text-like marks filled or brightness and border
        equal.
    reference : ImageSet
        The training images, from which the common border and brightness are computed.

    Raises
    ------
    InputError
        If the perturbation is unknown, or the reference images have another size.

    Examples
    --------
    >>> images = xk.perturb(task.test, "border black", reference=task.train)
    >>> int(images.pixels[:, 0].max()), images.paths == task.test.paths
    (0, True)
    """
    if perturbation not in PERTURBATIONS:
        raise unknown("perturbation", perturbation, PERTURBATIONS)
    if images.pixels.shape[1:] != reference.pixels.shape[1:]:
        raise InputError(
            f"Images of {images.pixels.shape[1:]}, training images of "
            f"{reference.pixels.shape[1:]}: use the same image_size for both"
        )
    return replace(images, pixels=PERTURBATIONS[perturbation](images, reference))


def evaluate_perturbations(
    model: keras.Model, task: Task, *, recipe: Trainable | None = None, seed: int = 42
) -> pd.DataFrame:
    """Count correct predictions of perturbed test images.

    A model that used the removed information does worse. So does one that merely never saw such
    images, as with black regions. A model that is retrained on images with the same perturbation
    shows how much information remains: with the thorax black, almost without the lungs.

    Parameters
    ----------
    model : keras.Model
        Trained on the task.
    task : Task
    recipe : Recipe, optional
        Trains a new model on the training images with each perturbation. Without it none is.
    seed : int
        Random seed for these trainings.

    Returns
    -------
    DataFrame
        One row per perturbation and model: perturbation (unchanged; border black, the outer eighth
        on each side; thorax black, the rest; text-like marks filled; brightness and border equal
        in all images), model (original model or retrained), correct, total, low, high (the 95 %
        interval of the accuracy).

    Raises
    ------
    InputError
        If the model or the recipe doesn't fit the task.

    Examples
    --------
    >>> table = xk.evaluate_perturbations(model, task)
    >>> table["perturbation"].tolist()[:3]
    ['unchanged', 'border black', 'thorax black']
    """
    check_task(task)
    return _count_correct(_predict_perturbed(model, task, recipe, seed))


def cross_validate_perturbations(
    recipe: Trainable, task: Task, *, folds: int = 5, seed: int = 42
) -> pd.DataFrame:
    """Count correct predictions of perturbed images, in a cross-validation by patient.

    Each training and validation image is held out once; the test images are not used.

    Parameters
    ----------
    recipe, task
        As in `evaluate_perturbations`.
    folds, seed : int
        As in `cross_validate`, which makes the same folds.

    Returns
    -------
    DataFrame
        As of `evaluate_perturbations`.

    Raises
    ------
    InputError
        If a class has fewer patients than folds.

    Examples
    --------
    >>> table = xk.cross_validate_perturbations(recipe, task, folds=2)
    >>> sorted(set(table["model"]))
    ['original model', 'retrained']
    """
    predictions = []
    for _, _, fold_task in fold_tasks(recipe, task, repeats=1, folds=folds, seed=seed):
        with only_warnings():
            model, _ = recipe.train(fold_task, seed)
        predictions.append(_predict_perturbed(model, fold_task, recipe, seed))
    return _count_correct(pd.concat(predictions))


def _predict_perturbed(
    model: keras.Model, task: Task, recipe: Trainable | None, seed: int
) -> pd.DataFrame:
    """Return predictions of the test images under each perturbation, by each model."""
    predictions = []
    for name in bar(PERTURBATIONS, "perturbing"):
        test = perturb(task.test, name, reference=task.train)
        predictions.append(predict(model, test).assign(perturbation=name, model=ORIGINAL))
        if recipe and name != UNCHANGED:
            train, validation = (
                perturb(images, name, reference=task.train)
                for images in (task.train, task.validation)
            )
            with only_warnings():  # or it would flood the table
                other, _ = recipe.train(replace(task, train=train, validation=validation), seed)
            predictions.append(predict(other, test).assign(perturbation=name, model=RETRAINED))
    return pd.concat(predictions)


def _count_correct(predictions: pd.DataFrame) -> pd.DataFrame:
    is_correct = predictions["true"] == predictions["predicted"]
    labels = [predictions["perturbation"], predictions["model"]]
    counts = is_correct.groupby(labels, sort=False).agg(correct="sum", total="size")
    return add_intervals(counts.reset_index())
