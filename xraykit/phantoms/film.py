"""From optical depth to an image: exposure, scatter, noise, frame, marks, file mode.

Everything except disease is a `Setting`. Each class has a distribution of settings, modeled on
the challenge; `draw_setting` decides how strongly settings depend on the class.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from .thorax import SOFT, Thorax

QUANTA = 3000  # photons per pixel, on average over the image
MARKS = {  # height of the text, and its position from the left and the top
    "R": (0.08, 0.02, 0.1),
    "L": (0.08, 0.9, 0.04),
    "AP": (0.06, 0.03, 0.03),
    "A-P": (0.06, 0.03, 0.0),
    "date": (0.035, 0.55, 0.9),
}


@dataclass(frozen=True)
class SettingDistribution:
    """The settings of one class: patients, acquisition and file."""

    adults: float  # fraction; the others are children
    aspect: tuple[float, float]  # mean and standard deviation of width / height
    brightness: tuple[float, float]  # mean and standard deviation, in gray levels of 0 to 1
    height: tuple[int, int]  # minimum and maximum in pixels
    modes: dict[str, float]  # fraction of each Pillow mode
    frames: dict[str, float]  # fraction of each frame around the image
    marks: dict[str, float]  # fraction of images with each text mark: side, projection, date


COVID = SettingDistribution(
    adults=1.0,
    aspect=(1.04, 0.1),
    brightness=(0.12, 0.05),
    height=(224, 352),
    modes={"RGB": 0.78, "RGBA": 0.16, "L": 0.06},
    frames={"none": 0.1, "bright": 0.9},
    marks={"L": 0.5, "AP": 0.5, "date": 0.8},
)
NORMAL = SettingDistribution(
    adults=0.0,
    aspect=(1.2, 0.11),
    brightness=(-0.02, 0.03),
    height=(288, 352),
    modes={"L": 1.0},
    frames={"none": 0.5, "black": 0.5},
    marks={"R": 0.8},
)
BACTERIAL = SettingDistribution(
    adults=0.0,
    aspect=(1.53, 0.16),
    brightness=(0.03, 0.04),
    height=(224, 288),
    modes={"L": 1.0},
    frames={"none": 0.5, "black": 0.5},
    marks={"R": 0.8, "A-P": 0.5},
)
VIRAL = replace(BACTERIAL, modes={"L": 0.85, "RGB": 0.15})
DISTRIBUTIONS = {
    "normal": NORMAL,
    "covid": COVID,
    "pneumonia_bac": BACTERIAL,
    "pneumonia_vir": VIRAL,
}


@dataclass(frozen=True)
class Setting:
    """Everything except disease in one image."""

    build: str
    width: int
    height: int
    mode: str
    brightness: float
    frame: str
    marks: tuple[str, ...]


def draw_setting(
    label: str, class_pool: Sequence[str], shortcut: float, rng: np.random.Generator
) -> Setting:
    """Draw the setting of one image.

    With probability `shortcut` an attribute comes from the distribution of the image's class,
    else from that of a random class. Attributes are build, file (aspect, height and mode
    together), brightness, frame and marks. Their marginal distributions don't depend on
    `shortcut`, only their association with the class and with each other does.

    Parameters
    ----------
    label : str
        Class of the image.
    class_pool : sequence of str
        The class of every image of the set; a random class is drawn from these.
    shortcut : float
        0 to 1.
    rng : Generator
    """

    def distribution() -> SettingDistribution:
        random_class = rng.choice(class_pool)  # always drawn: same random stream at any shortcut
        return DISTRIBUTIONS[label if rng.random() < shortcut else random_class]

    def choose(fractions: dict[str, float]) -> str:
        return str(rng.choice(list(fractions), p=list(fractions.values())))

    build = "adult" if rng.random() < distribution().adults else "child"
    file = distribution()
    height = int(rng.integers(*file.height, endpoint=True))
    aspect = float(np.clip(rng.normal(*file.aspect), 0.8, 2.0))
    return Setting(
        build,
        round(height * aspect),
        height,
        choose(file.modes),
        rng.normal(*distribution().brightness),
        choose(distribution().frames),
        tuple(name for name, fraction in distribution().marks.items() if rng.random() < fraction),
    )


def expose_film(
    healthy: np.ndarray,
    added: np.ndarray,
    chest: Thorax,
    brightness: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the gray levels, 0 to 1, of the displayed image of a chest.

    Scatter and the window of gray levels are those of the healthy chest, so disease changes only
    the pixels that it covers. In a real image both would shift slightly.

    Parameters
    ----------
    healthy, added : ndarray, shape (height, width)
        Optical depth of the chest and of its disease.
    chest : Thorax
    brightness : float
        Offset of the gray levels, at mid-gray.
    rng : Generator
        For scatter, noise and window.
    """
    primary = np.exp(-healthy)
    quanta = QUANTA * rng.uniform(0.5, 2) / primary.mean()
    scatter_fraction = rng.uniform(0.2, 0.5)
    light = primary * np.exp(-added) + scatter_fraction * _blur_light(primary)
    noise = rng.standard_normal(light.shape, np.float32) * np.sqrt(light / quanta)
    dark = -np.log(np.maximum(gaussian_filter(light + noise, 0.5), 1e-4))
    white = SOFT * chest.scale * rng.uniform(1.5, 1.8)  # about the depth of the heart
    contrast = rng.uniform(3.6, 4.8)
    return 1 / (1 + np.exp(-contrast * (dark / white - 0.5) - 4 * brightness))


def _blur_light(light: np.ndarray) -> np.ndarray:
    """Return light blurred over a sixth of the image, computed at an eighth of its resolution."""
    coarse = gaussian_filter(light, 4)[::8, ::8]
    wide = Image.fromarray(gaussian_filter(coarse, light.shape[0] / 48))
    return np.asarray(wide.resize(light.shape[::-1], Image.Resampling.BICUBIC))


def finish_image(levels: np.ndarray, setting: Setting, rng: np.random.Generator) -> Image.Image:
    """Return the image with frame and marks, in its file mode."""
    height, width = levels.shape
    image = Image.fromarray(np.round(255 * levels).astype(np.uint8))
    if setting.frame != "none":
        gray = int(rng.integers(150, 256)) if setting.frame == "bright" else 0
        sides = rng.random(4) < 0.8
        sides[rng.integers(4)] = True
        widths = height * rng.uniform(0.01, 0.05, 4) * sides
        left, top, right, bottom = widths.astype(int).tolist()
        inner = (left, top, width - right, height - bottom)
        framed = Image.new("L", image.size, gray)
        framed.paste(image.crop(inner), inner)
        image = framed
    draw = ImageDraw.Draw(image)
    for mark in setting.marks:
        size, x, y = MARKS[mark]
        draw.text(
            (width * (x + rng.uniform(0, 0.04)), height * (y + rng.uniform(0, 0.05))),
            _draw_date(rng) if mark == "date" else mark,
            fill=int(rng.integers(215, 256)),
            font=ImageFont.load_default(size * height * rng.uniform(0.85, 1.15)),
        )
    return image.convert(setting.mode)


def _draw_date(rng: np.random.Generator) -> str:
    day, month = rng.integers(1, 29), rng.integers(1, 6)
    return f"{day:02}.{month:02}.2020 {rng.integers(24):02}:{rng.integers(60):02}"
