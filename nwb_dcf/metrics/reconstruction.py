"""How much of the data comes back: R2, the curve over K, the round trip, energy outside, effective dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .segment_sums import SegmentSums, divide_frames, require_count, require_frames, require_labels, require_same_shape

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


def score_reconstruction(truth: np.ndarray, estimate: np.ndarray, segment: np.ndarray) -> SegmentSums:
    """R2 as `r2_score` has it, in sums over segments.

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
    division = divide_frames(segment)
    total = division.add_up(np.square(truth - truth.mean(axis=0)).sum(axis=1))
    error = division.add_up(np.square(truth - estimate).sum(axis=1))
    return SegmentSums(total - error, total, division.over)


def score_bottleneck(
    truth: np.ndarray, rebuild: Callable[[int], np.ndarray], dims: Iterable[int], segment: np.ndarray
) -> dict[int, SegmentSums]:
    """Score what each number of latents rebuilds: the curve over K that tells how much dimension is worth.

    Parameters
    ----------
    truth : array, shape (time, channel)
    rebuild : callable
        From K to frames (time, channel) rebuilt from K numbers each: ``lambda k: dcf.rebuild(codes[:, :k])``, or
        ``lambda k: rebuild_by_pca(training, truth, k)``.
    dims : iterable of int
    segment : array, shape (time,)

    Returns
    -------
    dict of int to SegmentSums
        In the order of `dims`.

    Notes
    -----
    On noisy data this curve rises for ever: it does not by itself choose a dimension.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(50, 4)) * [4, 2, 1, 1]
    >>> curve = score_bottleneck(x, lambda k: np.pad(x[:, :k], ((0, 0), (0, 4 - k))), [1, 4], np.arange(50) // 5)
    >>> curve[1].value < curve[4].value == 1
    True
    """
    return {k: score_reconstruction(truth, rebuild(k), segment) for k in dims}


@dataclass(frozen=True)
class RoundTrip:
    """Data compressed and expanded again, by a solver and by the same solver with its steps doubled.

    Attributes
    ----------
    score, doubled : SegmentSums
        R2 of what came back.
    agreement : float
        R2 between the two: a solver that has converged gives 1, so a loss in `score` beyond it is the flow's own.
    """

    score: SegmentSums
    doubled: SegmentSums
    agreement: float


def score_round_trip(
    truth: np.ndarray, travel: Callable[[int], np.ndarray], n_steps: int, segment: np.ndarray
) -> RoundTrip:
    """Score data -> tau = 0 -> data, all coordinates kept, with the solver's steps doubled as a check.

    Parameters
    ----------
    truth : array, shape (time, channel)
    travel : callable
        From a number of solver steps to the frames that came back, (time, channel).
    n_steps : int
    segment : array, shape (time,)

    Returns
    -------
    RoundTrip

    Notes
    -----
    The flow is invertible, so this checks the solver: a value near 1 says nothing of how well few numbers hold
    the data (`score_bottleneck` does).
    """
    require_count("n_steps", n_steps, 1)
    once, twice = travel(n_steps), travel(2 * n_steps)
    return RoundTrip(
        score_reconstruction(truth, once, segment), score_reconstruction(truth, twice, segment), r2_score(twice, once)
    )


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
    total, kept = _find_energy(states, mean, loadings, dim)
    return float(max(0.0, 1 - kept.sum() / total.sum())) if total.sum() > 0 else 0.0


def sum_energy_outside(
    states: np.ndarray, mean: np.ndarray, loadings: np.ndarray, dim: int, segment: np.ndarray
) -> SegmentSums:
    """`measure_energy_outside` in sums over segments: energy outside and in all."""
    require_frames(states=states)
    require_labels(segment, len(states))
    division = divide_frames(segment)
    total, kept = _find_energy(states, mean, loadings, dim)
    return SegmentSums(division.add_up(np.maximum(total - kept, 0)), division.add_up(total), division.over)


def _find_energy(states: np.ndarray, mean: np.ndarray, loadings: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Energy of each frame, in all and on the first `dim` axes."""
    centred = np.asarray(states, np.float64) - mean
    on_axes = centred @ np.asarray(loadings, np.float64)[:, :dim]
    return np.square(centred).sum(axis=1), np.square(on_axes).sum(axis=1)


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
