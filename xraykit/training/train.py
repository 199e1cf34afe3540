"""Train a classifier on a task: compile, fit, and give back the history."""

import sys
import time
from collections.abc import Callable
from numbers import Real

import numpy as np
import pandas as pd
from tqdm.std import tqdm

from .._keras import keras
from ..data.augmentation import Augmentation
from ..data.images import ImageSet, check_images
from ..data.tasks import Task, check_task
from ..errors import InputError, check_whole_number, unknown
from ..models.classifier import check_model
from ..models.graph import NotCacheableError, split_frozen
from ..progress import is_interactive
from .batch_norm import recalibrate
from .batches import Batches, Views
from .cache_folder import CacheError
from .checkpoint import Checkpoint, checkpoint_path
from .feature_cache import FeatureCache
from .optimizers import OPTIMIZERS, build_optimizer
from .precision import PRECISIONS, computing_in

# Small heads spend a fifth of their time between steps. XLA (jit_compile) was slower on every tail.
MAX_STEPS_PER_EXECUTION = 32
TIMESTAMPS_AFTER_EPOCH_2 = (
    3  # times noted by the end of the second epoch; the first is slower than the rest
)


def train(
    model: keras.Model,
    task: Task,
    epochs: int,
    batch_size: int = 10,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 5e-4,
    optimizer: str = "adam",
    augmentation: Augmentation | None = None,
    n_views: int = 8,
    use_feature_cache: bool = True,
    precision: str = "float32",
    cache_dtype: str = "float16",
    early_stopping: int | None = None,
    restore_best_weights: bool = False,
    seed: int = 42,
) -> pd.DataFrame:
    """Compile `model`, fit it to `task.train`, and watch `task.validation`.

    Every image is seen once an epoch, the last and smaller batch included, in an order drawn
    from (seed, epoch). Validation images are never augmented or shuffled. The loss is binary or
    categorical cross-entropy, by the model's output; accuracy counts whole images.

    Where all layers up to some point are frozen, their output for each image, and each of its
    `n_views`, is computed once and kept on disk in the feature cache (README), also for the next
    training; only the rest of the network is trained from there, through `keras.Model.fit`. The
    model then has the trained weights as if the whole of it had been trained. What is printed says
    which way it took, and why, if it was the exact one.

    Under `xraykit run` the state is kept after each epoch, and a run that was interrupted, started
    again, goes on from there. (Where `XRAYKIT_CHECKPOINT_DIR` names a folder. A training whose new
    weights are drawn without a seed is another one each time, and starts over; so does one with
    layers that are not Keras' own.)

    Parameters
    ----------
    model : keras.Model
        From raw pixels to class probabilities; its weights are trained in place.
    task : Task
    epochs, batch_size : int
    learning_rate : float or Keras schedule
        A schedule counts steps: `ceil(len(task.train) / batch_size)` of them make an epoch.
    optimizer : {"adam", "sgd", "rmsprop"}
        With Keras' defaults for everything but the learning rate.
    augmentation : Augmentation, optional
        Each epoch shows each training image under one of its views, drawn from (seed, epoch).
    n_views : int
        How many views an image has, where there is an augmentation; 0 leaves the images as
        they are. Eight do not differ from new ones under `Augmentation()`; stronger augmentation
        needs more (docs/published-scores.md).
    use_feature_cache : bool
        Train the whole network, without the feature cache, on new views in each epoch: several
        times slower.
    precision : {"float32", "mixed_bfloat16"}
        Mixed is faster on processors that have bfloat16, for networks of whole convolutions such
        as VGG16, slower for MobileNets; and less exact: about 3 digits.
    cache_dtype : {"float16", "float32"}
        What features are kept as; float32 takes twice the room. Where a feature is beyond
        float16's range they are kept as float32 in any case.
    early_stopping : int, optional
        End after that many epochs without a lower validation loss.
    restore_best_weights : bool
        Which weights the model is left with; the best epoch has the lowest validation loss.
    seed : int
        Of the shuffling, dropout and augmentation. Two runs from the same weights on one machine
        agree to the last bit, if they go the same way.

    Returns
    -------
    DataFrame
        A row an epoch, from 1: loss, accuracy, val_loss, val_accuracy, as Keras names them.

    Raises
    ------
    InputError
        If a value is out of range, the model doesn't fit the task, or the loss is no number.
    """
    check_task(task)
    check_whole_number("epochs", epochs, least=1)
    check_whole_number("batch_size", batch_size, least=1)
    check_whole_number("seed", seed, least=0)
    if early_stopping is not None:
        check_whole_number("early_stopping", early_stopping, least=1)
    check_whole_number("n_views", n_views, least=0)
    for name, given, known in (
        ("optimizer", optimizer, OPTIMIZERS),
        ("precision", precision, PRECISIONS),
        ("cache_dtype", cache_dtype, ("float16", "float32")),
    ):
        if given not in known:
            raise unknown(name, given, known)
    if not isinstance(augmentation, Augmentation | None):
        raise InputError(f"augmentation={augmentation!r}: expected an xk.Augmentation")
    scheduled = isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    if not scheduled and not (isinstance(learning_rate, Real) and 0 < learning_rate < np.inf):
        raise InputError(f"learning_rate={learning_rate!r}: expected a number above 0")
    check_fits(model, task.train)
    for layer in model.layers:
        if getattr(layer, "seed_generator", None) is not None:  # Dropout(0) has none
            layer.seed_generator.state.assign([seed, 0])
    if model.compiled and model.optimizer.iterations > 0:
        print("This model was trained before and goes on from there; build it anew to start over.")
    recalibrate(model, task.train)
    compiling = {
        "optimizer": build_optimizer(optimizer, learning_rate),
        "loss": cross_entropy(model),
        "metrics": ["accuracy"],
    }
    stopping = None
    if early_stopping or restore_best_weights:
        stopping = keras.callbacks.EarlyStopping(
            patience=early_stopping or epochs, restore_best_weights=restore_best_weights
        )
    augmented = augmentation is not None and n_views > 0
    count = 1 if not augmented else n_views if use_feature_cache else None
    shown = Views(task.train, augmentation if augmented else None, count, seed)
    watched = Views(task.validation)
    start = time.perf_counter()
    with computing_in(precision, model):
        trained, *sources = _way(model, shown, watched, use_feature_cache, precision, cache_dtype)
        path = checkpoint_path(
            model,
            task,
            from_bank=trained is not model,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            augmentation=repr(shown.augmentation),
            n_views=count,
            precision=precision,
            cache_dtype=cache_dtype,
            early_stopping=early_stopping,
            restore_best_weights=restore_best_weights,
            seed=seed,
        )
        checkpoint = Checkpoint(path, stopping) if path else None
        before = checkpoint.epochs.copy() if checkpoint else []
        if before:
            print(f"This training was begun before: going on after epoch {len(before)}.")
        batches = Batches(shown, sources[0], batch_size, seed)
        compiling["steps_per_execution"] = _at_once(len(batches))
        callbacks = [_progress(epochs), keras.callbacks.TerminateOnNaN(), stopping, checkpoint]
        trained.compile(**compiling)
        compiling["optimizer"].build(trained.trainable_variables)
        try:
            fitted = trained.fit(
                batches.dataset(len(before), epochs),
                steps_per_epoch=len(batches),
                validation_data=Batches(watched, sources[1], batch_size=32).dataset(),
                initial_epoch=len(before),
                epochs=len(before) if checkpoint and checkpoint.stopped else epochs,
                callbacks=[each for each in callbacks if each],
                shuffle=False,  # the data set has its order
                verbose=0,
            )
        finally:  # also what was compiled for another precision is not to be used again
            model.compile(**compiling)
    seconds = checkpoint.seconds if checkpoint else time.perf_counter() - start
    history = pd.concat([pd.DataFrame(before), pd.DataFrame(fitted.history)])
    history.index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    if not np.isfinite(history.to_numpy()).all():
        lower = f"a learning rate below {learning_rate}"
        raise InputError(
            f"The loss stopped being a number in epoch {len(history)}: build the model anew and "
            f"train it with {'lower learning rates' if scheduled else lower}"
        )
    best = history["val_loss"].idxmin()
    print(
        f"Trained {len(history)} epochs in {seconds:.0f} s; lowest validation loss in epoch {best}."
        f" The model has the weights of epoch {best if restore_best_weights else len(history)}."
    )
    return history


