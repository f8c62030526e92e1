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
    from scipy.stats import bootstrap  # half a second that few need

    def measure(*sums: np.ndarray, axis: int) -> np.ndarray:
        pooled = [one.sum(axis=axis) for one in sums]
        values = [divide_sums(part, whole) for part, whole in zip(pooled[::2], pooled[1::2], strict=True)]
        return np.asarray(values[0] - values[1] if len(values) == 2 else values[0])

    require_count("n_draws", n_draws, 2)
    sums = [part for score in scores for part in (score.part, score.whole)]
    if len(sums[0]) < 2:  # SciPy resamples two observations or more; of one there is a single draw
        return np.repeat(measure(*(one[None] for one in sums), axis=1), n_draws)
    # draws may be NaN, as of segments without a spike: they are left out below
    with np.errstate(invalid="ignore"):
        drawn = bootstrap(
            sums,
            measure,
            paired=True,
            vectorized=True,
            n_resamples=n_draws,
            batch=BATCH,
            method="percentile",
            random_state=np.random.default_rng(seed),
        )
    return np.asarray(drawn.bootstrap_distribution)


def _make_interval(value: float, drawn: Float[np.ndarray, " draw"], level: float, n: int, over: Over) -> Interval:
    # SciPy's own interval is NaN where a single draw is, as where it holds no spike.
    if not 0 < level < 1:
        raise ParameterError(f"level is {level!r}", fix="give a number between 0 and 1, such as 0.95")
    defined = drawn[~np.isnan(drawn)]
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]) if len(defined) else (np.nan, np.nan)
    return Interval(value, float(low), float(high), level, n, over)
