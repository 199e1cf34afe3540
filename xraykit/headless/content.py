"""The key of a run: a digest of all that its results depend on, and of nothing else."""

import json
import os
from collections.abc import Iterator
from hashlib import file_digest, sha256
from importlib.metadata import version
from pathlib import Path

from nbformat import NotebookNode

from ..data.challenge import LAYOUT, find_challenge
from ..data.external import EXTERNAL_VARIABLE
from ..data.phantoms import PHANTOMS
from ..errors import InputError, escape_name
from ..files import is_clutter, to_path
from ..models.weight_files import available_weights
from .parameters import find_path
from .results import RESULTS

PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def content_key(content: NotebookNode, values: dict[str, object], out: Path) -> str:
    """Return a digest of all that a run depends on, so that the same one need not run again.

    These are the cells, the parameters, the files and folders that parameters name, the images
    and weights that the environment offers, the code of xraykit, and versions.

    Raises
    ------
    InputError
        If a file can't be read, or the environment names a folder that can't be used.
    """
    nested = [
        inner for value in values.values() if isinstance(value, dict) for inner in value.values()
    ]
    paths = [path for path in map(find_path, [*values.values(), *nested]) if path]
    if values.get("data", "auto") == "auto" and (images := find_challenge()):
        paths.append(images)
    if external := os.environ.get(EXTERNAL_VARIABLE):
        paths.append(to_path(external, variable=EXTERNAL_VARIABLE))
    inputs = {
        "cells": [(cell.cell_type, cell.source) for cell in content.cells],
        "kernel": content.metadata.kernelspec.name,
        "values": values,
        "files": [_digest(path, out) for path in paths],
        "weights": [[path.name, path.stat().st_size] for path in available_weights()],
        "code": _digest(Path(__file__).parents[1], out),
        "versions": [version(package) for package in PACKAGES],
    }
    return sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _digest(path: Path, out: Path) -> str:
    """Return a digest of a file, or of the files that are read from a folder."""
    digest = sha256()
    for file in _list_content(path, out.resolve()) if path.is_dir() else [path]:
        digest.update(escape_name(file.relative_to(path).as_posix()).encode())
        try:
            with file.open("rb") as content:
                digest.update(file_digest(content, "sha256").digest())
        except OSError as error:
            raise InputError(f"{file} can't be read: {error.strerror}") from error
    return digest.hexdigest()


def _list_content(folder: Path, out: Path) -> Iterator[Path]:
    """Yield the files in and below a folder, without clutter, and without the results of runs.

    A folder of images holds much else at times, but only these folders of it are read.
    """
    parts = [folder / part for part, _ in LAYOUT.values()]
    images = [part for part in parts if part.is_dir()]
    if images and (folder / PHANTOMS).is_file():
        yield folder / PHANTOMS
    for top in images or [folder]:
        for parent, names, files in os.walk(top, followlinks=True):
            folders = [Path(parent, name) for name in sorted(names)]
            names[:] = [path.name for path in folders if _is_content(path, out)]
            paths = [Path(parent, name) for name in sorted(files) if not is_clutter(name)]
            yield from (path for path in paths if path.is_file())


def _is_content(folder: Path, out: Path) -> bool:
    real = Path(os.path.realpath(folder))
    is_loop = Path(os.path.realpath(folder.parent)).is_relative_to(real)  # a link to one above it
    is_run = real == out or (folder / RESULTS).is_file()
    return not (is_loop or is_run or is_clutter(folder.name))
