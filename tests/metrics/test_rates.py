"""Rates from latents against scikit-learn, and from mean square roots against Poisson's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from nwb_dcf.data.preprocessing import invert_mean_root
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics import compute_pca_axes, fit_rates, score_rates

from .conftest import Reach


def maximise_by_hand(z: np.ndarray, counts: np.ndarray, prior: float) -> np.ndarray:
    """Weights of one unit by Newton's method: the oracle knows nothing of scikit-learn's scale of the penalty."""
    design, penalty = np.column_stack([z, np.ones(len(z))]), np.append(np.full(z.shape[1], prior), 0)
    weights = np.append(np.zeros(z.shape[1]), np.log(counts.mean()))
    for _ in range(50):
        rates = np.exp(design @ weights)
        slope = design.T @ (rates - counts) + penalty * weights
        weights = weights - np.linalg.solve((design.T * rates) @ design + np.diag(penalty), slope)
    return weights


def test_regression_is_the_maximum_of_the_posterior() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 3)) * [5, 1, 0.1] + 2
    scaled = (z - z.mean(0)) / z.std(0)
    rates = np.exp(scaled @ rng.normal(scale=0.5, size=(3, 4)) + [-2, 0, 1, 2])
    counts = rng.poisson(rates)
    model = fit_rates(z, counts, prior=3.0)
    for i in range(4):
        oracle = maximise_by_hand(scaled, counts[:, i], 3.0)
        np.testing.assert_allclose([*model.weight[:, i] * z.std(0), model.bias[i]], oracle, atol=1e-8)
    np.testing.assert_allclose(model.predict(z).sum(0), counts.sum(0), rtol=1e-8)  # the bias has no penalty


def test_rates_are_not_carried_beyond_what_training_saw() -> None:
    z = np.linspace(-1, 1, 200)[:, None]
    model = fit_rates(z, np.random.default_rng(0).poisson(np.exp(z)))
    np.testing.assert_allclose(model.predict(np.array([[50.0], [-50]])), model.predict(z[[-1, 0]]))


def test_silent_units_and_latents_that_stand_still_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    z = np.column_stack([rng.normal(size=100), np.full(100, 7.1)])
    counts = np.column_stack([rng.poisson(np.exp(z[:, 0])), np.zeros(100)])
    model = fit_rates(z, counts)
    np.testing.assert_array_equal(model.predict(z)[:, 1], 0)
    np.testing.assert_array_equal(model.weight[1], 0)
    assert score_rates(counts, model.predict(z), np.zeros(len(counts))).value > 0.2
    assert (fit_rates(z, np.zeros((100, 2))).predict(z) == 0).all()


def test_a_unit_with_one_spike_keeps_to_its_mean() -> None:
    z = np.random.default_rng(0).normal(size=(500, 3))
    counts = np.zeros((500, 1))
    counts[np.argmax(z[:, 0])] = 1
    assert np.abs(fit_rates(z, counts, prior=100.0).weight).max() < 0.05
    assert np.abs(fit_rates(z, counts).weight).max() < 2.5  # without a prior it would grow without end


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(1e-3, 300), min_size=1, max_size=5))
def test_the_mean_root_of_a_rate_gives_the_rate_back(rates: list[float]) -> None:
    n = np.arange(800)
    roots = poisson.pmf(n, np.array(rates)[:, None]) @ np.sqrt(n)
    np.testing.assert_allclose(invert_mean_root(roots), rates, rtol=2e-3)


def test_mean_roots_at_the_ends() -> None:
    np.testing.assert_array_equal(invert_mean_root(np.array([[-1.0, 0]])), [[0, 0]])
    assert invert_mean_root(np.array([1e-6]))[0] == pytest.approx(1e-6, rel=1e-3)  # counts of 0 and 1 are their roots
    assert invert_mean_root(np.array([40.0]))[0] == pytest.approx(1600.25, rel=1e-3)  # E[sqrt] is near sqrt(rate - 1/4)
    with pytest.raises(DataError, match="NaN"):
        invert_mean_root(np.array([np.nan]))


def test_squares_of_mean_roots_of_real_counts_fall_short_and_regression_does_not(reach: Reach) -> None:
    training, test = reach.segment % 4 > 0, reach.segment % 4 == 0
    roots = np.sqrt(reach.counts)
    mean, axes = compute_pca_axes(roots[training], 3)
    z = (roots - mean) @ axes
    rebuilt = np.maximum(mean + z[test] @ axes.T, 0)
    scores = {
        "squared": np.square(rebuilt),
        "inverted": invert_mean_root(rebuilt),
        "regression": fit_rates(z[training], reach.counts[training]).predict(z[test]),
    }
    found = {
        name: score_rates(reach.counts[test], rates, np.zeros(len(reach.counts[test]))).value
        for name, rates in scores.items()
    }
    assert found["squared"] < 0 < found["inverted"] < found["regression"]


def test_bad_input_is_refused() -> None:
    counts = np.ones((4, 2))
    with pytest.raises(DataError, match="smallest count"):
        fit_rates(counts, -counts)
    with pytest.raises(ParameterError, match="prior"):
        fit_rates(counts, counts, prior=0)
    with pytest.raises(DataError, match=r"give \(time, 2\)"):
        fit_rates(counts, counts).predict(np.ones((4, 3)))


def test_large_roots_take_no_table() -> None:
    roots = np.array([255.0, 1e4])  # a table of rates and counts up to 1e8 would be larger than any memory
    np.testing.assert_allclose(invert_mean_root(roots), np.square(roots) + 0.25)
    n = np.arange(900)
    mean_roots = poisson.pmf(n, np.array([[399.0], [401.0]])) @ np.sqrt(n)  # on both sides of the table's end
    np.testing.assert_allclose(invert_mean_root(mean_roots), [399, 401], atol=0.1)
