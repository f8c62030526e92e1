"""Measures of a compression: plain arrays in, numbers out, for any method's latents."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import svds

LARGE = 1024  # above it principal axes are found by iteration
ENERGY_SHARE = 0.95  # of the total variance, that K_eff reaches (paper 3.1)


def r2_score(truth: np.ndarray, estimate: np.ndarray) -> float:
    """Share of the variance of `truth` that `estimate` explains, pooled over channels.

    Parameters
    ----------
    truth, estimate : array, shape (time, channel)
        Without NaN.

    Returns
    -------
    float
        1 - sum of squared errors / sum of squares about each channel's mean; 1 is perfect, 0 is the mean,
        below 0 is worse than that. NaN where `truth` is constant.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> r2_score(x, x)
    1.0
    """
    truth, estimate = np.asarray(truth, np.float64), np.asarray(estimate, np.float64)
    total = np.square(truth - truth.mean(axis=0)).sum()
    return float(1 - np.square(truth - estimate).sum() / total) if total > 0 else float("nan")


def measure_energy_outside(states: np.ndarray, mean: np.ndarray, loadings: np.ndarray, dim: int) -> float:
    """Share of the energy of compressed states that lies off the first `dim` axes.

    Parameters
    ----------
    states : array, shape (time, channel)
        States at tau = 0.
    mean : array, shape (channel,)
        b of equation 1.
    loadings : array, shape (channel, k_max)
        L, orthonormal columns.

    Returns
    -------
    float
        Between 0 and 1.
    """
    centred = np.asarray(states, np.float64) - mean
    total = np.square(centred).sum()
    kept = np.square(centred @ np.asarray(loadings, np.float64)[:, :dim]).sum()
    return float(max(0.0, 1 - kept / total)) if total > 0 else 0.0


def effective_dimension(spectrum: np.ndarray, total: float | None = None) -> int:
    """K_eff: axes that hold 95 % of the variance (paper 3.1).

    Parameters
    ----------
    spectrum : array, shape (k_max,)
        d, largest first.
    total : float, optional
        Variance of the data; the sum of `spectrum` by default. Counting against the data's own variance
        keeps K_eff from depending on k_max; where `spectrum` does not reach the share, len(spectrum) + 1
        says "more than k_max".
    """
    spectrum = np.asarray(spectrum, np.float64)
    target = ENERGY_SHARE * (spectrum.sum() if total is None else total)
    return int(np.searchsorted(np.cumsum(spectrum), target * (1 - 1e-9))) + 1


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


def decode_linearly(training: np.ndarray, target: np.ndarray, test: np.ndarray, *, ridge: float = 1e-3) -> np.ndarray:
    """Predict `target` from latents by ridge regression.

    Parameters
    ----------
    training, target : array, shapes (frame, latent), (frame, variable)
    test : array, shape (time, latent)
    ridge : float
        Penalty in units of a latent's mean square.

    Returns
    -------
    array, shape (time, variable)
    """
    centre, level = training.mean(axis=0), target.mean(axis=0)
    z = training - centre
    gram = z.T @ z
    penalty = ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.asarray(level + (test - centre) @ np.linalg.solve(gram + penalty, z.T @ (target - level)))
