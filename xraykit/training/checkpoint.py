"""Checkpoints: after an interruption, training resumes from the last complete epoch."""

import json
import os
import re
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from .._keras import keras
from ..data.tasks import Task
from ..errors import error_class
from ..files import atomic_write
from . import CHECKPOINT_FOLDER


class Checkpoint(keras.callbacks.Callback):
    """Save the state of a training run to one file after each epoch, and resume from there.

    The state consists of the weights, the optimizer, the random states of dropout, the history, and
    the state of early stopping. So a resumed run gives the same result as an uninterrupted one.
    (Keras' `BackupAndRestore` omits history and random states, and can leave incomplete files.)

    Parameters
    ----------
    path : Path
        Replaced as a whole after each epoch; a damaged file is ignored.
    stopping : EarlyStopping, optional
        Must precede this callback in the list of callbacks.

    Attributes
    ----------
    epochs : list of dict
        The history so far, one entry per epoch.
    seconds : float
        Seconds that these epochs took.
    stopped : bool
        Whether training stopped before its last epoch, by early stopping or a NaN loss.
    """

    def __init__(self, path: Path, stopping: keras.callbacks.EarlyStopping | None = None) -> None:
        super().__init__()
        self.path, self.stopping = path, stopping
        self.state = _read(path)
        metadata = json.loads(str(self.state.get("said", "{}")))
        self.epochs: list[dict[str, float]] = metadata.get("epochs", [])
        self.seconds: float = metadata.get("seconds", 0.0)
        self.stopped: bool = metadata.get("stopped", False)
        self.stopping_state: dict[str, float] = metadata.get("stopping", {})

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Restore the saved state, if there is one."""
        self.start = time.perf_counter() - self.seconds
        if not self.epochs:
            return
        for number, variable in enumerate(self._list_variables()):
            variable.assign(self.state[f"variable_{number}"])
        if self.stopping:
            vars(self.stopping).update(self.stopping_state)
            best = [name for name in self.state if name.startswith("best_")]
            self.stopping.best_weights = [self.state[f"best_{i}"] for i in range(len(best))] or None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Save the current state."""
        self.epochs.append({name: float(value) for name, value in logs.items()})
        self.seconds = time.perf_counter() - self.start
        stopped = self.model.stop_training
        metadata = {"epochs": self.epochs, "seconds": self.seconds, "stopped": stopped}
        variables = self._list_variables()
        arrays = {f"variable_{i}": np.asarray(variable) for i, variable in enumerate(variables)}
        if self.stopping:
            names = ("wait", "best", "best_epoch", "stopped_epoch")
            metadata["stopping"] = {name: getattr(self.stopping, name) for name in names}
            best = self.stopping.best_weights or []
            arrays |= {f"best_{number}": weight for number, weight in enumerate(best)}
        _write(self.path, arrays | {"said": np.array(json.dumps(metadata))})

    def _list_variables(self) -> list[keras.Variable]:
        """Return the variables that training can change: without frozen weights and metrics."""
        variables = [
            variable
            for layer in self.model.layers
            for variable in layer.variables
            if layer.trainable or all(variable is not weight for weight in layer.weights)
        ]
        return variables + self.model.optimizer.variables


def checkpoint_path(model: keras.Model, task: Task, **arguments: object) -> Path | None:
    """Return the checkpoint file of exactly this training, or None without checkpoints.

    Its name is a digest of everything that determines the training: the model with its weights,
    the images, and the arguments. So no other training can resume from it. Models with layers from
    outside Keras get no checkpoints, because their code can change without a trace.
    """
    folder = os.environ.get(CHECKPOINT_FOLDER)
    if not folder:
        return None
    text = model.to_json() + json.dumps(arguments, default=keras.saving.serialize_keras_object)
    if not all(module.startswith("keras") for module in re.findall(r'"module": "(.*?)"', text)):
        return None
    for part in (task.train, task.validation):
        text += f"{part.digests} {part.labels.tolist()}"
    digest = sha256(text.encode())
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array))  # type: ignore[arg-type]
    return Path(folder, f"{digest.hexdigest()[:32]}.npz")


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            return dict(file)
    except Exception:  # a damaged zip file can raise nearly anything
        return {}


def _write(path: Path, arrays: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda partial: np.savez(partial, **arrays))
    except OSError as error:
        raise error_class(error)(
            f"The state of the training run could not be saved in {path.parent}: {error.strerror}. "
            "Free some disk space and start again: training resumes from the last complete epoch"
        ) from error
