"""Sets of phantoms (synthetic radiographs) in the challenge's folder layout."""

import io
import os
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from platformdirs import user_data_path
from scipy.spatial.transform import Rotation

from ..errors import InputError, cannot_write, check_choice, check_whole_number, to_number
from ..files import to_path
from ..log import logger
from ..phantoms.disease import PATTERNS, coverage
from ..phantoms.film import draw_setting, expose_film, finish_image
from ..phantoms.rays import View
from ..phantoms.thorax import BUILDS, draw_thorax
from ..progress import thread_map
from .challenge import DATA, LAYOUT, find_patient, read_manifest
from .images import list_files

PHANTOMS = "phantoms.csv"  # one row per image; a folder with this file holds phantoms


def draw_phantoms(
    folder: str | Path,
    task: str = "multiclass",
    *,
    images: int | None = None,
    shortcut: float = 0.0,
    seed: int = 42,
) -> pd.DataFrame:
    """Draw a set of phantoms, synthetic radiographs, in the challenge's folder layout.

    `folder` stays empty until every image is drawn. Files are PNG without compression, so their
    size doesn't depend on the disease, and are numbered in random order. Use different seeds for
    independent sets, such as a training and a test set.

    Parameters
    ----------
    folder : str or Path
        New or empty; it is created if necessary.
    task : {"multiclass", "binary"}
        "multiclass" fills `all/`, which both tasks can read; "binary" fills `two/`.
    images : int, optional
        Total number of images, distributed over the folders as in the challenge; by default as
        many as the challenge has, 306 or 148.
    shortcut : float
        0 to 1: how strongly everything except disease depends on the class: text marks, frame,
        brightness, aspect ratio, file mode and size, adult or child. At 0 they are independent
        of it; at 1 they differ between classes about as in the challenge. The total frequency of
        each, such as bright frames, does not change.
    seed : int
        The same arguments give the same bytes, on one machine with the same versions of NumPy,
        SciPy and Pillow.

    Returns
    -------
    DataFrame
        The table in `phantoms.csv`, one row per image: path, class, split, patient, sha256,
        severity (uniform from 0 to 1; 0 is healthy), covered (the fraction of the lung area where
        disease absorbs at least a twentieth of the light), build, mode, width, height (pixels),
        brightness, frame, marks, and the arguments task, shortcut and seed.

    Raises
    ------
    InputError
        If a value is out of range, or the folder is not empty or can't be used.
    WriteError
        If the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = draw_phantoms(folder, "binary", images=17)
    >>> table.groupby(["split", "class"]).size().to_dict()["train", "normal"]
    8
    """
    check_choice("task", task, LAYOUT)
    if not 0 <= to_number(shortcut) <= 1:
        raise InputError(f"shortcut={shortcut!r}: expected a number from 0 to 1")
    check_whole_number("seed", seed, minimum=0)
    counts = _distribute_images(task, images)
    folder = to_path(folder)
    try:
        folder = folder.resolve()
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        _check_empty(folder)
        try:
            with tempfile.TemporaryDirectory(prefix=".drawing-", dir=folder) as scratch:
                table = _draw_images(Path(scratch), counts, shortcut, seed)
                table = table.assign(task=task, shortcut=shortcut, seed=seed)
                table.to_csv(Path(scratch, PHANTOMS), index=False)
                _check_empty(folder)  # another process may have filled it meanwhile
                for name in (PHANTOMS, LAYOUT[task][0]):  # the table first: it marks phantoms
                    Path(scratch, name).rename(folder / name)
        except BaseException:
            if is_new:
                folder.rmdir()
            raise
    except OSError as error:
        raise cannot_write(folder, error) from error
    except RuntimeError as error:  # a loop of links
        raise InputError(f"{folder} can't be used: {error}") from error
    return table


def phantoms_folder() -> Path:
    """Return the folder of the phantoms that replace missing images, whether drawn or not."""
    folder = DATA / "phantoms"
    if (folder / PHANTOMS).is_file() or os.access(folder if folder.exists() else DATA, os.W_OK):
        return folder
    return user_data_path("xraykit") / "phantoms"


def substitute_phantoms() -> Path:
    """Return the folder of the phantoms that replace missing images; draw them on first use.

    `data/phantoms` of the clone gets as many images as the challenge has, at shortcut 1. If the
    clone belongs to someone else, they are drawn into the user's own folder.
    """
    folder = phantoms_folder()
    logger.warning(
        "No images of the challenge found: phantoms (synthetic radiographs) are used instead.\n"
        "To import your copy: `xraykit data challenge --from-folder FOLDER`.",
    )
    if not (folder / PHANTOMS).is_file():
        logger.info("Drawing them, once: about 20 seconds …")
        try:
            draw_phantoms(folder, shortcut=1.0)
        except InputError:
            if not (folder / PHANTOMS).is_file():  # else another process has drawn them
                raise
    return folder


