"""Principal axes against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.metrics import compute_pca_axes, pca, reconstruct_by_pca


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
@pytest.mark.parametrize("large", [1, 1024])
def test_pca_is_that_of_numpy(shape: tuple[int, int], large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pca, "LARGE", large)
    x = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 1, shape[1])
    mean, axes = compute_pca_axes(x, 3)
    vt = np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:3]
    np.testing.assert_allclose(mean, x.mean(0))
    assert axes.shape == (shape[1], 3)
    np.testing.assert_allclose(np.abs(vt @ axes), np.eye(3), atol=1e-12)
    rebuilt = reconstruct_by_pca(x, x, 3)
    np.testing.assert_allclose(rebuilt, x.mean(0) + (x - x.mean(0)) @ vt.T @ vt, atol=1e-12)


def test_a_large_mean_costs_no_digits() -> None:
    """The covariance of values far from 0 loses half of them, where the mean is not taken out first."""
    x = np.random.default_rng(0).normal(size=(500, 6)) * np.linspace(3, 1, 6)
    near, far = compute_pca_axes(x, 3)[1], compute_pca_axes(x + 1e6, 3)[1]
    np.testing.assert_allclose(np.abs(near.T @ far), np.eye(3), atol=1e-9)


@pytest.mark.parametrize("shape", [(8, 12), (12, 8)])
def test_all_axes_of_large_data_can_be_had(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pca, "LARGE", 4)
    x = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(reconstruct_by_pca(x, x, 8), x, atol=1e-8)


def test_pca_axes_are_those_of_training_frames() -> None:
    training = np.array([[1.0, 0], [-1, 0]])
    np.testing.assert_allclose(reconstruct_by_pca(training, np.array([[5.0, 7]]), 1), [[5, 0]])
