"""Confidence intervals by resampling whole segments, and the comparison of two methods on the same ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, ParameterError
from .segment_sums import SegmentSums, divide_frames, divide_sums, require_count

BATCH = 100  # draws at once, so that a long table of segments fits in memory


@dataclass(frozen=True)
class Interval:
    """A value and its confidence interval.

    Attributes
    ----------
    value, low, high : float
    level : float
        Confidence level, such as 0.95.
    n : int
        Number of segments or blocks that were resampled.
    over : {"segments", "blocks"}
        Blocks where there were fewer than five segments.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    over: str

    def is_below(self, value: float = 0.0) -> bool:
        """Whether the whole interval lies below `value`: significantly below."""
        return self.high < value

    def is_above(self, value: float = 0.0) -> bool:
        """Whether the whole interval lies above `value`."""
        return self.low > value

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_over_segments(sums: SegmentSums, *, n_draws: int = 1000, level: float = 0.95, seed: int = 0) -> Interval:
    """Find the percentile interval of a pooled score by drawing whole segments with replacement.

    Parameters
    ----------
    sums : SegmentSums
        What any of the ``sum_``, ``score_`` and ``measure_`` functions of this room returns.
    n_draws : int
    level : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    Interval
        NaN at both ends where the score is not defined.

    Raises
    ------
    ParameterError
        If `n_draws` or `level` cannot be meant.

    Notes
    -----
    The fit is taken as given: the interval says what other segments of the same session would give, not what
    another fit would. The totals of R2 are about the mean of all frames in every draw. With fewer than about
    ten segments a percentile interval is too narrow.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> interval = bootstrap_over_segments(SegmentSums(np.full(8, 3.0), np.full(8, 4.0)))
    >>> interval.low, interval.value, interval.high
    (0.75, 0.75, 0.75)
    """
    return _make_interval(sums.value, _draw_scores([sums], n_draws, seed)[0], level, len(sums.part), sums.over)


def compare_paired(
    a: SegmentSums, b: SegmentSums, *, n_draws: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Find the interval of the difference of two scores, a - b, on the same segments.

    Parameters
    ----------
    a, b : SegmentSums
        Two methods on the same segments in the same order: each draw takes the same ones for both, so that what
        makes a segment hard for either does not count.
    n_draws, level, seed
        As in `bootstrap_over_segments`.

    Returns
    -------
    Interval
        ``compare_paired(dcf, pca).is_below()`` reads: DCF is significantly below PCA.

    Raises
    ------
    DataError
        If the two are not over the same number of segments.
    """
    if len(a.part) != len(b.part) or a.over != b.over:
        raise DataError(
            f"the two scores are over {len(a.part)} {a.over} and {len(b.part)} {b.over}",
            fix="score both methods on the same frames",
        )
    first, second = _draw_scores([a, b], n_draws, seed)
    return _make_interval(a.value - b.value, first - second, level, len(a.part), a.over)


def bootstrap_statistic(
    statistic: Callable[[np.ndarray], float],
    segment: np.ndarray,
    *,
    n_draws: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Find the percentile interval of any statistic of frames by drawing whole segments with replacement.

    Parameters
    ----------
    statistic : callable
        From positions of frames, an array of int in which a segment drawn twice is there twice, to a number.
    segment : array, shape (time,)
        Label of each frame's segment.
    n_draws, level, seed
        As in `bootstrap_over_segments`; every draw calls `statistic` once.

    Returns
    -------
    Interval

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(40.0)
    >>> bootstrap_statistic(lambda frames: x[frames].mean(), np.repeat(np.arange(10), 4)).value
    19.5
    """
    require_count("n_draws", n_draws, 2)
    division = divide_frames(segment)
    parts, rng = division.list_frames(), np.random.default_rng(seed)
    drawn = (np.concatenate([parts[i] for i in rng.integers(division.n, size=division.n)]) for _ in range(n_draws))
    values = np.array([statistic(frames) for frames in drawn])
    return _make_interval(float(statistic(np.arange(len(segment)))), values, level, division.n, division.over)


def _draw_scores(several: list[SegmentSums], n_draws: int, seed: int) -> list[np.ndarray]:
    """Scores of `n_draws` resampled sets of segments, the same sets for each of `several`."""
    require_count("n_draws", n_draws, 2)
    n, rng = len(several[0].part), np.random.default_rng(seed)
    scores: list[list[np.ndarray]] = [[] for _ in several]
    for start in range(0, n_draws, BATCH):
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(BATCH, n_draws - start))
        for found, sums in zip(scores, several, strict=True):
            found.append(divide_sums(times @ sums.part, times @ sums.whole))
    return [np.concatenate(found) for found in scores]


def _make_interval(value: float, drawn: np.ndarray, level: float, n: int, over: str) -> Interval:
    if not 0 < level < 1:
        raise ParameterError(f"level is {level!r}", fix="give a number between 0 and 1, such as 0.95")
    defined = drawn[~np.isnan(drawn)]  # a draw may hold no spike
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]) if len(defined) else (np.nan, np.nan)
    return Interval(value, float(low), float(high), level, n, over)