def _check_empty(folder: Path) -> None:
    if list_files(folder):
        raise InputError(f"{folder} is not empty: expected a new or empty folder")


def _distribute_images(task: str, images: int | None) -> pd.Series:
    """Return the number of images of each folder, by its path below the root."""
    paths = read_manifest()["path"]
    paths = paths[paths.str.startswith(f"{LAYOUT[task][0]}/")]
    counts = paths.str.rpartition("/")[0].value_counts(sort=False).sort_index()
    if images is None:
        return counts
    check_whole_number("images", images, minimum=int(-(-counts.sum() // counts.min())))
    exact = counts * images / counts.sum()
    rounded = exact.astype(int)
    by_remainder = (exact - rounded).sort_values(ascending=False, kind="stable").index
    rounded[by_remainder[: images - rounded.sum()]] += 1
    return rounded


def _draw_images(root: Path, counts: pd.Series, shortcut: float, seed: int) -> pd.DataFrame:
    """Write all images of a set below `root`, and return one row per image."""
    folders = [Path(folder) for folder, count in counts.items() for _ in range(count)]
    np.random.default_rng(seed).shuffle(folders)  # so that a file's number says nothing
    class_pool = [folder.name for folder in folders]

    def draw(number: int) -> dict[str, object]:
        folder = folders[number]
        image, metadata = draw_image(folder.name, class_pool, shortcut, seed, number)
        path = folder / f"phantom-{seed}-{number:04}.png"
        content = io.BytesIO()
        image.save(content, "PNG", compress_level=0)
        digest = sha256(content.getvalue()).hexdigest()
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.getvalue())
        return {
            "path": path.as_posix(),
            "class": folder.name,
            "split": folder.parent.name,
            "patient": find_patient(path.as_posix(), digest),
            "sha256": digest,
            **metadata,
        }

    return pd.DataFrame(thread_map(draw, range(len(folders)), doing="drawing"))


def draw_image(
    label: str, class_pool: Sequence[str], shortcut: float, seed: int, number: int
) -> tuple[Image.Image, dict[str, object]]:
    """Draw one phantom, and return it with its metadata.

    Setting, pose, chest, disease, exposure and marks use separate random streams. At shortcut 0
    the same seed, number and pool therefore give the same chest, healthy or ill.
    """
    streams = [np.random.default_rng([seed, number, stream]) for stream in range(6)]
    setting_rng, pose_rng, chest_rng, disease_rng, film_rng, mark_rng = streams
    setting = draw_setting(label, class_pool, shortcut, setting_rng)
    build = BUILDS[setting.build]
    view = _draw_view(setting.height, setting.width, build.width, pose_rng)
    chest = draw_thorax(build, 1.5 * view.pixel, chest_rng)
    healthy, aerated = chest.project(view)
    severity, added = 0.0, np.zeros_like(healthy)
    if label in PATTERNS:
        severity = disease_rng.random()
        added = PATTERNS[label](chest, view, aerated, severity, disease_rng)
    levels = expose_film(healthy, added, chest, setting.brightness, film_rng)
    metadata = {
        "severity": round(severity, 3),
        "covered": round(coverage(added, aerated), 4),
        "build": setting.build,
        "mode": setting.mode,
        "width": setting.width,
        "height": setting.height,
        "brightness": round(setting.brightness, 3),
        "frame": setting.frame,
        "marks": " ".join(setting.marks),
    }
    return finish_image(levels, setting, mark_rng), metadata


def _draw_view(height: int, width: int, chest: float, rng: np.random.Generator) -> View:
    """Return rays through a chest that is slightly rotated, tilted and shifted.

    The lungs, with half width `chest`, stay out of the outermost sixteenth of the image.
    """
    pixel = max(rng.uniform(2.6, 2.8) / height, 2.6 * chest / width)
    x = (np.arange(width) + 0.5 - width / 2) * pixel + rng.uniform(-0.05, 0.05)
    y = (np.arange(height) + 0.5 - height / 2) * pixel + rng.uniform(0.04, 0.12)
    pose = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3) * (8, 7, 4), degrees=True)
    return View(x[None, :].astype(np.float32), y[:, None].astype(np.float32), pixel, pose)
