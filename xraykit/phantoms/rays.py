"""Path lengths of X-rays through simple solids.

Rays are parallel to z; x points to the viewer's right, y down, z to the patient's front.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

Span = tuple[np.ndarray, np.ndarray]  # z where each ray enters and leaves; NaN where it misses


@dataclass(frozen=True)
class View:
    """The grid of rays, one ray per pixel, and the pose of the patient."""

    x: np.ndarray  # of each ray, shape (1, width), float32
    y: np.ndarray  # of each ray, shape (height, 1), float32
    pixel: float  # distance between neighboring rays
    pose: Rotation  # from the patient's axes to those of the view

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return self.y.shape[0], self.x.shape[1]


@dataclass(frozen=True)
class Ellipsoid:
    """A solid ellipsoid in the patient's axes."""

    center: Sequence[float]
    radii: Sequence[float]
    angle: float = 0.0  # rotation of its axes about z in degrees, clockwise for the viewer

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Return whether each of the points, shape (n, 3), is inside."""
        unit = self._rotation().apply(points - self.center, inverse=True) / self.radii
        return np.einsum("ij,ij->i", unit, unit) < 1

    def span(self, view: View) -> Span:
        """Return z where each ray enters and leaves the ellipsoid; NaN where it misses."""
        rotation = (view.pose * self._rotation()).as_matrix()
        form = rotation @ np.diag(1 / np.square(self.radii)) @ rotation.T
        x0, y0, z0 = view.pose.apply(self.center)
        dx, dy = view.x - np.float32(x0), view.y - np.float32(y0)
        (xx, xy, xz), (_, yy, yz), (_, _, zz) = form.astype(np.float32)
        middle = (xz * dx + yz * dy) / zz
        rest = (xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy - 1) / zz
        with np.errstate(invalid="ignore"):  # rays that miss have a negative radicand
            half = np.sqrt(middle * middle - rest)
        return z0 - middle - half, z0 - middle + half

    def _rotation(self) -> Rotation:
        return Rotation.from_euler("z", self.angle, degrees=True)


def intersect_spans(first: Span, second: Span) -> Span:
    """Return the part of each ray that lies in both spans."""
    return np.maximum(first[0], second[0]), np.minimum(first[1], second[1])


def merge_spans(spans: Sequence[Span]) -> Span:
    """Return each ray's span from its first entry into any of the solids to its last exit.

    Gaps between solids are included; in a chest they are negligible.
    """
    enter, leave = zip(*spans, strict=True)
    return np.fmin.reduce(enter), np.fmax.reduce(leave)


def half_space(normal: Sequence[float], offset: float, view: View) -> Span:
    """Return the part of each ray where normal · point > offset."""
    nx, ny, nz = view.pose.apply(normal)
    nz = nz if abs(nz) > 1e-3 else 1e-3  # avoid division by 0 for rays in the plane
    z = ((offset - nx * view.x - ny * view.y) / nz).astype(np.float32)
    return (z, np.array(np.inf, np.float32)) if nz > 0 else (np.array(-np.inf, np.float32), z)


def path_length(span: Span) -> np.ndarray:
    """Return the length of each ray's span, 0 where the ray misses."""
    return np.fmax(span[1] - span[0], 0)


@dataclass(frozen=True)
class PointCloud:
    """Small structures (ribs, vessels, airways) as points that each have a volume."""

    points: np.ndarray  # shape (n, 3)
    volumes: np.ndarray  # shape (n,)

    @classmethod
    def join(cls, parts: Sequence["PointCloud"]) -> "PointCloud":
        """Return the points of all parts."""
        return cls(
            np.concatenate([part.points for part in parts]),
            np.concatenate([part.volumes for part in parts]),
        )

    def select(self, mask: np.ndarray) -> "PointCloud":
        """Return the points where `mask` is true."""
        return PointCloud(self.points[mask], self.volumes[mask])

    def repeat_at(self, offsets: np.ndarray) -> "PointCloud":
        """Return one copy of the points per offset, shape (m, 3)."""
        points = (self.points + offsets[:, None, :]).reshape(-1, 3)
        return PointCloud(points, np.tile(self.volumes, len(offsets)))

    def scale_density(self, density: float) -> "PointCloud":
        """Return the points with their volumes multiplied by `density`."""
        return PointCloud(self.points, density * self.volumes)

    def project(self, view: View) -> np.ndarray:
        """Return the path length of each ray in the structures, shape (height, width)."""
        height, width = view.shape
        x, y, _ = view.pose.apply(self.points).T
        column = np.round((x - view.x[0, 0]) / view.pixel).astype(int)
        row = np.round((y - view.y[0, 0]) / view.pixel).astype(int)
        visible = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        index = row[visible] * width + column[visible]
        volume = np.bincount(index, self.volumes[visible], height * width)
        image = volume.reshape(height, width).astype(np.float32) / view.pixel**2
        return gaussian_filter(image, 0.9)


def sample_tube(
    line: np.ndarray,
    radius: float | np.ndarray,
    step: float,
    flat: float = 1.0,
    core: float = 1.0,
) -> PointCloud:
    """Sample points of a tube along a line.

    Parameters
    ----------
    line : ndarray, shape (n, 3)
        Corners of the center line.
    radius : float or ndarray of shape (n,)
    step : float
        Distance between points, about a pixel.
    flat : float
        Thickness in the direction away from the body's axis, in radii; 1 is round.
    core : float
        Density of the inner half of the radius, relative to the outer half; below 1 for bones.
    """
    along = np.r_[0, np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum()]
    count = max(int(along[-1] / step), 2)
    at = (np.arange(count) + 0.5) * along[-1] / count
    middle = np.stack([np.interp(at, along, part) for part in line.T], axis=1)
    radii = np.interp(at, along, np.broadcast_to(radius, along.shape))
    tangent = np.gradient(middle, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    outward = middle * [1, 0, 1] + [1e-6, 0, 2e-6]
    across = np.cross(tangent, outward)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    outward = np.cross(across, tangent)
    around = max(int(4 * radii.max() / step), 5)
    angles = ((np.arange(around) + 0.5) * 2 * np.pi / around)[:, None]
    ring = np.cos(angles) * across[:, None] + flat * np.sin(angles) * outward[:, None]
    volume = np.pi * radii**2 * flat * along[-1] / count / around  # of one point
    points, volumes = [], []
    inner, outer = (0.33, 0.25, core), (0.78, 0.75, 1.0)  # halves of the radius
    for mean_radius, fraction, density in (inner, outer):
        offset = mean_radius * radii[:, None, None] * ring
        points.append((middle[:, None] + offset).reshape(-1, 3))
        volumes.append(np.repeat(fraction * density * volume, around))
    return PointCloud(np.concatenate(points), np.concatenate(volumes))
