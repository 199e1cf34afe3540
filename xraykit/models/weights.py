"""ImageNet weights of a backbone: from a file, a folder of files, or Keras' download."""

import socket
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

from .._keras import keras
from ..errors import InputError
from ..log import logger
from ..progress import is_interactive
from .weight_files import candidate_files, downloaded_file, find_in_folder, weights_folder

DOWNLOAD_TIMEOUT = 20.0  # seconds without an answer, after which a download has failed


class NoWeightsError(InputError):
    """ImageNet weights are not available here; the text lists the alternatives."""


def load_imagenet(
    network: keras.Model, *, name: str, alpha: float, end_at: str | None, download: Callable
) -> None:
    """Load ImageNet weights into `network`, at least up to the layer `end_at`.

    Looks in the folder named by `XRAYKIT_WEIGHTS_DIR`, then lets Keras download them (or take them
    from its cache): `download()` returns Keras' network with its weights.

    Raises
    ------
    NoWeightsError
        If the weights are not available.
    InputError
        If a file is damaged, or belongs to another network.
    """
    too_short = ""
    for path, last in find_in_folder(name, alpha).items():
        if last is None or (end_at and _position(network, end_at) <= _position(network, last)):
            _load(network if last is None else end_at_layer(network, last), path)
            return
        too_short = f" ({path.name} is there; it fits with end_at={last!r})"
    if not downloaded_file(name, alpha).is_file():
        _announce_download(name, 4 * network.count_params())  # float32
    try:
        _download(network, download)
    except Exception as error:
        names, folder = " or ".join(candidate_files(name, alpha)), weights_folder()
        place = (
            f"{folder} contains no {names}{too_short}"
            if folder
            else f"XRAYKIT_WEIGHTS_DIR is not set (to a folder that contains {names})"
        )
        raise NoWeightsError(
            f"ImageNet weights for {name} could not be loaded: download failed ({error}), and "
            f"{place}. Put the file there, pass weights=FILE, or weights=None for random weights, "
            "choose another backbone, or train 'SmallCNN', which needs none"
        ) from error


@cache  # once per process: a notebook may ask for the same weights several times
def _announce_download(name: str, n_bytes: int) -> None:
    logger.warning(
        f"The ImageNet weights of {name} are not on this machine: trying to download them "
        f"({n_bytes / 1e6:.0f} MB, once)."
    )


def _download(network: keras.Model, download: Callable) -> None:
    timeout = socket.getdefaulttimeout()
    shows_progress = keras.config.is_interactive_logging_enabled()
    try:
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)  # Keras would wait for ever
        if not is_interactive():
            keras.config.disable_interactive_logging()
        network.set_weights(download().get_weights())
    finally:
        socket.setdefaulttimeout(timeout)
        if shows_progress:
            keras.config.enable_interactive_logging()
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # applies its new mean and variance


def load_file(network: keras.Model, path: Path, *, end_at: str | None) -> None:
    """Load the weights in one file into `network`, or into its part up to the layer `end_at`.

    Raises
    ------
    InputError
        If the file is missing, is not a weights file, or belongs to another network.
    """
    if not path.is_file():
        raise InputError(f"weights={str(path)!r}: expected 'imagenet', None, or a .h5 file's path")
    try:
        _load(network, path)
    except InputError:
        if end_at is None:
            raise
        _load(end_at_layer(network, end_at), path)


def end_at_layer(network: keras.Model, layer: str) -> keras.Model:
    """Return the part of a network that ends at `layer`; layers are shared, not copied."""
    return keras.Model(network.input, network.get_layer(layer).output, name=network.name)


def _position(network: keras.Model, layer: str) -> int:
    return [candidate.name for candidate in network.layers].index(layer)


def _load(network: keras.Model, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            # Keras warns about files from before version 3.15, because it walks their layers in a
            # second way; a layer that does not get its weights is an error in any case.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            network.load_weights(path)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path} does not contain the weights of {network.name}: {reason}"
        ) from error
