"""Few-shot readouts: equal to plain regression, and a loss for what tells nothing."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.errors import DataError
from nwb_dcf.metrics import score_cross_decoding, score_few_shot
from nwb_dcf.metrics.few_shot import FewShot


def draw(seed: int = 0, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two latents of which channels are made, one that is noise; ten frames a segment."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    y = z[:, :2] @ np.random.default_rng(9).normal(size=(2, 6)) + 0.5 + rng.normal(size=(n, 6))
    return z, y, np.arange(n) // 10


def test_with_all_segments_it_is_least_squares() -> None:
    (z, y, segment), (test, target, test_segment) = draw(0), draw(1)
    few = score_few_shot(z, y, segment, test, target, test_segment, n_few=30, n_draws=1)
    assert (few.n_few, few.n_of, few.over) == (30, 30, "segments")

    def fit(columns: list[int]) -> np.ndarray:
        design = np.column_stack([np.ones(len(z)), z[:, columns]])
        weights = np.linalg.lstsq(design, y, rcond=None)[0]
        error = np.square(target - np.column_stack([np.ones(len(test)), test[:, columns]]) @ weights).sum(axis=1)
        return np.bincount(test_segment, error)

    np.testing.assert_allclose(few.error, fit([0, 1, 2]), rtol=1e-4)
    np.testing.assert_allclose(few.without, [fit([1, 2]), fit([0, 2]), fit([0, 1])], rtol=1e-4)
    total = np.square(target - target.mean(axis=0)).sum()
    assert few.score.value == pytest.approx(1 - few.error.sum() / total)
    assert few.gains[0].value == pytest.approx((few.without[0] - few.error).sum() / total)


def test_the_fewer_the_segments_the_more_noise_costs() -> None:
    (z, y, segment), (test, target, test_segment) = draw(0), draw(1)
    gains = [
        [gain.value for gain in score_few_shot(z, y, segment, test, target, test_segment, n_few=n).gains]
        for n in (2, 8, 30)
    ]
    assert all(gain[0] > 0.05 and gain[1] > 0.05 for gain in gains)
    assert gains[0][2] < gains[1][2] < gains[2][2] < 0.005
    assert gains[0][2] < -0.01


def test_sums_of_two_sets_of_channels_are_those_of_all() -> None:
    (z, y, segment), (test, target, test_segment) = draw(0), draw(1)

    def score(columns: slice) -> FewShot:
        return score_few_shot(z, y[:, columns], segment, test, target[:, columns], test_segment, n_few=3, seed=4)

    both, every = score(slice(0, 2)) + score(slice(2, 6)), score(slice(0, 6))
    np.testing.assert_allclose(both.error, every.error)
    np.testing.assert_allclose(both.without, every.without)
    np.testing.assert_allclose(both.total, every.total)


def test_more_segments_than_there_are_are_refused() -> None:
    z, y, segment = draw()
    with pytest.raises(DataError, match="there are 30 training segments"):
        score_few_shot(z, y, segment, z, y, segment, n_few=31)


def test_cross_decoding_is_one_sided() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(400, 2)), rng.normal(size=(400, 1))
    small, large = shared @ [[0.6, 0.8], [-0.8, 0.6]], np.hstack([shared, own])
    trial = np.arange(200) // 10
    down = score_cross_decoding(large[:200], small[:200], large[200:], small[200:], trial)
    up = score_cross_decoding(small[:200], large[:200], small[200:], large[200:], trial)
    assert [round(score.value, 3) for score in down] == [1.0, 1.0]
    assert [round(score.value, 3) for score in up[:2]] == [1.0, 1.0]
    assert abs(up[2].value) < 0.1
