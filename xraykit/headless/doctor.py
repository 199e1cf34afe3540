"""Check whether this machine has everything that the course needs: one line per check.

Only the standard library is imported at the top: a check whose package is missing or broken becomes
a line as well.
"""

import json
import locale
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from ..errors import XraykitError

try:
    import resource
except ModuleNotFoundError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

MIN_MEMORY, MIN_DISK = 4.0, 2.0  # GiB; Task 2's notebook takes about 2 of memory
INSTALL = "Install again: pip install -e ."
KERNEL = "python -m ipykernel install --sys-prefix"
REPLACE_KERNEL = f"Remove it (`jupyter kernelspec list` shows its folder) and create it: {KERNEL}"
# In a process of its own: TensorFlow ends Python on a processor that it was not built for.
IMPORT_ALL = """
import xraykit
devices = xraykit.keras.distribution.list_devices()
for name in xraykit.__all__:
    getattr(xraykit, name)
print(", ".join(devices))
"""
IMPORT_TIMEOUT = 300  # seconds
KERAS = {"image_data_format": "channels_last", "floatx": "float32", "backend": "tensorflow"}
MIN_OPEN_FILES = 256
SHARED_MEMORY, MIN_SHARED = Path("/dev/shm"), 16 * 2**20  # bytes


@dataclass(frozen=True)
class Finding:
    """The result of one check: whether it passed, and a finding or a remedy."""

    ok: bool
    text: str

    def __str__(self) -> str:
        return f"{'✓' if self.ok else '✗'} {self.text}"


def examine() -> Iterator[Finding]:
    """Run all `CHECKS`, whatever is broken: an error of a check becomes its finding.

    Missing images or weights are not an error, because phantoms and SmallCNN replace them. A check
    fails if more than 5 % of the challenge's images are missing or different, if a file of weights
    is damaged, or if a folder that an environment variable names can't be used.
    """
    for name, (check, remedy) in CHECKS.items():
        try:
            finding = check()
        except XraykitError as error:  # its text says what to do
            finding = Finding(False, str(error))
        except Exception as error:  # a broken installation can raise anything
            reason = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".: ")
            remedy = INSTALL if isinstance(error, ImportError) else remedy
            finding = Finding(False, f"Could not check {name}: {reason}. {remedy}")
        yield finding


def _check_versions() -> Finding:
    from packaging.requirements import Requirement

    python = f"Python {sys.version.split()[0]}"
    problems = []
    for requirement in map(Requirement, requires("xraykit") or ()):
        name, expected = requirement.name, requirement.specifier
        if requirement.marker is not None:  # of an extra
            continue
        try:
            if not expected.contains(version(name)):
                problems.append(f"{name} {version(name)}, expected {expected}")
        except PackageNotFoundError:
            problems.append(f"no {name}, expected {expected}")
    if problems:
        return Finding(False, f"{python} has {'; '.join(problems)}. {INSTALL}")
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras"))
    return Finding(True, f"{python}, {packages}, and all other packages as in pyproject.toml")


def _check_imports() -> Finding:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, timeout=IMPORT_TIMEOUT
    )
    if not done.returncode:
        devices = done.stdout.splitlines()[-1]
        return Finding(True, f"TensorFlow computes on {devices}, with {os.cpu_count()} processors")
    errors = re.findall(r"^\s*([\w.]+(?:Error|Exception): .*\S)", done.stderr, re.MULTILINE)
    if errors:  # the last one is the innermost where TensorFlow quotes a traceback
        return Finding(False, f"An import fails: {errors[-1].rstrip('.')}. {INSTALL}")
    code = done.returncode
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Finding(
        False,
        f"Importing TensorFlow ends Python ({how}): this processor may lack instructions that "
        "TensorFlow needs, such as AVX. Use another computer",
    )


def _check_kernel() -> Finding:
    from jupyter_client import KernelManager
    from jupyter_client.kernelspec import NoSuchKernel

    try:
        lab, _ = version("jupyterlab"), version("ipykernel")
        program = KernelManager(kernel_name="python3").format_kernel_cmd()[0]
    except PackageNotFoundError as error:
        return Finding(False, f"The package {error.name} is missing. {INSTALL}")
    except NoSuchKernel:
        return Finding(False, f"JupyterLab has no kernel python3. Create it: {KERNEL}")
    folder = Path(program).parent
    if not folder.exists() or not folder.samefile(Path(sys.executable).parent):
        return Finding(
            False,
            f"JupyterLab's kernel python3 runs another Python, {program}. {REPLACE_KERNEL}",
        )
    return Finding(True, f"JupyterLab {lab}; its kernel python3 runs this Python")


