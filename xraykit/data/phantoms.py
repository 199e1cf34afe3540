"""Sets of phantoms in the challenge's folders, with a manifest of what is in each image."""

import io
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.spatial.transform import Rotation

from ..errors import InputError, check_whole_number, unknown
from ..phantoms.disease import PATTERNS, coverage
from ..phantoms.film import draw_setting, expose, finish
from ..phantoms.rays import View
from ..phantoms.thorax import BUILDS, grow
from ..progress import thread_map
from .challenge import DATA, LAYOUT, manifest, patient_of
from .images import list_files

PHANTOMS = "phantoms.csv"  # the manifest; a folder that has it holds phantoms


def draw_phantoms(
    folder: str | Path,
    task: str = "multiclass",
    images: int | None = None,
    shortcut: float = 0.0,
    seed: int = 42,
) -> pd.DataFrame:
    """Draw a set of phantoms in the challenge's folder layout.

    Nothing is in `folder` before every image is drawn. Files are PNG without compression, so that
    their size tells nothing of what is in them, and numbered by lot. Draw sets that should be
    independent, such as one to train on and one to test on, from different seeds.

    Parameters
    ----------
    folder : str or Path
        New or empty; made if need be.
    task : {"multiclass", "binary"}
        "multiclass" fills `all/`, which serves both tasks; "binary" fills `two/`.
    images : int, optional
        How many in all, shared out among folders as the challenge does; by default as many as the
        challenge has, 306 or 148.
    shortcut : float
        0 to 1, how tightly all that is not disease is tied to the class: letters and dates,
        frame, brightness, aspect, file mode and size, adult or child. At 0 they are independent
        of it; at 1 they differ between classes about as in the challenge. Only the tie changes:
        how many images have a bright frame, say, does not.
    seed : int
        The same arguments give the same bytes, on one machine with the same versions of NumPy,
        SciPy and Pillow.

    Returns
    -------
    DataFrame
        The manifest, as in `phantoms.csv`, a row an image: path, class, split, patient, sha256,
        severity (0 to 1, evenly drawn; 0 is healthy), covered (the share of the lungs where
        disease holds back a twentieth of the light or more), build, mode, width, height,
        brightness, frame, marks, and the arguments task, shortcut and seed.

    Raises
    ------
    InputError
        If a value is out of range, or the folder holds something or can't be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = draw_phantoms(folder, "binary", images=17)
    >>> drawn.groupby(["split", "class"]).size().to_dict()["train", "normal"]
    8
    """
    if task not in LAYOUT:
        raise unknown("task", task, LAYOUT)
    if isinstance(shortcut, bool) or not isinstance(shortcut, Real) or not 0 <= shortcut <= 1:
        raise InputError(f"shortcut={shortcut!r}: expected a number from 0 to 1")
    check_whole_number("seed", seed, least=0)
    counts = _share_out(task, images)
    try:
        folder = Path(folder).expanduser().resolve()
        new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        _check_empty(folder)
        try:
            with tempfile.TemporaryDirectory(prefix=".drawing-", dir=folder) as scratch:
                drawn = _draw_all(Path(scratch), counts, shortcut, seed)
                drawn = drawn.assign(task=task, shortcut=shortcut, seed=seed)
                drawn.to_csv(Path(scratch, PHANTOMS), index=False)
                _check_empty(folder)  # still
                for name in (PHANTOMS, LAYOUT[task][0]):  # the mark first: never phantoms unmarked
                    Path(scratch, name).rename(folder / name)
        except BaseException:
            if new:
                folder.rmdir()
            raise
    except (OSError, RuntimeError) as error:
        raise InputError(f"Can't draw phantoms into {folder}: {error}") from error
    return drawn


def standby_phantoms() -> Path:
    """Return the folder of the phantoms that stand in for missing images; draw them if need be.

    They lie in the clone's `data/phantoms`: as many as the challenge has, at shortcut 1, as
    confounded as its images are.
    """
    folder = DATA / "phantoms"
    print(
        "No images of the challenge found: phantoms stand in for them.\n"
        "`xraykit data challenge --from-folder FOLDER` brings your copy in.",
        flush=True,
    )
    if not (folder / PHANTOMS).is_file():
        print("Drawing them, once: about 20 seconds …", flush=True)
        try:
            draw_phantoms(folder, shortcut=1.0)
        except InputError:
            if not (folder / PHANTOMS).is_file():  # else another process was faster
                raise
    return folder


