"""Files of ImageNet weights: their names and places; nothing here loads Keras or downloads."""

import os
from pathlib import Path

from ..errors import InputError
from ..files import shipped_path, to_path

# The file names of Keras' `include_top=False` weights; {alpha} is written as Keras writes it.
KERAS_FILES = {
    "VGG16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "VGG19": "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "ResNet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "ResNet50V2": "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "InceptionV3": "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "DenseNet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "MobileNet": "mobilenet_{alpha}_224_tf_no_top.h5",
    "MobileNetV2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_224_no_top.h5",
    "EfficientNetB0": "efficientnetb0_notop.h5",
}
WIDTHS = (1.0, 0.75, 0.5, 0.35, 0.25)  # alphas whose weights may be installed


def candidate_files(name: str, alpha: float) -> dict[str, str | None]:
    """Return the file names to look for in a weights folder, each with its last layer.

    None means a whole network. Keras' names come first, then xraykit's: `vgg16_notop.weights.h5`,
    with the width (`mobilenet_0_75_224_notop.weights.h5`) if it is not 1, and
    `resnet50_to_conv4_notop.weights.h5` for a ResNet that ends at its fourth stage.
    """
    if name not in KERAS_FILES:
        raise InputError(
            f"KERAS_FILES has no file of {name}'s ImageNet weights: add the name of the one that "
            "keras.applications downloads, or pass weights=FILE, or weights=None for random weights"
        )
    keras_alpha = str(float(alpha))
    if name == "MobileNet":
        keras_alpha = "1_0" if alpha == 1 else str(alpha * 10).replace(".", "_")
    width = "" if alpha == 1 else f"_{str(alpha).replace('.', '_')}_224"
    files: dict[str, str | None] = {
        KERAS_FILES[name].format(alpha=keras_alpha): None,
        f"{name.lower()}{width}_notop.weights.h5": None,
    }
    if name in ("ResNet50", "ResNet50V2"):
        files[f"{name.lower()}_to_conv4_notop.weights.h5"] = "conv4_block6_out"
    return files


def weights_folder() -> Path | None:
    """Return the folder that `XRAYKIT_WEIGHTS_DIR` names, else `weights/` of a clone, or None."""
    setting = os.environ.get("XRAYKIT_WEIGHTS_DIR")
    if setting:
        return to_path(setting, variable="XRAYKIT_WEIGHTS_DIR")
    folder = shipped_path("weights")
    return folder if folder.is_dir() else None


def find_in_folder(name: str, alpha: float) -> dict[Path, str | None]:
    """Return a network's files in `weights_folder`, each with its last layer."""
    folder = weights_folder()
    paths = {folder / file: end for file, end in candidate_files(name, alpha).items() if folder}
    return {path: end for path, end in paths.items() if path.is_file()}


def downloaded_file(name: str, alpha: float) -> Path:
    """Return the path of the file that Keras downloads, whether it is there or not."""
    cache = to_path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
    return cache / next(iter(candidate_files(name, alpha)))


def available_weights() -> list[Path]:
    """Return the files of all networks in all widths, in `weights_folder` and Keras' cache."""
    return [
        path
        for name, file in sorted(KERAS_FILES.items())
        for alpha in (WIDTHS if "{alpha}" in file else WIDTHS[:1])
        for path in find_weights(name, alpha)
    ]


def find_weights(name: str, alpha: float) -> dict[Path, str | None]:
    """Return a network's files in `weights_folder` and Keras' cache, each with its last layer."""
    path = downloaded_file(name, alpha)
    return find_in_folder(name, alpha) | ({path: None} if path.is_file() else {})