def _way(
    model: keras.Model,
    shown: Views,
    watched: Views,
    use_feature_cache: bool,
    precision: str,
    cache_dtype: str,
) -> tuple[keras.Model, Callable, Callable]:
    """Return what to train, and what it is shown of the training and validation images."""
    try:
        if not use_feature_cache:
            raise NotCacheableError("use_feature_cache=False")
        prefix, tail = split_frozen(model)
        bank = FeatureCache(prefix, precision, cache_dtype)
        features = bank.features(shown), bank.features(watched)
    except (NotCacheableError, CacheError) as error:
        print(f"The exact way, the whole network in every step: {error}.", flush=True)
        return model, shown.pixels, watched.pixels
    end = prefix.layers[-1].name
    print(f"From the feature cache: all layers up to {end!r} stay as they are.", flush=True)
    return tail, *features


def _at_once(steps: int) -> int:
    """Return steps_per_execution: it divides the steps of an epoch, or Keras would take more."""
    return max(count for count in range(1, MAX_STEPS_PER_EXECUTION + 1) if steps % count == 0)


def check_fits(model: keras.Model, images: ImageSet) -> None:
    """Raise InputError where a model can't give class probabilities for these images."""
    check_model(model)
    check_images(images)
    expected, found = model.input_shape[1:], images.pixels.shape[1:]
    if expected != found:
        raise InputError(
            f"The model takes images of {expected}, the task has {found}: "
            "use the same image_size for both"
        )
    classes = len(images.class_names)
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "none")
    found = ("×".join(map(str, model.output_shape[1:])), activation)
    wanted = [(str(classes), "softmax")] + ([("1", "sigmoid")] if classes == 2 else [])
    if found not in wanted:
        needed = " or ".join(f"{units} with {name}" for units, name in wanted)
        hint = ". Pool or flatten the feature maps first" if "×" in found[0] else ""
        raise InputError(
            f"The model's last layer {last.name!r} gives {found[0]} with activation {activation}: "
            f"{classes} classes need {needed}{hint}"
        )


