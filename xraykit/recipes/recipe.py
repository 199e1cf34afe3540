"""A recipe: one configuration as data, from network to number of epochs, with where it is from."""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from types import NoneType
from typing import TYPE_CHECKING, get_args, get_type_hints

from ..data.augmentation import Augmentation
from ..data.tasks import Task
from ..errors import InputError, check_whole_number, unknown
from ..metrics.intervals import Proportion
from .schedules import build_rate, check_rate

if TYPE_CHECKING:
    import pandas as pd

    from .._keras import keras

KINDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}
KINDS |= {dict: "a dict", tuple: "a list", NoneType: "None"}
AUGMENTATIONS = {
    "none": lambda: None,
    "kit": Augmentation,
    "handout": Augmentation.handout,
}
NETWORK = ("weights", "alpha", "end_at", "trainable_from", "batch_norm", "preprocessing")
TRAINING = ("epochs", "batch_size", "optimizer", "n_views", "use_feature_cache", "precision")
TRAINING += ("early_stopping", "restore_best_weights")


@dataclass(frozen=True)
class Published:
    """What a report says of its own system.

    Attributes
    ----------
    test : pair of int, optional
        Test images right, of how many.
    loss : float, optional
        On the test images, in nats.
    parameters, trainable : int, optional
        Weights in all, and those that are trained.
    remark : str
        What else is said.
    """

    test: tuple[int, int] | None = None
    loss: float | None = None
    parameters: int | None = None
    trainable: int | None = None
    remark: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class Recipe:
    """A network, its head and its training, as data that can be read, changed and run.

    Attributes
    ----------
    name, source : str
        What it is called, and where it is from.
    task : {"binary", "multiclass"}
    backbone, weights, alpha, end_at, trainable_from, batch_norm, preprocessing, image_size
        As in `xk.backbone`.
    head : list of pairs
        Each the name of a Keras layer and its arguments, from the feature maps up to the output,
        which is added: `["Dense", {"units": 256, "activation": "relu", "name": "features"}]`.
    optimizer, epochs, batch_size, n_views, use_feature_cache, precision, early_stopping,
    restore_best_weights
        As in `xk.train`.
    learning_rate : float or dict
        A dict names a Keras schedule, with durations in epochs, such as `{"schedule":
        "InverseTimeDecay", "initial_learning_rate": 5e-4, "decay_epochs": 1, "decay_rate": 1}`;
        the others are ExponentialDecay, CosineDecay and PiecewiseConstantDecay.
    augmentation : {"none", "kit", "handout"}
        `xk.Augmentation()` or `xk.Augmentation.handout()`.
    published : Published
    assumptions : tuple of str
        What the source leaves out, and what is assumed in its place.
    original_settings : dict
        What the source did otherwise, because of a bug of the handout: `as_published` does so too.
    changed : dict
        What `override` has changed.
    stands_in_for : str
        The default recipe that this one replaces, where ImageNet weights are missing; or "".

    Raises
    ------
    InputError
        If a value is of the wrong type, or impossible.
    """

    name: str
    source: str
    task: str
    backbone: str
    weights: str | None = "imagenet"
    alpha: float = 1.0
    end_at: str | None = None
    trainable_from: str | None = None
    batch_norm: str = "frozen"
    preprocessing: str = "own"
    image_size: int = 224
    head: tuple
    optimizer: str = "adam"
    learning_rate: float | dict
    epochs: int
    batch_size: int = 10
    augmentation: str = "none"
    n_views: int = 8
    use_feature_cache: bool = True
    precision: str = "float32"
    early_stopping: int | None = None
    restore_best_weights: bool = False
    published: Published = field(default_factory=Published)
    assumptions: tuple = ()
    original_settings: Mapping = field(default_factory=dict)
    changed: Mapping = field(default_factory=dict)
    stands_in_for: str = ""

    def __post_init__(self) -> None:
        hints = get_type_hints(Recipe)
        for name in _settings():
            value = deepcopy(getattr(self, name))  # recipes share nothing that can be changed
            if isinstance(value, list):
                value = tuple(value)
            object.__setattr__(self, name, value)
            _check_type(name, value, get_args(hints[name]) or (hints[name],))
        for name, least in (("epochs", 1), ("batch_size", 1), ("n_views", 0), ("image_size", 8)):
            check_whole_number(name, getattr(self, name), least)
        if self.early_stopping is not None:
            check_whole_number("early_stopping", self.early_stopping, least=1)
        if self.augmentation not in AUGMENTATIONS:
            raise unknown("augmentation", self.augmentation, AUGMENTATIONS)
        object.__setattr__(self, "head", tuple(_layer(each) for each in self.head))
        check_rate(self.learning_rate, self.epochs)

    def override(self, **changes: object) -> "Recipe":
        """Return this recipe with other settings.

        With another backbone, alpha, end_at and trainable_from go back to none unless given.

        Raises
        ------
        InputError
            If one is unknown, of the wrong type, or impossible.

        Examples
        --------
        >>> import xraykit as xk
        >>> xk.recipes["task2-mobilenetv2"].override(epochs=3).epochs
        3
        """
        for name in changes:
            if name not in _settings():
                raise unknown("setting of a recipe", name, _settings())
        if "backbone" in changes:
            changes = {"alpha": 1.0, "end_at": None, "trainable_from": None} | changes
        new = {name: value for name, value in changes.items() if value != getattr(self, name)}
        return replace(self, **changes, changed={**self.changed, **new})

    def as_published(self) -> "Recipe":
        """Return the recipe with what its source did, bugs of the handout included."""
        return replace(self.override(**self.original_settings), original_settings={})

    def layers(self) -> "list[keras.Layer]":
        """Return the layers of the head, new ones.

        Raises
        ------
        InputError
            If a layer is unknown, or its arguments don't fit.
        """
        from .._keras import keras

        made = []
        for kind, options in self.head:
            layer = getattr(keras.layers, kind, None)
            if not (isinstance(layer, type) and issubclass(layer, keras.Layer)):
                known = [name for name in dir(keras.layers) if name[0].isupper()]
                raise unknown("layer of the head", kind, known)
            try:
                made.append(layer(**options))
            except Exception as error:  # whatever a layer finds wrong
                reason = str(error).partition("\n")[0].replace("<", "").replace(">", "")
                raise InputError(f"head: {kind} with {options} can't be: {reason}") from error
        return made

    def network(self) -> dict[str, object]:
        """Return what `xk.backbone` takes, beside the backbone's name."""
        return {name: getattr(self, name) for name in (*NETWORK, "image_size")}

    def training(self, task: Task) -> dict[str, object]:
        """Return what `xk.train` takes, beside model, task and seed."""
        steps = -(-len(task.train) // self.batch_size)
        return {name: getattr(self, name) for name in TRAINING} | {
            "learning_rate": build_rate(self.learning_rate, steps),
            "augmentation": AUGMENTATIONS[self.augmentation](),
        }

    def build(self, class_names: Sequence[str], seed: int = 42) -> "keras.Model":
        """Build the classifier, as `xk.build_classifier` does.

        Raises
        ------
        InputError
            If weights can't be had, or something doesn't fit.
        """
        from ..models.classifier import build_classifier

        return build_classifier(self.backbone, class_names, self.layers(), seed, **self.network())

    def train(self, task: Task, seed: int = 42) -> "tuple[keras.Model, pd.DataFrame]":
        """Build the classifier and train it on a task, as `xk.train` does.

        Returns
        -------
        model : keras.Model
        history : DataFrame

        Raises
        ------
        InputError
            As `build`, and if the task isn't the recipe's.
        """
        from ..training.train import train

        if task.name != self.task:
            raise InputError(f"{self.name} is for the {self.task} task, found {task.name}")
        model = self.build(task.class_names, seed)
        return model, train(model, task, seed=seed, **self.training(task))

    def __repr__(self) -> str:
        own = {each.name: each.default for each in fields(self)}
        said_apart = ("backbone", "head", "optimizer", "learning_rate", "epochs", "batch_size")
        others = {
            name: getattr(self, name)
            for name in _settings()
            if name not in said_apart and getattr(self, name) != own[name]
        }
        rate = self.learning_rate
        if isinstance(rate, dict):
            rate = _written(rate)
        lines = [
            f"{self.name} ({self.source})",
            f"network   {self.backbone}",
            *(f"          {kind} {_written(options)}".rstrip() for kind, options in self.head),
            f"training  {self.epochs} epochs, batches of {self.batch_size}, {self.optimizer}, "
            f"learning rate {rate}",
            *([f"          {_written(others)}"] if others else []),
            *(f"assumed   {each}" for each in self.assumptions),
        ]
        said = self.published
        if said.test:
            loss = f", loss {said.loss}" if said.loss else ""
            lines.append(f"published test {Proportion(*said.test)}{loss}")
        if said.remark:
            lines.append(f"published {said.remark}")
        if self.original_settings:
            lines.append(f"repaired  its source had {_written(self.original_settings)}")
        if self.changed:
            lines.append(f"changed   {_written(self.changed)}")
        if self.stands_in_for:
            lines.append(f"replaces  {self.stands_in_for}, whose ImageNet weights are not here")
        return "\n".join(lines)


def _settings() -> list[str]:
    facts = ("name", "source", "task", "published", "assumptions", "original_settings", "changed")
    facts += ("stands_in_for",)
    return [each.name for each in fields(Recipe) if each.name not in facts]


def _check_type(name: str, value: object, kinds: Sequence[type]) -> None:
    if not any(_is(value, kind) for kind in kinds):
        expected = " or ".join(KINDS[kind] for kind in kinds)
        raise InputError(f"{name}={value!r}: expected {expected}")


def _is(value: object, kind: type) -> bool:
    if kind not in (int, float) or isinstance(value, bool):
        return isinstance(value, bool) == (kind is bool) and isinstance(value, kind)
    if kind is int:
        return isinstance(value, Integral)
    return isinstance(value, Real) and math.isfinite(value)


def _layer(given: object) -> tuple[str, dict]:
    """Return a layer of a head as a pair; a name alone has no arguments."""
    match given:
        case str(kind) | [str(kind)]:
            return kind, {}
        case [str(kind), dict(options)]:
            return kind, options
    raise InputError(
        f"head: {given!r}: expected a Keras layer and its arguments, "
        'such as ["Dropout", {"rate": 0.5}]'
    )


def _written(settings: Mapping) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())
