"""Measures of a compression: plain arrays in, numbers out, for any method's latents.

The functions whose names begin with ``score_``, ``measure_smoothness`` and ``bits_per_spike`` return a `SegmentSums`:
its ``value`` is the pooled score, `bootstrap_over_segments` its confidence interval, and `compare_paired` the
difference of two methods on the same segments.
"""

from .bootstrap import Interval, bootstrap_over_segments, compare_paired
from .consistency import Consistency, compare_runs, group_close_axes, measure_consistency, score_cross_decoding
from .decoding import decode_by_neighbours, decode_linearly, score_decoding, score_decoding_on
from .few_shot import FewShot, score_few_shot
from .null_distribution import rank_in_null, shift_channels
from .pca import compute_pca_axes, reconstruct_by_pca
from .poisson import RateModel, bits_per_spike, fit_rates, score_cosmoothing, score_rates
from .reconstruction import (
    VARIANCE_FRACTION,
    count_variance_axes,
    measure_energy_outside,
    r2_score,
    score_reconstruction,
)
from .segment_sums import SegmentSums
from .trajectories import measure_smoothness

__all__ = [
    "VARIANCE_FRACTION",
    "Consistency",
    "FewShot",
    "Interval",
    "RateModel",
    "SegmentSums",
    "bits_per_spike",
    "bootstrap_over_segments",
    "compare_paired",
    "compare_runs",
    "compute_pca_axes",
    "count_variance_axes",
    "decode_by_neighbours",
    "decode_linearly",
    "fit_rates",
    "group_close_axes",
    "measure_consistency",
    "measure_energy_outside",
    "measure_smoothness",
    "r2_score",
    "rank_in_null",
    "reconstruct_by_pca",
    "score_cosmoothing",
    "score_cross_decoding",
    "score_decoding",
    "score_decoding_on",
    "score_few_shot",
    "score_rates",
    "score_reconstruction",
    "shift_channels",
]
