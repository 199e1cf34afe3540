"""Learning rates as data: a number, or one of Keras' schedules with its durations in epochs."""

import math
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING

from ..errors import InputError, unknown

if TYPE_CHECKING:
    from .._keras import keras

# The arguments of each, beside its name. Those in epochs are steps in Keras.
SCHEDULES = {
    "InverseTimeDecay": ("initial_learning_rate", "decay_epochs", "decay_rate"),
    "ExponentialDecay": ("initial_learning_rate", "decay_epochs", "decay_rate"),
    "CosineDecay": ("initial_learning_rate", "decay_epochs"),
    "PiecewiseConstantDecay": ("boundaries", "values"),
}


def check_rate(rate: float | dict, epochs: int) -> None:
    """Raise InputError where a learning rate is impossible in so many epochs.

    Parameters
    ----------
    rate : float or dict
        A dict has the name of a Keras schedule as "schedule", and beside it Keras' arguments,
        with `decay_epochs` in place of `decay_steps`, and `boundaries` in epochs.
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
    kind = rate.get("schedule")
    if not isinstance(kind, str) or kind not in SCHEDULES:
        raise unknown("learning_rate schedule", kind, SCHEDULES)
    for name in rate:
        if name not in ("schedule", *SCHEDULES[kind]):
            raise unknown(f"argument of {kind}", name, SCHEDULES[kind])
    if missing := [name for name in SCHEDULES[kind] if name not in rate]:
        raise InputError(f"learning_rate: {kind} lacks {', '.join(missing)}")
    if kind == "PiecewiseConstantDecay":
        _check_pieces(rate["boundaries"], rate["values"])
        return
    for name in SCHEDULES[kind]:
        _check_positive(f"learning_rate: {name}", rate[name])
    if kind == "CosineDecay" and rate["decay_epochs"] < epochs:
        raise InputError(
            f"learning_rate: CosineDecay ends at 0 after decay_epochs={rate['decay_epochs']}, and "
            f"{epochs} epochs are to be trained: the last would change nothing. Give both the same"
        )


def build_rate(
    rate: float | dict, steps: int
) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    """Return a learning rate as `xk.train` takes it, where an epoch has so many steps."""
    if not isinstance(rate, dict):
        return rate
    from .._keras import keras

    schedule = getattr(keras.optimizers.schedules, rate["schedule"])
    if "boundaries" in rate:
        return schedule(
            [steps * epoch - 1 for epoch in rate["boundaries"]], [float(v) for v in rate["values"]]
        )
    # Where a rate is a whole number, Keras would round pi to 3.
    options = {name: float(rate[name]) for name in SCHEDULES[rate["schedule"]]}
    decay_steps = steps * options.pop("decay_epochs")
    return schedule(decay_steps=decay_steps, **options)


def _check_pieces(boundaries: object, values: object) -> None:
    for name, given in (("boundaries", boundaries), ("values", values)):
        if not isinstance(given, list | tuple):
            raise InputError(f"learning_rate: {name}={given!r}: expected a list of numbers")
    whole = [
        isinstance(each, Integral) and not isinstance(each, bool) and each > 0
        for each in boundaries
    ]
    if not whole or not all(whole) or any(first >= then for first, then in pairwise(boundaries)):
        raise InputError(
            f"learning_rate: boundaries={list(boundaries)}: expected epochs, one or more, whole "
            "numbers above 0 that rise"
        )
    for value in values:
        _check_positive("learning_rate: each of values", value)
    if len(values) != len(boundaries) + 1:
        what = "boundary needs" if len(boundaries) == 1 else "boundaries need"
        raise InputError(
            f"learning_rate: {len(boundaries)} {what} {len(boundaries) + 1} values, "
            f"found {len(values)}"
        )


def _check_positive(name: str, value: object) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise InputError(f"{name}={value!r}: expected a number above 0")
