from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group

from nwb_dcf.cohort.alignment import align_sessions, whiten
from nwb_dcf.cohort.moment_matching import Signature, _compute_loss, compute_signature, list_matches
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


def test_moments_turn_with_the_latents():
    rng = np.random.default_rng(0)
    latents, trial = draw_latents(rng, skewed=True)
    turn = ortho_group.rvs(3, random_state=0)
    found, expected = (
        compute_signature(latents, trial, LAGS).rotate(turn),
        compute_signature(latents @ turn, trial, LAGS),
    )
    assert np.allclose(found.covariance, expected.covariance)
    assert np.allclose(found.third, expected.third)


def test_the_map_between_two_is_the_first_of_the_list():
    (one, other), _ = signatures(3, skewed=True, n=2)
    maps = list_matches(one, other, np.random.default_rng(0))
    assert all(np.allclose(turn @ turn.T, np.eye(3)) for turn in maps)
    assert all(np.trace(a.T @ b) / 3 < 0.9 for i, a in enumerate(maps) for b in maps[:i])
    assert np.abs(other.rotate(maps[0]).covariance - one.covariance).max() < 0.1


def wander(rng: np.random.Generator, symmetric: bool) -> tuple[np.ndarray, np.ndarray]:
    """Latents along one field; a symmetric field is odd in each latent, so that mirrored ones obey it."""
    n_trials, n_bins = 200, 40
    state, path = rng.normal(size=(n_trials, 3)), np.empty((n_trials, n_bins, 3))
    for step in range(n_bins):
        path[:, step] = state
        x, y, z = state.T
        pull = np.stack([-0.1 * x**3, -0.3 * y**3, -0.9 * z**3], 1)
        bend = np.zeros_like(state) if symmetric else 0.4 * np.stack([y * z + 0.5, x**2 - 1, x * y], 1)
        state = state + 0.15 * (pull + bend) + 0.04 * rng.normal(size=state.shape)
    return path.reshape(-1, 3), np.repeat(np.arange(n_trials), n_bins)


def draw_turned(symmetric: bool, n: int = 4) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(1)
    drawn = [wander(rng, symmetric) for _ in range(n)]
    turns = [ortho_group.rvs(3, random_state=i) for i in range(n)]
    parts = [whiten(latents @ turn, 3) for (latents, _), turn in zip(drawn, turns, strict=True)]
    # what the true state becomes in the white latents
    maps = [turn @ weights for (_, weights, _), turn in zip(parts, turns, strict=True)]
    return [white for white, _, _ in parts], [trial for _, trial in drawn], maps


@pytest.fixture(autouse=True)
def _be_brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nwb_dcf.cohort.alignment.ROUNDS", 1)
    monkeypatch.setattr("nwb_dcf.cohort.alignment.MOST_STARTS", 2)


def test_sessions_without_symmetry_are_aligned():
    latents, trials, maps = draw_turned(symmetric=False)
    alignment = align_sessions(latents, trials, (1, 5, 10), np.random.default_rng(0))
    assert alignment.accepted
    for rotation in alignment.rotations:
        assert np.allclose(rotation @ rotation.T, np.eye(3))
    # the true state goes the same way into the common space in all sessions
    common = [one @ rotation for one, rotation in zip(maps, alignment.rotations, strict=True)]
    for one in common[1:]:
        assert np.linalg.norm(one - common[0]) < 0.1 * np.linalg.norm(common[0])


def test_moments_propose_and_prediction_chooses(monkeypatch: pytest.MonkeyPatch):
    latents, trials, _ = draw_turned(symmetric=False)
    worst_first = lambda *given: list_matches(*given)[::-1]  # noqa: E731
    monkeypatch.setattr("nwb_dcf.cohort.alignment.list_matches", worst_first)
    assert align_sessions(latents, trials, (1, 5, 10), np.random.default_rng(0)).accepted


def test_a_mirror_image_that_does_as_well_is_not_identified():
    latents, trials, _ = draw_turned(symmetric=True)
    alignment = align_sessions(latents, trials, (1, 5, 10), np.random.default_rng(0))
    assert alignment.lead < 0.05
    assert not alignment.accepted


def test_two_sessions_tell_nothing():
    latents, trials, _ = draw_turned(symmetric=False, n=2)
    with pytest.raises(DataError, match="2 sessions without labels"):
        align_sessions(latents, trials, (1, 5), np.random.default_rng(0))
