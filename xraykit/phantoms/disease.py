"""Patterns of pneumonia, from barely visible to severe.

COVID-19 shows bilateral, peripheral, basal patches of ground glass (Wong et al., Radiology 2020).
Bacterial pneumonia fills a lobe or part of one, with air left in its bronchi. Viral pneumonia
thickens bronchial walls and septa, diffusely, on both sides (Franquet, Radiology 2011).

Each pattern takes a chest, its view, its aerated fraction (from `Thorax.project`), a severity from
0 to 1 and a generator. It returns the optical depth that it adds, shape (height, width).
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from .rays import Ellipsoid, PointCloud, View, half_space, intersect_spans, path_length
from .skeleton import SIDES
from .thorax import LUNG, SOFT, Thorax, sample_segments

VISIBLE = 0.05  # optical depth that absorbs a twentieth of the light
LOWER_LOBE = (0, 0.8, -0.6)  # points down and back, across the oblique fissure


def draw_covid(
    chest: Thorax, view: View, aerated: np.ndarray, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw ground-glass opacities: hazy, mottled patches through which vessels stay visible."""
    haze = np.zeros(view.shape, np.float32)
    for patch in range(3 + rng.integers(2) + int(3 * severity)):
        lung, side = chest.lungs[patch % 2], SIDES[patch % 2]
        y = rng.uniform(0.15, 0.9) if patch else 0.6
        chord = lung.radii[0] * np.sqrt(1 - ((y - lung.center[1]) / lung.radii[1]) ** 2)
        x = lung.center[0] + side * rng.uniform(0.24, 0.84) * chord
        size = rng.uniform(0.13, 0.19) + 0.12 * severity
        radii = (size * rng.uniform(0.6, 0.9), size, 0.4)
        blob = Ellipsoid((x, y, rng.uniform(-0.3, 0.2)), radii, rng.uniform(-30, 30))
        haze += path_length(blob.span(view))
    flecks = gaussian_filter(rng.standard_normal(view.shape, np.float32), 0.026 / view.pixel)
    flecks = np.clip(0.65 * flecks / flecks.std() + 0.7, 0, 2)
    density = 0.6 * (rng.uniform(0.6, 0.75) + 0.35 * severity)
    opacity = gaussian_filter(haze, 0.03 / view.pixel) * flecks * aerated
    return chest.scale * density * (SOFT - LUNG) * opacity


def draw_bacterial(
    chest: Thorax, view: View, aerated: np.ndarray, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw a filled lobe, or the part of it around a focus, with air bronchograms."""
    index = rng.integers(2)
    lung, x = chest.lungs[index], chest.lungs[index].center[0] + rng.uniform(-0.15, 0.15)
    if rng.random() < 0.6:
        lobe, center = half_space(LOWER_LOBE, 0.22, view), (x, rng.uniform(0.4, 0.7), -0.3)
    else:  # the left upper lobe ends at the oblique fissure, the right at the horizontal one
        upper = half_space((0, -1, 0), -0.1, view), half_space((0, -0.8, 0.6), -0.22, view)
        lobe, center = upper[index], (x, rng.uniform(-0.35, 0.0), 0.15)
    size = 0.22 + 0.27 * severity
    focus = Ellipsoid(center, (0.9 * size, size, 0.45 + 0.3 * severity), rng.uniform(-20, 20))
    filled = path_length(intersect_spans(intersect_spans(lung.span(view), lobe), focus.span(view)))
    filled = gaussian_filter(filled, 0.02 / view.pixel) * aerated
    bronchi = sample_segments(chest.trees[index], view.pixel)  # bronchi accompany the vessels
    bronchi = bronchi.select(focus.contains(bronchi.points) & chest.in_lungs(bronchi.points))
    air = np.minimum(bronchi.scale_density(8).project(view), 0.6 * filled)
    density = rng.uniform(0.8, 0.9) + 0.1 * severity
    return chest.scale * density * ((SOFT - LUNG) * filled - SOFT * air)


def draw_viral(
    chest: Thorax, view: View, aerated: np.ndarray, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw a net of thickened septa and cuffed vessels, densest around the hila."""
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
    septa = sample_segments(np.column_stack([middle - half, middle + half, radius]), view.pixel)
    vessels = PointCloud.join([sample_segments(tree, view.pixel) for tree in chest.trees])
    cuffs = vessels.scale_density(0.5 * severity)
    lines = PointCloud.join([septa, cuffs])
    lines = lines.select(chest.in_lungs(lines.points))
    return chest.scale * (SOFT - LUNG) * lines.project(view) * (aerated > 0)


PATTERNS = {"covid": draw_covid, "pneumonia_bac": draw_bacterial, "pneumonia_vir": draw_viral}


def coverage(added: np.ndarray, aerated: np.ndarray) -> float:
    """Return the fraction of the lung area where disease absorbs a twentieth of the light."""
    return float((added > VISIBLE)[aerated > 0.3].mean())
