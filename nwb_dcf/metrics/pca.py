"""Principal axes: the baseline that stands beside every score."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import svds

LARGE = 1024  # above it principal axes are found by iteration


def find_pca_axes(training: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the first `dim` principal axes of `training`, shape (frame, channel).

    Returns
    -------
    mean : array, shape (channel,)
    axes : array, shape (channel, dim)
        Orthonormal columns, largest variance first.
    """
    mean = training.mean(axis=0, dtype=np.float64)
    x = np.asarray(training, np.float64) - mean
    if min(x.shape) > max(LARGE, 2 * dim):  # the iteration is for few axes of many
        start = np.ones(min(x.shape))  # of the iteration: the same axes each time
        axes = svds(x, k=dim, v0=start, return_singular_vectors="vh")[2][::-1]
    elif x.shape[1] <= x.shape[0]:
        axes = np.linalg.eigh(x.T @ x)[1].T[::-1][:dim]
    else:
        axes = np.linalg.svd(x, full_matrices=False)[2][:dim]
    return mean, axes.T


def rebuild_by_pca(training: np.ndarray, x: np.ndarray, dim: int) -> np.ndarray:
    """Project `x`, shape (time, channel), on the first `dim` principal axes of `training`: the common baseline."""
    mean, axes = find_pca_axes(training, dim)
    return np.asarray(mean + (x - mean) @ axes @ axes.T)
