"""The experiments: the questions of the two reports, and the settings that answer them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from ..data.external import load_external_set
from ..data.images import ImageSet
from ..errors import InputError
from ..recipes.published import get_recipe
from ..recipes.recipe import Recipe

KIT_NETWORKS = ("vgg16", "mobilenetv2", "mobilenet", "smallcnn", "smallcnn-narrow")
BACKBONES: tuple[str, ...] = ("MobileNetV2", "MobileNet", "EfficientNetB0", "ResNet50")
BACKBONES += ("ResNet50V2", "DenseNet121", "InceptionV3", "VGG16", "VGG19")
# Report B's test accuracies of task2-vgg16-wide, in percent, for batch sizes of 5 to 15.
REPORT_B_ACCURACIES = {5: 61, 6: 69, 7: 55, 8: 47, 9: 50, 10: 75, 11: 64, 12: 77, 13: 61, 14: 61}
REPORT_B_ACCURACIES |= {15: 69}
PREPROCESSINGS = {"its own scaling": "own", "1/255": "rescale"}
DEPTHS = {
    "MobileNetV2": ("block_16_expand", "block_15_expand", "block_13_expand"),
    "VGG16": ("block5_conv3", "block5_conv1", "block4_conv1"),
    "ResNet50": ("conv4_block6_1_conv", "conv4_block5_1_conv", "conv4_block4_1_conv"),
}


@dataclass(frozen=True)
class Setting:
    """One row of an experiment.

    Attributes
    ----------
    recipe : Recipe
    train_transform : callable, optional
        As in `cross_validate`.
    published : float, optional
        The accuracy in a report, 0 to 1, perhaps of another network.
    """

    recipe: Recipe
    train_transform: Callable[[ImageSet, ImageSet], ImageSet] | None = None
    published: float | None = None


@dataclass(frozen=True)
class Experiment:
    """A question, and the settings of a recipe that are compared to answer it.

    Attributes
    ----------
    question : str
    finding : str
        The answer on the real images, from the saved table.
    settings : callable
        From a recipe to its settings by name; the first is the one that others are compared with.
    recipe : str
        The name of the default recipe.
    tested : bool
        Whether the test images are predicted as well, once, and t-SNE maps are made.
    others : dict of str to str
        What the saved tables with other recipes say, by the recipe's name.
    """

    question: str
    finding: str
    settings: Callable[[Recipe], dict[str, Setting]]
    recipe: str = "task2-mobilenetv2"
    tested: bool = False
    others: dict[str, str] = field(default_factory=dict)


def _recipes(recipe: Recipe) -> dict[str, Setting]:
    """Return this kit's recipes for a task, from which the default is chosen."""
    prefix = recipe.name.partition("-")[0]
    names = [f"{prefix}-{network}" for network in KIT_NETWORKS]
    return {name: Setting(get_recipe(name)) for name in names}


def _repairs(recipe: Recipe) -> dict[str, Setting]:
    original = recipe.as_published()
    augmentations = {"no augmentation": "none", "the handout's augmentation": original.augmentation}
    return {
        f"{scaling}, {name}": Setting(
            original.override(preprocessing=preprocessing, augmentation=augmentation)
        )
        for name, augmentation in augmentations.items()
        for scaling, preprocessing in PREPROCESSINGS.items()
    }


def _backbones(recipe: Recipe) -> dict[str, Setting]:
    return {name: Setting(recipe.override(backbone=name)) for name in BACKBONES}


def _optimizers(recipe: Recipe) -> dict[str, Setting]:
    return {
        f"{optimizer}, {rate:g}": Setting(recipe.override(optimizer=optimizer, learning_rate=rate))
        for optimizer, rate in (
            ("adam", 1e-3),
            ("rmsprop", 1e-3),
            ("sgd", 1e-3),
            ("sgd", 1e-2),
            ("sgd", 1e-1),
        )
    }


def _batch_sizes(recipe: Recipe) -> dict[str, Setting]:
    published = REPORT_B_ACCURACIES
    sizes = sorted(published, key=lambda size: size != recipe.batch_size)
    return {
        f"{size}": Setting(recipe.override(batch_size=size), published=published[size] / 100)
        for size in sizes
    }


