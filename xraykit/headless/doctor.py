"""Whether all is here that the course needs: a line for each thing, with what to do about it."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path

import psutil
from jupyter_client import KernelManager
from jupyter_client.kernelspec import NoSuchKernel
from packaging.requirements import Requirement

from ..data.challenge import DATA, MANIFEST, compare, find_challenge
from ..data.external import CALLED, FOLDER
from ..errors import InputError
from ..recipes.recipe import Recipe

MIN_MEMORY, MIN_DISK = 4.0, 2.0  # GiB; Task 2's notebook takes about 2 of memory
WIDTHS = (1.0, 0.75, 0.5, 0.35, 0.25)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, and what was found or what to do."""

    ok: bool
    text: str

    def __str__(self) -> str:
        return f"{'✓' if self.ok else '✗'} {self.text}"


def examine() -> Iterator[Finding]:
    """Look at versions, devices, memory, disk, kernel, images, weights, and what is elsewhere.

    That there are no images or weights is no fault, since phantoms and SmallCNN stand in for
    them; that those are damaged which are named, is.
    """
    yield _versions()
    yield _devices()
    yield _kernel()
    memory = psutil.virtual_memory()
    yield _enough("Memory", memory.total, MIN_MEMORY, "take a smaller image_size, such as 128")
    yield _enough("Disk, free here", shutil.disk_usage(".").free, MIN_DISK, "make room")
    yield _images()
    yield _weights()
    yield _elsewhere()


def _versions() -> Finding:
    found = f"Python {sys.version.split()[0]}"
    for line in requires("xraykit") or ():
        needed = Requirement(line)
        if needed.marker is None and not needed.specifier.contains(version(needed.name)):
            return Finding(
                False,
                f"{found}, but {needed.name} {version(needed.name)}: expected {needed.specifier}. "
                "Install again: pip install -e .",
            )
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras"))
    return Finding(True, f"{found}, {packages}, and all others as pyproject.toml asks")


def _devices() -> Finding:
    try:
        from .._keras import keras
    except Exception as error:  # a broken installation can raise anything
        reason = str(error).strip().partition("\n")[0]
        return Finding(False, f"TensorFlow can't be imported: {reason}. Make the environment anew")
    devices = ", ".join(keras.distribution.list_devices())
    return Finding(True, f"TensorFlow computes on {devices}, with {os.cpu_count()} processors")


def _kernel() -> Finding:
    remedy = "python -m ipykernel install --sys-prefix"
    try:
        program = KernelManager(kernel_name="python3").format_kernel_cmd()[0]
    except NoSuchKernel:
        return Finding(False, f"JupyterLab has no kernel python3: {remedy}")
    folder = Path(program).parent
    if not folder.exists() or not folder.samefile(Path(sys.executable).parent):
        return Finding(False, f"JupyterLab's kernel python3 is another Python, {program}: {remedy}")
    return Finding(True, f"JupyterLab {version('jupyterlab')}, whose kernel python3 is this Python")


def _enough(what: str, size: int, least: float, remedy: str) -> Finding:
    found = f"{what}: {size / 2**30:.1f} GiB"
    if size >= least * 2**30:
        return Finding(True, found)
    return Finding(False, f"{found}, less than {least:g}: {remedy}")


def _images() -> Finding:
    if not MANIFEST.is_file():
        return Finding(False, f"{MANIFEST} is missing: install from a clone, pip install -e .")
    try:
        folder = find_challenge()
    except InputError as error:
        return Finding(False, str(error))
    if folder is None:
        drawn = "drawn already" if (DATA / "phantoms").is_dir() else "drawn when first needed"
        return Finding(
            True,
            f"Images: phantoms, {drawn}. For your copy of the challenge: "
            "xraykit data challenge --from-folder FOLDER",
        )
    found = compare(folder)
    lost = len(found.missing) + len(found.different)
    total = len(found.same) + lost
    said = f"Images: {len(found.same)} of {total} are the challenge's own, in {folder}"
    if lost <= 0.05 * total:
        return Finding(True, said)
    if not found.missing:
        return Finding(
            False, f"{said}, {lost} are others under the same names: scores can't be compared"
        )
    return Finding(
        False,
        f"{said}, {len(found.missing)} are missing, such as {found.missing[0]}: copy them again",
    )


def _weights() -> Finding:
    from ..models.backbones import PREPROCESSING, WITH_ALPHA
    from ..models.weights import candidate_files, keras_cache
    from ..recipes.choose import rank_recipes
    from ..recipes.published import RECIPES

    named = os.environ.get("XRAYKIT_WEIGHTS_DIR")
    folders = ([Path(named).expanduser()] if named else []) + [keras_cache()]
    if named and not folders[0].is_dir():
        return Finding(False, f"XRAYKIT_WEIGHTS_DIR={named} is not a folder: name one, or unset it")
    found = []
    for name in PREPROCESSING.keys() - {"SmallCNN"}:
        for alpha in WIDTHS if name in WITH_ALPHA else (1.0,):
            for file, end in candidate_files(name, alpha).items():
                paths = [folder / file for folder in folders]
                if any(path.is_file() and path.stat().st_size for path in paths):
                    width = "" if alpha == 1 else f" {alpha}"
                    found.append(f"{name}{width}{f' up to {end}' if end else ''}")
                    break
    said = [f"ImageNet weights here: {', '.join(sorted(found)) or 'none'}"]
    for task in ("binary", "multiclass"):
        ranking = {name: _network(RECIPES[name]) for name in rank_recipes(task).index}
        default, *_ = ranking
        if ranking[default] in found:
            said.append(f"the default, {default}, can run")
            continue
        usable = {*found, "SmallCNN"}
        stand_in = next(name for name, network in ranking.items() if network in usable)
        file = next(iter(candidate_files(RECIPES[default].backbone, RECIPES[default].alpha)))
        said.append(
            f"the default, {default}, needs {ranking[default]}, which Keras downloads at first "
            f"use. Without a network {stand_in} stands in for it, unless XRAYKIT_WEIGHTS_DIR names "
            f"a folder with {file}"
        )
    return Finding(True, "; ".join(said))


def _network(recipe: Recipe) -> str:
    return f"{recipe.backbone}{'' if recipe.alpha == 1 else f' {recipe.alpha}'}"


def _elsewhere() -> Finding:
    named = os.environ.get(FOLDER)
    if not named:
        return Finding(True, f"Images from elsewhere: none, {FOLDER} is not set; data/README.md")
    found = [place for place in CALLED if (Path(named).expanduser() / place).is_dir()]
    if not found:
        return Finding(False, f"{FOLDER}={named} has none of {', '.join(CALLED)}: name another")
    return Finding(True, f"Images from elsewhere: {', '.join(found)}")
