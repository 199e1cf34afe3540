"""A simple healthy thorax: lungs with vessels, airways, heart, diaphragm, bones, outer body.

Lengths are in half heights of the lungs; x points to the patient's left, y down, z to the front.
"""

from dataclasses import dataclass

import numpy as np

from .rays import (
    Ellipsoid,
    PointCloud,
    View,
    intersect_spans,
    merge_spans,
    path_length,
    sample_tube,
)
from .skeleton import SIDES, draw_skeleton

# Linear attenuation coefficients in 1/cm near 60 keV, after Hubbell and Seltzer's tables: soft
# tissue, lung as about a quarter of it, and cortical bone.
SOFT, LUNG, BONE = 0.205, 0.055, 0.60


@dataclass(frozen=True)
class Build:
    """Measures that differ between an adult and a child."""

    centimeters: float  # per unit of length
    width: float  # half width of the rib cage
    depth: float  # half depth of the rib cage
    heart: float  # size relative to the width of the chest, 1 in an adult
    arm: float  # degrees between arm and trunk
    drop: float  # descent of the ribs from back to front
    first_rib: int  # index of the topmost rib drawn, from 0
    upper: Ellipsoid  # dominant structure of the upper mediastinum
    chin: tuple[Ellipsoid, ...]  # empty if it is outside the image


