"""Lengths along rays, against geometry that is known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from xraykit.phantoms.rays import Dust, Ellipsoid, View, beyond, hull, intersection, length, tube
from xraykit.phantoms.thorax import BUILDS, SOFT, grow

AXIS = (np.arange(200) - 99.5) * 0.02
TILTED = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)


def view(pose=None):
    x, y = np.float32(AXIS[None, :]), np.float32(AXIS[:, None])
    return View(x, y, 0.02, pose or Rotation.identity())


def volume(path):
    return path.sum() * 0.02**2


def test_when_ray_meets_a_ball_then_it_runs_through_a_chord():
    path = length(Ellipsoid((0.5, 0, 3), (1, 1, 1)).span(view()))
    off = np.abs(AXIS[None, :] - 0.5) ** 2 + AXIS[:, None] ** 2
    assert path == pytest.approx(2 * np.sqrt(np.clip(1 - off, 0, None)), abs=2e-3)


@pytest.mark.parametrize("pose", [Rotation.identity(), TILTED])
def test_when_ellipsoid_is_turned_then_its_shadow_still_holds_its_volume(pose):
    path = length(Ellipsoid((0.2, -0.1, 0.3), (0.9, 0.5, 0.3), lean=30).span(view(pose)))
    assert volume(path) == pytest.approx(4 / 3 * np.pi * 0.9 * 0.5 * 0.3, rel=2e-3)


def test_when_plane_cuts_a_ball_then_half_is_left():
    ball = Ellipsoid((0, 0, 0), (1, 1, 1)).span(view(TILTED))
    half = intersection(ball, beyond((0, 0.8, -0.6), 0, view(TILTED)))
    assert volume(length(half)) == pytest.approx(2 / 3 * np.pi, rel=5e-3)


def test_when_two_balls_overlap_then_the_common_part_counts_once():
    balls = [Ellipsoid((0, 0, z), (0.5, 0.5, 0.5)).span(view()) for z in (0, 0.6)]
    assert length(hull(balls)).max() == pytest.approx(1.6, abs=2e-3)


@pytest.mark.parametrize("pose", [Rotation.identity(), TILTED])
def test_when_tube_is_projected_then_its_shadow_holds_its_volume(pose):
    line = np.array([[-0.8, 0.1, 0.2], [0.0, 0.3, -0.2], [0.7, -0.2, 0.1]])
    along = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    solid, hollow = (tube(line, 0.1, 0.02, core=core) for core in (1, 0))
    assert volume(solid.project(view(pose))) == pytest.approx(np.pi * 0.01 * along, rel=1e-3)
    assert hollow.volumes.sum() == pytest.approx(0.75 * solid.volumes.sum(), rel=1e-6)


def test_when_points_lie_outside_the_images_then_they_are_not_seen():
    dust = Dust(np.array([[0.0, 0, 0], [5, 0, 0], [0, -5, 0]]), np.ones(3))
    assert volume(dust.project(view())) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("build", BUILDS)
def test_when_chest_is_projected_then_lungs_let_light_through_and_the_heart_does_not(build):
    chest = grow(BUILDS[build], 0.03, np.random.default_rng(1))
    depth, aerated = chest.project(view())
    row = np.abs(AXIS - 0.45).argmin()  # at the heart's level
    lung, heart = (np.abs(AXIS - x).argmin() for x in (-0.6, 0.15))
    assert aerated[row, lung] > 0.9
    assert aerated[row, heart] < 0.5
    assert depth[row, heart] > 1.5 * depth[row, lung] > SOFT
    assert depth.min() == 0  # beside the neck there is air alone
