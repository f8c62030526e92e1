"""Intervals against closed forms, coverage, and pairing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics import (
    SegmentSums,
    bootstrap_over_segments,
    compare_paired,
    reconstruct_by_pca,
    score_reconstruction,
)

from .conftest import Reach


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(2, 1, 400)
    interval = bootstrap_over_segments(SegmentSums(values, np.ones(400)), n_draws=4000)
    error = values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    assert (interval.n, interval.over, interval.level) == (400, "segments", 0.95)
    narrow = bootstrap_over_segments(SegmentSums(values, np.ones(400)), level=0.5)
    assert interval.low < narrow.low < narrow.high < interval.high


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(100):  # ratios of segments of unequal weight; the truth is 0.5
        whole = rng.exponential(1, 60)
        interval = bootstrap_over_segments(SegmentSums(whole * rng.uniform(0, 1, 60), whole), n_draws=200, seed=seed)
        held += interval.low <= 0.5 <= interval.high
    assert 0.87 <= held / 100 <= 0.99


def test_intervals_are_those_of_drawing_numbers_of_segments() -> None:
    """Segments drawn by SciPy, and by how often each is drawn: the ends differ by less than their Monte Carlo error."""
    rng = np.random.default_rng(2)
    part, whole = rng.normal(1, 1, 60), rng.uniform(1, 2, 60)
    interval = bootstrap_over_segments(SegmentSums(part, whole), n_draws=20_000)
    times = rng.multinomial(60, np.full(60, 1 / 60), size=20_000)
    low, high = np.quantile(times @ part / (times @ whole), [0.025, 0.975])
    assert [interval.low, interval.high] == pytest.approx([low, high], abs=0.02 * (high - low))


def test_pairing_takes_out_what_makes_a_segment_hard() -> None:
    rng = np.random.default_rng(0)
    hard, ones = rng.normal(0, 5, 100), np.ones(100)
    a, b = SegmentSums(hard + 0.3 + 0.1 * rng.normal(size=100), ones), SegmentSums(hard, ones)
    difference = compare_paired(a, b)
    assert difference.value == pytest.approx(a.value - b.value)
    assert difference.is_above()
    assert not difference.is_below()
    assert compare_paired(b, a).is_below()
    assert bootstrap_over_segments(a).low < b.value  # not told apart one by one


def test_no_difference_is_found_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for seed in range(100):
        a, b = (SegmentSums(rng.normal(size=50), np.ones(50)) for _ in range(2))
        difference = compare_paired(a, b, n_draws=200, seed=seed)
        found += difference.is_below() or difference.is_above()
    assert found <= 12
    same = compare_paired(a, a)
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_a_seed_gives_one_interval_whatever_the_batch() -> None:
    sums = SegmentSums(np.arange(30.0), np.arange(1.0, 31))
    assert bootstrap_over_segments(sums, n_draws=250, seed=3) == bootstrap_over_segments(sums, n_draws=250, seed=3)
    assert bootstrap_over_segments(sums, seed=3) != bootstrap_over_segments(sums, seed=4)


def test_a_single_segment_says_that_blocks_were_drawn() -> None:
    x = np.random.default_rng(0).normal(size=(500, 2))
    interval = bootstrap_over_segments(score_reconstruction(x, 0.5 * x, np.zeros(500)))
    assert (interval.over, interval.n) == ("blocks", 20)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(0, 99))
def test_an_interval_holds_its_ends_in_order_and_scales(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    part, whole = rng.normal(size=n), rng.uniform(0.1, 1, n)
    one = bootstrap_over_segments(SegmentSums(part, whole), n_draws=100)
    two = bootstrap_over_segments(SegmentSums(4 * part, 2 * whole), n_draws=100)
    assert one.low <= one.high
    np.testing.assert_allclose([two.low, two.value, two.high], 2 * np.array([one.low, one.value, one.high]))


def test_segments_without_a_whole_do_not_spoil_the_others() -> None:
    sums = SegmentSums(np.array([0.0, 0, 0, 1, 1]), np.array([0.0, 0, 0, 2, 2]))
    interval = bootstrap_over_segments(sums)  # one draw in a hundred has neither
    assert (interval.low, interval.high) == (0.5, 0.5)
    nothing = bootstrap_over_segments(SegmentSums(np.zeros(5), np.zeros(5)))
    assert np.isnan([nothing.low, nothing.value, nothing.high]).all()


def test_a_third_axis_of_real_reaches_is_a_significant_gain(reach: Reach) -> None:
    two, three = (score_reconstruction(reach.x, reconstruct_by_pca(reach.x, reach.x, k), reach.segment) for k in (2, 3))
    difference = compare_paired(three, two)
    assert difference.is_above()
    assert difference.n == 159
    assert difference.high - difference.low < 0.03


def test_bad_requests_are_refused() -> None:
    sums = SegmentSums(np.ones(6), np.ones(6))
    with pytest.raises(ParameterError, match="level"):
        bootstrap_over_segments(sums, level=95)
    with pytest.raises(ParameterError, match="n_draws"):
        bootstrap_over_segments(sums, n_draws=0)
    with pytest.raises(DataError, match="same frames"):
        compare_paired(sums, SegmentSums(np.ones(5), np.ones(5)))
    with pytest.raises(DataError, match="same frames"):
        compare_paired(sums, SegmentSums(np.ones(6), np.ones(6), "blocks"))
