from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.speed import find_time_factor, measure_speeds
from nwb_dcf.cohort.vector_field import Paths, find_paths
from nwb_dcf.errors import DataError

SHAPE = (4, 24)
PHASES = np.array([0.0, 1.0, 2.5, 4.0])


def walk(speed: float) -> np.ndarray:
    """A spiral in three dimensions from four starts, (condition, bin, latent)."""
    angle = PHASES[:, None] + 2.0 * speed * np.linspace(0, 1, SHAPE[1])
    return np.stack([np.cos(angle), np.sin(angle), 0.3 * np.cos(2 * angle)], axis=-1)


def measure(means: list[np.ndarray], animal: list[int] | None = None) -> np.ndarray:
    paths: list[Paths] = [find_paths(one) for one in means]
    return measure_speeds(paths, np.array(animal or range(len(means))), SHAPE)


def test_a_slower_session_has_its_speed_beside_the_others() -> None:
    speeds = measure([walk(1), walk(1), walk(1), walk(0.8)])
    assert speeds[3] == pytest.approx(0.8, abs=0.04)
    assert speeds[0] > 1


def test_sessions_of_one_animal_are_not_compared_with_each_other() -> None:
    means = [walk(1), walk(1), walk(0.8), walk(0.8)]
    assert measure(means, [0, 1, 2, 2])[2:] == pytest.approx(measure([walk(1), walk(1), walk(0.8)])[2], abs=1e-9)


def test_conditions_that_a_session_lacks_do_not_count() -> None:
    means = [walk(1), walk(1), walk(0.8)]
    means[2][:2] = np.nan
    assert measure(means)[2] == pytest.approx(0.8, abs=0.05)


def test_nothing_in_common_is_refused() -> None:
    means = [walk(1), walk(1)]
    means[0][:2], means[1][2:] = np.nan, np.nan
    with pytest.raises(DataError, match="no anchor in common"):
        measure(means)


def test_a_factor_does_not_depend_on_a_linear_map() -> None:
    turned = walk(0.85) @ np.array([[0.2, 1.0, 0.0], [-1.1, 0.1, 0.3], [0.0, 0.4, 2.0]])
    assert find_time_factor(turned, walk(1)) == pytest.approx(0.85, abs=0.02)
    assert find_time_factor(walk(1), walk(1)) == pytest.approx(1, abs=0.01)
