from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.axes import GramSum, _compute_subspace, compare_axes, fit_axes
from nwb_dcf.errors import DataError, ParameterError

C, T = 8, 20


def draw_paths(rng: np.random.Generator) -> np.ndarray:
    """Three latents with clearly different timescales, (condition, bin, latent)."""
    t = np.arange(T)
    rows = []
    for period in (160, 36, 14):
        phase, size = rng.uniform(0, 2 * np.pi, C), rng.normal(size=C)
        rows.append(size[:, None] * np.cos(2 * np.pi * t / period + phase[:, None]))
    paths = np.stack(rows, axis=2)
    paths -= paths.mean(axis=(0, 1))
    return paths / paths.std(axis=(0, 1))


def draw_grams(paths: np.ndarray, n: int, rng: np.random.Generator, noise: float = 0.3) -> list[np.ndarray]:
    """Each session has its own mixing, so that another plane carries more in each."""
    grams = []
    for _ in range(n):
        values = paths.reshape(-1, 3) @ (rng.normal(size=(3, 30)) * rng.uniform(0.5, 2, 3)[:, None])
        values += noise * rng.normal(size=values.shape)
        values -= values.mean(axis=0)
        grams.append(values @ values.T / np.square(values).sum(axis=1).mean())
    return grams


def test_axes_are_ordered_by_timescale_and_repeat_over_disjoint_sessions():
    rng = np.random.default_rng(0)
    paths = draw_paths(rng)
    one = fit_axes(GramSum(C, T, draw_grams(paths, 4, rng)), 3)
    other = fit_axes(GramSum(C, T, draw_grams(paths, 4, rng)), 3)
    assert (np.diff(one.persistence) < 0).all()
    assert compare_axes(one, other).min() > 0.95
    found = one.anchors.reshape(-1, 3)
    truth = paths.reshape(-1, 3)
    assert np.abs(np.corrcoef(found.T, truth.T)[:3, 3:]).max(axis=0).min() > 0.9


def test_columns_are_orthogonal_and_their_size_is_the_variance():
    rng = np.random.default_rng(1)
    axes = fit_axes(GramSum(C, T, draw_grams(draw_paths(rng), 3, rng)), 3)
    flat = axes.anchors.reshape(-1, 3)
    assert np.allclose(flat.T @ flat / len(flat), np.diag(axes.variance), atol=1e-10)
    assert 0.5 < axes.variance.sum() <= 1.0
    assert ((flat**3).sum(axis=0) > 0).all()


def test_missing_conditions_are_filled_from_the_axes():
    rng = np.random.default_rng(2)
    paths = draw_paths(rng)
    grams = draw_grams(paths, 6, rng, noise=0.1)
    whole = fit_axes(GramSum(C, T, grams), 3)
    for i, gram in enumerate(grams):
        gram[i * T : (i + 1) * T] = np.nan
        gram[:, i * T : (i + 1) * T] = np.nan
    filled = fit_axes(GramSum(C, T, grams), 3)
    unfilled = fit_axes(GramSum(C, T, grams), 3, fill_rounds=0)
    assert compare_axes(whole, filled).min() > 0.98
    assert compare_axes(whole, filled).min() > compare_axes(whole, unfilled).min()


def test_what_cannot_be_is_refused():
    grams = draw_grams(draw_paths(np.random.default_rng(3)), 2, np.random.default_rng(3))
    with pytest.raises(ParameterError, match="hold up to 159"):
        fit_axes(GramSum(C, T, grams), 160)
    for gram in grams:
        gram[:T] = np.nan
        gram[:, :T] = np.nan
    with pytest.raises(DataError, match="in no session"):
        fit_axes(GramSum(C, T, grams), 3)


def test_what_a_session_lacks_is_filled_by_the_rows_that_it_has():
    """One round, written out: the Gram becomes E G E', E being the identity on known rows and W on the others."""
    rng = np.random.default_rng(0)
    whole, part = (np.cov(rng.normal(size=(12, 40)) + rng.normal(size=(12, 1))) for _ in range(2))
    known = np.arange(12) >= 3
    lacking = np.where(known[:, None] & known, part, np.nan)
    grams = GramSum(4, 3, [whole, lacking])
    values, vectors = np.linalg.eigh((whole + np.where(np.isfinite(lacking), lacking, 0)) / 2)
    design = np.column_stack([vectors[:, -2:] * np.sqrt(values[-2:]), np.ones(12)])
    extend = np.zeros((12, 9))
    extend[known], extend[~known] = np.eye(9), design[~known] @ np.linalg.pinv(design[known])
    basis, mean = _compute_subspace(grams, 2, 1)
    np.testing.assert_allclose(mean, (whole + extend @ part[np.ix_(known, known)] @ extend.T) / 2, atol=1e-10)
    leading = np.linalg.eigh(mean)[1][:, -2:]
    np.testing.assert_allclose(basis @ basis.T, leading @ leading.T, atol=1e-10)
    assert grams.partial[0] is lacking
    assert np.isnan(lacking[0]).all()
