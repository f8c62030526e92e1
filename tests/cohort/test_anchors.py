from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.anchors import (
    AlignedFrames,
    compute_condition_means,
    compute_cross_trial_gram,
    compute_gram,
    scale_means,
)
from nwb_dcf.errors import DataError


def make_frames(values: np.ndarray, condition: list[int], n_conditions: int) -> AlignedFrames:
    n_trials, n_bins, n_units = values.shape
    trial = np.repeat(np.arange(n_trials), n_bins)
    return AlignedFrames(
        values.reshape(-1, n_units),
        trial,
        np.array(condition)[trial],
        np.tile(np.arange(n_bins), n_trials),
        n_conditions,
        n_bins,
    )


def test_means_are_over_the_trials_that_reach_a_bin():
    frames = make_frames(np.arange(12.0).reshape(3, 4, 1), [0, 0, 1], 3)
    frames.bin[3] = -1  # the first trial has no fourth bin
    means = compute_condition_means(frames)
    assert means.means[0, :, 0].tolist() == [2, 3, 4, 7]
    assert means.counts.tolist() == [[2, 2, 2, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert means.seen.tolist() == [True, True, False]
    assert np.isnan(means.means[2]).all()


def test_scaled_means_have_unit_energy_and_missing_conditions_stay_missing():
    frames = make_frames(np.random.default_rng(0).normal(3, 2, (6, 5, 7)), [0, 0, 1, 1, 3, 3], 4)
    scaled = scale_means(compute_condition_means(frames))
    assert np.isnan(scaled[2]).all()
    known = scaled[[0, 1, 3]].reshape(-1, 7)
    assert np.allclose(known.mean(axis=0), 0)
    assert np.isclose(np.square(known).sum(axis=1).mean(), 1)
    assert np.isnan(compute_gram(scaled)[2 * 5]).all()


def test_products_of_different_trials_hold_no_noise():
    # Noise alone: the plain Gram of means has it on the diagonal, products of different trials have not.
    rng = np.random.default_rng(1)
    diagonal, plain = [], []
    for _ in range(40):
        frames = make_frames(rng.normal(size=(12, 3, 60)), [0, 1, 2] * 4, 3)
        gram, usable = compute_cross_trial_gram(frames)
        assert usable.all()
        diagonal.append([gram[c, t, c, t] for c in range(3) for t in range(3)])
        means = compute_condition_means(frames).means
        plain.append(np.square(means - means.mean(axis=(0, 1))).sum(axis=2).mean())
    assert abs(np.mean(diagonal)) < 0.2 * np.mean(plain)  # not 0: the common mean is taken out


def test_products_of_different_trials_equal_the_sum_over_pairs():
    rng = np.random.default_rng(2)
    frames = make_frames(rng.normal(size=(5, 3, 4)), [0, 0, 0, 1, 1], 2)
    gram, _ = compute_cross_trial_gram(frames)
    means = compute_condition_means(frames).means
    x = frames.values.reshape(5, 3, 4) - means.mean(axis=(0, 1))
    pairs = [x[i, 1] @ x[j, 2] for i in range(3) for j in range(3) if i != j]
    assert np.isclose(gram[0, 1, 0, 2], np.mean(pairs))
    assert np.isclose(gram[0, 1, 1, 2], x[:3, 1].mean(axis=0) @ x[3:, 2].mean(axis=0))


def test_a_condition_with_one_trial_is_not_usable():
    frames = make_frames(np.random.default_rng(0).normal(size=(5, 3, 4)), [0, 0, 1, 1, 2], 3)
    gram, usable = compute_cross_trial_gram(frames)
    assert usable.tolist() == [True, True, False]
    assert not gram[2].any()
    assert not gram[:, :, 2].any()


def test_frames_that_are_no_trials_are_refused():
    zeros = np.zeros(3, np.int64)
    with pytest.raises(DataError, match="contiguous"):
        AlignedFrames(np.zeros((3, 2)), np.array([0, 1, 0]), zeros, zeros, 1, 1, "s.nwb")
    with pytest.raises(DataError, match="3 frames, but 2 trials"):
        AlignedFrames(np.zeros((3, 2)), zeros[:2], zeros, zeros, 1, 1)


def test_means_that_do_not_vary_are_refused():
    with pytest.raises(DataError, match="do not vary"):
        scale_means(compute_condition_means(make_frames(np.ones((2, 3, 2)), [0, 1], 2)))
