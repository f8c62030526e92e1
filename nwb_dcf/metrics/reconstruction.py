"""How much of the data comes back: R2, energy outside the latent axes, axes for 95 % of the variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .segment_sums import SegmentSums, divide_frames, require_labels, require_same_shape

if TYPE_CHECKING:
    from jaxtyping import Float, Real, Shaped

VARIANCE_FRACTION = 0.95  # of the total variance, held by the first K_eff axes (paper 3.1)


def r2_score(truth: Real[np.ndarray, " time *channel"], estimate: Real[np.ndarray, " time *channel"]) -> float:
    """Compute the fraction of the variance of `truth` that `estimate` explains, pooled over channels.

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
    # pooled, not averaged over channels: a silent channel would dominate a mean of R2
    total = np.square(truth - truth.mean(axis=0)).sum()
    return float(1 - np.square(truth - estimate).sum() / total) if total > 0 else float("nan")


def score_reconstruction(
    truth: Real[np.ndarray, "time channel"],
    estimate: Real[np.ndarray, "time channel"],
    segment: Shaped[np.ndarray, " time"],
) -> SegmentSums:
    """Compute R2, as defined in `r2_score`, in sums over segments.

    Parameters
    ----------
    truth, estimate : array, shape (time, channel)
    segment : array, shape (time,)
        Label of each frame's segment.

    Returns
    -------
    SegmentSums
        Explained and total squares, both about each channel's mean over all frames.

    Raises
    ------
    DataError
        If shapes differ or values are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(10.0)[:, None]
    >>> score_reconstruction(x, x, np.repeat(np.arange(5), 2)).value
    1.0
    """
    require_same_shape(truth=truth, estimate=estimate)
    require_labels(segment, len(truth))
    truth, estimate = np.asarray(truth, np.float64), np.asarray(estimate, np.float64)
    groups = divide_frames(segment)
    # about the mean of all frames, so that sums over segments add up to the pooled R2
    total = groups.add_up(np.square(truth - truth.mean(axis=0)).sum(axis=1))
    error = groups.add_up(np.square(truth - estimate).sum(axis=1))
    return SegmentSums(total - error, total, groups.over)


def measure_energy_outside(
    states: Real[np.ndarray, "time channel"],
    mean: Real[np.ndarray, " channel"],
    loadings: Real[np.ndarray, "channel k_max"],
    dim: int,
) -> float:
    """Compute the fraction of the energy of compressed states that lies off the first `dim` axes.

    Parameters
    ----------
    states : array, shape (time, channel)
        States at tau = 0.
    mean : array, shape (channel,)
        b of equation 1.
    loadings : array, shape (channel, k_max)
        L, orthonormal columns.
    dim : int
        Number of axes that count as inside.

    Returns
    -------
    float
        Between 0 and 1.
    """
    return compute_fraction_outside(*(part.sum() for part in sum_energy(states, mean, loadings, dim)))


def sum_energy(
    states: Real[np.ndarray, "time channel"],
    mean: Real[np.ndarray, " channel"],
    loadings: Real[np.ndarray, "channel k_max"],
    dim: int,
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """Sum the energy of each state, and what of it lies on the first `dim` axes, as `measure_energy_outside` does."""
    # float64: a fraction of 1e-3 is a difference of nearly equal sums
    centred = np.asarray(states, np.float64) - mean
    on_axes = centred @ np.asarray(loadings, np.float64)[:, :dim]
    return np.square(centred).sum(axis=1), np.square(on_axes).sum(axis=1)


def compute_fraction_outside(total: float, kept: float) -> float:
    """Compute the fraction of energy that is not kept; 0 where there is none."""
    return float(max(0.0, 1 - kept / total)) if total > 0 else 0.0


def count_variance_axes(spectrum: Real[np.ndarray, " k_max"], total: float | None = None) -> int:
    """Count the axes for 95 % of the variance, noise included: K_eff of paper 3.1.

    Parameters
    ----------
    spectrum : array, shape (k_max,)
        d, largest first.
    total : float, optional
        Variance of the data; the sum of `spectrum` by default. Counted against the data's own variance, K_eff does
        not depend on k_max. Where `spectrum` does not reach 95 %, len(spectrum) + 1 stands for "more than k_max".
    """
    spectrum = np.asarray(spectrum, np.float64)
    target = VARIANCE_FRACTION * (spectrum.sum() if total is None else total)
    # the tolerance absorbs rounding where the sum reaches 95 % exactly
    return int(np.searchsorted(np.cumsum(spectrum), target * (1 - 1e-9))) + 1
