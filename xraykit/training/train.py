"""Train a classifier on a task: compile, fit, and return the history."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm.std import tqdm

from .._keras import keras
from ..data.augmentation import Augmentation
from ..data.tasks import Task, check_task
from ..errors import (
    InputError,
    TrainingError,
    check_choice,
    check_whole_number,
    to_number,
    unknown,
)
from ..log import logger
from ..models.classifier import check_model_fits_images, choose_accuracy, choose_loss
from ..models.graph import NotCacheableError, split_frozen
from ..progress import is_interactive
from . import OPTIMIZERS, PRECISION_CHOICES
from .batch_norm import recalibrate
from .batches import Batches, Views
from .cache_folder import CacheError
from .checkpoint import Checkpoint, checkpoint_path
from .feature_cache import FeatureCache
from .optimizers import LearningRate, build_optimizer
from .precision import choose_precision, set_precision

# Small heads spend a fifth of their time between steps. XLA (jit_compile) was slower on every tail.
MAX_STEPS_PER_EXECUTION = 32
TIMESTAMPS_AFTER_EPOCH_2 = 3  # the remaining time is estimated then; the first epoch is slower
MAX_EPOCH_LINES = 20  # of longer trainings every tenth is shown
Schedule = keras.optimizers.schedules.LearningRateSchedule


def train(
    model: keras.Model,
    task: Task,
    *,
    epochs: int,
    batch_size: int = 10,
    learning_rate: LearningRate = 5e-4,
    optimizer: str = "adam",
    augmentation: Augmentation | None = None,
    n_views: int = 8,
    use_feature_cache: bool = True,
    precision: str = "float32",
    cache_dtype: str = "float16",
    early_stopping: int | None = None,
    restore_best_weights: bool = False,
    class_weight: Mapping[str, float] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    seed: int = 42,
) -> pd.DataFrame:
    """Compile `model` and fit it to `task.train`, with `task.validation` for validation.

    Every image is used once per epoch, in an order drawn from (seed, epoch); the last batch may be
    smaller. Validation images are never augmented or shuffled. The loss is binary or categorical
    cross-entropy, depending on the model's output.

    If all layers up to some point are frozen, their outputs are computed once for each image and
    view, and stored on disk in the feature cache for this and later trainings. Only the rest of the
    network is then trained. A printed line says whether the cache is used, and if not, why.

    If `XRAYKIT_CHECKPOINT_DIR` names a folder, as under `xraykit run`, the state is saved after
    each epoch, and an interrupted training resumes from there when it is started again. This needs
    the same initial weights, and layers from Keras only.

    Parameters
    ----------
    model : keras.Model
        From raw pixels to class probabilities; its weights are trained in place.
    task : Task
    epochs, batch_size : int
    learning_rate : float or Keras schedule
        A schedule counts steps; an epoch has `ceil(len(task.train) / batch_size)` of them.
    optimizer : {"adam", "sgd", "rmsprop"}
        With Keras' defaults except for the learning rate.
    augmentation : Augmentation, optional
        Each epoch uses one augmented view per training image, drawn from (seed, epoch).
    n_views : int
        Number of augmented views per image; 0 turns augmentation off. Under `Augmentation()` eight
        views are as good as new ones in each epoch; stronger augmentation needs more
        (docs/results/reproduction.md).
    use_feature_cache : bool
        False trains the whole network, with new views in each epoch; this is several times slower.
    precision : {"float32", "mixed_bfloat16", "auto"}
        The model computes in it from now on. Mixed precision is accurate to about 3 digits. On
        processors with bfloat16 it is faster for networks of ordinary convolutions such as VGG16,
        but slower for MobileNets. "auto" is mixed precision on such a processor (which Linux
        alone reports), and float32 on others.
    cache_dtype : {"float16", "float32"}
        Storage type of cached features; float32 needs twice the space. If float16 cannot hold
        them, the whole file is stored as float32.
    early_stopping : int, optional
        Stop after this number of epochs without a lower validation loss.
    restore_best_weights : bool
        Whether the model ends with the weights of the epoch with the lowest validation loss.
    class_weight : dict of str to float, optional
        The weight of each class in the training loss, by class name; 1 for those that are not
        named. The validation loss is not weighted.
    callbacks : sequence of Keras callbacks
        Called during training, after those of this function. With the feature cache their
        `self.model` is the part of the network that is trained; it shares its layers with `model`.
        Such a training writes no checkpoint, because the state of callbacks would be lost.
    seed : int
        Random seed for shuffling, dropout and augmentation. Two trainings with the same initial
        weights on one machine agree exactly if both use the feature cache, or neither does.

    Returns
    -------
    DataFrame
        One row per epoch, from 1: loss, accuracy, val_loss, val_accuracy, as Keras names them.

    Raises
    ------
    InputError
        If a value is out of range, or the model does not fit the task.
    TrainingError
        If the loss becomes NaN or infinite.
    WriteError
        If the disk is too full for the state of the training.

    Examples
    --------
    >>> model = xk.build_classifier("SmallCNN", task.class_names, image_size=32)
    >>> history = xk.train(model, task, epochs=2, learning_rate=1e-3)
    >>> history.columns.tolist()
    ['accuracy', 'loss', 'val_accuracy', 'val_loss']
    """
    arguments = {name: value for name, value in locals().items() if name in CONSTRAINTS}
    check_task(task)
    _check_arguments(arguments)
    check_model_fits_images(model, task.train)
    label_weights = _by_label(class_weight, task.class_names)
    arguments["precision"] = choose_precision(precision)
    _prepare_model(model, task, seed)
    views = _make_views(task, augmentation, n_views, use_feature_cache, seed)
    compile_options = {
        "optimizer": build_optimizer(optimizer, learning_rate),
        "loss": choose_loss(model),
        "metrics": [choose_accuracy(model)],
    }
    start = time.perf_counter()
    set_precision(model, arguments["precision"])
    network, *inputs = _choose_input(model, views, use_feature_cache, cache_dtype)
    training = Batches(views[0], inputs[0], batch_size, seed)
    validation = Batches(views[1], inputs[1], batch_size=32)
    drawn = {"augmentation": repr(views[0].augmentation), "n_views": views[0].count}
    path = None
    if not callbacks:  # their state can't be saved, and they may count batches
        path = checkpoint_path(model, task, from_cache=network is not model, **arguments | drawn)
        compile_options["steps_per_execution"] = _choose_steps_per_execution(len(training))
    stopping = None
    if early_stopping or restore_best_weights:
        patience = early_stopping or epochs
        stopping = keras.callbacks.EarlyStopping(
            patience=patience, restore_best_weights=restore_best_weights
        )
    checkpoint = Checkpoint(path, stopping) if path else None
    try:
        network.compile(**compile_options)
        history = _fit(
            network,
            training,
            validation,
            epochs,
            stopping,
            checkpoint,
            callbacks=callbacks,
            class_weight=label_weights,
        )
    finally:  # also discards what was compiled for another precision
        model.compile(**compile_options)
    seconds = checkpoint.seconds if checkpoint else time.perf_counter() - start
    _check_history(history, learning_rate)
    best = history["val_loss"].idxmin()
    logger.info(
        f"Trained {len(history)} epochs in {seconds:.0f} s. The model has the weights of "
        f"{f'epoch {best}, the best' if restore_best_weights else 'the last epoch'}."
    )
    return history


def _check_type(name: str, value: object, kind: tuple[type, str]) -> None:
    if not isinstance(value, kind[0]):
        raise InputError(f"{name}={value!r}: expected {kind[1]}")


def _check_rate(name: str, value: Any, lower: float) -> None:
    if not isinstance(value, Schedule) and not lower < to_number(value) < np.inf:
        raise InputError(f"{name}={value!r}: expected a number above {lower}")


def _check_class_weight(name: str, value: Any, _: None) -> None:
    is_dict = isinstance(value, Mapping)
    if not is_dict or not all(0 <= to_number(weight) < np.inf for weight in value.values()):
        raise InputError(
            f"{name}={value!r}: expected a dict of class names and weights, such as "
            '{"covid": 2.0}'
        )


def _check_callbacks(name: str, value: Any, _: None) -> None:
    is_list = isinstance(value, list | tuple)
    if not is_list or not all(isinstance(item, keras.callbacks.Callback) for item in value):
        raise InputError(f"{name}={value!r}: expected a list of Keras callbacks")


OPTIONAL = ("early_stopping", "augmentation", "class_weight")  # may be None
CONSTRAINTS: dict[str, tuple[Callable, object]] = {
    "epochs": (check_whole_number, 1),
    "batch_size": (check_whole_number, 1),
    "seed": (check_whole_number, 0),
    "early_stopping": (check_whole_number, 1),
    "n_views": (check_whole_number, 0),
    "optimizer": (check_choice, OPTIMIZERS),
    "precision": (check_choice, PRECISION_CHOICES),
    "cache_dtype": (check_choice, ("float16", "float32")),
    "restore_best_weights": (_check_type, (bool, "True or False")),
    "augmentation": (_check_type, (Augmentation, "an xk.Augmentation")),
    "learning_rate": (_check_rate, 0),
    "class_weight": (_check_class_weight, None),
    "callbacks": (_check_callbacks, None),
}


def _check_arguments(arguments: dict[str, object]) -> None:
    for name, (check, limit) in CONSTRAINTS.items():
        if arguments[name] is not None or name not in OPTIONAL:
            check(name, arguments[name], limit)


def _by_label(
    class_weight: Mapping[str, float] | None, class_names: Sequence[str]
) -> dict[int, float] | None:
    """Return the weight of each label, as Keras takes it."""
    if class_weight is None:
        return None
    for name in class_weight:
        if name not in class_names:
            raise unknown("class in class_weight", name, class_names)
    return {label: float(class_weight.get(name, 1)) for label, name in enumerate(class_names)}


def _prepare_model(model: keras.Model, task: Task, seed: int) -> None:
    """Seed the model's dropout, and re-estimate BatchNorm statistics where that is requested."""
    for layer in model.layers:
        if getattr(layer, "seed_generator", None) is not None:  # Dropout(0) has none
            layer.seed_generator.state.assign([seed, 0])
    if model.compiled and model.optimizer.iterations > 0:
        logger.warning(
            "This model was trained before, and training continues from its weights; "
            "build it again to start over."
        )
    recalibrate(model, task.train)


