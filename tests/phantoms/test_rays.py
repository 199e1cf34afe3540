"""Path lengths along rays, compared with known geometry."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from xraykit.phantoms.rays import (
    Ellipsoid,
    PointCloud,
    View,
    half_space,
    intersect_spans,
    merge_spans,
    path_length,
    sample_tube,
)
from xraykit.phantoms.thorax import BUILDS, SOFT, draw_thorax

AXIS = (np.arange(200) - 99.5) * 0.02
TILTED = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)


def view(pose=None):
    x, y = np.float32(AXIS[None, :]), np.float32(AXIS[:, None])
    return View(x, y, 0.02, pose or Rotation.identity())


def volume(path):
    return path.sum() * 0.02**2


def test_path_length_through_a_ball_is_a_chord():
    path = path_length(Ellipsoid((0.5, 0, 3), (1, 1, 1)).span(view()))
    off = np.abs(AXIS[None, :] - 0.5) ** 2 + AXIS[:, None] ** 2
    assert path == pytest.approx(2 * np.sqrt(np.clip(1 - off, 0, None)), abs=2e-3)


@pytest.mark.parametrize("pose", [Rotation.identity(), TILTED])
def test_span_rotated_ellipsoid_keeps_its_volume(pose):
    path = path_length(Ellipsoid((0.2, -0.1, 0.3), (0.9, 0.5, 0.3), angle=30).span(view(pose)))
    assert volume(path) == pytest.approx(4 / 3 * np.pi * 0.9 * 0.5 * 0.3, rel=2e-3)


def test_half_space_through_a_ball_leaves_half():
    ball = Ellipsoid((0, 0, 0), (1, 1, 1)).span(view(TILTED))
    half = intersect_spans(ball, half_space((0, 0.8, -0.6), 0, view(TILTED)))
    assert volume(path_length(half)) == pytest.approx(2 / 3 * np.pi, rel=5e-3)


def test_merge_spans_overlap_counts_once():
    balls = [Ellipsoid((0, 0, z), (0.5, 0.5, 0.5)).span(view()) for z in (0, 0.6)]
    assert path_length(merge_spans(balls)).max() == pytest.approx(1.6, abs=2e-3)


@pytest.mark.parametrize("pose", [Rotation.identity(), TILTED])
def test_sample_tube_projection_keeps_its_volume(pose):
    line = np.array([[-0.8, 0.1, 0.2], [0.0, 0.3, -0.2], [0.7, -0.2, 0.1]])
    along = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    solid, hollow = (sample_tube(line, 0.1, 0.02, core=core) for core in (1, 0))
    assert volume(solid.project(view(pose))) == pytest.approx(np.pi * 0.01 * along, rel=1e-3)
    assert hollow.volumes.sum() == pytest.approx(0.75 * solid.volumes.sum(), rel=1e-6)


def test_project_points_outside_the_image_are_ignored():
    points = PointCloud(np.array([[0.0, 0, 0], [5, 0, 0], [0, -5, 0]]), np.ones(3))
    assert volume(points.project(view())) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("build", BUILDS)
def test_project_lungs_transmit_more_light_than_the_heart(build):
    chest = draw_thorax(BUILDS[build], 0.03, np.random.default_rng(1))
    depth, aerated = chest.project(view())
    row = np.abs(AXIS - 0.45).argmin()  # level of the heart
    lung, heart = (np.abs(AXIS - x).argmin() for x in (-0.6, 0.15))
    assert aerated[row, lung] > 0.9
    assert aerated[row, heart] < 0.5
    assert depth[row, heart] > 1.5 * depth[row, lung] > SOFT
    assert depth.min() == 0  # only air beside the neck