def _check_memory() -> Finding:
    import psutil

    total = psutil.virtual_memory().total
    return _check_size("Memory", total, MIN_MEMORY, "Use a smaller image_size, such as 128")


def _check_disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return _check_size("Free disk space", free, MIN_DISK, "Delete some files")


def _check_size(name: str, size: int, minimum: float, remedy: str) -> Finding:
    text = f"{name}: {size / 2**30:.1f} GiB"
    if size >= minimum * 2**30:
        return Finding(True, text)
    return Finding(False, f"{text}, expected at least {minimum:g} GiB. {remedy}")


def _check_cache() -> Finding:
    from ..training.cache_folder import CACHE_VARIABLE, cache_folder, size_limit

    limit, folder = size_limit(), cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, *folder.glob("*/")):  # a part of it may be another user's
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(bytes(2**20))
                file.flush()
    except OSError as error:
        reason = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        return Finding(
            False,
            f"The feature cache {folder} can't be written: {reason}. Free some disk space, or name "
            f"another folder in {CACHE_VARIABLE}",
        )
    return Finding(True, f"Feature cache: at most {limit / 1e9:g} GB, in {folder}")


def _check_images() -> Finding:
    from ..data.challenge import compare_with_manifest, find_challenge, read_manifest
    from ..data.phantoms import PHANTOMS, phantoms_folder

    read_manifest()
    folder = find_challenge()
    if folder is None:
        phantoms = phantoms_folder()
        is_drawn = (phantoms / PHANTOMS).is_file()
        above = next(path for path in (phantoms, *phantoms.parents) if path.exists())
        if not is_drawn and not os.access(above, os.W_OK):
            return Finding(
                False,
                f"Images: none, and phantoms can't be drawn in {phantoms}: {above} can't be "
                "written. Name a folder of images in XRAYKIT_CHALLENGE_DIR",
            )
        state = "drawn already" if is_drawn else "drawn when first needed"
        return Finding(
            True,
            f"Images: phantoms, {state}, in {phantoms}. For your copy of the challenge: "
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
    import h5py  # a part of every Keras installation

    from ..models.weight_files import (
        KERAS_FILES,
        WIDTHS,
        candidate_files,
        find_weights,
        weights_folder,
    )
    from ..recipes.choose import first_available, rank_recipes
    from ..recipes.published import RECIPES
    from ..recipes.recipe import Recipe

    def has_weights(recipe: Recipe) -> bool:
        if recipe.backbone not in KERAS_FILES:  # SmallCNN
            return True
        ends = find_weights(recipe.backbone, recipe.alpha).values()
        return any(end in (None, recipe.end_at) for end in ends)

    folder = weights_folder()
    if folder and not folder.is_dir():
        return Finding(
            False, f"XRAYKIT_WEIGHTS_DIR={folder} is not a folder: name one, or unset it"
        )
    networks = []
    for name, file in sorted(KERAS_FILES.items()):
        for alpha in WIDTHS if "{alpha}" in file else (1.0,):
            for path, end in find_weights(name, alpha).items():
                try:
                    h5py.File(path).close()
                except OSError as error:
                    return Finding(
                        False, f"{path} is damaged: {error}. Delete it, or copy it again"
                    )
                networks.append(f"{_describe_network(name, alpha)}{f' up to {end}' if end else ''}")
    texts = [f"ImageNet weights here: {', '.join(dict.fromkeys(networks)) or 'none'}"]
    for task in ("binary", "multiclass"):
        default = RECIPES[rank_recipes(task).index[0]]
        recipe = first_available(task, has_weights)
        if recipe.name == default.name:
            texts.append(f"the default, {default.name}, can run")
        else:
            network = _describe_network(default.backbone, default.alpha)
            file = next(iter(candidate_files(default.backbone, default.alpha)))
            texts.append(
                f"the default, {default.name}, needs {network}, which Keras downloads at first "
                f"use. Without an internet connection {recipe.name} replaces it, unless "
                f"XRAYKIT_WEIGHTS_DIR names a folder with {file}"
            )
    return Finding(True, "; ".join(texts))


def _describe_network(name: str, alpha: float) -> str:
    return f"{name}{'' if alpha == 1 else f' {alpha}'}"


def _check_external() -> Finding:
    from ..data.external import EXTERNAL_VARIABLE, GROUP_NAMES
    from ..files import to_path

    variable = os.environ.get(EXTERNAL_VARIABLE)
    if not variable:
        return Finding(
            True, f"External images: none, {EXTERNAL_VARIABLE} is not set; see data/README.md"
        )
    groups = [
        group
        for group in GROUP_NAMES
        if (to_path(variable, variable=EXTERNAL_VARIABLE) / group).is_dir()
    ]
    if not groups:
        return Finding(
            False,
            f"{EXTERNAL_VARIABLE}={variable} has none of {', '.join(GROUP_NAMES)}: name another",
        )
    return Finding(True, f"External images: {', '.join(groups)}")


def _check_settings() -> Finding:
    """Check files and variables of the user that change how Keras and Matplotlib behave."""
    from ..files import to_path

    problems = []
    if Path("keras.py").exists() or Path("keras").is_dir():
        problems.append(
            f"{Path.cwd()} has a keras.py or keras/, imported in place of Keras: rename it"
        )
    path = to_path(os.environ.get("KERAS_HOME", "~/.keras")) / "keras.json"
    with suppress(FileNotFoundError):
        settings = json.loads(path.read_text(encoding="utf-8"))
        changed = {
            key: settings[key] for key, value in KERAS.items() if settings.get(key, value) != value
        }
        if changed:
            problems.append(
                f"{path} sets {changed}: xraykit overrides it, other programs don't. Delete it"
            )
    backend = os.environ.get("MPLBACKEND", "")
    if backend and "inline" not in backend:
        problems.append(f"MPLBACKEND={backend}: JupyterLab shows no figures. Unset it")
    if locale.getencoding().lower().replace("-", "") != "utf8":
        problems.append(
            f"The locale's encoding is {locale.getencoding()}, expected UTF-8. Set LANG=C.UTF-8"
        )
    if problems:
        return Finding(False, "; ".join(problems))
    return Finding(
        True, "Settings of the user: keras.json, MPLBACKEND and the locale are as expected"
    )


def _check_limits() -> Finding:
    """Check the numbers of open files, and the shared memory, where the system has them."""
    problems = []
    if resource:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit != resource.RLIM_INFINITY and limit < MIN_OPEN_FILES:
            problems.append(
                f"At most {limit} open files: raise this with `ulimit -n {MIN_OPEN_FILES}`"
            )
    if SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(SHARED_MEMORY).free
        if not os.access(SHARED_MEMORY, os.W_OK) or free < MIN_SHARED:
            problems.append(
                f"{SHARED_MEMORY} has {free / 2**20:.0f} MB for this user, expected "
                f"{MIN_SHARED / 2**20:.0f}: free some, or start the container with --shm-size=1g"
            )
    if problems:
        return Finding(False, "; ".join(problems))
    return Finding(True, "Limits of the system: open files and shared memory are sufficient")


# By name, each with the remedy if the check itself can't run.
CHECKS = {
    "the installed packages": (_check_versions, INSTALL),
    "the imports": (_check_imports, INSTALL),
    "JupyterLab's kernel python3": (_check_kernel, REPLACE_KERNEL),
    "the memory": (_check_memory, INSTALL),
    "the free disk space": (_check_disk, "Change to a folder that exists"),
    "the settings": (_check_settings, "Delete keras.json in KERAS_HOME, or ~/.keras"),
    "the limits": (_check_limits, "Ask the administrator"),
    "the feature cache": (_check_cache, "Name another folder in XRAYKIT_CACHE_DIR"),
    "the images": (_check_images, "Name another folder in XRAYKIT_CHALLENGE_DIR"),
    "the weights": (_check_weights, "Name another folder in XRAYKIT_WEIGHTS_DIR"),
    "the external images": (_check_external, "Name another folder in XRAYKIT_EXTERNAL_DIR"),
}
