"""Null distribution of a score: data whose channels are no longer coordinated in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .segment_sums import require_frames, require_labels, split_by_label

if TYPE_CHECKING:
    from jaxtyping import Float, Real, Shaped

LEAST_NULLS = 19
"""With fewer null sets even the best rank gives p > 0.05."""


def shift_channels(
    values: Real[np.ndarray, "time channel"], segment: Shaped[np.ndarray, " time"], *, seed: int
) -> Real[np.ndarray, "time channel"]:
    """Rotate each channel in time within each segment by a random amount: data for a null distribution.

    Parameters
    ----------
    values : array, shape (time, channel)
        Raw counts or samples. Shift before smoothing: rotated values jump where a segment's end meets its start,
        and smoothing afterwards hides the jump.
    segment : array, shape (time,)
        Label of each frame's segment.
    seed : int

    Returns
    -------
    array, shape (time, channel)
        Of the same type. Each channel keeps its mean, its distribution and its autocorrelation in every segment.

    Raises
    ------
    DataError
        If shapes differ or values are not finite.

    Notes
    -----
    Each segment keeps every channel's mean. Signal common to channels between trials, such as slow drift or a mean
    rate that depends on the condition, is therefore in the null too. The time course common to all trials is not,
    but for its mean over the trial, since each trial has its own shifts. A score above the null is evidence of
    coordination from moment to moment, not of trial means.

    Shifts are uniform over the whole segment, 0 included. Refit to each shifted set, score it in the same way and
    compare with `rank_in_null`.

    Examples
    --------
    >>> import numpy as np
    >>> shifted = shift_channels(np.arange(8).reshape(4, 2), np.zeros(4), seed=1)
    >>> np.sort(shifted, axis=0).tolist()
    [[0, 1], [2, 3], [4, 5], [6, 7]]
    """
    values = np.asarray(values)
    require_frames(values=values)
    require_labels(segment, len(values))
    index = np.unique(segment, return_inverse=True)[1]
    rng, shifted = np.random.default_rng(seed), np.empty_like(values)
    for frames in split_by_label(index, int(index.max()) + 1):
        # 0 included: the null distribution is uniform over all rotations
        shift = rng.integers(len(frames), size=values.shape[1])
        # (frame, channel): each channel has a shift of its own
        source = (np.arange(len(frames))[:, None] - shift) % len(frames)
        shifted[frames] = np.take_along_axis(values[frames], source, axis=0)
    return shifted


def rank_in_null(value: float, nulls: Sequence[float] | Float[np.ndarray, " null"]) -> float:
    """Return the p value of `value` among `nulls`: (1 + number of nulls at or above it) / (N + 1).

    Parameters
    ----------
    value : float
        A score where higher is better.
    nulls : sequence of float
        The same score of N refitted null sets, without NaN. The smallest p value that N sets can give is 1 / (N + 1).

    Returns
    -------
    float
        Above 0, at most 1.

    Raises
    ------
    DataError
        If there are no nulls, or any value is NaN.

    Examples
    --------
    >>> rank_in_null(0.5, [0.1, 0.2, 0.6])
    0.5
    """
    nulls = np.asarray(nulls, np.float64)
    if nulls.ndim != 1 or len(nulls) == 0 or np.isnan(nulls).any() or np.isnan(value):
        raise DataError("the value or a null is missing", fix="give a score and those of one or more null sets")
    # the observed value counts among the nulls, so that p is never 0
    return float(1 + np.sum(nulls >= value)) / (len(nulls) + 1)
