"""Bones as tubes of dense cortex around spongy marrow: ribs, spine, clavicles, scapulae, arms."""

import numpy as np

from .rays import PointCloud, sample_tube

SIDES = (-1, 1)  # sign of x: the patient's right side (the viewer's left) and left side


def draw_skeleton(
    width: float, depth: float, drop: float, first_rib: int, step: float, rng: np.random.Generator
) -> PointCloud:
    """Draw the bones of a chest; the parameters are as in `Build` and `draw_thorax`."""
    gap, top = rng.uniform(0.2, 0.215), rng.uniform(-1.2, -1.14)
    radius = rng.uniform(0.046, 0.058)
    parts = []
    for side in SIDES:
        for number in range(first_rib, 11):
            fall, reach = drop * min(1, 0.45 + 0.12 * number), 2.5 if number < 8 else 1.9
            line = _draw_rib(top + gap * number, fall, width, depth, reach)
            parts.append(sample_tube(line * [side, 1, 1], radius, step, flat=0.5, core=0.15))
        shoulder = _draw_shoulder(side, width, depth, step, rng)
        parts += [part.scale_density(0.76) for part in shoulder]
    levels = np.arange(-2.1, 2.4, 0.97 * gap)[:, None] * [0, 1, 0]
    return PointCloud.join([*parts, _draw_vertebra(gap, depth, step).repeat_at(levels)])


def _draw_rib(start: float, fall: float, width: float, depth: float, reach: float) -> np.ndarray:
    """Return the center line of a left rib from the spine, `reach` radians to the front."""
    angle = np.linspace(0.1, reach, 60)
    y = start + fall * (angle / np.pi) ** 1.3 - 0.08 * np.sin(angle)
    bulge = np.sqrt(np.clip(1 - ((y - 0.42) / 1.52) ** 2, 0.02, 1))
    x = width * bulge * (0.1 + 0.9 * np.sin(angle))
    return np.column_stack([x, y, -1.05 * depth * bulge * np.cos(angle)])


def _draw_shoulder(
    side: int, width: float, depth: float, step: float, rng: np.random.Generator
) -> list[PointCloud]:
    """Draw clavicle, scapula (its borders and the thin plate between them) and humerus."""
    along = np.linspace(0, 1, 30)
    clavicle = np.column_stack(
        [
            side * width * (0.1 + 1.05 * along),
            -0.78 - 0.28 * along - 0.07 * np.sin(2 * np.pi * along),
            0.83 * depth * (1 - along),
        ]
    )
    scapula = np.array([[0.78, -0.98, -1.27], [0.86, -0.05, -1.33], [1.2, -0.88, -0.67]])
    scapula *= [side * width, 1, depth]
    plate = PointCloud(rng.dirichlet((1, 1, 1), 4000) @ scapula, np.full(4000, 6e-7))
    joint, elbow = np.array([[1.42, -0.95, 0], [1.72, 0.9, 0]]) * [side * width, 1, 1]
    humerus = joint + np.linspace(-0.08, 1, 20)[:, None] * (elbow - joint)
    head = np.exp(-(((np.arange(20) - 1.5) / 1.5) ** 2))
    return [
        sample_tube(clavicle, 0.055, step, core=0.3),
        sample_tube(scapula, 0.025, step, flat=0.6),
        sample_tube(scapula[[0, 2]] + [0, 0.1, -0.05], 0.03, step, flat=0.6),
        plate,
        sample_tube(humerus, 0.09 + 0.09 * head, step, core=0.1),
    ]


def _draw_vertebra(height: float, depth: float, step: float) -> PointCloud:
    """Draw body, end plate, pedicles, transverse and spinous processes, with the top at y = 0."""
    back = -0.62 * depth
    body = np.array([[0, 0, back], [0, 0.7 * height, back]])
    plate = np.array([[0, 0, back], [0, 0.012, back]])
    spine = np.array([[0, 0.05, -1.0 * depth], [0, 0.16, -1.25 * depth]])
    pedicle = np.array([[0.09, 0.05, -0.8 * depth], [0.09, 0.05, -0.9 * depth]])
    process = np.array([[0.1, 0.06, -0.85 * depth], [0.2, 0.02, -0.95 * depth]])
    parts = [
        sample_tube(body, 0.13, step, core=0.1).scale_density(0.35),
        sample_tube(plate, 0.13, step).scale_density(0.8),
        sample_tube(spine, 0.025, step).scale_density(0.76),
    ]
    for side in SIDES:
        parts.append(sample_tube(pedicle * [side, 1, 1], 0.03, step, core=0).scale_density(1.2))
        parts.append(sample_tube(process * [side, 1, 1], 0.03, step, core=0.5).scale_density(0.76))
    return PointCloud.join(parts)
