"""A simple healthy thorax: lungs with vessels, airways, heart, diaphragm, bones, outer body.

Lengths are in half heights of the lungs; x points to the patient's left, y down, z to the front.
"""

from dataclasses import dataclass

import numpy as np

from .rays import Dust, Ellipsoid, View, hull, intersection, length, tube
from .skeleton import SIDES, draw_skeleton

# Linear attenuation coefficients in 1/cm near 60 keV, after Hubbell and Seltzer's tables: soft
# tissue, lung as about a quarter of it, and cortical bone.
SOFT, LUNG, BONE = 0.205, 0.055, 0.60


@dataclass(frozen=True)
class Build:
    """What differs between an adult and a child.

    Attributes
    ----------
    centimetres : float
        To the unit.
    width, depth : float
        Of the rib cage, from the middle.
    heart : float
        How large it is for the width of the chest, 1 in an adult.
    arm : float
        Degrees between arm and trunk.
    drop : float
        How far ribs fall from back to front.
    first_rib : int
        The topmost that is drawn, from 0.
    upper : Ellipsoid
        What marks the upper mediastinum.
    chin : tuple of Ellipsoid
        Where it is in the image.
    """

    centimetres: float
    width: float
    depth: float
    heart: float
    arm: float
    drop: float
    first_rib: int
    upper: Ellipsoid
    chin: tuple[Ellipsoid, ...]


BUILDS = {
    "adult": Build(
        centimetres=13.0,
        width=1.0,
        depth=0.62,
        heart=1.0,
        arm=9,
        drop=0.72,
        first_rib=0,
        upper=Ellipsoid((0.12, -0.34, -0.1), (0.15, 0.16, 0.2)),  # the aorta's arch
        chin=(),
    ),
    "child": Build(
        centimetres=7.0,
        width=1.2,
        depth=0.72,
        heart=1.12,
        arm=17,
        drop=0.5,
        first_rib=1,
        upper=Ellipsoid((0, -0.32, 0.25), (0.3, 0.45, 0.16)),  # the thymus
        chin=(Ellipsoid((0, -2.15, 0.2), (0.62, 0.6, 0.6)),),
    ),
}


