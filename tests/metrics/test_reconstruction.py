"""Figures by hand, and what holds whatever the order of segments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.errors import DataError
from nwb_dcf.metrics import (
    compute_pca_axes,
    count_variance_axes,
    measure_energy_outside,
    r2_score,
    reconstruct_by_pca,
    score_reconstruction,
)

from .conftest import Reach


def test_r2_by_hand() -> None:
    truth = np.array([[0.0, 0], [2, 10]])  # sums of squares about the means: 2 and 50
    assert r2_score(truth, truth) == 1
    assert r2_score(truth, np.tile(truth.mean(0), (2, 1))) == 0
    assert r2_score(truth, np.array([[1.0, 0], [2, 8]])) == pytest.approx(1 - (1 + 4) / 52)
    assert r2_score(truth, -truth) < 0
    assert np.isnan(r2_score(np.ones((3, 2)), np.zeros((3, 2))))


def test_energy_outside_by_hand() -> None:
    loadings = np.array([[1.0, 0], [0, 0], [0, 1]])
    states = np.array([[4.0, 1, 1], [1, 3, 1]])  # less the mean: (3, 0, 0) and (0, 2, 0)
    assert measure_energy_outside(states, np.ones(3), loadings, 1) == pytest.approx(4 / 13)
    off = states + np.array([[0, 0, 6], [0, 0, 0]])
    assert measure_energy_outside(off, np.ones(3), loadings, 1) == pytest.approx(40 / 49)
    assert measure_energy_outside(off, np.ones(3), loadings, 2) == pytest.approx(4 / 49)
    assert measure_energy_outside(np.ones((2, 3)), np.ones(3), loadings, 2) == 0


@pytest.mark.parametrize(
    ("spectrum", "total", "k"),
    [
        ([60, 30, 5, 5], None, 3),
        ([60, 30, 4, 6], None, 4),
        ([95, 5], None, 1),
        ([94.9, 5.1], None, 2),
        ([60, 30], 100, 3),  # more than there are
        ([60, 35], 100, 2),
        ([1.0], None, 1),
    ],
)
def test_effective_dimension_reaches_95_percent(spectrum: list[float], total: float | None, k: int) -> None:
    assert count_variance_axes(np.array(spectrum), total) == k


def test_sums_of_r2_by_hand() -> None:
    truth = np.arange(5.0)[:, None]  # squares about the mean: 4, 1, 0, 1, 4
    wrong_by = np.array([[0], [1], [0], [0], [2]])
    sums = score_reconstruction(truth, truth + wrong_by, np.arange(5))
    np.testing.assert_allclose(sums.part, [4, 0, 0, 1, 0])
    np.testing.assert_allclose(sums.whole, [4, 1, 0, 1, 4])
    assert sums.value == 0.5


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=9), st.integers(1, 4), st.integers(0, 99))
def test_sums_pool_to_r2_and_do_not_care_for_labels(lengths: list[int], n_channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    segment = np.repeat(np.arange(len(lengths)), lengths)
    truth, noise = rng.normal(size=(2, len(segment), n_channels))
    sums = score_reconstruction(truth, truth + noise, segment)
    relabelled = score_reconstruction(truth, truth + noise, rng.permutation(len(lengths))[segment])
    if len(segment) > 1:
        assert sums.value == pytest.approx(r2_score(truth, truth + noise))
        assert relabelled.value == pytest.approx(sums.value)
    np.testing.assert_allclose(np.sort(relabelled.whole), np.sort(sums.whole))


def test_more_axes_of_real_reaches_reconstruct_more_of_them(reach: Reach) -> None:
    curve = [
        score_reconstruction(reach.x, reconstruct_by_pca(reach.x, reach.x, k), reach.segment) for k in (1, 3, 20, 163)
    ]
    values = [sums.value for sums in curve]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(1)
    assert len(curve[1].part) == 159
    mean, axes = compute_pca_axes(reach.x, 3)
    outside = measure_energy_outside(reach.x, mean, axes, 3)  # the complement of R2, of data that are not compressed
    assert outside == pytest.approx(1 - values[1])


def test_arrays_of_two_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="one shape"):
        score_reconstruction(np.zeros((4, 2)), np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(DataError, match="one label a frame"):
        score_reconstruction(np.zeros((4, 2)), np.zeros((4, 2)), np.zeros(3))