BUILDS = {
    "adult": Build(
        centimeters=13.0,
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
        centimeters=7.0,
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
    """One person's chest."""

    scale: float  # centimeters per unit of length
    lungs: tuple[Ellipsoid, ...]  # right and left, before organs displace them
    organs: tuple[Ellipsoid, ...]  # heart, mediastinum, both domes of the diaphragm
    body: tuple[Ellipsoid, ...]  # trunk, shoulders, neck, arms
    gas: Ellipsoid  # the gastric bubble
    bones: PointCloud
    vessels: PointCloud
    airways: PointCloud
    trees: tuple[np.ndarray, ...]  # vessels of each side: start, end, radius, shape (n, 7)

    def project(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Return attenuation and aeration along each ray, both of shape (height, width).

        Returns
        -------
        depth : ndarray
            Optical depth: -ln of the transmitted fraction of light, a sum along the ray
            (Beer-Lambert).
        aerated : ndarray
            0 to 1: the fraction of the path through the undisplaced lungs that is lung.
        """
        organs = merge_spans([organ.span(view) for organ in self.organs])
        lungs = [lung.span(view) for lung in self.lungs]
        whole = sum(path_length(lung) for lung in lungs)
        lung = whole - sum(path_length(intersect_spans(lung, organs)) for lung in lungs)
        body = path_length(merge_spans([part.span(view) for part in self.body]))
        path = SOFT * (body - path_length(self.gas.span(view))) + (LUNG - SOFT) * lung
        path += (BONE - SOFT) * self.bones.project(view)
        vessels = self.vessels.select(self.in_lungs(self.vessels.points))
        path += (SOFT - LUNG) * vessels.project(view)
        path -= SOFT * self.airways.project(view)
        return np.maximum(self.scale * path, 0), lung / np.maximum(whole, 1e-3)

    def in_lungs(self, points: np.ndarray) -> np.ndarray:
        """Return whether each point, shape (n, 3), is in a lung and in no organ."""
        inside = self.lungs[0].contains(points) | self.lungs[1].contains(points)
        for organ in self.organs:
            inside &= ~organ.contains(points)
        return inside


def draw_thorax(build: Build, step: float, rng: np.random.Generator) -> Thorax:
    """Draw one person's chest; `step` is the distance between points, about a pixel."""

    def vary(value: float, spread: float = 0.05) -> float:
        return value * (1 + spread * rng.uniform(-1, 1))

    width, depth = vary(build.width, 0.07), vary(build.depth, 0.1)
    heart, breath = vary(build.heart, 0.1) * width, rng.uniform(-0.06, 0.08)
    lungs, domes, arms = [], [], []
    for side in SIDES:
        radii = (vary(0.46, 0.03) * width, 1.42, depth)
        lungs.append(Ellipsoid((side * 0.49 * width, 0.42, 0), radii, 4 * side))
        radii = (vary(0.66, 0.04) * width, vary(0.95, 0.04), 1.5 * depth)
        domes.append(Ellipsoid((side * 0.5 * width, 1.65 + breath + 0.04 * side, 0.05), radii))
        center = (side * vary(1.62, 0.04) * width, 0.05, 0)
        arms.append(Ellipsoid(center, (0.26 * width, 1.3, 0.26), -side * vary(build.arm, 0.5)))
    mediastinum = (
        Ellipsoid((0.19 * heart, 0.52, 0.2), (0.47 * heart, 0.35 * heart, 0.36), vary(33, 0.3)),
        Ellipsoid((-0.05 * heart, 0.42, 0.15), (vary(0.25) * heart, 0.38, 0.3)),  # right atrium
        Ellipsoid((0, -0.1, -0.05), (vary(0.15, 0.15) * width, 1.35, 0.45)),
        Ellipsoid((0.1, -0.08, 0), (vary(0.17, 0.1) * width, vary(0.34), 0.3), -8),
        build.upper,
    )
    body = (
        Ellipsoid((0, 0.75, 0), (vary(1.2) * width, 2.9, vary(1.4, 0.08) * depth)),
        Ellipsoid((0, -1.0, -0.05), (vary(1.62, 0.06) * width, vary(0.36), 0.42)),
        Ellipsoid((0, -1.75, 0), (0.36 * width, 0.85, 0.36)),
        *build.chin,
        *arms,
    )
    gas = Ellipsoid(
        (vary(0.5, 0.2), 1.02 + breath + rng.uniform(0, 0.1), 0.2),
        (rng.uniform(0.1, 0.24), rng.uniform(0.05, 0.11), 0.2),
        rng.uniform(-20, 20),
    )
    trees = tuple(_draw_tree(side, width, rng) for side in SIDES)
    return Thorax(
        scale=vary(build.centimeters, 0.1),
        lungs=tuple(lungs),
        organs=(*mediastinum, *domes),
        body=body,
        gas=gas,
        bones=draw_skeleton(width, depth, vary(build.drop, 0.18), build.first_rib, step, rng),
        vessels=PointCloud.join([sample_segments(tree, step) for tree in trees]),
        airways=_draw_airways(width, step),
        trees=trees,
    )


def _draw_airways(width: float, step: float) -> PointCloud:
    fork = (0.0, -0.14, -0.05)
    parts = [sample_tube(np.array([(0.0, -1.9, 0.1), (0.0, -0.6, 0.0), fork]), 0.07, step)]
    for side in SIDES:
        parts.append(sample_tube(np.array([fork, (side * 0.2 * width, 0.06, -0.08)]), 0.05, step))
    return PointCloud.join(parts)


def _draw_tree(side: int, width: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the branching vessels of a side as segments: start, end and radius, shape (n, 7).

    At a fork the cubes of the radii are conserved (Murray, PNAS 1926).
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
        fraction = rng.uniform(0.3, 0.7, len(start))[parent]
        fraction = np.where(second, 1 - fraction, fraction)
        radius = radius[parent] * np.where(forks[parent], fraction ** (1 / 3), 0.97)
        start, heading = end[parent], heading[parent] + rng.normal(0, 0.27, (len(parent), 3))
    return np.concatenate(segments)


def sample_segments(segments: np.ndarray, step: float) -> PointCloud:
    """Sample points along segments: start, end and radius, shape (n, 7).

    The points have volume but no width, for structures about as wide as a pixel.
    """
    start, end, radius = segments[:, :3], segments[:, 3:6], segments[:, 6]
    lengths = np.linalg.norm(end - start, axis=1)
    count = int(np.ceil(lengths.max() / step))
    fraction = ((np.arange(count) + 0.5) / count)[:, None]
    points = start[:, None] * (1 - fraction) + end[:, None] * fraction
    return PointCloud(points.reshape(-1, 3), np.repeat(np.pi * radius**2 * lengths / count, count))