@dataclass(frozen=True)
class Thorax:
    """One person's chest.

    Attributes
    ----------
    scale : float
        Centimetres to the unit.
    lungs : tuple of Ellipsoid
        Right and left, as if nothing else were in the chest.
    organs : tuple of Ellipsoid
        What takes the lungs' place: heart, mediastinum, both domes of the diaphragm.
    body : tuple of Ellipsoid
        Trunk, shoulders, neck, arms.
    gas : Ellipsoid
        The stomach's bubble.
    bones, vessels, airways : Dust
    trees : tuple of ndarray
        The vessels of each side, as segments: start, end and radius, shape (n, 7).
    """

    scale: float
    lungs: tuple[Ellipsoid, Ellipsoid]
    organs: tuple[Ellipsoid, ...]
    body: tuple[Ellipsoid, ...]
    gas: Ellipsoid
    bones: Dust
    vessels: Dust
    airways: Dust
    trees: tuple[np.ndarray, np.ndarray]

    def project(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Return what rays meet on their way, both of shape (height, width).

        Returns
        -------
        depth : ndarray
            Optical depth: -ln of the share of light that arrives, a sum along the ray
            (Beer-Lambert).
        aerated : ndarray
            0 to 1: how much of what the lungs would fill in an empty chest is lung.
        """
        organs = hull([organ.span(view) for organ in self.organs])
        lungs = [lung.span(view) for lung in self.lungs]
        whole = sum(length(lung) for lung in lungs)
        lung = whole - sum(length(intersection(lung, organs)) for lung in lungs)
        body = length(hull([part.span(view) for part in self.body]))
        path = SOFT * (body - length(self.gas.span(view))) + (LUNG - SOFT) * lung
        path += (BONE - SOFT) * self.bones.project(view)
        path += (SOFT - LUNG) * self.vessels.only(self.in_lungs(self.vessels.points)).project(view)
        path -= SOFT * self.airways.project(view)
        return np.maximum(self.scale * path, 0), lung / np.maximum(whole, 1e-3)

    def in_lungs(self, points: np.ndarray) -> np.ndarray:
        """Return which points, shape (n, 3), lie in a lung and in nothing that displaces it."""
        inside = self.lungs[0].contains(points) | self.lungs[1].contains(points)
        for organ in self.organs:
            inside &= ~organ.contains(points)
        return inside


def grow(build: Build, step: float, rng: np.random.Generator) -> Thorax:
    """Draw one person.

    Parameters
    ----------
    build : Build
    step : float
        Distance between the points of small structures: about a pixel.
    rng : Generator
    """

    def about(value: float, spread: float = 0.05) -> float:
        return value * (1 + spread * rng.uniform(-1, 1))

    width, depth = about(build.width, 0.07), about(build.depth, 0.1)
    heart, breath = about(build.heart, 0.1) * width, rng.uniform(-0.06, 0.08)
    lungs, domes, arms = [], [], []
    for side in SIDES:
        radii = (about(0.46, 0.03) * width, 1.42, depth)
        lungs.append(Ellipsoid((side * 0.49 * width, 0.42, 0), radii, 4 * side))
        radii = (about(0.66, 0.04) * width, about(0.95, 0.04), 1.5 * depth)
        domes.append(Ellipsoid((side * 0.5 * width, 1.65 + breath + 0.04 * side, 0.05), radii))
        place = (side * about(1.62, 0.04) * width, 0.05, 0)
        arms.append(Ellipsoid(place, (0.26 * width, 1.3, 0.26), -side * about(build.arm, 0.5)))
    mediastinum = (
        Ellipsoid((0.19 * heart, 0.52, 0.2), (0.47 * heart, 0.35 * heart, 0.36), about(33, 0.3)),
        Ellipsoid((-0.05 * heart, 0.42, 0.15), (about(0.25) * heart, 0.38, 0.3)),  # right atrium
        Ellipsoid((0, -0.1, -0.05), (about(0.15, 0.15) * width, 1.35, 0.45)),
        Ellipsoid((0.1, -0.08, 0), (about(0.17, 0.1) * width, about(0.34), 0.3), -8),
        build.upper,
    )
    body = (
        Ellipsoid((0, 0.75, 0), (about(1.2) * width, 2.9, about(1.4, 0.08) * depth)),
        Ellipsoid((0, -1.0, -0.05), (about(1.62, 0.06) * width, about(0.36), 0.42)),
        Ellipsoid((0, -1.75, 0), (0.36 * width, 0.85, 0.36)),
        *build.chin,
        *arms,
    )
    gas = Ellipsoid(
        (about(0.5, 0.2), 1.02 + breath + rng.uniform(0, 0.1), 0.2),
        (rng.uniform(0.1, 0.24), rng.uniform(0.05, 0.11), 0.2),
        rng.uniform(-20, 20),
    )
    trees = tuple(_draw_tree(side, width, rng) for side in SIDES)
    return Thorax(
        scale=about(build.centimetres, 0.1),
        lungs=tuple(lungs),
        organs=(*mediastinum, *domes),
        body=body,
        gas=gas,
        bones=draw_skeleton(width, depth, about(build.drop, 0.18), build.first_rib, step, rng),
        vessels=Dust.join([strings(tree, step) for tree in trees]),
        airways=_draw_airways(width, step),
        trees=trees,
    )


def _draw_airways(width: float, step: float) -> Dust:
    fork = (0.0, -0.14, -0.05)
    parts = [tube(np.array([(0.0, -1.9, 0.1), (0.0, -0.6, 0.0), fork]), 0.07, step)]
    for side in SIDES:
        parts.append(tube(np.array([fork, (side * 0.2 * width, 0.06, -0.08)]), 0.05, step))
    return Dust.join(parts)


def _draw_tree(side: int, width: float, rng: np.random.Generator) -> np.ndarray:
    """Return a side's branching vessels as segments: start, end and radius, shape (n, 7).

    At a fork the cubes of the radii add up (Murray, PNAS 1926).
    """
    count = 10
    fan = np.linspace(-1.4, 1.45, count) + rng.normal(0, 0.1, count)  # from up to down
    start = np.tile([side * 0.2 * width, 0.05, -0.05], (count, 1))
    start[:, 1] += 0.2 * fan
    heading = np.column_stack([side * np.cos(fan), np.sin(fan), rng.normal(0, 0.5, count)])
    radius = rng.uniform(0.026, 0.042, count)
    segments = []
    for _ in range(13):
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        end = start + heading * rng.uniform(0.06, 0.13, (len(start), 1))
        segments.append(np.column_stack([start, end, radius]))
        forks = rng.random(len(start)) < 0.42
        parent = np.repeat(np.arange(len(start)), 1 + forks)
        second = np.r_[False, parent[1:] == parent[:-1]]
        share = rng.uniform(0.3, 0.7, len(start))[parent]
        share = np.where(second, 1 - share, share)
        radius = radius[parent] * np.where(forks[parent], share ** (1 / 3), 0.97)
        start, heading = end[parent], heading[parent] + rng.normal(0, 0.27, (len(parent), 3))
    return np.concatenate(segments)


def strings(segments: np.ndarray, step: float) -> Dust:
    """Return segments (start, end and radius, shape (n, 7)) as strings of points.

    They have volume but no width: for what is hardly wider than a pixel.
    """
    start, end, radius = segments[:, :3], segments[:, 3:6], segments[:, 6]
    lengths = np.linalg.norm(end - start, axis=1)
    count = int(np.ceil(lengths.max() / step))
    share = ((np.arange(count) + 0.5) / count)[:, None]
    points = start[:, None] * (1 - share) + end[:, None] * share
    return Dust(points.reshape(-1, 3), np.repeat(np.pi * radius**2 * lengths / count, count))
