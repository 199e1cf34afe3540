"""Train a classifier on a task: compile, fit, and give back the history."""

import sys
import time
from numbers import Real

import numpy as np
import pandas as pd
from tqdm.keras import TqdmCallback
from tqdm.std import tqdm

from ..data.images import ImageSet
from ..data.tasks import Task
from ..errors import InputError, check_whole_number, unknown
from ..progress import person_watches
from ..quiet import keras
from .checkpoint import Checkpoint, checkpoint_path

OPTIMIZERS = ("adam", "sgd", "rmsprop")


def train(
    model: keras.Model,
    task: Task,
    epochs: int,
    batch_size: int = 10,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 5e-4,
    optimizer: str = "adam",
    augmentation: keras.Layer | None = None,
    early_stopping: int | None = None,
    keep: str = "last",
    seed: int = 42,
) -> pd.DataFrame:
    """Compile `model`, fit it to `task.train`, and watch `task.validation`.

    Every picture is seen once an epoch, the last and smaller batch included, in an order drawn
    from (seed, epoch). Validation pictures are never augmented or shuffled. The loss is binary or
    categorical cross-entropy, by the model's output; accuracy counts whole pictures.

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
    augmentation : Keras layer, optional
        Called on each training batch of raw pixels, such as `keras.layers.RandomRotation(0.03,
        fill_mode="reflect", seed=1)`.
    early_stopping : int, optional
        End after that many epochs without a lower validation loss.
    keep : {"last", "best"}
        Which weights the model is left with; the best epoch has the lowest validation loss.
    seed : int
        Of the shuffling and of dropout. Two runs from the same weights on one machine agree to
        the last bit; a random `augmentation` has its own seed and goes on from its last state.

    Returns
    -------
    DataFrame
        A row an epoch, from 1: loss, accuracy, val_loss, val_accuracy, as Keras names them.

    Raises
    ------
    InputError
        If a value is out of range, the model doesn't fit the task, or the loss is no number.
    """
    check_whole_number("epochs", epochs, least=1)
    check_whole_number("batch_size", batch_size, least=1)
    check_whole_number("seed", seed, least=0)
    if early_stopping is not None:
        check_whole_number("early_stopping", early_stopping, least=1)
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS)
    if keep not in ("last", "best"):
        raise unknown("keep", keep, ("last", "best"))
    scheduled = isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    if not scheduled and not (isinstance(learning_rate, Real) and 0 < learning_rate < np.inf):
        raise InputError(f"learning_rate={learning_rate!r}: expected a number above 0")
    check_fits(model, task.train)
    for layer in model.layers:
        if getattr(layer, "seed_generator", None) is not None:  # Dropout(0) has none
            layer.seed_generator.state.assign([seed, 0])
    if model.compiled and model.optimizer.iterations > 0:
        print("This model was trained before and goes on from there; build it anew to start over.")
    config = {"class_name": optimizer, "config": {"learning_rate": learning_rate}}
    model.compile(
        optimizer=keras.optimizers.get(config),
        loss="binary_crossentropy" if _is_sigmoid(model) else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    stopping = None
    if early_stopping or keep == "best":
        stopping = keras.callbacks.EarlyStopping(
            patience=early_stopping or epochs, restore_best_weights=keep == "best"
        )
    path = checkpoint_path(
        model,
        task,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        augmentation=augmentation,
        early_stopping=early_stopping,
        keep=keep,
        seed=seed,
    )
    checkpoint = Checkpoint(path, augmentation, stopping) if path else None
    before = checkpoint.epochs.copy() if checkpoint else []
    if before:
        print(f"This training was begun before: going on after epoch {len(before)}.")
    model.optimizer.build(model.trainable_variables)
    callbacks = [_progress(epochs), keras.callbacks.TerminateOnNaN(), stopping, checkpoint]
    start = time.perf_counter()
    fitted = model.fit(
        _Batches(task.train, batch_size, seed, augmentation, epoch=len(before)),
        validation_data=(task.validation.pixels, _targets(task.validation)),
        validation_batch_size=32,
        initial_epoch=len(before),
        epochs=len(before) if checkpoint and checkpoint.stopped else epochs,
        callbacks=[each for each in callbacks if each],
        shuffle=False,  # Keras would shuffle the batches once more, from no seed of ours
        verbose=0,
    )
    seconds = checkpoint.seconds if checkpoint else time.perf_counter() - start
    history = pd.concat([pd.DataFrame(before), pd.DataFrame(fitted.history)])
    history.index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    if not np.isfinite(history.to_numpy()).all():
        raise InputError(
            f"The loss stopped being a number in epoch {len(history)}: build the model anew and "
            f"train it with a learning rate below {learning_rate}"
        )
    best = history["val_loss"].idxmin()
    print(
        f"Trained {len(history)} epochs in {seconds:.0f} s; lowest validation loss in epoch {best}."
        f" The model has the weights of epoch {best if keep == 'best' else len(history)}."
    )
    return history


def check_fits(model: keras.Model, images: ImageSet) -> None:
    """Raise InputError where a model can't give class probabilities for these pictures."""
    expected, found = model.input_shape[1:], images.pixels.shape[1:]
    if expected != found:
        raise InputError(
            f"The model takes pictures of {expected}, the task has {found}: "
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


def _is_sigmoid(model: keras.Model) -> bool:
    return model.output_shape[-1] == 1


def _targets(images: ImageSet) -> np.ndarray:
    return images.labels[:, None].astype("float32")


class _Batches(keras.utils.PyDataset):
    """Training batches in an order drawn from (seed, epoch), none left out."""

    def __init__(
        self,
        images: ImageSet,
        batch_size: int,
        seed: int,
        augmentation: keras.Layer | None,
        epoch: int,
    ) -> None:
        super().__init__()
        self.pixels, self.targets = images.pixels, _targets(images)
        self.batch_size, self.seed, self.augmentation = batch_size, seed, augmentation
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.pixels) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.pixels))
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        pixels = self.pixels[rows]
        if self.augmentation is not None:
            pixels = np.asarray(self.augmentation(pixels.astype("float32"), training=True))
        return pixels, self.targets[rows]

    def on_epoch_end(self) -> None:
        self.epoch += 1


def _progress(epochs: int) -> keras.callbacks.Callback:
    """Return a bar where a person watches, else one line an epoch."""
    if person_watches():
        short = "epoch {n_fmt}/{total_fmt} {bar:10} {remaining} left{postfix}"
        return TqdmCallback(epochs, verbose=0, tqdm_class=tqdm, bar_format=short, file=sys.stdout)

    def line(epoch: int, logs: dict[str, float]) -> None:
        figures = "  ".join(f"{name} {value:.3f}" for name, value in logs.items())
        print(f"epoch {epoch + 1:>3}/{epochs}  {figures}", flush=True)

    return keras.callbacks.LambdaCallback(on_epoch_end=line)
