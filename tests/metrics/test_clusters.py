"""Bands of latents and outliers, on points whose places are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics.clusters import find_clusters, pick_outliers


def make_strips(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two strips along the second axis, ten apart on the first; which strip each point is of."""
    rng = np.random.default_rng(seed)
    strip = np.arange(n) % 2
    return np.column_stack([10.0 * strip + 0.1 * rng.normal(size=n), np.linspace(-2, 2, n)]), strip


def test_strips_are_found_in_the_order_of_the_first_latent_with_their_long_axis() -> None:
    z, strip = make_strips()
    bands = find_clusters(z, 2)
    np.testing.assert_array_equal(bands.band, strip)
    np.testing.assert_allclose(bands.centre, [[0, 0], [10, 0]], atol=0.05)
    np.testing.assert_allclose(np.abs(bands.axis), [[0, 1], [0, 1]], atol=0.01)
    assert bands.axis[:, 1].min() > 0


def test_distance_is_in_spreads_of_the_band() -> None:
    z, _ = make_strips(400)
    bands = find_clusters(z, 2)
    assert np.sqrt(np.mean(np.square(bands.distance))) == pytest.approx(1, abs=0.02)
    odd = np.vstack([z, [[0.0, 2.0], [1.0, 0.0]]])  # at the end of its strip, and aside of it
    distance = find_clusters(odd, 2).distance
    assert distance[-1] > 3 * distance[-2]


def test_snapshots_go_along_a_band_in_order() -> None:
    z, _ = make_strips()
    bands = find_clusters(z, 2)
    frames = bands.pick_along(z, 1, 5)
    assert (bands.band[frames] == 1).all()
    assert (np.diff(z[frames, 1]) > 0).all()
    np.testing.assert_allclose(z[frames, 0], 10, atol=0.1)
    assert z[frames[0], 1] < -1.0
    assert z[frames[-1], 1] > 1.0


def test_a_band_of_two_frames_has_snapshots_too() -> None:
    z = np.vstack([make_strips()[0], [[50.0, 0.0], [50.0, 1.0]]])
    bands = find_clusters(z, 3)
    assert set(bands.pick_along(z, 2, 6)) == {200, 201}


def test_clusters_are_as_tight_as_those_of_scipy() -> None:
    z = np.random.default_rng(5).normal(size=(900, 3)) * [3, 1, 1]
    found = find_clusters(z, 4)
    rng = np.random.default_rng(0)
    tries = [kmeans2(z, 4, minit="++", rng=rng, iter=50) for _ in range(8)]
    best = min(np.square(z - centre[label]).sum() for centre, label in tries)
    assert np.square(z - found.centre[found.band]).sum() <= best * 1.001


def test_the_same_seed_finds_the_same_bands() -> None:
    z = np.random.default_rng(1).normal(size=(500, 3))
    np.testing.assert_array_equal(find_clusters(z, 4, seed=3).band, find_clusters(z, 4, seed=3).band)


def test_a_flat_band_has_distances_too() -> None:
    z = np.column_stack([np.linspace(0, 1, 60), np.zeros(60)])
    assert np.isfinite(find_clusters(z, 2).distance).all()


def test_too_many_bands_are_refused() -> None:
    with pytest.raises(ParameterError, match="there are to be 0 clusters"):
        find_clusters(np.zeros((20, 2)), 0)
    with pytest.raises(DataError, match="39 frames are too few for 4 clusters"):
        find_clusters(np.zeros((39, 2)), 4)


def test_outliers_are_apart_and_largest_first() -> None:
    values = np.array([0.0, 9.0, 8.0, 1.0, 7.0, 2.0])
    np.testing.assert_array_equal(pick_outliers(values, np.arange(6.0), 3, apart_s=2.0), [1, 4])
    np.testing.assert_array_equal(pick_outliers(values, np.arange(6.0), 3, apart_s=0.5), [1, 2, 4])


def test_a_cluster_without_frames_has_none_to_show() -> None:
    z = np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0)  # two places, and four clusters asked for
    bands = find_clusters(z, 4)
    assert sorted(len(bands.pick_along(z, band, 3)) for band in range(4)) == [0, 0, 3, 3]
