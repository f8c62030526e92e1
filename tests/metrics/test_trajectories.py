"""Paths and rollouts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics import (
    compute_pca_axes,
    measure_smoothness,
)

from .conftest import Reach


def test_smoothness_by_hand() -> None:
    corner = np.array([[0.0, 0], [3, 0], [3, 4]])  # 7 long, 5 across
    straight = np.array([[0.0, 0], [1, 0], [2, 0]])
    sums = measure_smoothness(np.vstack([corner, straight, corner, corner, corner]), np.repeat(np.arange(5), 3))
    np.testing.assert_allclose(sums.part, [7, 2, 7, 7, 7])
    np.testing.assert_allclose(sums.whole, [5, 2, 5, 5, 5])
    assert sums.value == pytest.approx(30 / 22)


def test_a_segment_that_ends_where_it_began_does_not_rule_the_score() -> None:
    line = np.linspace(0, 1, 11)[:, None]
    loop = np.concatenate([line[::2], line[-3::-2]])
    sums = measure_smoothness(np.vstack([*[line] * 9, loop]), np.repeat(np.arange(10), 11))
    assert sums.value == pytest.approx(11 / 9)


def test_a_ring_is_measured_by_a_span() -> None:
    angle = np.arange(101) * 2 * np.pi / 100
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    whole = measure_smoothness(np.tile(ring, (5, 1)), np.repeat(np.arange(5), 101))
    assert whole.value > 1e6
    quarter = measure_smoothness(np.tile(ring, (5, 1)), np.repeat(np.arange(5), 101), span=25)
    chord = 25 * 2 * np.sin(np.pi / 100)
    assert quarter.value == pytest.approx(chord / np.sqrt(2))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.lists(st.integers(2, 12), min_size=5, max_size=8))
def test_smoothness_is_at_least_one_and_the_same_turned_scaled_and_reordered(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    segment = np.repeat(np.arange(len(lengths)), lengths)
    z = rng.normal(size=(len(segment), 3))
    value = measure_smoothness(z, segment).value
    assert value >= 1 - 1e-12
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert measure_smoothness(3 * z @ turn + 5, segment).value == pytest.approx(value)
    order = rng.permutation(len(lengths))
    frames = np.concatenate([np.flatnonzero(segment == i) for i in order])
    assert measure_smoothness(z[frames], segment[frames]).value == pytest.approx(value)


def test_no_step_crosses_segments() -> None:
    z = np.repeat(np.arange(6.0) * 1000, 2)[:, None] + np.tile([0.0, 1], 6)[:, None]
    sums = measure_smoothness(z, np.repeat(np.arange(6), 2))
    np.testing.assert_array_equal(sums.part, np.ones(6))


def test_real_reaches_are_smoother_than_the_same_with_noise(reach: Reach) -> None:
    mean, axes = compute_pca_axes(reach.x, 3)
    z = (reach.x - mean) @ axes
    smooth = measure_smoothness(z, reach.segment)
    rough = measure_smoothness(z + np.random.default_rng(0).normal(size=z.shape), reach.segment)
    assert 1 < smooth.value < rough.value


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="no path"):
        measure_smoothness(np.zeros((6, 1)), np.arange(6))
    with pytest.raises(ParameterError, match="span"):
        measure_smoothness(np.zeros((6, 1)), np.zeros(6), span=0)
