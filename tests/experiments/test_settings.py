"""Each setting of an experiment is what its label says, and nothing else differs."""

from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit.experiments import experiments
from xraykit.recipes.recipe import AUGMENTATIONS, SETTINGS

COSINE = {"schedule": "CosineDecay", "initial_learning_rate": 1e-3, "decay_epochs": 24}
INVERSE = {"schedule": "InverseTimeDecay", "initial_learning_rate": 1e-3}
STEP = {"schedule": "PiecewiseConstantDecay", "boundaries": [12], "values": [1e-3, 1e-4]}
REPAIRS = {
    "its own scaling, no augmentation": {"preprocessing": "own", "augmentation": "none"},
    "1/255, no augmentation": {"preprocessing": "rescale", "augmentation": "none"},
    "its own scaling, the handout's augmentation": {
        "preprocessing": "own",
        "augmentation": "handout",
    },
    "1/255, the handout's augmentation": {"preprocessing": "rescale", "augmentation": "handout"},
}
RECIPES = {"task1_recipes", "task2_recipes"}  # they compare recipes, not changes of a recipe
# By experiment: what all its settings change in the recipe, and what each setting changes.
CHANGES = {
    "repairs": ({"n_views": 16}, REPAIRS),
    "repairs_finetuned": ({"n_views": 16}, REPAIRS),
    "backbones": (
        {},
        {
            "MobileNetV2": {"backbone": "MobileNetV2"},
            "MobileNet": {"backbone": "MobileNet"},
            "EfficientNetB0": {"backbone": "EfficientNetB0"},
            "ResNet50": {"backbone": "ResNet50"},
            "ResNet50V2": {"backbone": "ResNet50V2"},
            "DenseNet121": {"backbone": "DenseNet121"},
            "InceptionV3": {"backbone": "InceptionV3"},
            "VGG16": {"backbone": "VGG16"},
            "VGG19": {"backbone": "VGG19"},
        },
    ),
    "optimizers": (
        {},
        {
            "adam, 0.001": {"optimizer": "adam", "learning_rate": 0.001},
            "rmsprop, 0.001": {"optimizer": "rmsprop", "learning_rate": 0.001},
            "sgd, 0.001": {"optimizer": "sgd", "learning_rate": 0.001},
            "sgd, 0.01": {"optimizer": "sgd", "learning_rate": 0.01},
            "sgd, 0.1": {"optimizer": "sgd", "learning_rate": 0.1},
        },
    ),
    "batch_sizes": (
        {},
        {f"{size}": {"batch_size": size} for size in (10, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15)},
    ),
    "depth": (
        {},
        {
            "head alone, as the recipe has it": {},
            "head alone, 0.0001": {"learning_rate": 0.0001},
            "from block_16_expand, 0.0001": {
                "learning_rate": 0.0001,
                "trainable_from": "block_16_expand",
            },
            "from block_15_expand, 0.0001": {
                "learning_rate": 0.0001,
                "trainable_from": "block_15_expand",
            },
            "from block_13_expand, 0.0001": {
                "learning_rate": 0.0001,
                "trainable_from": "block_13_expand",
            },
        },
    ),
    "dropout": (
        {},
        {
            label: {
                "head": (
                    ("GlobalAveragePooling2D", {}),
                    ("Dense", {"units": 256, "activation": "relu", "name": "features"}),
                    ("Dropout", {"rate": rate}),
                )
            }
            for label, rate in (("0.2", 0.2), ("0", 0), ("0.5", 0.5), ("0.8", 0.8))
        },
    ),
    "early_stopping": (
        {},
        {
            "12 epochs": {"epochs": 12},
            "48 epochs": {"epochs": 48},
            "48 epochs, best weights restored": {"epochs": 48, "restore_best_weights": True},
            "early stopping with patience 5, best weights restored": {
                "epochs": 48,
                "restore_best_weights": True,
                "early_stopping": 5,
            },
        },
    ),
    "schedules": (
        {"epochs": 24},
        {
            "constant, 0.001": {"learning_rate": 0.001},
            "inverse time decay, rate 1 per epoch": {
                "learning_rate": INVERSE | {"decay_epochs": 1, "decay_rate": 1}
            },
            "cosine, to 0": {"learning_rate": COSINE},
            "a tenth after half of the epochs": {"learning_rate": STEP},
        },
    ),
    "preprocessing": (
        {},
        {
            "ResNet50, its own scaling": {"backbone": "ResNet50", "preprocessing": "own"},
            "ResNet50, 1/255": {"backbone": "ResNet50", "preprocessing": "rescale"},
            "VGG16, its own scaling": {"backbone": "VGG16", "preprocessing": "own"},
            "VGG16, 1/255": {"backbone": "VGG16", "preprocessing": "rescale"},
            "ResNet50V2, its own scaling": {"backbone": "ResNet50V2", "preprocessing": "own"},
            "ResNet50V2, 1/255": {"backbone": "ResNet50V2", "preprocessing": "rescale"},
            "MobileNetV2, its own scaling": {"backbone": "MobileNetV2", "preprocessing": "own"},
            "MobileNetV2, 1/255": {"backbone": "MobileNetV2", "preprocessing": "rescale"},
        },
    ),
    "batch_norm": (
        {"image_size": 112, "epochs": 15},
        {
            "its own scaling, BatchNorm frozen": {"preprocessing": "own", "batch_norm": "frozen"},
            "its own scaling, BatchNorm recalibrated": {
                "preprocessing": "own",
                "batch_norm": "recalibrate",
            },
            "its own scaling, BatchNorm trained": {"preprocessing": "own", "batch_norm": "train"},
            "1/255, BatchNorm frozen": {"preprocessing": "rescale", "batch_norm": "frozen"},
            "1/255, BatchNorm recalibrated": {
                "preprocessing": "rescale",
                "batch_norm": "recalibrate",
            },
            "1/255, BatchNorm trained": {"preprocessing": "rescale", "batch_norm": "train"},
        },
    ),
    "more_images": (
        {},
        {"the challenge's own": {}, "20 more images per class": {}, "60 more images per class": {}},
    ),
    "learning_curve": ({}, {"all": {}, "a half": {}, "a quarter": {}, "an eighth": {}}),
    "augmentation": (
        {},
        {
            "none": {"augmentation": "none"},
            "the kit's: brightness and contrast": {"augmentation": "kit"},
            "the handout's: rotations, flips, shifts": {"augmentation": "handout"},
        },
    ),
}


