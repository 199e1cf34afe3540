"""Learning rates as data: a number, or one of Keras' schedules with its durations in epochs."""

import math
from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING, Any

from ..errors import InputError, to_number, unknown

if TYPE_CHECKING:
    from .._keras import keras

# The arguments of each schedule. Durations are in epochs here, in steps in Keras.
SCHEDULES = {
    "InverseTimeDecay": ("initial_learning_rate", "decay_epochs", "decay_rate"),
    "ExponentialDecay": ("initial_learning_rate", "decay_epochs", "decay_rate"),
    "CosineDecay": ("initial_learning_rate", "decay_epochs"),
    "PiecewiseConstantDecay": ("boundaries", "values"),
}


def check_rate(rate: float | dict, epochs: int) -> None:
    """Raise InputError if a learning rate is impossible for this number of epochs.

    Parameters
    ----------
    rate : float or dict
        A dict has the name of a Keras schedule as "schedule" and Keras' arguments, with
        `decay_epochs` instead of `decay_steps`, and `boundaries` in epochs.
    epochs : int

    Examples
    --------
    >>> check_rate({"schedule": "PiecewiseConstantDecay", "boundaries": [8], "values": [1e-3]}, 10)
    Traceback (most recent call last):
    xraykit.errors.InputError: learning_rate: 1 boundary needs 2 values, found 1
    """
    if not isinstance(rate, dict):
        _check_positive("learning_rate", rate)
        return
    schedule = rate.get("schedule")
    if not isinstance(schedule, str) or schedule not in SCHEDULES:
        raise unknown("learning_rate schedule", schedule, SCHEDULES)
    arguments = SCHEDULES[schedule]
    for name in rate:
        if name not in ("schedule", *arguments):
            raise unknown(f"argument of {schedule}", name, arguments)
    if missing := [name for name in arguments if name not in rate]:
        raise InputError(f"learning_rate: {schedule} lacks {', '.join(missing)}")
    if schedule == "PiecewiseConstantDecay":
        _check_pieces(rate["boundaries"], rate["values"])
        return
    for name in arguments:
        _check_positive(f"learning_rate: {name}", rate[name])
    if schedule == "CosineDecay" and rate["decay_epochs"] < epochs:
        raise InputError(
            f"learning_rate: CosineDecay reaches 0 after decay_epochs={rate['decay_epochs']}, and "
            f"epochs={epochs}: the last epochs would change nothing. Make both equal"
        )


def build_rate(
    rate: float | dict, steps: int
) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    """Return a learning rate as `xk.train` takes it; `steps` is the number per epoch."""
    if not isinstance(rate, dict):
        return rate
    from .._keras import keras

    schedule = getattr(keras.optimizers.schedules, rate["schedule"])
    if "boundaries" in rate:
        return schedule(
            [steps * epoch - 1 for epoch in rate["boundaries"]], [float(v) for v in rate["values"]]
        )
    # Keras would round pi to 3 if a rate were a whole number.
    options = {name: float(rate[name]) for name in SCHEDULES[rate["schedule"]]}
    decay_steps = steps * options.pop("decay_epochs")
    return schedule(decay_steps=decay_steps, **options)


def _check_pieces(boundaries: Any, values: Any) -> None:
    for name, numbers in (("boundaries", boundaries), ("values", values)):
        if not isinstance(numbers, list | tuple):
            raise InputError(f"learning_rate: {name}={numbers!r}: expected a list of numbers")
    are_whole = all(
        isinstance(epoch, Integral) and not isinstance(epoch, bool) for epoch in boundaries
    )
    if not boundaries or not are_whole or any(a >= b for a, b in pairwise([0, *boundaries])):
        raise InputError(
            f"learning_rate: boundaries={list(boundaries)}: expected one or more epochs, whole "
            "numbers above 0 in increasing order"
        )
    for value in values:
        _check_positive("learning_rate: each of values", value)
    if len(values) != len(boundaries) + 1:
        noun = "boundary needs" if len(boundaries) == 1 else "boundaries need"
        raise InputError(
            f"learning_rate: {len(boundaries)} {noun} {len(boundaries) + 1} values, "
            f"found {len(values)}"
        )


def _check_positive(name: str, value: Any) -> None:
    if not 0 < to_number(value) < math.inf:
        raise InputError(f"{name}={value!r}: expected a number above 0")
