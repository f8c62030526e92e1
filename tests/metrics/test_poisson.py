"""Poisson scores against scikit-learn and by hand, and co-smoothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import d2_tweedie_score

from nwb_dcf.data.synthetic import simulate_lorenz
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics import (
    bits_per_spike,
    bootstrap_over_segments,
    compute_pca_axes,
    score_cosmoothing,
    score_rates,
)

from .conftest import Reach


def explain(counts: np.ndarray, rates: np.ndarray, **options: float) -> float:
    return score_rates(counts, rates, np.zeros(len(counts)), **options).value


def test_deviance_explained_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    rates = rng.gamma(2, 1, (200, 1))
    counts, guess = rng.poisson(rates), rates * rng.uniform(0.5, 2, (200, 1))
    assert explain(counts, guess) == pytest.approx(d2_tweedie_score(counts, guess, power=1))


def test_deviance_and_bits_by_hand() -> None:
    counts, rates = np.array([[0.0], [2.0], [1.0]]), np.array([[0.5], [2.0], [0.5]])
    by_mean = 2 * (1 + (2 * np.log(2) - 1) + 0)
    by_rates = 2 * (0.5 + 0 + (np.log(2) - 0.5))
    sums = score_rates(counts, rates, np.zeros(3))
    assert sums.whole.sum() == pytest.approx(by_mean)
    assert sums.value == pytest.approx(1 - by_rates / by_mean)
    bits = bits_per_spike(counts, rates, np.zeros(3))
    assert bits.whole.sum() == 3
    assert bits.value == pytest.approx((2 * np.log(2) - np.log(2)) / np.log(2) / 3)  # sums of rates are equal


def test_the_mean_explains_nothing_and_the_counts_themselves_all() -> None:
    counts = np.random.default_rng(0).poisson(1.0, (40, 5)).astype(float)
    mean = np.tile(counts.mean(0), (40, 1))
    assert explain(counts, mean) == pytest.approx(0)
    assert explain(counts, counts, floor=0) == pytest.approx(1)
    assert np.isnan(explain(np.ones((4, 2)), np.ones((4, 2))))


def test_a_rate_of_nothing_is_raised_to_the_floor() -> None:
    counts, rates = np.array([[0.0], [2.0]]), np.array([[0.0], [0.0]])
    assert explain(counts, rates, floor=0.01) == pytest.approx(explain(counts, np.full((2, 1), 0.01), floor=0))
    assert explain(counts, rates, floor=0) == -np.inf
    silent = np.hstack([counts, np.zeros((2, 1))])
    assert np.isfinite(explain(silent, silent))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999))
def test_the_order_of_segments_and_units_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    segment = np.repeat(np.arange(6), 5)
    rates = rng.gamma(2, 1, (30, 4))
    counts = rng.poisson(rates)
    frames, units = np.concatenate([np.flatnonzero(segment == i) for i in rng.permutation(6)]), rng.permutation(4)
    for measure in (score_rates, bits_per_spike):
        one = measure(counts, rates, segment)
        two = measure(counts[frames][:, units], rates[frames][:, units], segment[frames])
        np.testing.assert_allclose(two.part, one.part)


def test_true_latents_predict_units_that_made_no_part_of_them() -> None:
    simulation = simulate_lorenz(n_trials=30, n_bins=60, n_units=20, seed=0)
    latents, counts = simulation.truth["latents"].values, simulation.recording["data"].values
    segment = simulation.recording["segment_index"].values
    training, test = segment < 20, segment >= 20
    parts = latents[training], counts[training], latents[test], counts[test], segment[test]
    found = bootstrap_over_segments(score_cosmoothing(*parts))
    assert found.low > 0.05
    best = bits_per_spike(counts[test], simulation.truth["rates_hz"].values[test] * 0.02, segment[test]).value
    assert found.value < best
    rng = np.random.default_rng(0)
    wrong = rng.permutation(parts[0]), parts[1], rng.permutation(parts[2]), *parts[3:]
    assert score_cosmoothing(*wrong).value < 0.01


def test_half_of_real_units_predict_the_others(reach: Reach) -> None:
    odd = np.arange(reach.x.shape[1]) % 2 == 1
    training, test = reach.segment % 4 > 0, reach.segment % 4 == 0
    mean, axes = compute_pca_axes(reach.x[training][:, odd], 3)
    z = (reach.x[:, odd] - mean) @ axes
    others = reach.counts[:, ~odd]
    sums = score_cosmoothing(z[training], others[training], z[test], others[test], reach.segment[test])
    interval = bootstrap_over_segments(sums)
    assert 0.01 < interval.low < interval.high < 0.5
    assert interval.n == 40


def test_bad_input_is_refused() -> None:
    counts = np.ones((4, 2))
    with pytest.raises(DataError, match="smallest of the counts is -1"):
        explain(-counts, counts)
    with pytest.raises(DataError, match="smallest of the rates is -1"):
        explain(counts, -counts)
    with pytest.raises(ParameterError, match="floor"):
        explain(counts, counts, floor=-1)
