"""Principal axes: the baseline beside every score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Real

LARGE = 1024  # a smaller side above it: all axes of one video take minutes, a few by iteration seconds


def compute_pca_axes(
    training: Real[np.ndarray, "frame channel"], dim: int
) -> tuple[Float[np.ndarray, " channel"], Float[np.ndarray, "channel component"]]:
    """Compute the first `dim` principal axes.

    Parameters
    ----------
    training : array, shape (frame, channel)
    dim : int
        Fewer axes are returned where there are fewer frames or channels.

    Returns
    -------
    mean : array, shape (channel,)
    axes : array, shape (channel, component)
        Orthonormal columns, largest variance first. They span the latents of the detached optimum of L_align, so that
        PCA is the baseline that a fit has to beat (Rippel et al. 2014; paper 3.1).
    """
    from sklearn.decomposition import PCA  # a third of a second that the command line need not wait for

    mean = training.mean(axis=0, dtype=np.float64)
    x = np.asarray(training, np.float64) - mean  # before PCA: its covariance loses digits where means are large
    least = min(x.shape)
    exact = "covariance_eigh" if x.shape[1] <= x.shape[0] else "full"
    solver = "arpack" if least > max(LARGE, 2 * dim) else exact
    found = PCA(min(dim, least), svd_solver=solver, random_state=0).fit(x)
    return mean, np.asarray(found.components_).T


def reconstruct_by_pca(
    training: Real[np.ndarray, "frame channel"], x: Real[np.ndarray, "time channel"], dim: int
) -> Float[np.ndarray, "time channel"]:
    """Project `x` on the first `dim` principal axes of `training`: the common baseline."""
    mean, axes = compute_pca_axes(training, dim)
    return np.asarray(mean + (x - mean) @ axes @ axes.T)
