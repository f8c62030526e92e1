"""Agreement of two runs: only signs are forgiven, and turns where variances do not tell axes apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics import compare_runs, compute_pca_axes, group_close_axes, measure_consistency

from .conftest import Reach


def test_axes_are_absolute_correlations() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 3))
    found = measure_consistency(a, b)
    np.testing.assert_allclose(found.axes, [abs(pearsonr(a[:, i], b[:, i])[0]) for i in range(3)])
    np.testing.assert_allclose(found.planes, found.axes)
    assert found.worst == found.axes.min()
    assert found.groups == ((0,), (1,), (2,))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.integers(1, 5))
def test_signs_scales_shifts_and_the_order_of_frames_do_not_matter(seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 40, dim))
    order = rng.permutation(40)
    expected = measure_consistency(a, b)
    changed = b * rng.choice([-1, 1], dim) * rng.uniform(0.1, 9, dim) + rng.normal(size=dim)
    found = measure_consistency(a[order], changed[order])
    np.testing.assert_allclose(found.axes, expected.axes, atol=1e-9)
    np.testing.assert_allclose(measure_consistency(b, a).axes, expected.axes)


def test_neither_a_permutation_nor_a_turn_is_forgiven() -> None:
    z = np.linalg.qr(np.random.default_rng(0).normal(size=(500, 3)))[0]
    z = np.linalg.qr(z - z.mean(0))[0]  # uncorrelated to the last digit
    np.testing.assert_allclose(measure_consistency(z, z[:, [1, 0, 2]]).axes, [0, 0, 1], atol=1e-12)
    angle = 0.3
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    np.testing.assert_allclose(measure_consistency(z, z @ turn).axes, [np.cos(angle), np.cos(angle), 1])


def test_a_turn_in_a_plane_of_equal_variances_is_forgiven_there_alone() -> None:
    z = np.random.default_rng(0).normal(size=(500, 3))
    z = np.linalg.qr(z - z.mean(0))[0]
    turn = np.eye(3)
    turn[:2, :2] = [[0, 1], [-1, 0]]
    plane = measure_consistency(z, z @ turn, np.array([2.0, 1.95, 1]))
    assert plane.groups == ((0, 1), (2,))
    np.testing.assert_allclose(plane.planes, [1, 1])
    np.testing.assert_allclose(plane.axes, [0, 0, 1], atol=1e-12)
    apart = measure_consistency(z, z @ turn, np.array([2.0, 1.5, 1]))
    assert apart.worst == pytest.approx(0, abs=1e-12)


def test_a_plane_agrees_as_its_worst_direction_does() -> None:
    z = np.random.default_rng(1).normal(size=(500, 4))
    z = np.linalg.qr(z - z.mean(0))[0]
    tilted = np.column_stack([z[:, 0], np.cos(0.4) * z[:, 1] + np.sin(0.4) * z[:, 3], z[:, 2]])
    found = measure_consistency(z[:, :3], tilted, np.array([1.0, 1, 0.1]))
    np.testing.assert_allclose(found.planes, [np.cos(0.4), 1])


def test_a_collapsed_latent_agrees_with_nothing() -> None:
    z = np.random.default_rng(0).normal(size=(30, 2))
    flat = z * [1, 0] + [0, 3]
    np.testing.assert_allclose(measure_consistency(z, flat).axes, [1, 0])
    np.testing.assert_array_equal(measure_consistency(z, flat, np.ones(2)).planes, [0])


@pytest.mark.parametrize(
    ("spectrum", "groups"),
    [
        ([4.0, 2, 1], ((0,), (1,), (2,))),
        ([1.0, 0.91, 0.83], ((0, 1, 2),)),  # each close to the one before
        ([1.0, 0.9, 0.5, 0.5], ((0,), (1,), (2, 3))),  # a difference of 10 % is apart
        ([1.0], ((0,),)),
        ([1.0, 0, 0], ((0,), (1, 2))),
    ],
)
def test_axes_of_close_variances_are_grouped(spectrum: list[float], groups: tuple[tuple[int, ...], ...]) -> None:
    assert group_close_axes(np.array(spectrum)) == groups


def test_every_pair_of_runs_is_compared() -> None:
    z = np.random.default_rng(0).normal(size=(60, 2))
    other = z[:, [1, 0]]
    found = compare_runs([z, other, z])
    assert [pair.worst > 0.99 for pair in found] == [False, True, False]


def test_pca_of_real_reaches_repeats_on_other_trials(reach: Reach) -> None:
    odd = reach.segment % 2 == 1
    runs = [(reach.x - m) @ a for m, a in (compute_pca_axes(reach.x[part], 3) for part in (odd, ~odd))]
    found = measure_consistency(*runs)
    assert found.axes[0] > found.axes[1] > 0.9  # halves with no trial in common
    assert found.axes[2] > 0.7
    shuffled = np.random.default_rng(0).permutation(runs[1])
    assert measure_consistency(runs[0], shuffled).axes.max() < 0.2


def test_bad_input_is_refused() -> None:
    z = np.zeros((5, 2))
    with pytest.raises(DataError, match="one shape"):
        measure_consistency(z, z[:, :1])
    with pytest.raises(DataError, match="one frame"):
        measure_consistency(z[:1], z[:1])
    with pytest.raises(DataError, match="give 2, one a latent"):
        measure_consistency(z, z, np.ones(3))
    with pytest.raises(DataError, match="two or more"):
        compare_runs([z])
    with pytest.raises(DataError, match="spectrum"):
        group_close_axes(np.array([1.0, -1]))
    with pytest.raises(ParameterError, match="tolerance"):
        group_close_axes(np.ones(2), 10)
