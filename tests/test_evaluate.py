"""Figures by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf import evaluate
from nwb_dcf.evaluate import (
    decode_linearly,
    effective_dimension,
    find_pca_axes,
    measure_energy_outside,
    r2_score,
    rebuild_by_pca,
)


def test_r2_by_hand() -> None:
    truth = np.array([[0.0, 0], [2, 10]])  # sums of squares about the means: 2 and 50
    assert r2_score(truth, truth) == 1
    assert r2_score(truth, np.tile(truth.mean(0), (2, 1))) == 0
    assert r2_score(truth, np.array([[1.0, 0], [2, 8]])) == pytest.approx(1 - (1 + 4) / 52)
    assert r2_score(truth, -truth) < 0
    assert np.isnan(r2_score(np.ones((3, 2)), np.zeros((3, 2))))


def test_energy_outside_by_hand() -> None:
    loadings = np.array([[1.0, 0], [0, 0], [0, 1]])
    states = np.array([[4.0, 1, 1], [1, 3, 1]])  # less the mean: (3, 0, 0) and (0, 2, 0)
    assert measure_energy_outside(states, np.ones(3), loadings, 1) == pytest.approx(4 / 13)
    off = states + np.array([[0, 0, 6], [0, 0, 0]])
    assert measure_energy_outside(off, np.ones(3), loadings, 1) == pytest.approx(40 / 49)
    assert measure_energy_outside(off, np.ones(3), loadings, 2) == pytest.approx(4 / 49)
    assert measure_energy_outside(np.ones((2, 3)), np.ones(3), loadings, 2) == 0


@pytest.mark.parametrize(
    ("spectrum", "total", "k"),
    [
        ([60, 30, 5, 5], None, 3),
        ([60, 30, 4, 6], None, 4),
        ([95, 5], None, 1),
        ([94.9, 5.1], None, 2),
        ([60, 30], 100, 3),  # more than there are
        ([60, 35], 100, 2),
        ([1.0], None, 1),
    ],
)
def test_effective_dimension_reaches_95_percent(spectrum: list[float], total: float | None, k: int) -> None:
    assert effective_dimension(np.array(spectrum), total) == k


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
@pytest.mark.parametrize("large", [1, 1024])
def test_pca_is_that_of_numpy(shape: tuple[int, int], large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "LARGE", large)
    x = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 1, shape[1])
    mean, axes = find_pca_axes(x, 3)
    vt = np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:3]
    np.testing.assert_allclose(mean, x.mean(0))
    assert axes.shape == (shape[1], 3)
    np.testing.assert_allclose(np.abs(vt @ axes), np.eye(3), atol=1e-5)
    rebuilt = rebuild_by_pca(x, x, 3)
    np.testing.assert_allclose(rebuilt, x.mean(0) + (x - x.mean(0)) @ vt.T @ vt, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 12), (12, 8)])
def test_all_axes_of_large_data_can_be_had(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "LARGE", 4)
    x = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(rebuild_by_pca(x, x, 8), x, atol=1e-8)


def test_pca_axes_are_those_of_training_frames() -> None:
    training = np.array([[1.0, 0], [-1, 0]])
    np.testing.assert_allclose(rebuild_by_pca(training, np.array([[5.0, 7]]), 1), [[5, 0]])


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
