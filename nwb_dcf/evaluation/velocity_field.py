"""The dynamical flow sampled on a grid, to be read and drawn without the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from jaxtyping import Float, Real

POINTS = {1: 65, 2: 33, 3: 17}  # along each axis of a grid of so many
VISITED = (0.5, 99.5)  # percentiles of the latents between which the grid lies
HISTORY = "held: the state has stood still at the point for as many frames as v looks back"


class HasVelocity(Protocol):
    """An object with v at points of the latent space, such as a `nwb_dcf.estimator.fitted.FittedModel`."""

    def velocity_at(self, points: Real[np.ndarray, "point latent"]) -> Float[np.ndarray, "point latent"]:
        """Compute the velocity at each point in latent units per second."""
        ...


def sample_field(
    fitted: HasVelocity, latents: Float[np.ndarray, "time latent"], velocity: Float[np.ndarray, "time latent"]
) -> xr.Dataset:
    """Sample v at tau = 0 (paper 2.4) on a grid over the visited part of the first one, two or three latents.

    Parameters
    ----------
    fitted : HasVelocity
    latents : array, shape (time, latent)
        Of the frames that define the visited part.
    velocity : array, shape (time, latent)
        v at those frames with their own history, latent units per second.

    Returns
    -------
    xarray.Dataset
        ``field_velocity`` (grid_1, ..., latent), v with a constant history, with ``attrs["history"]``;
        ``field_mean_velocity``, of the same shape, the mean of `velocity` over the frames in the cell around each
        point, NaN where there are none; ``field_frames`` (grid_1, ...), their number; coordinates ``grid_1`` ... of
        the points. Velocities are in latent units per second.

    Notes
    -----
    The grid lies between the 0.5th and the 99.5th percentile of each latent, and latents beyond the third are 0,
    their mean. v depends on the history: with a constant one it shows the attractors of the system, the mean over
    frames the observed passage. They differ most where the dynamics turn.
    """
    # a grid over more axes would have too few frames in each cell
    n_axes = min(latents.shape[1], max(POINTS))
    grid = [_space_points(latents[:, axis], POINTS[n_axes]) for axis in range(n_axes)]
    dims = [f"grid_{axis + 1}" for axis in range(n_axes)]
    shape = tuple(map(len, grid))
    points = np.zeros((int(np.prod(shape)), latents.shape[1]))
    points[:, :n_axes] = np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1).reshape(-1, n_axes)
    # a history has to be assumed where no frame was; a constant one adds no direction of its own
    held = fitted.velocity_at(points).reshape(*shape, -1)
    edges = [_compute_edges(axis) for axis in grid]
    places = latents[:, :n_axes].astype(np.float64)
    frames = np.histogramdd(places, edges)[0]
    # mean velocity per cell: the observed flow beside the model's
    sums = [np.histogramdd(places, edges, weights=part)[0] for part in velocity.T.astype(np.float64)]
    with np.errstate(invalid="ignore"):  # 0 / 0 in cells without a frame
        mean = np.stack(sums, axis=-1) / frames[..., None]
    return xr.Dataset(
        {
            "field_velocity": ((*dims, "latent"), held.astype(np.float32), {"units": "1/s", "history": HISTORY}),
            "field_mean_velocity": ((*dims, "latent"), mean.astype(np.float32), {"units": "1/s"}),
            "field_frames": (dims, frames.astype(np.int32)),
        },
        coords={dim: (dim, axis, {"units": "1"}) for dim, axis in zip(dims, grid, strict=True)},
    )


def _space_points(values: Real[np.ndarray, " time"], n: int) -> Float[np.ndarray, " point"]:
    # percentiles: one artefact would extend the grid over empty space
    low, high = np.percentile(values, VISITED)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, n)


def _compute_edges(points: Float[np.ndarray, " point"]) -> Float[np.ndarray, " edge"]:
    """Edges of the cells around evenly spaced points."""
    half = (points[1] - points[0]) / 2
    return np.append(points - half, points[-1] + half)
