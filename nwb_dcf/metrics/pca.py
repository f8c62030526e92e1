"""Principal axes: the baseline beside every score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

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
    mean = training.mean(axis=0, dtype=np.float64)
    x = np.asarray(training, np.float64) - mean  # before products: the covariance of large means loses digits
    least = min(x.shape)
    if least > max(LARGE, 2 * dim):
        from sklearn.decomposition import PCA  # half a second that recordings of fewer channels need not wait for

        return mean, np.asarray(PCA(dim, svd_solver="arpack", random_state=0).fit(x).components_).T
    if x.shape[1] > x.shape[0]:
        return mean, _fix_signs(np.linalg.svd(x, full_matrices=False)[2][:dim].T)
    return mean, find_axes_of_products(x.T @ x, dim)


def find_axes_of_products(
    products: Float[np.ndarray, "channel channel"], dim: int
) -> Float[np.ndarray, "channel component"]:
    """Return the first `dim` principal axes of centred frames x, given x.T @ x; largest variance first."""
    n = len(products)
    # the largest alone: all of them take three times as long
    axes = eigh(products, subset_by_index=[n - min(dim, n), n - 1], overwrite_a=True, check_finite=False)[1]
    return _fix_signs(axes[:, ::-1])


def _fix_signs(axes: Float[np.ndarray, "channel component"]) -> Float[np.ndarray, "channel component"]:
    """Give each axis the sign with which its largest loading is positive: one recording has one answer."""
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return np.asarray(axes * np.where(largest < 0, -1.0, 1.0))


def reconstruct_by_pca(
    training: Real[np.ndarray, "frame channel"], x: Real[np.ndarray, "time channel"], dim: int
) -> Float[np.ndarray, "time channel"]:
    """Project `x` on the first `dim` principal axes of `training`: the common baseline."""
    mean, axes = compute_pca_axes(training, dim)
    return np.asarray(mean + (x - mean) @ axes @ axes.T)
