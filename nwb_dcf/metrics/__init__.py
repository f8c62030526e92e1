"""Measures of a compression: plain arrays in, numbers out, for any method's latents.

The functions whose names begin with ``score`` or ``measure_smoothness``, ``sum_energy_outside`` and
``bits_per_spike`` return a `SegmentSums`: its ``value`` is the pooled score, `bootstrap_over_segments` its
confidence interval, and `compare_paired` the difference of two methods on the same segments.
"""

from .bootstrap import Interval, bootstrap_over_segments, bootstrap_statistic, compare_paired
from .consistency import Consistency, compare_runs, group_close_axes, measure_consistency
from .decoding import decode_by_neighbours, decode_linearly, score_decoding, score_decoding_on
from .null_distribution import rank_in_null, shift_channels
from .pca import find_pca_axes, rebuild_by_pca
from .poisson import RateModel, bits_per_spike, explained_deviance, fit_rates, score_cosmoothing, score_rates
from .reconstruction import (
    ENERGY_SHARE,
    RoundTrip,
    effective_dimension,
    measure_energy_outside,
    r2_score,
    score_bottleneck,
    score_reconstruction,
    score_round_trip,
    sum_energy_outside,
)
from .segment_sums import SegmentSums
from .trajectories import measure_smoothness

__all__ = [
    "ENERGY_SHARE",
    "Consistency",
    "Interval",
    "RateModel",
    "RoundTrip",
    "SegmentSums",
    "bits_per_spike",
    "bootstrap_over_segments",
    "bootstrap_statistic",
    "compare_paired",
    "compare_runs",
    "decode_by_neighbours",
    "decode_linearly",
    "effective_dimension",
    "explained_deviance",
    "find_pca_axes",
    "fit_rates",
    "group_close_axes",
    "measure_consistency",
    "measure_energy_outside",
    "measure_smoothness",
    "r2_score",
    "rank_in_null",
    "rebuild_by_pca",
    "score_bottleneck",
    "score_cosmoothing",
    "score_decoding",
    "score_decoding_on",
    "score_rates",
    "score_reconstruction",
    "score_round_trip",
    "shift_channels",
    "sum_energy_outside",
]
