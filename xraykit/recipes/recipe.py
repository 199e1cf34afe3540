"""A recipe: one configuration as data, from network to number of epochs, with its source."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from ..data.augmentation import Augmentation
from ..data.tasks import Task
from ..errors import InputError, check_choice, check_whole_number, to_number, unknown
from ..metrics.intervals import Proportion
from ..models import BATCH_NORM, PREPROCESSING, SCALINGS
from ..training import OPTIMIZERS, PRECISION_CHOICES
from .schedules import build_rate, check_rate

if TYPE_CHECKING:
    import pandas as pd

    from .._keras import keras

KINDS = {  # what a setting of each type may be, and how a message calls it
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "text"),
    bool: (bool, "True or False"),
    dict: (dict, "a dict"),
    tuple: (tuple, "a list"),
    NoneType: (NoneType, "None"),
}
AUGMENTATIONS: dict[str, Callable[[], Augmentation | None]] = {
    "none": lambda: None,
    "kit": Augmentation,
    "handout": Augmentation.handout,
}
CHOICES: dict[str, Collection[str]] = {
    "augmentation": AUGMENTATIONS,
    "backbone": SCALINGS,
    "batch_norm": BATCH_NORM,
    "preprocessing": PREPROCESSING,
    "optimizer": OPTIMIZERS,
    "precision": PRECISION_CHOICES,
}
NETWORK = ("weights", "alpha", "end_at", "trainable_from", "batch_norm", "preprocessing")
TRAINING: tuple[str, ...] = ("epochs", "batch_size", "optimizer", "n_views", "use_feature_cache")
TRAINING += ("precision", "early_stopping", "restore_best_weights")
# These describe a recipe; the other fields are its settings, which `override` changes.
DESCRIPTION: tuple[str, ...] = ("name", "source", "task", "published", "assumptions")
DESCRIPTION += ("original_settings", "changed", "stands_in_for")
# These have a line in a recipe's text; the others are printed if they differ from the default.
PRINTED = ("backbone", "head", "optimizer", "learning_rate", "epochs", "batch_size")


@dataclass(frozen=True)
class Published:
    """The results that a recipe's source has published.

    Attributes
    ----------
    test : pair of int, optional
        Number of correct test images, and number of all test images.
    loss : float, optional
        Mean cross-entropy on the test images, in nats.
    parameters, trainable : int, optional
        Number of parameters, and number of trainable parameters.
    remark : str
        Other published results.
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
    task : {"binary", "multiclass"}
    backbone, weights, alpha, end_at, trainable_from, batch_norm, preprocessing, image_size
        As in `xk.backbone`.
    head : list of pairs
        The name of a Keras layer and its arguments, for each layer from the feature maps to the
        output: `["Dense", {"units": 256, "activation": "relu", "name": "features"}]`. The output
        layer itself is added.
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
        What the source leaves out, and what is assumed instead.
    original_settings : dict
        Settings of the source that are bugs of the handout; `as_published` uses them.
    changed : dict
        What `override` has changed.
    stands_in_for : str
        The default recipe that this one replaces, where ImageNet weights are missing; or "".

    Raises
    ------
    InputError
        If a value is of the wrong type, or impossible.

    Examples
    --------
    >>> recipe = xk.Recipe(
    ...     name="mine",
    ...     source="an example",
    ...     task="binary",
    ...     backbone="SmallCNN",
    ...     head=["GlobalAveragePooling2D", ["Dense", {"units": 8, "name": "features"}]],
    ...     learning_rate=1e-3,
    ...     epochs=5,
    ... )
    >>> print(recipe)
    mine (an example)
    network   SmallCNN
              GlobalAveragePooling2D
              Dense units=8, name='features'
    training  5 epochs, batches of 10, adam, learning rate 0.001
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
        for name in SETTINGS:
            value = deepcopy(getattr(self, name))  # recipes share nothing that can be changed
            if isinstance(value, list):
                value = tuple(value)
            object.__setattr__(self, name, value)
            _check_type(name, value, get_args(hints[name]) or (hints[name],))
        for name, minimum in (("epochs", 1), ("batch_size", 1), ("n_views", 0), ("image_size", 8)):
            check_whole_number(name, getattr(self, name), minimum)
        if self.early_stopping is not None:
            check_whole_number("early_stopping", self.early_stopping, 1)
        for name, known in CHOICES.items():
            check_choice(name, getattr(self, name), known)
        object.__setattr__(self, "head", tuple(_parse_layer(layer) for layer in self.head))
        check_rate(self.learning_rate, self.epochs)

    def override(self, **changes: Any) -> "Recipe":
        """Return this recipe with other settings.

        With another backbone, alpha, end_at and trainable_from are reset unless given.

        Raises
        ------
        InputError
            If a setting is unknown, of the wrong type, or impossible.

        Examples
        --------
        >>> import xraykit as xk
        >>> xk.recipes["task2-mobilenetv2"].override(epochs=3).epochs
        3
        """
        for name in changes:
            if name not in SETTINGS:
                raise unknown("setting of a recipe", name, SETTINGS)
        if "backbone" in changes:
            changes = {"alpha": 1.0, "end_at": None, "trainable_from": None} | changes
        new = {name: value for name, value in changes.items() if value != getattr(self, name)}
        return replace(self, **changes, changed={**self.changed, **new})

    def as_published(self) -> "Recipe":
        """Return the recipe with the settings of its source, bugs of the handout included."""
        return replace(self.override(**self.original_settings), original_settings={})

    def layers(self) -> "list[keras.Layer]":
        """Return new layers of the head.

        Raises
        ------
        InputError
            If a layer is unknown, or its arguments are wrong.
        """
        return [_build_layer(name, options) for name, options in self.head]

    def network_options(self) -> dict[str, Any]:
        """Return the arguments of `xk.backbone`, apart from the backbone's name."""
        return {name: getattr(self, name) for name in (*NETWORK, "image_size")}

    def training_options(self, task: Task) -> dict[str, Any]:
        """Return the arguments of `xk.train`, apart from model, task and seed."""
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
            If weights are not available, or layers don't fit together.
        """
        from ..models.classifier import build_classifier

        return build_classifier(
            self.backbone, class_names, head=self.layers(), seed=seed, **self.network_options()
        )

    def train(self, task: Task, seed: int = 42) -> "tuple[keras.Model, pd.DataFrame]":
        """Build the classifier and train it on a task, as `xk.train` does.

        Returns
        -------
        model : keras.Model
        history : DataFrame

        Raises
        ------
        InputError
            As `build`, and if the recipe is for another task.
        """
        from ..training.train import train

        if task.name != self.task:
            raise InputError(f"{self.name} is for the {self.task} task; got the {task.name} task")
        model = self.build(task.class_names, seed=seed)
        return model, train(model, task, seed=seed, **self.training_options(task))

    def __repr__(self) -> str:
        defaults = {setting.name: setting.default for setting in fields(self)}
        others = {
            name: getattr(self, name)
            for name in SETTINGS
            if name not in PRINTED and getattr(self, name) != defaults[name]
        }
        network = {name: others.pop(name) for name in NETWORK if name in others}
        rate, published, default = self.learning_rate, self.published, self.stands_in_for
        loss = f", loss {published.loss}" if published.loss else ""
        changed = {k: v for k, v in self.original_settings.items() if k != "n_views"}
        views = "n_views" in self.original_settings
        original = _join(changed) + (", with new views in every epoch" if views else "")
        lines = [
            ("network", f"{self.backbone} {_join(network)}"),
            *(("", f"{layer} {_join(options)}") for layer, options in self.head),
            (
                "training",
                f"{self.epochs} epochs, batches of {self.batch_size}, {self.optimizer}, "
                f"learning rate {_join(rate) if isinstance(rate, dict) else rate}",
            ),
            ("", _join(others)),
            *(("assumed", assumption) for assumption in self.assumptions),
            ("published", published.test and f"test {Proportion(*published.test)}{loss}"),
            ("published", published.remark),
            ("repaired", original and f"as_published() has {original} instead"),
            ("changed", _join(self.changed)),
            ("replaces", default and f"{default}, whose ImageNet weights are not available"),
        ]
        texts = [f"{label:9} {text}".rstrip() for label, text in lines if text]
        return "\n".join([f"{self.name} ({self.source})", *texts])


SETTINGS = [setting.name for setting in fields(Recipe) if setting.name not in DESCRIPTION]


def _check_type(name: str, value: Any, types: Sequence[type]) -> None:
    for kind in types:
        is_kind = isinstance(value, KINDS[kind][0]) and isinstance(value, bool) == (kind is bool)
        if is_kind and (kind is not float or math.isfinite(to_number(value))):
            return
    expected = " or ".join(KINDS[kind][1] for kind in types)
    raise InputError(f"{name}={value!r}: expected {expected}")


def _parse_layer(layer: object) -> tuple[str, dict]:
    """Return a layer of a head as a pair; a name without arguments is allowed."""
    match layer:
        case str(name) | [str(name)]:
            return name, {}
        case [str(name), dict(options)]:
            return name, options
    raise InputError(
        f"head: {layer!r}: expected a Keras layer and its arguments, "
        'such as ["Dropout", {"rate": 0.5}]'
    )


def _build_layer(name: str, options: dict) -> "keras.Layer":
    from .._keras import keras

    layer = getattr(keras.layers, name, None)
    if not (isinstance(layer, type) and issubclass(layer, keras.Layer)):
        known = [known for known in dir(keras.layers) if known[0].isupper()]
        raise unknown("layer of the head", name, known)
    try:
        return layer(**options)
    except Exception as error:  # Keras' layers raise errors of many types
        reason = str(error).partition("\n")[0].replace("<", "").replace(">", "")
        raise InputError(f"head: can't build {name} with {options}: {reason}") from error


def _join(settings: Mapping) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())
