"""Rays through simple solids: how much of each lies on the way from the tube to the detector.

Rays run along z, parallel; x points to the viewer's right, y down, z to the patient's front.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

Span = tuple[np.ndarray, np.ndarray]  # where each ray enters and leaves; NaN where it misses


@dataclass(frozen=True)
class View:
    """The grid of rays, a ray a pixel, and how the patient stands in it.

    Attributes
    ----------
    x, y : ndarray of float32, shapes (1, width) and (height, 1)
        Where each ray passes.
    pixel : float
        Distance between neighbouring rays.
    pose : Rotation
        From the patient's own axes to those of the view.
    """

    x: np.ndarray
    y: np.ndarray
    pixel: float
    pose: Rotation

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return self.y.shape[0], self.x.shape[1]


@dataclass(frozen=True)
class Ellipsoid:
    """A solid ellipsoid, in the patient's axes.

    Attributes
    ----------
    centre, radii : sequence of three floats
    lean : float
        Degrees by which its own axes are turned about z, clockwise as the viewer sees it.
    """

    centre: Sequence[float]
    radii: Sequence[float]
    lean: float = 0.0

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Return which of the `points`, shape (n, 3), lie inside."""
        own = self._turn().apply(points - self.centre, inverse=True) / self.radii
        return np.einsum("ij,ij->i", own, own) < 1

    def span(self, view: View) -> Span:
        """Return where each ray enters and leaves."""
        turn = (view.pose * self._turn()).as_matrix()
        form = turn @ np.diag(1 / np.square(self.radii)) @ turn.T
        x0, y0, z0 = view.pose.apply(self.centre)
        dx, dy = view.x - np.float32(x0), view.y - np.float32(y0)
        (xx, xy, xz), (_, yy, yz), (_, _, zz) = form.astype(np.float32)
        middle = (xz * dx + yz * dy) / zz
        rest = (xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy - 1) / zz
        with np.errstate(invalid="ignore"):  # the root of a negative number is a miss
            half = np.sqrt(middle * middle - rest)
        return z0 - middle - half, z0 - middle + half

    def _turn(self) -> Rotation:
        return Rotation.from_euler("z", self.lean, degrees=True)


def intersection(first: Span, second: Span) -> Span:
    """Return the part of each ray that lies in both."""
    return np.maximum(first[0], second[0]), np.minimum(first[1], second[1])


def hull(spans: Sequence[Span]) -> Span:
    """Return each ray from where it enters the first of several solids to where it leaves the last.

    What lies between two of them counts as well: in a chest that is next to nothing.
    """
    enter, leave = zip(*spans, strict=True)
    return np.fmin.reduce(enter), np.fmax.reduce(leave)


def beyond(normal: Sequence[float], offset: float, view: View) -> Span:
    """Return the part of each ray on the far side of a plane: where normal · point > offset."""
    nx, ny, nz = view.pose.apply(normal)
    nz = nz if abs(nz) > 1e-3 else 1e-3  # a ray within the plane is as good as one nearly so
    z = ((offset - nx * view.x - ny * view.y) / nz).astype(np.float32)
    return (z, np.float32(np.inf)) if nz > 0 else (np.float32(-np.inf), z)


def length(span: Span) -> np.ndarray:
    """Return how long each ray's part is, 0 where there is none."""
    return np.fmax(span[1] - span[0], 0)


@dataclass(frozen=True)
class Dust:
    """Small structures as points with a volume each: ribs, vessels, airways.

    Attributes
    ----------
    points : ndarray, shape (n, 3)
    volumes : ndarray, shape (n,)
    """

    points: np.ndarray
    volumes: np.ndarray

    @classmethod
    def join(cls, parts: Sequence["Dust"]) -> "Dust":
        """Return all of the parts as one."""
        return cls(
            np.concatenate([part.points for part in parts]),
            np.concatenate([part.volumes for part in parts]),
        )

    def only(self, kept: np.ndarray) -> "Dust":
        """Return the points for which `kept` is true."""
        return Dust(self.points[kept], self.volumes[kept])

    def repeated(self, offsets: np.ndarray) -> "Dust":
        """Return a copy of the points at each of the offsets, shape (m, 3)."""
        points = (self.points + offsets[:, None, :]).reshape(-1, 3)
        return Dust(points, np.tile(self.volumes, len(offsets)))

    def thin(self, density: float) -> "Dust":
        """Return the same points with `density` times the volume."""
        return Dust(self.points, density * self.volumes)

    def project(self, view: View) -> np.ndarray:
        """Return how much of each ray lies in the structures, shape (height, width)."""
        height, width = view.shape
        x, y, _ = view.pose.apply(self.points).T
        column = np.round((x - view.x[0, 0]) / view.pixel).astype(int)
        row = np.round((y - view.y[0, 0]) / view.pixel).astype(int)
        seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        place = row[seen] * width + column[seen]
        volume = np.bincount(place, self.volumes[seen], height * width)
        image = volume.reshape(height, width).astype(np.float32) / view.pixel**2
        return gaussian_filter(image, 0.9)


def tube(
    line: np.ndarray,
    radius: float | np.ndarray,
    step: float,
    flat: float = 1.0,
    core: float = 1.0,
) -> Dust:
    """Return a tube along a line.

    Parameters
    ----------
    line : ndarray, shape (n, 3)
        Corners of the middle line.
    radius : float or ndarray of shape (n,)
    step : float
        Distance between points, about a pixel.
    flat : float
        Thickness across, seen from the middle of the body, in radii: 1 is round.
    core : float
        How dense the inner half of the radius is, the outer being 1: below 1 is a bone.
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
    volume = np.pi * radii**2 * flat * along[-1] / count / around  # of a point's part of the tube
    points, volumes = [], []
    for mean_radius, share, density in ((0.33, 0.25, core), (0.78, 0.75, 1.0)):  # inner, outer half
        spread = mean_radius * radii[:, None, None] * ring
        points.append((middle[:, None] + spread).reshape(-1, 3))
        volumes.append(np.repeat(share * density * volume, around))
    return Dust(np.concatenate(points), np.concatenate(volumes))
