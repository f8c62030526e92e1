from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.anchors import AlignedFrames
from nwb_dcf.cohort.coupling import choose_ridge, fit_coupling, gather_window
from nwb_dcf.errors import DataError

from .simulated import align, draw, find_axes, score_linear


def test_states_are_read_alike_from_animals_that_share_no_unit():
    animals = draw(4, seed=0)
    frames = align(animals)
    axes = find_axes(frames)
    latents = [fit_coupling(one, axes.anchors).transform(one.values, one.trial) for one in frames]
    truth = [animal.truth["latents"].values for animal in animals]
    own = score_linear(latents[0], truth[0], latents[0], truth[0])
    across = score_linear(np.concatenate(latents[1:]), np.concatenate(truth[1:]), latents[0], truth[0])
    shuffled = score_linear(latents[1][::-1], truth[1], latents[0], truth[0])
    assert across > 0.75
    assert across > 0.95 * own
    assert shuffled < 0.3  # the measure can fail


def test_a_new_animal_is_coupled_to_axes_found_without_it():
    animals = draw(4, seed=1)
    frames = align(animals)
    axes = find_axes(frames[1:])
    latents = [fit_coupling(one, axes.anchors).transform(one.values, one.trial) for one in frames]
    truth = [animal.truth["latents"].values for animal in animals]
    assert score_linear(np.concatenate(latents[1:]), np.concatenate(truth[1:]), latents[0], truth[0]) > 0.7


def test_the_readout_is_the_ridge_regression_of_its_equation():
    rng = np.random.default_rng(0)
    n, units = 60, 5
    frames = AlignedFrames(
        rng.normal(size=(n, units)), np.arange(n) // 6, np.arange(n) // 6 % 2, np.arange(n) % 6, 2, 6
    )
    anchors = rng.normal(size=(2, 6, 3))
    coupling = fit_coupling(frames, anchors, window=1, ridge=0.5)
    w = gather_window(frames.values, frames.trial, 1)
    target = anchors[frames.condition, frames.bin]
    w, target = w - w.mean(axis=0), target - target.mean(axis=0)
    covariance = w.T @ w / n
    weights = np.linalg.solve(
        covariance + 0.5 * np.trace(covariance) / len(covariance) * np.eye(len(covariance)), w.T @ target / n
    )
    slope = ((w @ weights) * target).sum(axis=0) / np.square(target).sum(axis=0)
    assert np.allclose(coupling.weights.reshape(-1, 3), weights / np.maximum(slope, 0.05))


def test_the_slope_on_the_anchors_is_one():
    frames = align(draw(2, seed=3))
    axes = find_axes(frames)
    coupling = fit_coupling(frames[0], axes.anchors)
    latents = coupling.transform(frames[0].values, frames[0].trial)
    target = axes.anchors[frames[0].condition, frames[0].bin]
    target = target - target.mean(axis=0)
    assert np.allclose((latents * target).sum(axis=0) / np.square(target).sum(axis=0), 1)


def test_no_window_crosses_a_trial():
    values, trial = np.arange(5.0)[:, None], np.array([0, 0, 0, 1, 1])
    assert gather_window(values, trial, 2).tolist() == [
        [0, 0, 0, 1, 2],
        [0, 0, 1, 2, 2],
        [0, 1, 2, 2, 2],
        [3, 3, 3, 4, 4],
        [3, 3, 4, 4, 4],
    ]


def test_few_trials_are_penalised_more():
    assert choose_ridge(20) == 10
    assert choose_ridge(21) == 3
    assert choose_ridge(40, window=0) == 1


def test_what_cannot_be_read_is_refused():
    frames = align(draw(1, seed=4))[0]
    coupling = fit_coupling(frames, np.random.default_rng(0).normal(size=(6, 16, 2)))
    with pytest.raises(DataError, match="its coupling"):
        coupling.transform(frames.values[:, 1:], frames.trial)
    silent = AlignedFrames(np.zeros_like(frames.values), frames.trial, frames.condition, frames.bin, 6, 16, "s.nwb")
    with pytest.raises(DataError, match=r"s\.nwb: no unit varies"):
        fit_coupling(silent, np.zeros((6, 16, 2)))
