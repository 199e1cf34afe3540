"""Trainings that survive an interruption: their whole state is kept after each epoch."""

import json
import os
import re
import time
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np

from .._keras import keras
from ..data.tasks import Task
from ..errors import InputError
from ..files import atomic_write
from . import CHECKPOINT_FOLDER


class Checkpoint(keras.callbacks.Callback):
    """Write a training's state to one file after each epoch, and take it up again from there.

    Beside weights and optimizer that is the state of dropout, the history, and what early stopping
    remembers, so that a training taken up goes on as if nothing had happened.
    (Keras' `BackupAndRestore` leaves out history and random states, and its files can be torn.)

    Parameters
    ----------
    path : Path
        Replaced as a whole after each epoch; a damaged file counts as none.
    stopping : EarlyStopping, optional
        Must come before this one among the callbacks.

    Attributes
    ----------
    epochs : list of dict
        The history so far, an entry an epoch.
    seconds : float
        How long those took.
    stopped : bool
        Whether training ended before its last epoch on purpose.
    """

    def __init__(self, path: Path, stopping: keras.callbacks.EarlyStopping | None = None) -> None:
        super().__init__()
        self.path, self.stopping = path, stopping
        self.state = _read(path)
        said = json.loads(str(self.state.get("said", "{}")))
        self.epochs: list[dict[str, float]] = said.get("epochs", [])
        self.seconds: float = said.get("seconds", 0.0)
        self.stopped: bool = said.get("stopped", False)
        self.remembered: dict[str, float] = said.get("stopping", {})

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Put back what was kept."""
        self.begun = time.perf_counter() - self.seconds
        if not self.epochs:
            return
        for number, variable in enumerate(self._variables()):
            variable.assign(self.state[f"variable_{number}"])
        if self.stopping:
            vars(self.stopping).update(self.remembered)
            best = [name for name in self.state if name.startswith("best_")]
            self.stopping.best_weights = [self.state[f"best_{i}"] for i in range(len(best))] or None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep the state as it is now."""
        self.epochs.append({name: float(value) for name, value in logs.items()})
        self.seconds = time.perf_counter() - self.begun
        said = {"epochs": self.epochs, "seconds": self.seconds, "stopped": self.model.stop_training}
        arrays = {f"variable_{i}": np.asarray(each) for i, each in enumerate(self._variables())}
        if self.stopping:
            remembered = ("wait", "best", "best_epoch", "stopped_epoch")
            said["stopping"] = {name: getattr(self.stopping, name) for name in remembered}
            best = self.stopping.best_weights or []
            arrays |= {f"best_{number}": weight for number, weight in enumerate(best)}
        _write(self.path, arrays | {"said": np.array(json.dumps(said))})

    def _variables(self) -> list[keras.Variable]:
        """Return all that training can change: not the weights of frozen layers, nor metrics."""
        own = [
            variable
            for layer in self.model.layers
            for variable in layer.variables
            if layer.trainable or all(variable is not weight for weight in layer.weights)
        ]
        return own + self.model.optimizer.variables


def checkpoint_path(model: keras.Model, task: Task, **arguments: object) -> Path | None:
    """Return the file for this very training, or None where none are kept.

    Its name is a digest of all that determines the training: the network with its weights, the
    images, and the arguments. So a file can't be taken up by another training. Layers that are
    not Keras' own are code that can change without a trace, so theirs is not kept.
    """
    folder = os.environ.get(CHECKPOINT_FOLDER)
    if not folder:
        return None
    facts = model.to_json() + json.dumps(arguments, default=keras.saving.serialize_keras_object)
    if not all(module.startswith("keras") for module in re.findall(r'"module": "(.*?)"', facts)):
        return None
    for part in (task.train, task.validation):
        facts += f"{part.digests} {part.labels.tolist()}"
    digest = sha256(facts.encode())
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array))
    return Path(folder, f"{digest.hexdigest()[:32]}.npz")


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return {}


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda partial: np.savez(partial, **arrays))
    except OSError as error:
        raise InputError(
            f"Can't keep the state of the training in {path.parent}: {error.strerror}. "
            "Make room there and start again: it goes on from the last whole epoch"
        ) from error
