from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.speed import fit_time, measure_log_speeds
from nwb_dcf.errors import DataError

TIME = np.arange(20) / 20
STARTS = np.array([0.0, 1.0, 2.5])[:, None]


def go(speed: float, begin: float = 0.0) -> np.ndarray:
    """Three conditions on a spiral, which is no orbit of a linear field: (condition, bin, latent)."""
    angle = STARTS + 3 * (begin + speed * TIME)
    return np.stack([np.cos(angle), np.sin(angle), 0.2 * angle**2], axis=-1)


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_the_factor_of_time_is_found_through_any_linear_map(speed: float):
    turned = go(speed) @ np.random.default_rng(0).normal(size=(3, 3)) + 4
    assert 1 + fit_time(turned, go(1)).difference == pytest.approx(speed, abs=0.02)


def test_a_late_start_is_not_slow():
    assert fit_time(go(1, begin=-0.05), go(1)).difference == pytest.approx(0, abs=0.01)


def test_noise_of_one_side_moves_speed_to_neither():
    rng = np.random.default_rng(0)
    found = [fit_time(go(1) + 0.3 * rng.normal(size=go(1).shape), go(1)).difference for _ in range(200)]
    assert np.std(found) > 0.02
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)


def test_animals_are_compared_with_other_animals_and_lack_conditions():
    means = np.stack([go(1), go(1), go(0.9), go(0.9)])
    means[0, 2] = np.nan
    means[1, 0, 5:] = np.nan  # a path with a hole is left out as a whole
    speeds = np.exp(measure_log_speeds(means, np.array([0, 1, 2, 2])))
    # beside the mean of the three animals
    assert speeds[:2].mean() > 1.02
    assert speeds[2:] == pytest.approx(0.94, abs=0.02)


def test_linear_dynamics_have_a_speed_though_no_delay():
    circle = np.stack([np.cos(STARTS + 3 * TIME), np.sin(STARTS + 3 * TIME)], axis=-1)
    slower = np.stack([np.cos(STARTS + 2.7 * TIME), np.sin(STARTS + 2.7 * TIME)], axis=-1)
    assert 1 + fit_time(slower, circle).difference == pytest.approx(0.9, abs=0.02)


def test_paths_that_cannot_be_compared_are_refused():
    with pytest.raises(DataError, match="speed cannot be had from 3 bins"):
        measure_log_speeds(np.zeros((2, 1, 3, 2)), np.arange(2))
    apart = np.stack([go(1), go(1)])
    apart[0, 0], apart[1, 1:] = np.nan, np.nan
    with pytest.raises(DataError, match="no condition in common"):
        measure_log_speeds(apart, np.arange(2))


def test_the_gradient_says_what_a_change_of_the_path_does():
    own, change = go(0.9), 0.02 * np.random.default_rng(1).normal(size=go(1).shape)
    fitted = fit_time(own, go(1))
    expected = fit_time(own + change, go(1)).difference - fitted.difference
    assert float((fitted.gradient * change).sum()) == pytest.approx(expected, rel=0.05)
