from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group

from nwb_dcf.cohort.alignment import (
    Signature,
    _compute_loss,
    align_sessions,
    compute_signature,
    match_signatures,
    whiten,
)
from nwb_dcf.errors import DataError

LAGS = (1, 3)


def draw_latents(rng: np.random.Generator, skewed: bool) -> tuple[np.ndarray, np.ndarray]:
    """White latents of three timescales; skewed ones tell an axis from its mirror image."""
    n = 4000
    columns = []
    for width in (2, 6, 18):
        smooth = np.convolve(rng.normal(size=n), np.exp(-np.arange(4 * width) / width), mode="same")
        smooth /= smooth.std()
        columns.append(np.exp(0.8 * smooth) if skewed else smooth)
    values = np.stack(columns, axis=1)
    return (values - values.mean(axis=0)) / values.std(axis=0), np.arange(n) // 100


def signatures(seed: int, skewed: bool, n: int = 4) -> tuple[list[Signature], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    found, turns = [], []
    for _ in range(n):
        latents, trial = draw_latents(rng, skewed)
        turn = ortho_group.rvs(3, random_state=int(rng.integers(1e6)))
        white, _, _ = whiten(latents @ turn, 3)
        found.append(compute_signature(white, trial, LAGS))
        turns.append(turn)
    return found, turns


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    one, other = signatures(0, skewed=True, n=2)[0]
    maps, step = rng.normal(size=(1, 3, 3)), rng.normal(size=(1, 3, 3))
    _, gradient = _compute_loss(maps, one, other)
    up, down = (_compute_loss(maps + sign * 1e-5 * step, one, other)[0] for sign in (1, -1))
    assert (up - down)[0] / 2e-5 == pytest.approx((gradient * step).sum(), rel=1e-5)


def test_sessions_without_symmetry_are_aligned():
    found, _ = signatures(1, skewed=True)
    alignment = align_sessions(found, np.random.default_rng(0))
    assert alignment.accepted
    assert alignment.ratio > 1.5
    for rotation in alignment.rotations:
        assert np.allclose(rotation @ rotation.T, np.eye(3))


def test_a_mirror_image_that_does_as_well_is_not_identified():
    # Gaussian latents have no third moments: every axis may be turned round.
    found, _ = signatures(2, skewed=False)
    alignment = align_sessions(found, np.random.default_rng(0))
    assert alignment.ratio < 1.5
    assert not alignment.accepted


def test_the_map_between_two_is_found():
    (one, other), _ = signatures(3, skewed=True, n=2)
    rotation, ratio = match_signatures(one, other, np.random.default_rng(0))
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert ratio > 1.5
    turned = np.einsum("ai,lij,bj->lab", rotation, other.covariance, rotation)
    assert np.abs(turned - one.covariance).max() < 0.1


def test_two_sessions_close_nothing():
    with pytest.raises(DataError, match="2 sessions without labels"):
        align_sessions(signatures(0, skewed=True, n=2)[0], np.random.default_rng(0))