def _make_views(
    task: Task, augmentation: Augmentation | None, n_views: int, use_feature_cache: bool, seed: int
) -> tuple[Views, Views]:
    """Return the views of the training images and of the validation images."""
    if augmentation is None or n_views == 0:
        return Views(task.train, None, 1, seed), Views(task.validation)
    count = n_views if use_feature_cache else None
    return Views(task.train, augmentation, count, seed), Views(task.validation)


def _choose_input(
    model: keras.Model,
    views: tuple[Views, Views],
    use_feature_cache: bool,
    cache_dtype: str,
) -> tuple[keras.Model, Callable, Callable]:
    """Return the network to train, and the readers of its training and validation input."""
    try:
        if not use_feature_cache:
            raise NotCacheableError("use_feature_cache=False")
        prefix, tail = split_frozen(model)
        cache = FeatureCache(prefix, cache_dtype)
        readers = [cache.features(part) for part in views]
    except (NotCacheableError, CacheError) as error:
        logger.info(f"Training the whole network: {error}.")
        return model, *(part.pixels for part in views)
    last = prefix.layers[-1].name
    logger.info(f"Using the feature cache: all layers up to {last!r} are frozen.")
    return tail, *readers


def _choose_steps_per_execution(steps: int) -> int:
    """Return a divisor of the steps per epoch, because Keras would otherwise run more steps."""
    return max(count for count in range(1, MAX_STEPS_PER_EXECUTION + 1) if steps % count == 0)


