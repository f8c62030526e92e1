"""The null keeps each channel and breaks what channels share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.errors import DataError
from nwb_dcf.metrics import compute_pca_axes, r2_score, rank_in_null, reconstruct_by_pca, shift_channels

from .conftest import Reach


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 5), st.integers(0, 99))
def test_each_channel_of_each_segment_is_turned_round_by_one_shift(lengths: list[int], n: int, seed: int) -> None:
    segment = np.repeat(np.arange(len(lengths)), lengths)
    values = np.arange(len(segment) * n).reshape(-1, n)  # no value twice
    shifted = shift_channels(values, segment, seed=seed)
    assert shifted.dtype == values.dtype
    for i in range(len(lengths)):
        for channel in range(n):
            before, after = values[segment == i, channel], shifted[segment == i, channel]
            shift = int(np.flatnonzero(after == before[0])[0])
            np.testing.assert_array_equal(np.roll(before, shift), after)


def test_channels_and_segments_are_shifted_on_their_own_and_evenly() -> None:
    values = np.tile(np.arange(10)[:, None], (200, 5))
    shift = shift_channels(values, np.repeat(np.arange(200), 10), seed=0)[::10]
    np.testing.assert_allclose(np.corrcoef(shift.T), np.eye(5), atol=0.2)
    assert np.bincount(shift.ravel(), minlength=10).min() > 60  # of 100 each
    again = shift_channels(values, np.repeat(np.arange(200), 10), seed=0)[::10]
    np.testing.assert_array_equal(shift, again)
    assert (shift_channels(values, np.repeat(np.arange(200), 10), seed=1)[::10] != shift).any()


def test_means_of_segments_survive_and_what_channels_share_in_time_does_not(reach: Reach) -> None:
    shifted = shift_channels(reach.counts, reach.segment, seed=0)
    per_segment = [np.array([np.bincount(reach.segment, x) for x in values.T]) for values in (reach.counts, shifted)]
    np.testing.assert_array_equal(*per_segment)

    def explain_change(values: np.ndarray) -> float:
        means = np.array([np.bincount(reach.segment, x) / np.bincount(reach.segment) for x in values.T]).T
        change = np.sqrt(values) - np.sqrt(means)[reach.segment]
        return r2_score(change, reconstruct_by_pca(change, change, 3))

    nulls = [explain_change(shift_channels(reach.counts, reach.segment, seed=seed)) for seed in range(9)]
    assert rank_in_null(explain_change(reach.counts), nulls) == 0.1
    assert explain_change(reach.counts) > 1.5 * max(nulls)
    assert len(compute_pca_axes(shifted, 3)[1]) == 163


def test_ranks_by_hand() -> None:
    assert rank_in_null(1.0, [0.0] * 19) == 0.05
    assert rank_in_null(0.0, [0.0] * 19) == 1
    assert rank_in_null(0.5, np.array([0.4, 0.6, 0.7])) == 0.75
    for value, nulls in ((0.5, []), (np.nan, [0.1]), (0.5, [np.nan])):
        with pytest.raises(DataError):
            rank_in_null(value, nulls)


def test_segments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="one label a frame"):
        shift_channels(np.zeros((4, 2)), np.zeros(3), seed=0)
