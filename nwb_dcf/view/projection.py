"""Latents on a plane: two of them, or three seen from an angle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num


@dataclass(frozen=True)
class Projection:
    """How latents become points on a plane.

    Attributes
    ----------
    axes : tuple of int
        Two latents, across and up, or three, seen from `azimuth` and `elevation`.
    azimuth, elevation : float
        Degrees.
    """

    axes: tuple[int, ...]
    azimuth: float = 35.0
    elevation: float = 25.0

    @property
    def is_solid(self) -> bool:
        """Whether three latents are shown."""
        return len(self.axes) == 3

    def matrix(self) -> Float[np.ndarray, "axis 2"]:
        """Return where each axis points on the plane, shape (axis, 2): orthographic, so that lengths compare.

        Examples
        --------
        >>> Projection((0, 1, 2), azimuth=0, elevation=0).matrix().round(9) + 0.0
        array([[1., 0.],
               [0., 0.],
               [0., 1.]])
        """
        if not self.is_solid:
            return np.eye(2)
        a, e = np.radians(self.azimuth), np.radians(self.elevation)
        across = np.array([np.cos(a), np.sin(a), 0.0])
        up = np.array([-np.sin(a) * np.sin(e), np.cos(a) * np.sin(e), np.cos(e)])
        return np.stack([across, up], axis=1)

    def project(self, latents: Float[np.ndarray, "frame latent"]) -> Float[np.ndarray, "frame 2"]:
        """Project `latents`, shape (frame, latent), to points, shape (frame, 2).

        Fits with one latent have points on a line.
        """
        z = np.asarray(latents, np.float64)
        if z.shape[1] == 1:
            return np.column_stack([z[:, 0], np.zeros(len(z))])
        return np.asarray(z[:, list(self.axes)] @ self.matrix())


def compute_limits(
    points: Float[np.ndarray, "point 2"], pad: float = 0.06
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return limits of x and y that hold all but the outermost thousandth of the points on each side, and a margin."""
    limits = []
    for values in points.T:
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, [0.1, 99.9]) if len(finite) else (0.0, 1.0)
        margin = pad * (high - low) or 0.5
        limits.append((float(low - margin), float(high + margin)))
    return limits[0], limits[1]


def find_inside(
    points: Float[np.ndarray, "point 2"], polygon_x: Num[np.ndarray, " corner"], polygon_y: Num[np.ndarray, " corner"]
) -> Int[np.ndarray, " inside"]:
    """Return the numbers of the points inside a polygon (even-odd rule), in order.

    Examples
    --------
    >>> find_inside(np.array([[0.5, 0.5], [2.0, 0.5]]), np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]))
    array([0])
    """
    px, py = np.asarray(polygon_x, np.float64), np.asarray(polygon_y, np.float64)
    x, y = points.T
    with np.errstate(invalid="ignore"):
        # only points in the bounding box are tested edge by edge
        near = np.flatnonzero((x >= px.min()) & (x <= px.max()) & (y >= py.min()) & (y <= py.max()))
    # even-odd: each edge that a ray to the right crosses turns inside out
    inside = np.zeros(len(near), bool)
    for x0, y0, x1, y1 in zip(px, py, np.roll(px, -1), np.roll(py, -1), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y[near]) != (y1 > y[near])
        inside ^= crosses & (x[near] < (x1 - x0) * (y[near] - y0) / (y1 - y0) + x0)
    return np.asarray(near[inside])


def take_evenly(frames: Int[np.ndarray, " frame"], n: int) -> Int[np.ndarray, " taken"]:
    """Return at most `n` of `frames`, at even distances in their order.

    Examples
    --------
    >>> take_evenly(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    if len(frames) <= n:
        return np.asarray(frames)
    return np.asarray(np.asarray(frames)[np.linspace(0, len(frames) - 1, n).round().astype(int)])