def _fit(
    network: keras.Model,
    training: Batches,
    validation: Batches,
    epochs: int,
    stopping: keras.callbacks.EarlyStopping | None,
    checkpoint: Checkpoint | None,
    callbacks: Sequence[keras.callbacks.Callback],
    class_weight: dict[int, float] | None,
) -> pd.DataFrame:
    """Fit the compiled network, after the checkpoint's epochs, and return the whole history."""
    completed = checkpoint.epochs.copy() if checkpoint else []
    if completed:
        logger.info(f"This training was interrupted: resuming after epoch {len(completed)}.")
    network.optimizer.build(network.trainable_variables)
    progress = _make_progress_callback(epochs)
    own = [progress, keras.callbacks.TerminateOnNaN(), stopping, checkpoint]
    fitted = network.fit(
        training.dataset(len(completed), epochs),
        steps_per_epoch=len(training),
        validation_data=validation.dataset(),
        initial_epoch=len(completed),
        epochs=len(completed) if checkpoint and checkpoint.stopped else epochs,
        callbacks=[callback for callback in (*own, *callbacks) if callback],
        class_weight=class_weight,
        shuffle=False,  # the data set has its order
        verbose=0,
    )
    history = pd.concat([pd.DataFrame(completed), pd.DataFrame(fitted.history)])
    history.index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    return history


def _check_history(history: pd.DataFrame, learning_rate: LearningRate) -> None:
    if not np.isfinite(history.to_numpy()).all():
        is_schedule = isinstance(learning_rate, Schedule)
        rate = "lower learning rates" if is_schedule else f"a learning rate below {learning_rate}"
        raise TrainingError(
            f"The loss became NaN or infinite in epoch {len(history)}: build the model again and "
            f"train it with {rate}"
        )


def _make_progress_callback(epochs: int) -> keras.callbacks.Callback:
    """Return a progress bar in an interactive session, otherwise lines.

    There is one line for each epoch; of long trainings for the first ones and every tenth.
    """
    if is_interactive():
        from tqdm.keras import TqdmCallback  # only after `_keras`: it imports Keras, with messages

        short = "epoch {n_fmt}/{total_fmt} {bar:10} {remaining} left{postfix}"
        return TqdmCallback(epochs, verbose=0, tqdm_class=tqdm, bar_format=short, file=sys.stdout)

    timestamps: list[float] = []

    def note_time(*_: object) -> None:
        timestamps.append(time.perf_counter())

    def print_epoch(epoch: int, logs: dict[str, float]) -> None:
        note_time()
        number = epoch + 1
        if number > 3 and epochs > MAX_EPOCH_LINES and number % 10 and number < epochs:
            return
        metrics = "  ".join(f"{name} {value:.3f}" for name, value in logs.items())
        remaining = (timestamps[-1] - timestamps[-2]) * (epochs - epoch - 1)
        has_estimate = len(timestamps) == TIMESTAMPS_AFTER_EPOCH_2 and remaining >= 1
        estimate = f"  about {remaining:.0f} s to go" if has_estimate else ""
        logger.info(f"epoch {number:>3}/{epochs}  {metrics}{estimate}")

    return keras.callbacks.LambdaCallback(on_train_begin=note_time, on_epoch_end=print_epoch)
