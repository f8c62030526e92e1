"""Paths and rollouts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics import (
    bootstrap_over_segments,
    bootstrap_statistic,
    find_horizon,
    find_pca_axes,
    measure_smoothness,
    score_rollout,
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


def test_rollouts_by_hand() -> None:
    truth = np.array([[[1.0], [2.0]], [[-1.0], [-2.0]]])  # mean 0; squares 2 and 8
    simulated = np.array([[[1.0], [0.0]], [[-2.0], [-2.0]]])  # errors 1 and 4
    score = score_rollout(truth, simulated, np.array([[0.0], [0.0]]))
    np.testing.assert_allclose(score.r2, [1 - 1 / 2, 1 - 4 / 8])
    np.testing.assert_allclose(score.stay_r2, [0, 0])
    assert score.horizon == 2
    np.testing.assert_allclose(score.error, [[0, 4], [1, 0]])
    assert score.take(np.array([0])).horizon == 1  # at the second frame it stayed as far away as "stay"


def test_frames_after_the_end_are_left_out_and_a_lost_simulation_is_not() -> None:
    rng = np.random.default_rng(0)
    truth, start = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 2))
    cut = truth.copy()
    cut[2, 1:] = np.nan
    cut[3, 2, 0] = np.nan
    noisy = truth + 0.1
    score = score_rollout(cut, np.where(np.isnan(cut), np.nan, noisy), start)
    np.testing.assert_allclose(score.error, np.where(np.isnan(cut).any(2), 0, 0.02))
    assert (score.r2 > 0.8).all()
    lost = noisy.copy()
    lost[0, 1] = np.nan
    score = score_rollout(truth, lost, start)
    assert score.r2[1] == -np.inf
    assert score.horizon == 1


@pytest.mark.parametrize(
    ("r2", "stay", "horizon"),
    [
        ([0.9, 0.8, 0.7], [0.8, 0.7, 0.6], 3),
        ([0.9, 0.6, 0.7], [0.8, 0.7, 0.6], 1),  # a later win does not count
        ([0.8, 0.9], [0.8, 0.1], 0),  # equal is no win
        ([np.nan, 0.9], [0.1, 0.1], 0),
    ],
)
def test_the_horizon_ends_with_the_first_loss(r2: list[float], stay: list[float], horizon: int) -> None:
    assert find_horizon(np.array(r2), np.array(stay)) == horizon


def test_a_rotation_is_followed_by_its_own_map_and_not_by_stay() -> None:
    rng = np.random.default_rng(0)
    angle = 0.3
    step = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    start = rng.normal(size=(50, 2))
    powers = np.stack([np.linalg.matrix_power(step, k) for k in range(1, 11)])
    truth = np.einsum("si,kij->skj", start, powers)
    wrong = truth * np.linspace(1, -1, 10)[:, None]  # falls apart slowly
    assert score_rollout(truth, truth, start).r2 == pytest.approx(np.ones(10))
    score = score_rollout(truth, wrong, start)
    stay = 4 * np.sin(angle * np.arange(1, 11) / 2) ** 2  # |R^k x - x|^2 / |x|^2
    np.testing.assert_allclose(score.stay.sum(0) / np.square(start).sum(), stay)
    by_hand = (1 - np.linspace(1, -1, 10)) ** 2 < stay
    assert score.horizon == np.argmin(by_hand) if not by_hand.all() else 10


def test_staying_on_real_reaches_gets_worse_and_has_intervals(reach: Reach) -> None:
    mean, axes = find_pca_axes(reach.x, 3)
    z = (reach.x - mean) @ axes
    same = reach.segment[:-4] == reach.segment[4:]
    at = np.flatnonzero(same)
    truth, start = z[at[:, None] + np.arange(1, 5)], z[at]
    score = score_rollout(truth, 0.98 * np.repeat(start[:, None], 4, axis=1), start)
    assert (np.diff(score.stay_r2) < 0).all()
    assert score.horizon == 4  # shrinking to the mean beats staying
    interval = bootstrap_over_segments(score.at(1, reach.segment[at]))
    assert interval.value == pytest.approx(score.r2[0])
    assert interval.n == 159
    horizon = bootstrap_statistic(lambda s: score.take(s).horizon, reach.segment[at], n_draws=50)
    assert horizon.value == 4
    smooth = measure_smoothness(z, reach.segment)
    rough = measure_smoothness(z + np.random.default_rng(0).normal(size=z.shape), reach.segment)
    assert 1 < smooth.value < rough.value


def test_bad_input_is_refused() -> None:
    truth = np.zeros((3, 2, 1))
    with pytest.raises(DataError, match="have shapes"):
        score_rollout(truth, truth[:2], np.zeros((3, 1)))
    with pytest.raises(DataError, match="start holds NaN"):
        score_rollout(truth, truth, np.full((3, 1), np.nan))
    with pytest.raises(DataError, match="no frame"):
        score_rollout(truth * np.nan, truth, np.zeros((3, 1)))
    with pytest.raises(DataError, match="no frame 3"):
        score_rollout(truth, truth, np.zeros((3, 1))).at(3, np.zeros(3))
    with pytest.raises(DataError, match="no path"):
        measure_smoothness(np.zeros((6, 1)), np.arange(6))
    with pytest.raises(ParameterError, match="span"):
        measure_smoothness(np.zeros((6, 1)), np.zeros(6), span=0)
