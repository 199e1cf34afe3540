"""What pneumonia adds to a chest, from barely visible to severe.

COVID-19 shows patches of ground glass, on both sides, peripheral and low (Wong et al., Radiology
2020); bacterial pneumonia fills a lobe or part of one, with air left in its bronchi; viral
pneumonia thickens bronchial walls and septa, diffusely, on both sides (Franquet, Radiology 2011).

Each pattern takes a chest, the view of it, what of it is aerated (as `Thorax.project` gives it),
a severity of 0 to 1 and a generator, and returns the optical depth it adds, shape (height, width).
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from .rays import Dust, Ellipsoid, View, beyond, intersection, length
from .skeleton import SIDES
from .thorax import LUNG, SOFT, Thorax, strings

VISIBLE = 0.05  # optical depth of what counts as covered: a twentieth of the light
LOWER_LOBE = (0, 0.8, -0.6)  # points down and back, across the oblique fissure


def covid(
    chest: Thorax, view: View, aerated: np.ndarray, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Return patches of ground glass: hazy, mottled, never hiding the vessels."""
    haze = np.zeros(view.shape, np.float32)
    for patch in range(3 + rng.integers(2) + int(3 * severity)):
        lung, side = chest.lungs[patch % 2], SIDES[patch % 2]
        low = rng.uniform(0.15, 0.9) if patch else 0.6
        chord = lung.radii[0] * np.sqrt(1 - ((low - lung.centre[1]) / lung.radii[1]) ** 2)
        x = lung.centre[0] + side * rng.uniform(0.24, 0.84) * chord
        size = rng.uniform(0.13, 0.19) + 0.12 * severity
        radii = (size * rng.uniform(0.6, 0.9), size, 0.4)
        blob = Ellipsoid((x, low, rng.uniform(-0.3, 0.2)), radii, rng.uniform(-30, 30))
        haze += length(blob.span(view))
    flecks = gaussian_filter(rng.standard_normal(view.shape, np.float32), 0.026 / view.pixel)
    flecks = np.clip(0.65 * flecks / flecks.std() + 0.7, 0, 2)
    density = 0.6 * (rng.uniform(0.6, 0.75) + 0.35 * severity)
    hazy = gaussian_filter(haze, 0.03 / view.pixel) * flecks * aerated
    return chest.scale * density * (SOFT - LUNG) * hazy


def bacterial(
    chest: Thorax, view: View, aerated: np.ndarray, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a filled lobe, or the part of it around a focus, with air bronchograms."""
    which = rng.integers(2)
    lung, x = chest.lungs[which], chest.lungs[which].centre[0] + rng.uniform(-0.15, 0.15)
    if rng.random() < 0.6:
        lobe, place = beyond(LOWER_LOBE, 0.22, view), (x, rng.uniform(0.4, 0.7), -0.3)
    else:  # the left upper lobe ends at the oblique fissure, the right at the horizontal one
        upper = beyond((0, -1, 0), -0.1, view), beyond((0, -0.8, 0.6), -0.22, view)
        lobe, place = upper[which], (x, rng.uniform(-0.35, 0.0), 0.15)
    size = 0.22 + 0.27 * severity
    focus = Ellipsoid(place, (0.9 * size, size, 0.45 + 0.3 * severity), rng.uniform(-20, 20))
    filled = length(intersection(intersection(lung.span(view), lobe), focus.span(view)))
    filled = gaussian_filter(filled, 0.02 / view.pixel) * aerated
    bronchi = strings(chest.trees[which], view.pixel)  # they accompany the vessels
    bronchi = bronchi.only(focus.contains(bronchi.points) & chest.in_lungs(bronchi.points))
    air = np.minimum(bronchi.thin(8).project(view), 0.6 * filled)
    density = rng.uniform(0.8, 0.9) + 0.1 * severity
    return chest.scale * density * ((SOFT - LUNG) * filled - SOFT * air)


def viral(
    chest: Thorax, view: View, aerated: np.ndarray, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a net of thickened septa and cuffed vessels, densest around the hila."""
    count = int(110 + 450 * severity)
    middle = np.column_stack(
        [
            rng.choice(SIDES, count) * np.abs(rng.normal(0.42, 0.2, count)),
            rng.normal(0.2, 0.42, count),
            rng.uniform(-0.4, 0.4, count),
        ]
    )
    half = rng.standard_normal((count, 3)) * [1, 1, 0.4]
    half *= rng.uniform(0.03, 0.08, (count, 1)) / np.linalg.norm(half, axis=1, keepdims=True)
    radius = rng.uniform(0.027, 0.038, count) * (0.95 + 0.4 * severity)
    septa = strings(np.column_stack([middle - half, middle + half, radius]), view.pixel)
    cuffs = Dust.join([strings(tree, view.pixel) for tree in chest.trees]).thin(0.5 * severity)
    lines = Dust.join([septa, cuffs])
    lines = lines.only(chest.in_lungs(lines.points))
    return chest.scale * (SOFT - LUNG) * lines.project(view) * (aerated > 0)


PATTERNS = {"covid": covid, "pneumonia_bac": bacterial, "pneumonia_vir": viral}


def coverage(added: np.ndarray, aerated: np.ndarray) -> float:
    """Return the share of the lungs' image where disease holds back a twentieth of the light."""
    return float((added > VISIBLE)[aerated > 0.3].mean())
