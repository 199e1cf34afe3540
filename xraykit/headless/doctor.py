"""Check whether this machine has everything that the course needs: one line per check."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil
from jupyter_client import KernelManager
from jupyter_client.kernelspec import NoSuchKernel
from packaging.requirements import Requirement

from ..data.challenge import DATA, MANIFEST, compare_with_manifest, find_challenge
from ..data.external import EXTERNAL_VARIABLE, GROUP_NAMES
from ..errors import InputError
from ..recipes.recipe import Recipe

MIN_MEMORY, MIN_DISK = 4.0, 2.0  # GiB; Task 2's notebook takes about 2 of memory
WIDTHS = (1.0, 0.75, 0.5, 0.35, 0.25)  # alphas whose weights may be installed
INSTALL = "Install again: pip install -e ."


@dataclass(frozen=True)
class Finding:
    """The result of one check: whether it passed, and a finding or a remedy."""

    ok: bool
    text: str

    def __str__(self) -> str:
        return f"{'✓' if self.ok else '✗'} {self.text}"


def examine() -> Iterator[Finding]:
    """Check versions, devices, kernel, memory, disk, images, weights and external images.

    Missing images or weights are not an error, because phantoms and SmallCNN replace them. A check
    fails if more than 5 % of the challenge's images are missing or different, or if a folder that
    an environment variable names can't be used.
    """
    yield _check_versions()
    yield _check_devices()
    yield _check_kernel()
    memory = psutil.virtual_memory()
    yield _check_size("Memory", memory.total, MIN_MEMORY, "Use a smaller image_size, such as 128")
    free = shutil.disk_usage(".").free
    yield _check_size("Free disk space", free, MIN_DISK, "Delete some files")
    yield _check_images()
    yield _check_weights()
    yield _check_external()


def _check_versions() -> Finding:
    python = f"Python {sys.version.split()[0]}"
    try:
        for line in requires("xraykit") or ():
            needed = Requirement(line)
            if needed.marker is None and not needed.specifier.contains(version(needed.name)):
                return Finding(
                    False,
                    f"{python}, but {needed.name} {version(needed.name)}: expected "
                    f"{needed.specifier}. {INSTALL}",
                )
        packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras"))
    except PackageNotFoundError as error:
        return Finding(False, f"{python}, but the package {error.name} is missing. {INSTALL}")
    return Finding(True, f"{python}, {packages}, and all other packages as in pyproject.toml")


def _check_devices() -> Finding:
    try:
        from .._keras import keras
    except Exception as error:  # a broken installation can raise anything
        reason = str(error).strip().partition("\n")[0]
        return Finding(False, f"TensorFlow can't be imported: {reason}. {INSTALL}")
    devices = ", ".join(keras.distribution.list_devices())
    return Finding(True, f"TensorFlow computes on {devices}, with {os.cpu_count()} processors")


def _check_kernel() -> Finding:
    remedy = "python -m ipykernel install --sys-prefix"
    try:
        program = KernelManager(kernel_name="python3").format_kernel_cmd()[0]
        lab = version("jupyterlab")
    except NoSuchKernel:
        return Finding(False, f"JupyterLab has no kernel python3. Create it: {remedy}")
    except PackageNotFoundError:
        return Finding(False, f"JupyterLab is missing. {INSTALL}")
    folder = Path(program).parent
    if not folder.exists() or not folder.samefile(Path(sys.executable).parent):
        return Finding(
            False,
            f"JupyterLab's kernel python3 runs another Python, {program}. Replace it: {remedy}",
        )
    return Finding(True, f"JupyterLab {lab}; its kernel python3 runs this Python")


def _check_size(name: str, size: int, minimum: float, remedy: str) -> Finding:
    text = f"{name}: {size / 2**30:.1f} GiB"
    if size >= minimum * 2**30:
        return Finding(True, text)
    return Finding(False, f"{text}, expected at least {minimum:g} GiB. {remedy}")


def _check_images() -> Finding:
    if not MANIFEST.is_file():
        return Finding(False, f"{MANIFEST} is missing: install from a clone, pip install -e .")
    try:
        folder = find_challenge()
    except InputError as error:
        return Finding(False, str(error))
    if folder is None:
        state = "drawn already" if (DATA / "phantoms").is_dir() else "drawn when first needed"
        return Finding(
            True,
            f"Images: phantoms, {state}. For your copy of the challenge: "
            "xraykit data challenge --from-folder FOLDER",
        )
    copy = compare_with_manifest(folder)
    n_wrong = len(copy.missing) + len(copy.different)
    total = len(copy.same) + n_wrong
    text = f"Images: {len(copy.same)} of {total} are identical to the challenge's, in {folder}"
    if n_wrong <= 0.05 * total:
        return Finding(True, text)
    if copy.missing:
        text += f", {len(copy.missing)} are missing, such as {copy.missing[0]}: copy them again"
    else:
        text += f", {n_wrong} differ from those of the same name: scores can't be compared"
    return Finding(False, text)


def _check_weights() -> Finding:
    from ..recipes.choose import rank_recipes
    from ..recipes.published import RECIPES

    variable = os.environ.get("XRAYKIT_WEIGHTS_DIR")
    if variable and not Path(variable).expanduser().is_dir():
        return Finding(
            False, f"XRAYKIT_WEIGHTS_DIR={variable} is not a folder: name one, or unset it"
        )
    networks = _find_weights(variable)
    texts = [f"ImageNet weights here: {', '.join(sorted(networks)) or 'none'}"]
    for task in ("binary", "multiclass"):
        ranking = {name: _describe_network(RECIPES[name]) for name in rank_recipes(task).index}
        default = next(iter(ranking))
        if ranking[default] in networks:
            texts.append(f"the default, {default}, can run")
        else:
            runnable = (name for name in ranking if ranking[name] in {*networks, "SmallCNN"})
            texts.append(_describe_replacement(RECIPES[default], next(runnable)))
    return Finding(True, "; ".join(texts))


def _find_weights(variable: str | None) -> list[str]:
    """Return the networks whose weights are in Keras' cache or the folder that is named."""
    from ..models.backbones import SCALINGS, WITH_ALPHA
    from ..models.weights import candidate_files, keras_cache

    folders = ([Path(variable).expanduser()] if variable else []) + [keras_cache()]
    networks = []
    for name in SCALINGS.keys() - {"SmallCNN"}:
        for alpha in WIDTHS if name in WITH_ALPHA else (1.0,):
            for file, end in candidate_files(name, alpha).items():
                paths = [folder / file for folder in folders]
                if any(path.is_file() and path.stat().st_size for path in paths):
                    width = "" if alpha == 1 else f" {alpha}"
                    networks.append(f"{name}{width}{f' up to {end}' if end else ''}")
                    break
    return networks


def _describe_replacement(default: Recipe, replacement: str) -> str:
    from ..models.weights import candidate_files

    file = next(iter(candidate_files(default.backbone, default.alpha)))
    return (
        f"the default, {default.name}, needs {_describe_network(default)}, which Keras downloads "
        f"at first use. Without an internet connection {replacement} replaces it, unless "
        f"XRAYKIT_WEIGHTS_DIR names a folder with {file}"
    )


def _describe_network(recipe: Recipe) -> str:
    return f"{recipe.backbone}{'' if recipe.alpha == 1 else f' {recipe.alpha}'}"


def _check_external() -> Finding:
    variable = os.environ.get(EXTERNAL_VARIABLE)
    if not variable:
        return Finding(
            True, f"External images: none, {EXTERNAL_VARIABLE} is not set; see data/README.md"
        )
    groups = [group for group in GROUP_NAMES if (Path(variable).expanduser() / group).is_dir()]
    if not groups:
        return Finding(
            False,
            f"{EXTERNAL_VARIABLE}={variable} has none of {', '.join(GROUP_NAMES)}: name another",
        )
    return Finding(True, f"External images: {', '.join(groups)}")
