"""u of a coupled session, in closed form: the flow of frames to the space that its latents span.

The endpoint x^(0) is what a linear regression on the latents reconstructs. Then the field that carries x^(1) to x^(0)
is linear, and known where frames are Gaussian: nothing is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .anchors import Floats

if TYPE_CHECKING:
    from jaxtyping import Float

NOISE = 0.05  # rho: noise of the bridges in units of each axis' deviation, as in single fits
LEAST_VARIANCE = 1e-9  # of an axis of the frames, over the largest


@dataclass(frozen=True)
class CompressiveFlow:
    """The flow u of a session, integrated from tau = 1 to 0 and read in the latent axes.

    Attributes
    ----------
    weights : array, shape (unit, latent)
    mean : array, shape (unit,)
        Of the prepared values.
    centre : array, shape (latent,)
        Of the latents.
    """

    weights: Float[np.ndarray, "unit latent"]
    mean: Float[np.ndarray, " unit"]
    centre: Float[np.ndarray, " latent"]

    def apply(self, values: Float[np.ndarray, "frame unit"]) -> Float[np.ndarray, "frame latent"]:
        """Return the flowed latents of prepared values, each frame by itself."""
        return np.asarray((np.asarray(values, np.float64) - self.mean) @ self.weights + self.centre)


def fit_compressive_flow(values: Floats, latents: Floats) -> CompressiveFlow:
    """Compute the closed form of u for the prepared values (frame, unit) and latents (frame, latent) of a session.

    Notes
    -----
    With the bridge x^(tau) = (1 - tau) x^(0) + tau x^(1) + rho S^(1/2) e, frames whitened by their covariance S, and
    x^(0) the regression of x^(1) on the latents, every covariance has the eigenvectors of that of x^(0). On one of
    eigenvalue c, the fraction of its variance that the latents explain, the expected direction is
    u = tau (1 - c) / (c + rho^2 + tau^2 (1 - c)) x, and from tau = 1 to 0 it leaves sqrt((c + rho^2) / (1 + rho^2)) of
    x. So an axis that latents explain is kept, and one that they do not is dropped but for rho, as in single fits.
    """
    mean, centre = values.mean(axis=0, dtype=np.float64), latents.mean(axis=0)
    x, z = np.asarray(values, np.float64) - mean, latents - centre
    decoder = np.linalg.lstsq(z, x, rcond=None)[0]  # (latent, unit)
    variances, axes = np.linalg.eigh(x.T @ x / len(x))
    # units that never fire have no axis to be whitened by
    kept = variances > LEAST_VARIANCE * max(float(variances[-1]), 1e-300)
    roots, axes = np.sqrt(variances[kept]), axes[:, kept]
    # x^(0) in white coordinates, (axis, frame) times its transpose
    white = decoder @ axes / roots
    explained, directions = np.linalg.eigh(white.T @ (z.T @ z / len(z)) @ white)
    left = np.sqrt((np.clip(explained, 0, 1) + NOISE**2) / (1 + NOISE**2))
    flow = (axes / roots) @ (directions * left) @ directions.T @ (axes * roots).T
    return CompressiveFlow(flow @ np.linalg.pinv(decoder), mean, centre)
