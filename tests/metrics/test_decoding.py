"""Decoders against scikit-learn, and cross-validation that no held-out segment can reach into."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsRegressor

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics import (
    bootstrap_over_segments,
    compute_pca_axes,
    decode_by_neighbours,
    decode_linearly,
    decoding,
    score_decoding,
    score_decoding_on,
)
from nwb_dcf.metrics.ridge import predict_by_ridge

from .conftest import Reach


def test_decoding_is_ridge_regression() -> None:
    rng = np.random.default_rng(0)
    z, w = rng.normal(size=(200, 3)) + 5, rng.normal(size=(3, 2))
    target, test = z @ w + 2, rng.normal(size=(10, 3))
    np.testing.assert_allclose(decode_linearly(z, target, test, ridge=0), test @ w + 2, atol=1e-8)
    shrunk = decode_linearly(z, target, test, ridge=1e3)
    np.testing.assert_allclose(shrunk, np.tile(target.mean(0), (10, 1)), atol=0.1)
    centred = z - z.mean(0)
    gram = centred.T @ centred
    by_hand = np.linalg.solve(gram + 0.1 * np.trace(gram) / 3 * np.eye(3), centred.T @ (target - target.mean(0)))
    expected = target.mean(0) + (test - z.mean(0)) @ by_hand
    np.testing.assert_allclose(decode_linearly(z, target, test, ridge=0.1), expected)


def test_every_penalty_of_one_fit_is_that_of_a_fit_of_its_own() -> None:
    """By the eigenvectors of the Gram matrix: the largest difference over nine penalties is below 1e-9."""
    rng = np.random.default_rng(1)
    z, target, test = rng.normal(size=(50, 4)) * [5, 2, 1, 0.1] + 9, rng.normal(size=(50, 2)), rng.normal(size=(7, 4))
    centred = z - z.mean(0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    for ridge, found in zip(decoding.RIDGES, predict_by_ridge(z, target, test, decoding.RIDGES), strict=True):
        projected = axes.T @ centred.T @ (target - target.mean(0)) / (values + ridge * values.mean())[:, None]
        np.testing.assert_allclose(found, target.mean(0) + (test - z.mean(0)) @ axes @ projected, atol=1e-9)


def test_a_direction_without_variance_gets_no_weight() -> None:
    z = np.random.default_rng(0).normal(size=(30, 2))
    double, test = np.hstack([z, z[:, :1], np.ones((30, 1))]), np.array([[1.0, 2, 1, 1]])
    for ridge in (0.0, 1e-6):
        np.testing.assert_allclose(decode_linearly(double, z, test, ridge=ridge), [[1, 2]], rtol=1e-5)


@pytest.mark.parametrize("n", [1, 3, 20])
def test_neighbours_are_those_of_scikit_learn(n: int) -> None:
    rng = np.random.default_rng(n)
    z, target, test = rng.normal(size=(20, 3)), rng.normal(size=(20, 2)), rng.normal(size=(7, 3))
    expected = KNeighborsRegressor(n).fit(z, target).predict(test)
    np.testing.assert_allclose(decode_by_neighbours(z, target, test, n_neighbours=n), expected)
    np.testing.assert_allclose(
        decode_by_neighbours(z, target, test, n_neighbours=99), np.tile(target.mean(0), (7, 1)), atol=1e-12
    )


@pytest.mark.parametrize("method", ["ridge", "neighbours"])
def test_what_differs_by_segment_alone_cannot_be_decoded(method: decoding.Method) -> None:
    """Frames of one segment share a latent and a target: folds by frame would give an R2 near 1."""
    rng = np.random.default_rng(0)
    z, target = (np.repeat(rng.normal(size=(40, 3)), 25, axis=0) for _ in range(2))
    z = z + 0.01 * rng.normal(size=z.shape)
    assert score_decoding(z, target, np.repeat(np.arange(40), 25), method=method).value < 0.1
    by_frame = score_decoding(z, target, np.arange(1000), method="neighbours")
    assert by_frame.value > 0.9


def test_a_gap_keeps_a_slow_signal_from_leaking_over_the_edge_of_a_block() -> None:
    rng = np.random.default_rng(3)
    time = np.arange(800.0)[:, None] / 10  # a latent that is nothing but time
    target = np.cumsum(rng.normal(size=(800, 1)), axis=0)
    scores = [score_decoding(time, target, np.zeros(800), method="neighbours", gap=gap).value for gap in (0, 40)]
    assert scores[0] > scores[1] + 0.01


def test_training_frames_keep_their_distance_and_folds_cover_everything_once() -> None:
    segment = np.repeat([0, 1], [90, 30])
    folds = decoding._Folds(segment, 4, 3)
    seen = []
    for training, test in folds.draw(np.arange(120), np.random.default_rng(0)):
        seen.append(test)
        apart = np.abs(training[:, None] - test)
        same = segment[training][:, None] == segment[test]
        assert apart[same].min() == 4  # and no further than the gap asks
        by_hand = [i for i in range(120) if not ((np.abs(test - i) <= 3) & (segment[test] == segment[i])).any()]
        np.testing.assert_array_equal(training, by_hand)
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(120))


def test_the_setting_is_chosen_on_training_segments() -> None:
    """Ten useless latents and few frames: without the penalty the decoder is far worse."""
    rng = np.random.default_rng(0)
    z, segment = rng.normal(size=(60, 30)), np.repeat(np.arange(12), 5)
    target = z[:, :1] + rng.normal(size=(60, 1))
    chosen = score_decoding(z, target, segment).value
    folds = decoding._Folds(segment, 5, 0)
    estimate = np.empty_like(target)
    for training, test in folds.draw(np.arange(60), np.random.default_rng(0)):
        estimate[test] = decode_linearly(z[training], target[training], z[test], ridge=1e-6)
    plain = 1 - np.square(target - estimate).sum() / np.square(target - target.mean()).sum()
    assert chosen > plain + 0.1


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 50), st.sampled_from(["ridge", "neighbours"]))
def test_signs_and_turns_of_latents_do_not_matter(seed: int, method: decoding.Method) -> None:
    rng = np.random.default_rng(seed)
    z, segment = rng.normal(size=(90, 3)), np.repeat(np.arange(9), 10)
    target = np.tanh(z[:, :2]) + 0.3 * rng.normal(size=(90, 2))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    expected = score_decoding(z, target, segment, method=method, n_folds=3)
    for other in (z * [1, -1, 1], z @ turn, 2 * z + 1):
        found = score_decoding(other, target, segment, method=method, n_folds=3)
        np.testing.assert_allclose(found.part, expected.part, atol=1e-6)


def test_a_given_split_is_scored_on_its_test_frames() -> None:
    rng = np.random.default_rng(0)
    z, test = rng.normal(size=(100, 2)), rng.normal(size=(60, 2))
    w = np.array([[1.0, 0], [2, 1]])
    sums = score_decoding_on(z, z @ w, np.arange(100) // 10, test, test @ w, np.arange(60) // 6)
    assert sums.value == pytest.approx(1, abs=1e-6)
    assert len(sums.part) == 10
    shifted = score_decoding_on(z, z @ w, np.arange(100) // 10, test, test @ w + 9, np.arange(60) // 6)
    assert shifted.value < 0


def test_hand_velocity_is_read_from_three_axes_of_real_reaches(reach: Reach) -> None:
    mean, axes = compute_pca_axes(reach.x, 3)
    z = (reach.x - mean) @ axes
    linear = score_decoding(z, reach.velocity, reach.segment)
    neighbours = score_decoding(z, reach.velocity, reach.segment, method="neighbours")
    assert 0.5 < linear.value < 0.65
    assert linear.value < neighbours.value < 0.85
    interval = bootstrap_over_segments(neighbours)
    assert interval.low < neighbours.value < interval.high < interval.low + 0.15
    broken = score_decoding(z, np.random.default_rng(0).permutation(reach.velocity), reach.segment)
    assert broken.value < 0.02


def test_bad_requests_are_refused() -> None:
    z = np.zeros((20, 2))
    with pytest.raises(ParameterError, match="choose ridge or neighbours"):
        score_decoding(z, z, np.arange(20), method="forest")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="n_folds"):
        score_decoding(z, z, np.arange(20), n_folds=1)
    with pytest.raises(DataError, match="too short"):
        score_decoding(z[:4], z[:4], np.zeros(4))
    with pytest.raises(ParameterError, match="n_neighbours"):
        decode_by_neighbours(z, z, z, n_neighbours=0)
