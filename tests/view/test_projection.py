"""Latents on a plane, and what is enclosed there."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("panel", reason="could not import panel")

from nwb_dcf.view.projection import Projection, compute_limits, find_inside, take_evenly


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (35, 25), (-120, 80)])
def test_three_axes_are_seen_without_distortion(azimuth: float, elevation: float) -> None:
    matrix = Projection((0, 1, 2), azimuth, elevation).matrix()
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(2), atol=1e-12)


def test_axes_are_those_asked_for_and_one_latent_is_a_line() -> None:
    z = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(Projection((3, 1)).project(z), z[:, [3, 1]])
    assert (Projection((0,)).project(z[:, :1])[:, 1] == 0).all()


def test_a_concave_lasso_encloses_what_is_inside_it() -> None:
    x, y = np.array([0, 4, 4, 2, 0]), np.array([0, 0, 4, 1, 4.0])
    points = np.array([[1, 0.5], [2, 2], [3.9, 3], [0.1, 3], [np.nan, 1], [5, 1]])
    assert find_inside(points, x, y).tolist() == [0, 2, 3]


def test_limits_leave_single_outliers_out_and_hold_a_constant() -> None:
    points = np.column_stack([np.linspace(0, 1, 10_001), np.zeros(10_001)])
    points[0, 0] = 1e6
    (low, high), (down, up) = compute_limits(points)
    assert -0.1 < low < high < 1.2
    assert down < 0 < up


def test_frames_are_spread_over_all() -> None:
    assert take_evenly(np.arange(100), 3).tolist() == [0, 50, 99]
    assert take_evenly(np.arange(2), 3).tolist() == [0, 1]
