"""Where a backbone's ImageNet weights come from: a file, a folder of files, or Keras' download."""

import io
import os
import socket
import warnings
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

from .._keras import keras
from ..errors import InputError
from ..progress import is_interactive

# The names under which Keras caches its `include_top=False` weights; {alpha} is spelled its way.
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


DOWNLOAD_TIMEOUT = 20.0  # seconds without an answer, after which a download has failed


class NoWeightsError(InputError):
    """ImageNet weights can't be had here; the text names the ways out."""


def keras_cache() -> Path:
    """Return the folder in which Keras keeps the weights that it has downloaded."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras"), "models").expanduser()


def candidate_files(name: str, alpha: float) -> dict[str, str | None]:
    """Return the file names looked for in a weights folder, each with the layer it ends at.

    None is a whole network. Keras' own names come first, then the kit's: `vgg16_notop.weights.h5`,
    with the width (`mobilenet_0_75_224_notop.weights.h5`) where it is not 1, and
    `resnet50_to_conv4_notop.weights.h5` for a ResNet that ends at its fourth stage.
    """
    keras_alpha = str(float(alpha))
    if name == "MobileNet":
        keras_alpha = "1_0" if alpha == 1 else str(alpha * 10).replace(".", "_")
    width = "" if alpha == 1 else f"_{str(alpha).replace('.', '_')}_224"
    files = {
        KERAS_FILES[name].format(alpha=keras_alpha): None,
        f"{name.lower()}{width}_notop.weights.h5": None,
    }
    if name in ("ResNet50", "ResNet50V2"):
        files[f"{name.lower()}_to_conv4_notop.weights.h5"] = "conv4_block6_out"
    return files


def load_imagenet(
    network: keras.Model, name: str, alpha: float, end_at: str | None, download: Callable
) -> None:
    """Fill `network` with ImageNet weights, or at least all of it up to the layer `end_at`.

    Looks in the folder named by `XRAYKIT_WEIGHTS_DIR`, then lets Keras download (or take from its
    own cache): `download()` returns Keras' network with its weights.

    Raises
    ------
    NoWeightsError
        If they can't be had.
    InputError
        If a file is damaged, or another network's.
    """
    files = candidate_files(name, alpha)
    named = os.environ.get("XRAYKIT_WEIGHTS_DIR")
    folder = Path(named).expanduser() if named else None
    too_short = ""
    for file, end in files.items() if folder else ():
        path = folder / file
        if path.is_file():
            if end is None or (end_at and _position(network, end_at) <= _position(network, end)):
                _load(network if end is None else up_to(network, end), path)
                return
            too_short = f" ({file} is there, and serves with end_at={end!r})"
    if not (keras_cache() / next(iter(files))).is_file():
        size = 4 * network.count_params() / 1e6  # float32
        print(
            f"The ImageNet weights of {name} are not on this machine: asking Keras' download "
            f"address for them ({size:.0f} MB, once).",
            flush=True,
        )
    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)  # Keras would wait for ever
        with nullcontext() if is_interactive() else redirect_stdout(io.StringIO()):
            network.set_weights(download().get_weights())
        for layer in network.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # takes its new mean and variance into use
    except Exception as error:
        wanted = " or ".join(files)
        where = (
            f"XRAYKIT_WEIGHTS_DIR={folder} holds no {wanted}{too_short}"
            if folder
            else f"XRAYKIT_WEIGHTS_DIR is not set (to a folder that holds {wanted})"
        )
        raise NoWeightsError(
            f"ImageNet weights for {name} can't be had: Keras' download failed ({error}), and "
            f"{where}. Put the file there, pass weights=FILE, choose another backbone, or train "
            "'SmallCNN', which needs none"
        ) from error
    finally:
        socket.setdefaulttimeout(patience)


def load_file(network: keras.Model, path: Path, end_at: str | None) -> None:
    """Fill `network`, or all of it up to the layer `end_at`, with the weights in one file.

    Raises
    ------
    InputError
        If the file is missing, not a weights file, or made for another network.
    """
    if not path.is_file():
        raise InputError(f"weights={str(path)!r}: expected 'imagenet', None, or a .h5 file's path")
    try:
        _load(network, path)
    except InputError:
        if end_at is None:
            raise
        _load(up_to(network, end_at), path)


def up_to(network: keras.Model, layer: str) -> keras.Model:
    """Return the part of a network that ends at `layer`; layers are shared, not copied."""
    return keras.Model(network.input, network.get_layer(layer).output, name=network.name)


def _position(network: keras.Model, layer: str) -> int:
    return [each.name for each in network.layers].index(layer)


def _load(network: keras.Model, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            # Said of files from before Keras 3.15 by walking the same layers a second way; a
            # layer that does not get its weights is an error all the same.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            network.load_weights(path)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} doesn't hold the weights of {network.name}: {reason}") from error
