"""What one half of the channels tells of the other half: simulations whose best smoothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from nwb_dcf.data.synthetic import simulate_lorenz, simulate_navigation, simulate_reach
from nwb_dcf.metrics import cross_prediction
from nwb_dcf.metrics.cross_prediction import (
    _Split,
    list_sigmas,
    score_settings,
)


def score(recording, **settings):
    values, segment = recording["data"].values, recording["segment_index"].values
    return score_settings(values, segment, recording.attrs["bin_width_s"], least_total=30, **settings)


def best(scores):
    point = int(np.argmax(scores.score))
    return float(scores.sigma_s[point]), scores.scale[point]


def test_place_cells_want_long_smoothing_and_a_lorenz_system_short():
    place = score(simulate_navigation("track", 30, duration_s=400.0, bin_width_s=0.05, seed=1).recording)
    fast = score(simulate_lorenz(40, 100, 40, speed=4.0, seed=1).recording)
    assert best(place)[0] >= 0.4
    assert best(fast)[0] <= 0.1


def test_reaches_want_what_lies_between():
    assert 0.05 <= best(score(simulate_reach(100, 100, 60, seed=2).recording))[0] <= 0.2


def test_independent_units_have_no_vote():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.uniform(0.05, 1.0, 30), (12_000, 30))
    scores = score_settings(counts, np.zeros(len(counts), int), 0.05, least_total=30)
    assert not scores.kept.any()
    assert np.isnan(scores.score).all()
    assert np.median(scores.median_r2) <= 0


def test_what_a_unit_does_by_itself_explains_nothing():
    """Slow private rates are as smooth as place is, and no other unit knows them."""
    rng = np.random.default_rng(1)
    rates = np.exp(
        0.8 * gaussian_filter1d(rng.standard_normal((12_000, 20)), 20, axis=0) * np.sqrt(2 * 20 * np.pi**0.5)
    )
    scores = score_settings(rng.poisson(rates), np.zeros(len(rates), int), 0.05, least_total=30)
    assert scores.median_r2.max() < 0.002


def test_a_fast_unit_has_one_vote():
    """A hundred times the spikes of the others, and a modulation of its own, do not change what the others want."""
    recording = simulate_navigation("track", 25, duration_s=400.0, bin_width_s=0.05, seed=3).recording
    values, segment = recording["data"].values, recording["segment_index"].values
    rng = np.random.default_rng(0)
    fast = rng.poisson(5 * np.exp(0.5 * rng.standard_normal((len(values), 1))))
    alone = score_settings(values, segment, 0.05, least_total=30)
    beside = score_settings(np.hstack([values, fast]), segment, 0.05, least_total=30)
    assert best(beside)[0] == best(alone)[0]


def test_units_with_few_spikes_take_no_part():
    recording = simulate_lorenz(30, 60, 20, seed=0).recording
    values = recording["data"].values.copy()
    values[:, 4] = 0
    values[7, 4] = 3
    scores = score_settings(values, recording["segment_index"].values, 0.02, least_total=30)
    assert np.isnan(scores.r2[:, 4]).all()
    assert not scores.kept[4]
    assert np.isfinite(np.delete(scores.r2, 4, axis=1)).all()


def test_lags_that_trials_are_too_short_for_are_left_out():
    # a trial has to be eight times as long as a lag
    assert score(simulate_lorenz(40, 190, 20, seed=0).recording).lags_s == (0.0,)  # 3.8 s
    assert score(simulate_lorenz(40, 200, 20, seed=0).recording).lags_s == (0.0, 0.5)  # 4 s
    assert score(simulate_lorenz(20, 800, 20, seed=0).recording).lags_s == (0.0, 0.5, 2.0)


def test_a_few_short_segments_among_long_ones_take_no_lag_away():
    recording = simulate_navigation("box", 12, duration_s=100.0, bin_width_s=0.05, seed=2).recording
    values, n = recording["data"].values, recording.sizes["time"]
    segment = np.minimum(np.arange(n) // 97, 20)  # twenty segments of 4.85 s, then thirty of two frames
    segment[-60:] = 20 + np.arange(60) // 2
    assert score_settings(values, segment, 0.05, least_total=30).lags_s == (0.0, 0.5)


def test_one_seed_gives_one_result_and_seeds_agree():
    recording = simulate_navigation("box", 40, duration_s=300.0, bin_width_s=0.05, seed=2).recording
    one, again, other = (score(recording, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.score, again.score)
    assert not np.array_equal(one.score, other.score)
    assert abs(np.log2(best(one)[0] / best(other)[0])) <= 1


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_channels_give_no_score(n):
    counts = np.random.default_rng(0).poisson(1.0, (2_000, n))
    scores = score_settings(counts, np.zeros(2_000, int), 0.05, least_total=30)
    assert not scores.kept.any()
    assert np.isnan(scores.score).all()


def test_too_few_frames_give_no_score():
    counts = np.random.default_rng(0).poisson(1.0, (40, 10))
    scores = score_settings(counts, np.zeros(40, int), 0.05)
    assert scores.lags_s == ()
    assert np.isnan(scores.score).all()


def test_smoothings_that_bins_cannot_resolve_are_one():
    assert list_sigmas(0.02) == (0.025, 0.035, 0.05, 0.07, 0.1, 0.2, 0.4, 0.8, 1.6)
    assert list_sigmas(0.1) == (0.0, 0.05, 0.07, 0.1, 0.2, 0.4, 0.8, 1.6)
    assert list_sigmas(0.5) == (0.0, 0.2, 0.4, 0.8, 1.6)


def test_a_bump_without_a_partner_at_a_lag_is_not_blown_up():
    rng = np.random.default_rng(3)
    raw = rng.normal(size=(400, 4)).astype(np.float32)
    segment, block = np.repeat(np.arange(40), 10), np.repeat(np.arange(20), 20)
    split = _Split.draw(raw, segment, block, np.arange(400), [0, 5], rng)
    features = np.ones((400, 3), np.float32)
    features[:, 1] = rng.normal(size=400)
    # 1 at a frame that nothing follows within its segment: without it rounding is left of that bump
    features[:, 2] = 1e-10
    features[split.training.lost[1][0], 2] = 1
    features[-5:, 2] = 0.5
    assert np.abs(split._explain(features, 0)).max() < 10


def test_a_table_gives_what_an_array_gives_and_is_asked_for_some_channels():
    values = np.random.default_rng(0).poisson(0.5, (4_000, 400)).astype(np.float32)
    values[:, :50] += np.random.default_rng(1).poisson(0.5, (4_000, 1))
    asked = []

    class Some:
        shape = values.shape

        def __getitem__(self, key):
            asked.append(values[key].shape[1])
            return values[key]

    segment = np.zeros(len(values), int)
    of_table = score_settings(Some(), segment, 0.05, least_total=30, sigmas_s=(0.1,))
    np.testing.assert_array_equal(
        of_table.r2, score_settings(values, segment, 0.05, least_total=30, sigmas_s=(0.1,)).r2
    )
    assert asked[-1] == 300


def test_scores_are_the_same_to_the_bit_however_many_smoothings_are_scored_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording = simulate_lorenz(8, 100, 12, seed=0).recording
    given = recording["data"].values, recording["segment_index"].values, 0.02
    seen = []
    for at_once in (1, 4):
        monkeypatch.setattr(cross_prediction, "MOST_AT_ONCE", at_once)
        monkeypatch.setattr(cross_prediction.joblib, "cpu_count", lambda: 8)
        seen.append(score_settings(*given).r2)
    assert np.isfinite(seen[0]).any()
    np.testing.assert_array_equal(seen[0], seen[1])
