"""Training time of a recipe on each device that TensorFlow finds."""

import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pandas as pd

from .._keras import keras, tf
from ..models.classifier import choose_loss
from ..models.graph import NotCacheableError, split_frozen
from ..recipes.recipe import Recipe
from ..training import PRECISIONS
from ..training.optimizers import build_optimizer
from ..training.precision import set_precision

# Report B's times for 100 epochs of Task 2, with a network that it does not name.
REPORT_B_SECONDS = (
    ("report B: a cluster's CPU, 2020", 2786.0),
    ("report B: a Tesla V100, 2020", 483.0),
)
REPORT_B_STEPS = 100 * 21
IMAGES = {"binary": (103, 26), "multiclass": (215, 54)}  # training and validation, seed 42
CLASSES = {"binary": ("normal", "covid"), "multiclass": ("normal", "covid", "bac", "vir")}
REPEATS = 5


def time_recipe(recipe: Recipe) -> pd.DataFrame:
    """Time a recipe's steps on each device, and estimate its whole training from them.

    Weights and images are random, which take as long as real ones. Frozen first layers are computed
    once per image and view, and each step trains the rest.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    DataFrame
        One row per device and precision: image_seconds (the frozen layers, per image),
        step_seconds (the trained layers, per step), total_seconds (all epochs on the challenge's
        images, without validation). For Task 2, report B's times follow.

    Examples
    --------
    >>> table = xk.time_recipe(recipe)
    >>> table.columns.tolist()
    ['device', 'precision', 'image_seconds', 'step_seconds', 'total_seconds']
    """
    rows = [
        {"device": device, "precision": precision, **_time_training(recipe, device, precision)}
        for device in _list_devices()
        for precision in PRECISIONS
    ]
    for device, total in REPORT_B_SECONDS if recipe.task == "multiclass" else ():
        step = total / REPORT_B_STEPS
        rows.append({"device": device, "step_seconds": step, "total_seconds": total})
    return pd.DataFrame(rows)


def _time_training(recipe: Recipe, device: str, precision: str) -> dict[str, float]:
    random = np.random.default_rng(0)
    with tf.device(device):
        model = recipe.override(weights=None).build(CLASSES[recipe.task])
        labels = random.integers(0, 2, (recipe.batch_size, 1)).astype("float32")
        pixels = random.uniform(0, 255, (recipe.batch_size, *model.input_shape[1:]))
        set_precision(model, precision)
        frozen, trained, inputs = None, model, pixels.astype("float32")
        if recipe.use_feature_cache:
            with suppress(NotCacheableError):
                frozen, trained = split_frozen(model)
        image = 0.0
        if frozen:
            image = _measure_time(lambda: frozen.predict_on_batch(inputs)) / recipe.batch_size
            inputs = frozen.predict_on_batch(inputs)
        optimizer = build_optimizer(recipe.optimizer, 1e-4)
        trained.compile(optimizer=optimizer, loss=choose_loss(model))
        trained.optimizer.build(trained.trainable_variables)
        step = _measure_time(lambda: trained.train_on_batch(inputs, labels))
    n_train, n_validation = IMAGES[recipe.task]
    n_views = 1 if recipe.augmentation == "none" else recipe.n_views
    n_steps = recipe.epochs * -(-n_train // recipe.batch_size)
    total = image * (n_train * n_views + n_validation) + n_steps * step
    return {"image_seconds": image, "step_seconds": step, "total_seconds": total}


def _list_devices() -> list[str]:
    """Return CPUs and GPUs; without a kind, Keras would list only the faster kind."""
    return [name for kind in ("cpu", "gpu") for name in keras.distribution.list_devices(kind)]


def _measure_time(work: Callable[[], object]) -> float:
    """Return the median duration of a call in seconds; a first call warms up and is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