def cross_entropy(model: keras.Model) -> str:
    """Return Keras' name of the loss that fits a classifier's output and whole-number labels."""
    binary = model.output_shape[-1] == 1
    return "binary_crossentropy" if binary else "sparse_categorical_crossentropy"


def _progress(epochs: int) -> keras.callbacks.Callback:
    """Return a bar where a person watches, else one line an epoch."""
    if is_interactive():
        from tqdm.keras import TqdmCallback  # not before `quiet`: it imports Keras, aloud

        short = "epoch {n_fmt}/{total_fmt} {bar:10} {remaining} left{postfix}"
        return TqdmCallback(epochs, verbose=0, tqdm_class=tqdm, bar_format=short, file=sys.stdout)

    times: list[float] = []

    def note(*_: object) -> None:
        times.append(time.perf_counter())

    def line(epoch: int, logs: dict[str, float]) -> None:
        note()
        figures = "  ".join(f"{name} {value:.3f}" for name, value in logs.items())
        left = (times[-1] - times[-2]) * (epochs - epoch - 1)
        cost = (
            f"  about {left:.0f} s to go"
            if len(times) == TIMESTAMPS_AFTER_EPOCH_2 and left >= 1
            else ""
        )
        print(f"epoch {epoch + 1:>3}/{epochs}  {figures}{cost}", flush=True)

    return keras.callbacks.LambdaCallback(on_train_begin=note, on_epoch_end=line)