def _check_empty(folder: Path) -> None:
    if list_files(folder):
        raise InputError(f"{folder} holds something already: expected a new or empty folder")


def _share_out(task: str, images: int | None) -> pd.Series:
    """Return how many images each folder gets, by its path below the set."""
    part = LAYOUT[task][0]
    paths = manifest()["path"]
    own = paths[paths.str.startswith(f"{part}/")]
    counts = own.str.rpartition("/")[0].value_counts(sort=False).sort_index()
    if images is None:
        return counts
    least = -(-counts.sum() // counts.min())
    check_whole_number("images", images, least=int(least))
    exact = counts * images / counts.sum()
    shared = exact.astype(int)
    most_cut = (exact - shared).sort_values(ascending=False, kind="stable").index
    shared[most_cut[: images - shared.sum()]] += 1
    return shared


def _draw_all(whole: Path, counts: pd.Series, shortcut: float, seed: int) -> pd.DataFrame:
    places = [Path(place) for place, count in counts.items() for _ in range(count)]
    np.random.default_rng(seed).shuffle(places)  # so that a file's number tells nothing
    pool = [place.name for place in places]

    def draw(number: int) -> dict[str, object]:
        place = places[number]
        image, facts = draw_image(place.name, pool, shortcut, seed, number)
        path = place / f"phantom-{seed}-{number:04}.png"
        content = io.BytesIO()
        image.save(content, "PNG", compress_level=0)
        digest = sha256(content.getvalue()).hexdigest()
        (whole / path).parent.mkdir(parents=True, exist_ok=True)
        (whole / path).write_bytes(content.getvalue())
        where = {"path": path.as_posix(), "class": place.name, "split": place.parent.name}
        return {**where, "patient": patient_of(where["path"], digest), "sha256": digest, **facts}

    return pd.DataFrame(thread_map(draw, range(len(places)), doing="drawing"))


def draw_image(
    label: str, pool: Sequence[str], shortcut: float, seed: int, number: int
) -> tuple[Image.Image, dict[str, object]]:
    """Draw one phantom, and return it with the facts about it.

    Setting, pose, chest, disease, exposure and ink each have a random stream of their own, so that
    at shortcut 0 the same seed, number and pool give the same chest, healthy or ill.
    """
    streams = [np.random.default_rng([seed, number, stream]) for stream in range(6)]
    setting_rng, pose_rng, chest_rng, disease_rng, film_rng, ink_rng = streams
    setting = draw_setting(label, pool, shortcut, setting_rng)
    build = BUILDS[setting.build]
    view = _draw_view(setting.height, setting.width, build.width, pose_rng)
    chest = grow(build, 1.5 * view.pixel, chest_rng)
    healthy, aerated = chest.project(view)
    severity, added = 0.0, np.zeros_like(healthy)
    if label in PATTERNS:
        severity = disease_rng.random()
        added = PATTERNS[label](chest, view, aerated, severity, disease_rng)
    levels = expose(healthy, added, chest, setting.brightness, film_rng)
    facts = {
        "severity": round(severity, 3),
        "covered": round(coverage(added, aerated), 4),
        "build": setting.build,
        "mode": setting.mode,
        "width": setting.width,
        "height": setting.height,
        "brightness": round(setting.brightness, 3),
        "frame": setting.frame,
        "text-like marks": " ".join(setting.marks),
    }
    return finish(levels, setting, ink_rng), facts


def _draw_view(height: int, width: int, chest: float, rng: np.random.Generator) -> View:
    """Return rays over a chest that is a little turned, tilted and off the middle.

    The lungs, `chest` being half their width, stay off the outermost sixteenth of the image.
    """
    pixel = max(rng.uniform(2.6, 2.8) / height, 2.6 * chest / width)
    x = (np.arange(width) + 0.5 - width / 2) * pixel + rng.uniform(-0.05, 0.05)
    y = (np.arange(height) + 0.5 - height / 2) * pixel + rng.uniform(0.04, 0.12)
    pose = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3) * (8, 7, 4), degrees=True)
    return View(np.float32(x[None, :]), np.float32(y[:, None]), pixel, pose)
