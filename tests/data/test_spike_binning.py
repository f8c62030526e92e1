import numpy as np
import pytest

from nwb_dcf.data.spike_binning import compute_observed_fraction, count_spikes, intersect_intervals, make_bins
from nwb_dcf.errors import DataError


def bins_of(*segments, width_s):
    start, stop = np.array(segments, dtype=float).T
    return make_bins(start, stop, width_s, n_units=1, where="s.nwb: /units")


def test_bins_start_with_their_segment_and_the_last_must_fit():
    bins = bins_of((1.0, 1.25), (2.1, 3.2), width_s=0.1)
    assert bins.n_bins.tolist() == [2, 11]  # 0.25 s hold two bins, and (3.2 - 2.1) / 0.1 is 11.000000000000002
    np.testing.assert_allclose(bins.centre[:3], [1.05, 1.15, 2.15], rtol=1e-12)
    np.testing.assert_allclose(bins.stop, [1.2, 3.2], rtol=1e-12)


def test_a_segment_of_one_bin_is_left_out():
    bins = bins_of((0, 0.15), (1, 2), width_s=0.1)
    assert bins.segment.tolist() == [1]
    with pytest.raises(DataError, match=r"longest has 1 s.*narrower `bin_width_s=`"):
        bins_of((0, 0.15), (1, 2), width_s=0.6)


def test_bins_that_do_not_fit_into_memory_are_refused():
    with pytest.raises(DataError, match="memory"):
        bins_of((0, 1e5), width_s=1e-9)


def test_counts_by_hand():
    bins = bins_of((0.0, 0.3), (1.0, 1.2), width_s=0.1)
    spikes = [
        np.array([-0.5, 0.0, 0.05, 0.1, 0.299, 0.3, 0.9, 1.15, 1.2]),  # 0.1 opens a bin; 0.3 and 1.2 are outside
        np.array([]),
        np.array([5.0]),
    ]
    assert count_spikes(spikes, bins).T.tolist() == [[2, 1, 1, 0, 1], [0] * 5, [0] * 5]


def test_an_edge_is_an_edge_whatever_floats_make_of_it():
    bins = bins_of((2.1, 3.2), width_s=0.1)
    edges = 2.1 + 0.1 * np.arange(12)  # 2.3 - 2.1 is 0.1999...
    assert count_spikes([edges], bins).ravel().tolist() == [1] * 11
    late = bins_of((1e6 + 2.1, 1e6 + 3.2), width_s=0.1)
    assert count_spikes([1e6 + edges], late).ravel().tolist() == [1] * 11


def test_touching_segments_share_no_spike():
    bins = bins_of((0.0, 0.3), (0.1 + 0.2, 0.6), width_s=0.1)  # 0.1 + 0.2 is above 0.3
    spikes = np.array([0.25, 0.3, 0.1 + 0.2, 0.35])
    assert count_spikes([spikes], bins).sum() == 4


def test_compute_observed_fraction_by_hand():
    bins = bins_of((0.0, 0.4), width_s=0.1)
    share = compute_observed_fraction([np.array([[0.05, 0.2], [0.22, 0.25]]), np.array([[-1.0, 9.0]])], bins)
    np.testing.assert_allclose(share, [[0.5, 1], [1, 1], [0.3, 1], [0, 1]], atol=1e-6)


def test_only_runs_of_two_bins_are_kept():
    bins = bins_of((0.0, 0.6), (1.0, 1.2), width_s=0.1)
    kept_bins, kept = bins.keep(np.array([True, True, False, True, False, True, True, True]))
    assert kept.tolist() == [0, 1, 6, 7]
    assert kept_bins.n_bins.tolist() == [2, 2]
    np.testing.assert_allclose(kept_bins.start, [0, 1])
    assert kept_bins.segment.tolist() == [0, 1]


def test_intersection_by_hand():
    a = np.array([[0.0, 5.0], [6.0, 9.0]])
    b = np.array([[4.0, 7.0], [8.0, 20.0]])
    assert intersect_intervals([a, b, a]).tolist() == [[4, 5], [6, 7], [8, 9]]
    assert intersect_intervals([a, np.array([[5.0, 6.0]])]).tolist() == []


def test_counts_that_memory_does_not_hold_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nwb_dcf.data.spike_binning.find_free_memory", lambda: 4 * 1000 * 20 - 1)
    start, stop = np.array([0.0]), np.array([20.0])
    assert make_bins(start, stop, 0.02, n_units=19, where="").n_bins == [1000]
    with pytest.raises(DataError, match=r"20 units do not fit into memory: their counts take"):
        make_bins(start, stop, 0.02, n_units=20, where="s.nwb: /units")