def _depths(recipe: Recipe) -> dict[str, Setting]:
    if recipe.backbone not in DEPTHS:
        raise InputError(
            f"depth: expected a recipe with {', '.join(DEPTHS)}; got {recipe.backbone}"
        )
    head = recipe.override(trainable_from=None)
    settings = {"head alone, as the recipe has it": Setting(head)}
    for layer in (None, *DEPTHS[recipe.backbone]):
        name = f"from {layer}" if layer else "head alone"
        slow = head.override(trainable_from=layer, learning_rate=1e-4)
        settings[f"{name}, 0.0001"] = Setting(slow)
    return settings


def _dropout(recipe: Recipe) -> dict[str, Setting]:
    def change_dropout(rate: float) -> Recipe:
        head = tuple(
            (layer, options | {"rate": rate} if layer == "Dropout" else options)
            for layer, options in recipe.head
        )
        return recipe.override(head=head)

    if not any(layer == "Dropout" for layer, _ in recipe.head):
        raise InputError(
            f"dropout: the head of {recipe.name} has no Dropout layer; choose another recipe"
        )
    return {f"{rate:g}": Setting(change_dropout(rate)) for rate in (0.2, 0, 0.5, 0.8)}


def _stopping(recipe: Recipe) -> dict[str, Setting]:
    long = recipe.override(epochs=4 * recipe.epochs)
    return {
        f"{recipe.epochs} epochs": Setting(recipe),
        f"{long.epochs} epochs": Setting(long),
        f"{long.epochs} epochs, best weights restored": Setting(
            long.override(restore_best_weights=True)
        ),
        "early stopping with patience 5, best weights restored": Setting(
            long.override(restore_best_weights=True, early_stopping=5)
        ),
    }


