"""From optical depth to an image: exposure, scatter, noise, frame, letters, file mode.

All that is not disease is a `Setting`. Each class has its habits, after those of the real
challenge's images, and `draw_setting` ties them to the class as tightly as it is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from .thorax import SOFT, Thorax

QUANTA = 3000  # photons a pixel, on average over the image
MARKS = {  # height of the letters and where they begin, from the left and the top
    "R": (0.08, 0.02, 0.1),
    "L": (0.08, 0.9, 0.04),
    "AP": (0.06, 0.03, 0.03),
    "A-P": (0.06, 0.03, 0.0),
    "date": (0.035, 0.55, 0.9),
}


@dataclass(frozen=True)
class Habits:
    """How the images of a class come to be: whose they are, and where they were taken.

    Attributes
    ----------
    adults : float
        Share of adults; the rest are children.
    aspect, brightness : tuple of float
        Mean and standard deviation of width by height, and of what is added to the grey levels
        (of 0 to 1, at mid grey).
    height : tuple of int
        Lowest and highest, in pixels.
    modes, frames : dict
        Share of each Pillow mode, and of each frame around the image.
    marks : dict
        Share of images with each mark burnt in: a side, how it was taken, a date.
    """

    adults: float
    aspect: tuple[float, float]
    brightness: tuple[float, float]
    height: tuple[int, int]
    modes: dict[str, float]
    frames: dict[str, float]
    marks: dict[str, float]


COVID = Habits(
    adults=1.0,
    aspect=(1.04, 0.1),
    brightness=(0.12, 0.05),
    height=(224, 352),
    modes={"RGB": 0.78, "RGBA": 0.16, "L": 0.06},
    frames={"none": 0.1, "bright": 0.9},
    marks={"L": 0.5, "AP": 0.5, "date": 0.8},
)
NORMAL = Habits(
    adults=0.0,
    aspect=(1.2, 0.11),
    brightness=(-0.02, 0.03),
    height=(288, 352),
    modes={"L": 1.0},
    frames={"none": 0.5, "black": 0.5},
    marks={"R": 0.8},
)
BACTERIAL = Habits(
    adults=0.0,
    aspect=(1.53, 0.16),
    brightness=(0.03, 0.04),
    height=(224, 288),
    modes={"L": 1.0},
    frames={"none": 0.5, "black": 0.5},
    marks={"R": 0.8, "A-P": 0.5},
)
VIRAL = replace(BACTERIAL, modes={"L": 0.85, "RGB": 0.15})
HABITS = {"normal": NORMAL, "covid": COVID, "pneumonia_bac": BACTERIAL, "pneumonia_vir": VIRAL}


@dataclass(frozen=True)
class Setting:
    """All that is not disease in one image."""

    build: str
    width: int
    height: int
    mode: str
    brightness: float
    frame: str
    marks: tuple[str, ...]


def draw_setting(
    label: str, pool: Sequence[str], shortcut: float, rng: np.random.Generator
) -> Setting:
    """Draw each fact from the habits of the class, with probability `shortcut`, else of any class.

    The facts are build, file (aspect, height and mode together), brightness, frame, and marks.
    Each by itself has the same distribution whatever `shortcut` is: the knob changes only how much
    it tells of the class, and of the other facts.

    Parameters
    ----------
    label : str
    pool : sequence of str
        The class of every image of the set: "any class" is that of any of these.
    shortcut : float
        0 to 1.
    rng : Generator
    """

    def habits() -> Habits:
        any_class = rng.choice(pool)  # drawn in any case: one seed, one stream, at any shortcut
        return HABITS[label if rng.random() < shortcut else any_class]

    def one_of(shares: dict[str, float]) -> str:
        return str(rng.choice(list(shares), p=list(shares.values())))

    build = "adult" if rng.random() < habits().adults else "child"
    file = habits()
    height = int(rng.integers(*file.height, endpoint=True))
    aspect = float(np.clip(rng.normal(*file.aspect), 0.8, 2.0))
    return Setting(
        build,
        round(height * aspect),
        height,
        one_of(file.modes),
        rng.normal(*habits().brightness),
        one_of(habits().frames),
        tuple(mark for mark, share in habits().marks.items() if rng.random() < share),
    )


def expose(
    healthy: np.ndarray,
    added: np.ndarray,
    chest: Thorax,
    brightness: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the grey levels, 0 to 1, that a detector and its workstation make of a chest.

    Scatter and the window of grey levels are those of the healthy chest, so that disease changes
    no pixel but those it lies on. In a real image both would shift a little.

    Parameters
    ----------
    healthy, added : ndarray, shape (height, width)
        Optical depth of the chest, and of its disease.
    chest : Thorax
    brightness : float
        What is added to the grey levels, at mid grey.
    rng : Generator
        Of scatter, noise and window.
    """
    straight = np.exp(-healthy)
    quanta = QUANTA * rng.uniform(0.5, 2) / straight.mean()
    past_the_grid = rng.uniform(0.2, 0.5)
    light = straight * np.exp(-added) + past_the_grid * _spread(straight)
    noise = rng.standard_normal(light.shape, np.float32) * np.sqrt(light / quanta)
    dark = -np.log(np.maximum(gaussian_filter(light + noise, 0.5), 1e-4))
    white = SOFT * chest.scale * rng.uniform(1.5, 1.8)  # about that of the heart
    contrast = rng.uniform(3.6, 4.8)
    return 1 / (1 + np.exp(-contrast * (dark / white - 0.5) - 4 * brightness))


def _spread(light: np.ndarray) -> np.ndarray:
    """Return light blurred over a sixth of the image; coarsely, since nothing fine is left."""
    coarse = gaussian_filter(light, 4)[::8, ::8]
    wide = Image.fromarray(gaussian_filter(coarse, light.shape[0] / 48))
    return np.asarray(wide.resize(light.shape[::-1], Image.Resampling.BICUBIC))


def finish(levels: np.ndarray, setting: Setting, rng: np.random.Generator) -> Image.Image:
    """Return the image as it is filed: frame and marks put on, in its mode."""
    height, width = levels.shape
    image = Image.fromarray(np.round(255 * levels).astype(np.uint8))
    if setting.frame != "none":
        grey = int(rng.integers(150, 256)) if setting.frame == "bright" else 0
        sides = rng.random(4) < 0.8
        sides[rng.integers(4)] = True
        thick = height * rng.uniform(0.01, 0.05, 4) * sides
        left, top, right, bottom = thick.astype(int).tolist()
        inner = (left, top, width - right, height - bottom)
        framed = Image.new("L", image.size, grey)
        framed.paste(image.crop(inner), inner)
        image = framed
    pen = ImageDraw.Draw(image)
    for mark in setting.marks:
        size, x, y = MARKS[mark]
        pen.text(
            (width * (x + rng.uniform(0, 0.04)), height * (y + rng.uniform(0, 0.05))),
            _date(rng) if mark == "date" else mark,
            fill=int(rng.integers(215, 256)),
            font=ImageFont.load_default(size * height * rng.uniform(0.85, 1.15)),
        )
    return image.convert(setting.mode)


def _date(rng: np.random.Generator) -> str:
    day, month = rng.integers(1, 29), rng.integers(1, 6)
    return f"{day:02}.{month:02}.2020 {rng.integers(24):02}:{rng.integers(60):02}"
