"""How long a recipe takes on each device that TensorFlow sees here."""

import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pandas as pd

from .._keras import keras, tf
from ..models.graph import NotCacheableError, split_frozen
from ..recipes.recipe import Recipe
from ..training.optimizers import build_optimizer
from ..training.precision import PRECISIONS, computing_in
from ..training.train import cross_entropy

# Report B's 100 epochs of Task 2, on a network that it doesn't name; 21 steps an epoch.
REPORT_B = (
    ("report B: a cluster's CPU, 2020", 2786.0),
    ("report B: a Tesla V100, 2020", 483.0),
)
PUBLISHED_STEPS = 100 * 21
IMAGES = {"binary": (103, 26), "multiclass": (215, 54)}  # to train on and to watch, seed 42
CLASSES = {"binary": ("normal", "covid"), "multiclass": ("normal", "covid", "bac", "vir")}
TIMES = 5


def time_recipe(recipe: Recipe) -> pd.DataFrame:
    """Time a recipe's steps on each device, and reckon its whole training from them.

    New weights and random images: they take as long as real ones. Where the first layers are
    frozen, they are computed once an image and view, and each step trains the rest.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    DataFrame
        A row a device and precision: image_seconds (of the frozen part, an image),
        step_seconds (of what trains), total_seconds (of all epochs on the challenge's images,
        without the watching of validation); for Task 2 then report B's own figures.
    """
    rows = [
        {"device": device, "precision": precision, **_timed(recipe, device, precision)}
        for device in _devices()
        for precision in PRECISIONS
    ]
    for device, total in REPORT_B if recipe.task == "multiclass" else ():
        step = total / PUBLISHED_STEPS
        rows.append({"device": device, "step_seconds": step, "total_seconds": total})
    return pd.DataFrame(rows)


def _timed(recipe: Recipe, device: str, precision: str) -> dict[str, float]:
    random = np.random.default_rng(0)
    with tf.device(device):
        model = recipe.override(weights=None).build(CLASSES[recipe.task])
        labels = random.integers(0, 2, (recipe.batch_size, 1)).astype("float32")
        pixels = random.uniform(0, 255, (recipe.batch_size, *model.input_shape[1:]))
        with computing_in(precision, model):
            frozen, trained, shown = None, model, pixels.astype("float32")
            if recipe.use_feature_cache:
                with suppress(NotCacheableError):
                    frozen, trained = split_frozen(model)
            image = 0.0
            if frozen:
                image = _median(lambda: frozen.predict_on_batch(shown)) / recipe.batch_size
                shown = frozen.predict_on_batch(shown)
            trained.compile(
                optimizer=build_optimizer(recipe.optimizer, 1e-4),
                loss=cross_entropy(model),
            )
            trained.optimizer.build(trained.trainable_variables)
            step = _median(lambda: trained.train_on_batch(shown, labels))
    images, watched = IMAGES[recipe.task]
    views = 1 if recipe.augmentation == "none" else recipe.n_views
    steps = recipe.epochs * -(-images // recipe.batch_size)
    computed = image * (images * views + watched)
    return {
        "image_seconds": image,
        "step_seconds": step,
        "total_seconds": computed + steps * step,
    }


def _devices() -> list[str]:
    """Return processors and graphics cards; without a kind Keras names the faster kind alone."""
    return [name for kind in ("cpu", "gpu") for name in keras.distribution.list_devices(kind)]


def _median(work: Callable[[], object]) -> float:
    """Return the seconds that something takes, the middle of some times after the first."""
    work()
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