def _schedules(recipe: Recipe) -> dict[str, Setting]:
    rate, epochs = 1e-3, 2 * recipe.epochs
    initial = {"initial_learning_rate": rate}
    rates = {
        f"constant, {rate:g}": rate,
        "inverse time decay, rate 1 per epoch": initial
        | {"schedule": "InverseTimeDecay", "decay_epochs": 1, "decay_rate": 1},
        "cosine, to 0": initial | {"schedule": "CosineDecay", "decay_epochs": epochs},
        "a tenth after half of the epochs": {
            "schedule": "PiecewiseConstantDecay",
            "boundaries": [epochs // 2],
            "values": [rate, rate / 10],
        },
    }
    return {
        name: Setting(recipe.override(epochs=epochs, learning_rate=schedule))
        for name, schedule in rates.items()
    }


def _preprocessing(recipe: Recipe) -> dict[str, Setting]:
    return {
        f"{backbone}, {scaling}": Setting(
            recipe.override(backbone=backbone, preprocessing=preprocessing)
        )
        for backbone in ("ResNet50", "VGG16", "ResNet50V2", "MobileNetV2")
        for scaling, preprocessing in PREPROCESSINGS.items()
    }


def _batch_norm(recipe: Recipe) -> dict[str, Setting]:
    # A smaller image: where BatchNorm is trained, every step computes the whole network.
    recipe = recipe.override(image_size=112, epochs=15)
    published = {("rescale", "frozen"): 0.26, ("rescale", "train"): 25 / 36}
    modes = {"frozen": "frozen", "recalibrate": "recalibrated", "train": "trained"}
    return {
        f"{scaling}, BatchNorm {name}": Setting(
            recipe.override(preprocessing=preprocessing, batch_norm=mode),
            published=published.get((preprocessing, mode)),
        )
        for scaling, preprocessing in PREPROCESSINGS.items()
        for mode, name in modes.items()
    }


def _more_images(recipe: Recipe) -> dict[str, Setting]:
    return {
        "the challenge's own": Setting(recipe),
        "20 more images per class": Setting(recipe, partial(_add_external, 20)),
        "60 more images per class": Setting(recipe, partial(_add_external, 60)),
    }


def _learning_curve(recipe: Recipe) -> dict[str, Setting]:
    return {
        name: Setting(recipe, partial(_select_eighths, eighths) if eighths < 8 else None)
        for name, eighths in (("all", 8), ("a half", 4), ("a quarter", 2), ("an eighth", 1))
    }


def _augmentation(recipe: Recipe) -> dict[str, Setting]:
    return {
        name: Setting(recipe.override(augmentation=kind))
        for name, kind in (
            ("none", "none"),
            ("the kit's: brightness and contrast", "kit"),
            ("the handout's: rotations, flips, shifts", "handout"),
        )
    }


def _add_external(number: int, images: ImageSet, left_out: ImageSet) -> ImageSet:
    """Add external images, `number` per class, none of a patient in `left_out`."""
    size = images.pixels.shape[1]
    others = load_external_set(("adult_covid", "child"), images.class_names, image_size=size)
    new = ~np.isin(others.patients, images.patients + left_out.patients)
    rows = [
        np.flatnonzero(new & (others.labels == label))[:number]
        for label in range(len(images.class_names))
    ]
    return images.join(others.subset(np.concatenate(rows)))


def _select_eighths(eighths: int, images: ImageSet, left_out: ImageSet) -> ImageSet:
    """Return some eighths of the images, by patient; a larger part contains the smaller."""
    splitter = StratifiedGroupKFold(8, shuffle=True, random_state=0)
    parts = [rows for _, rows in splitter.split(images.paths, images.labels, images.patients)]
    return images.subset(np.sort(np.concatenate(parts[:eighths])))


EXPERIMENTS = {
    "task1_recipes": Experiment(
        "Which recipe is the default of Task 1?",
        "No recipe differs significantly from the best one, task1-vgg16 with 128 of 129. "
        "task1-mobilenet with 127 of 129 is the fastest, and so the default.",
        _recipes,
        recipe="task1-mobilenet",
    ),
    "task2_recipes": Experiment(
        "Which recipe is the default of Task 2?",
        "The best is task2-vgg16 with 220 of 269. task2-mobilenetv2 (208 of 269) and "
        "task2-mobilenet (209 of 269, p = 0.15 each) do not differ significantly from it; the "
        "small networks do (178 of 269 and 181 of 269). task2-mobilenet is the fastest of the "
        "first three, and so the default.",
        _recipes,
        recipe="task2-mobilenet",
    ),
    "repairs": Experiment(
        "What do the repairs do, VGG16 frozen?",
        "Without BatchNorm no effect is measurable. With its own scaling 209 of 269 are correct, "
        "with 1/255 219 of 269, with the handout's augmentation 202 of 269 and 198 of 269: none "
        "differs significantly from the first (50 epochs in bfloat16).",
        _repairs,
        recipe="handout-task2",
    ),
    "repairs_finetuned": Experiment(
        "What do the repairs do, VGG16 fine-tuned?",
        "The scaling makes no difference (217 of 269 and 219 of 269). The handout's augmentation "
        "does: with it 178 of 269 and 183 of 269 are correct after the 15 epochs (in bfloat16) of "
        "this experiment.",
        _repairs,
        recipe="task2-vgg16-finetuned",
    ),
    "backbones": Experiment(
        "Which backbone?",
        "None of four is better: 206, 210, 204 and 200 of 269 images are correct, and none differs "
        "significantly from the first (p = 1 each). The 36 test images alone would have ranked "
        "them, from 20 to 26.",
        _backbones,
        tested=True,
    ),
    "optimizers": Experiment(
        "Which optimizer, at which learning rate?",
        "Adam, RMSprop and SGD do not differ significantly, each at a suitable learning rate "
        "(206, 203 and 200 of 269). SGD at 0.1 is worse (180 of 269, p = 0.035).",
        _optimizers,
        others={
            "task2-vgg16-frozen": (
                "VGG16 shows the same: 207, 198 and 197 of 269 with Adam, RMSprop and SGD. SGD "
                "at 0.1 fails: 70 of 269, as if one class were predicted for all images."
            )
        },
    ),
    "batch_sizes": Experiment(
        "Which batch size?",
        "No size differs significantly from size 10: 201 to 209 of 269 are correct. Report B found "
        "47 to 77 % on 36 test images, with one training for each size.",
        _batch_sizes,
        others={
            "task2-vgg16-frozen": (
                "With VGG16, the reports' backbone, no size differs either: 203 to 210 of 269 "
                "(p = 1.0 each). Size 8, the worst in report B, is here the best by chance, "
                "with 210 of 269."
            )
        },
    ),
    "depth": Experiment(
        "How much of the backbone should be trained?",
        "Training more of MobileNetV2 gains nothing: 205, 204 and 197 of 269 are correct, and 206 "
        "of 269 with the head alone. Report A found the same for VGG16.",
        _depths,
    ),
    "dropout": Experiment(
        "How much dropout?",
        "It makes no difference, from none (207 of 269) to 0.8 (205 of 269).",
        _dropout,
        others={
            "task2-vgg16-frozen": (
                "VGG16 shows the same: from none (211 of 269) to 0.8 (204 of 269), p = 1.0 each."
            )
        },
    ),
    "early_stopping": Experiment(
        "When to stop training?",
        "Four times as many epochs make no significant difference (211 against 206 of 269). "
        "Neither does early stopping (203 of 269), which uses a fifth of the images for "
        "validation.",
        _stopping,
        others={
            "task2-vgg16-frozen": (
                "VGG16 shows the same. Four times as many epochs are correct on 218 of 269, "
                "against 207 of 269 (p = 0.13), with early stopping on 208 of 269."
            )
        },
    ),
    "schedules": Experiment(
        "Should the learning rate decrease?",
        "No schedule differs significantly from a constant rate: 208 of 269 are correct without "
        "one, 204, 205 and 208 of 269 with one.",
        _schedules,
        others={"task2-vgg16-frozen": ("VGG16 shows the same: 210, 213, 210 and 210 of 269.")},
    ),
    "preprocessing": Experiment(
        "What does the wrong scaling do?",
        "ResNet50 expects values from -124 to 151. With 1/255 only 70 of 269 are correct, as if "
        "one class were predicted for all images; with its own scaling 203 of 269 are. VGG16 "
        "has no BatchNorm: 194 and 207 of 269, no significant difference. The scores of networks "
        "that expect -1 to 1 hardly change (198 against 200 of 269, 201 against 208).",
        _preprocessing,
    ),
    "batch_norm": Experiment(
        "Was it BatchNorm, or the scaling?",
        "It was the scaling. With its own scaling a frozen ResNet50 is correct on 217 of 269; with "
        "1/255 on 70 of 269, as in report A (26 %), as if it predicted one class for all images. "
        "If the statistics of BatchNorm are recomputed from such images, 207 of 269 are correct. "
        "If they are trained, they change by a hundredth per step: after these 15 epochs 59 of 269 "
        "are correct, after 100 epochs about as many as in report A (26/36 test images, published "
        "25/36).",
        _batch_norm,
        recipe="task2-resnet50",
    ),
    "more_images": Experiment(
        "Do more images help?",
        "20 more images per class make no significant difference (208 against 206 of 269), as "
        "report A found, and neither do 60 (200 of 269).",
        _more_images,
        others={
            "task2-vgg16-frozen": (
                "VGG16 shows the same: 207 of 269 with 20 more images per class, 194 of 269 "
                "with 60 (p = 0.14)."
            )
        },
    ),
    "learning_curve": Experiment(
        "How many images are needed?",
        "Trained on an eighth of the images, about 27, the network is correct on 172 of 269; on "
        "all 215 of them, on 206 of 269 (p = 0.00045). The steps between, 195 and 191 of 269, do "
        "not differ significantly from all.",
        _learning_curve,
        others={
            "task2-vgg16-frozen": (
                "VGG16 shows the same: 170 of 269 with an eighth, 207 of 269 with all (p = "
                "0.00077); a half and a quarter, 202 of 269 each, do not differ significantly "
                "from all."
            )
        },
    ),
    "augmentation": Experiment(
        "Does augmentation help?",
        "Brightness and contrast make no significant difference (212 against 206 of 269). With "
        "the handout's rotations and flips 192 of 269 are correct (p = 0.12); with ten folds and "
        "three seeds the difference is significant (docs/results/experiments.md).",
        _augmentation,
        others={
            "task2-vgg16-frozen": (
                "VGG16 shows the difference already with five folds: 181 of 269 with the "
                "handout's augmentation, against 207 of 269 (p = 0.00061); brightness and "
                "contrast make none (210 of 269)."
            )
        },
    ),
}
