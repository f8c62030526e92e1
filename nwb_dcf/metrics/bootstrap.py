"""Confidence intervals by resampling whole segments, and the comparison of two methods on the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, ParameterError
from .segment_sums import Over, SegmentSums, divide_sums, require_count

if TYPE_CHECKING:
    from jaxtyping import Float

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
    over: Over

    def is_below(self, value: float = 0.0) -> bool:
        """Whether the whole interval lies below `value`: significantly below."""
        return self.high < value

    def is_above(self, value: float = 0.0) -> bool:
        """Whether the whole interval lies above `value`."""
        return self.low > value

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_over_segments(sums: SegmentSums, *, n_draws: int = 1000, level: float = 0.95, seed: int = 0) -> Interval:
    """Compute the percentile interval of a pooled score by drawing whole segments with replacement.

    Parameters
    ----------
    sums : SegmentSums
        As returned by the ``score_`` and ``measure_`` functions of `nwb_dcf.metrics`.
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
        If `n_draws` or `level` is invalid.

    Notes
    -----
    The fit is taken as given: the interval describes other segments of the same session, not other fits. The totals
    of R2 are about the mean of all frames in every draw. With fewer than about ten segments a percentile interval is
    too narrow.

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
    return _make_interval(sums.value, _draw_differences([sums], n_draws, seed), level, len(sums.part), sums.over)


def compare_paired(
    a: SegmentSums, b: SegmentSums, *, n_draws: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Compute the interval of the difference of two scores, a - b, on the same segments.

    Parameters
    ----------
    a, b : SegmentSums
        Two methods on the same segments in the same order. Each draw takes the same segments for both: what makes a
        segment hard for either cancels.
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
    # one set of draws for both: independent draws would hide a difference that every segment shows
    return _make_interval(a.value - b.value, _draw_differences([a, b], n_draws, seed), level, len(a.part), a.over)


def _draw_differences(scores: list[SegmentSums], n_draws: int, seed: int) -> Float[np.ndarray, " draw"]:
    """Draw the score of `n_draws` resampled sets of segments; of two scores the difference on the same sets."""
    require_count("n_draws", n_draws, 2)
    rng, n, drawn = np.random.default_rng(seed), len(scores[0].part), []
    # the draws of scipy.stats.bootstrap, to the bit; to import it takes half a second of every fit
    for start in range(0, n_draws, BATCH):
        rows = rng.integers(0, n, (min(BATCH, n_draws - start), n))
        values = [divide_sums(one.part[rows].sum(axis=1), one.whole[rows].sum(axis=1)) for one in scores]
        drawn.append(values[0] - values[1] if len(values) == 2 else values[0])
    return np.concatenate(drawn)


def _make_interval(value: float, drawn: Float[np.ndarray, " draw"], level: float, n: int, over: Over) -> Interval:
    if not 0 < level < 1:
        raise ParameterError(f"level is {level!r}", fix="give a number between 0 and 1, such as 0.95")
    # a draw may hold no spike, and is NaN then
    defined = drawn[~np.isnan(drawn)]
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]) if len(defined) else (np.nan, np.nan)
    return Interval(value, float(low), float(high), level, n, over)