def get_settings(name, recipe=None):
    experiment = experiments.EXPERIMENTS[name]
    return experiment.settings(recipe or xk.recipes[experiment.recipe])


def get_values(recipe):
    return {name: getattr(recipe, name) for name in SETTINGS}


@pytest.mark.parametrize("name", sorted(experiments.EXPERIMENTS.keys() - RECIPES))
def test_settings_differ_by_what_their_labels_say(name):
    common, changes = CHANGES[name]
    recipe = get_values(xk.recipes[experiments.EXPERIMENTS[name].recipe])
    settings = get_settings(name)
    assert list(settings) == list(changes)
    for label, setting in settings.items():
        assert get_values(setting.recipe) == recipe | common | changes[label], label


@pytest.mark.parametrize("task", ["task1", "task2"])
def test_settings_of_recipes_are_the_recipes_they_name(task):
    networks = ("vgg16", "mobilenetv2", "mobilenet", "smallcnn", "smallcnn-narrow")
    settings = get_settings(f"{task}_recipes")
    assert list(settings) == [f"{task}-{network}" for network in networks]
    assert all(setting.recipe == xk.recipes[name] for name, setting in settings.items())


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_settings_have_the_published_accuracies_as_saved(name):
    table = xk.saved_experiment(name).table.set_index("setting").reindex(columns=["published"])
    published = {label: setting.published for label, setting in get_settings(name).items()}
    saved = table["published"].dropna().to_dict()
    assert {label: value for label, value in published.items() if value is not None} == saved


def test_settings_of_depth_freeze_a_fine_tuned_recipe_first():
    recipe = xk.recipes["task2-vgg16"]  # trained from block5_conv3
    settings = get_settings("depth", recipe)
    assert {
        label: (setting.recipe.trainable_from, setting.recipe.learning_rate)
        for label, setting in settings.items()
    } == {
        "head alone, as the recipe has it": (None, recipe.learning_rate),
        "head alone, 0.0001": (None, 0.0001),
        "from block5_conv3, 0.0001": ("block5_conv3", 0.0001),
        "from block5_conv1, 0.0001": ("block5_conv1", 0.0001),
        "from block4_conv1, 0.0001": ("block4_conv1", 0.0001),
    }


def test_settings_of_depth_train_more_from_row_to_row():
    trainable = xk.saved_experiment("depth").table["trainable"]
    assert trainable[0] == trainable[1] and trainable[1:].is_monotonic_increasing
    assert trainable[1:].is_unique


def test_settings_of_dropout_change_every_dropout_layer():
    settings = get_settings("dropout", xk.recipes["task2-vgg16-finetuned"])
    for label, setting in settings.items():
        rates = [options["rate"] for layer, options in setting.recipe.head if layer == "Dropout"]
        assert rates == [float(label)] * 2


def test_settings_of_batch_sizes_begin_with_the_recipe():
    settings = get_settings("batch_sizes", xk.recipes["task2-mobilenetv2"].override(batch_size=12))
    assert list(settings) == ["12", "5", "6", "7", "8", "9", "10", "11", "13", "14", "15"]


def test_settings_of_augmentation_change_what_they_name():
    def find_changed(kind):
        limits = vars(AUGMENTATIONS[kind]())
        return {name for name, limit in limits.items() if limit and name != "fill"}

    assert AUGMENTATIONS["none"]() is None
    assert find_changed("kit") == {"brightness", "contrast"}
    assert {"rotation", "shift", "horizontal_flip", "vertical_flip"} <= find_changed("handout")


def test_settings_of_learning_curve_train_on_their_fraction(multiclass):
    for label, fraction in (
        ("all", 1),
        ("a half", 1 / 2),
        ("a quarter", 1 / 4),
        ("an eighth", 1 / 8),
    ):
        transform = get_settings("learning_curve")[label].train_transform
        images = multiclass.train
        train = transform(images, multiclass.validation) if transform else images
        assert len(train) == pytest.approx(fraction * len(images), abs=2), label
        assert set(train.paths) <= set(images.paths)


def test_settings_of_more_images_add_their_number(multiclass, monkeypatch):
    rows = np.tile(np.arange(len(multiclass.train)), 5)
    external = replace(
        multiclass.train.subset(rows), patients=tuple(f"external {n}" for n in range(len(rows)))
    )
    monkeypatch.setattr(experiments, "load_external_set", lambda *_, **options: external)
    for label, added in (("20 more images per class", 20), ("60 more images per class", 60)):
        transform = get_settings("more_images")[label].train_transform
        counts = transform(multiclass.train, multiclass.validation).counts()
        assert counts == {name: n + added for name, n in multiclass.train.counts().items()}
    assert get_settings("more_images")["the challenge's own"].train_transform is None
