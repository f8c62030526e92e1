"""NaN samples: interpolated where short, a gap where long."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.data.recording import segment_slices
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.io.recordings.missing_values import complete
from nwb_dcf.io.recordings.runs import CutClock, Runs
from nwb_dcf.io.recordings.segments import Segments
from tests.nwb_files import make_series_session, simulate_series

nan = np.nan


def make_cut(time, lengths):
    stop = np.cumsum(lengths)
    first = stop - lengths
    time = np.asarray(time, dtype=float)
    runs = Runs(first, stop, np.arange(len(stop)), time[first], time[stop - 1] + 0.1, 0)
    return CutClock(time, runs, Segments(time[first], time[stop - 1] + 0.1, -np.ones(len(stop), int), {}), ())


def test_short_gaps_are_interpolated_and_long_ones_cut():
    values = np.array([[0.0, 1, nan, 3, nan, nan, nan, 7, 8, 9]]).T
    done = complete(values, make_cut(np.arange(10) / 10, [10]), ["a"], "channel", 0.2, "s.nwb: /x")
    assert done.values.ravel().tolist() == [0, 1, 2, 3, 7, 8, 9]
    np.testing.assert_allclose(done.cut.time, [0, 0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    assert (done.cut.runs.first.tolist(), done.cut.runs.stop.tolist()) == ([0, 7], [4, 10])
    np.testing.assert_allclose(done.cut.runs.start_s, [0, 0.7])
    np.testing.assert_allclose(done.cut.runs.stop_s, [0.4, 1.0])
    assert done.notes[0] == "1 NaN in 1 channels interpolated, over 0.2 s at most"
    assert done.notes[1].startswith("3 of 10 samples cut out, where a channel is NaN for longer than 0.2 s")
    all_bridged = complete(values, make_cut(np.arange(10) / 10, [10]), ["a"], "channel", 0.4, "")
    np.testing.assert_allclose(all_bridged.values.ravel(), np.arange(10.0))


def test_uneven_clocks_are_bridged_in_time():
    done = complete(np.array([[0.0], [nan], [10.0]]), make_cut([0, 0.9, 1.0], [3]), ["a"], "channel", 1, "")
    assert done.values.ravel().tolist() == [0, 9, 10]


def test_nothing_is_bridged_across_runs_or_beyond_their_ends():
    values = np.array([[nan, 1, 2, nan, 4, 5, 6]]).T
    done = complete(values, make_cut([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [4, 3]), ["a"], "channel", 9, "")
    assert done.values.ravel().tolist() == [1, 2, 4, 5, 6]
    assert done.cut.runs.segment.tolist() == [0, 1]


def test_infinity_is_missing_and_single_samples_are_dropped():
    values = np.array([[0.0, 1, np.inf, 3, np.inf, 5, 6]]).T
    done = complete(values, make_cut(np.arange(7) / 10, [7]), ["a"], "channel", 0, "")
    assert done.values.ravel().tolist() == [0, 1, 5, 6]
    assert done.cut.runs.n_short == 1


def test_no_two_successive_samples_left():
    values = np.tile([[0.0, nan], [1.0, 5.0]], (5, 1))
    with pytest.raises(
        DataError, match=r"no two successive samples without NaN \(most often missing: roi 9\).*`max_gap_s=`"
    ):
        complete(values, make_cut(np.arange(10) / 10, [10]), [8, 9], "roi", 0, "s.nwb: /x")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.0, nan]), min_size=2, max_size=12), min_size=1, max_size=4),
    st.floats(0, 1),
)
def test_what_is_left_is_finite_in_order_and_was_there_or_lies_between(runs, max_gap_s):
    values = np.concatenate(runs)[:, None]
    time = np.arange(len(values)) / 10
    try:
        done = complete(values, make_cut(time, [len(run) for run in runs]), ["a"], "channel", max_gap_s, "")
    except DataError:
        return
    assert np.isfinite(done.values).all()
    samples = done.cut.runs.samples
    np.testing.assert_array_equal(done.cut.time, time[samples])
    there = np.isfinite(values[samples, 0])
    np.testing.assert_array_equal(done.values[there, 0], values[samples, 0][there])
    for i in samples[~there]:  # bridged: values on both sides, no further apart than allowed
        good = np.flatnonzero(np.isfinite(values[:, 0]))
        before, after = good[good < i].max(), good[good > i].min()
        assert time[after] - time[before] <= max_gap_s * (1 + 1e-5) + 1e-12
    assert (done.cut.runs.stop - done.cut.runs.first >= 2).all()


def test_named_series_want_to_be_asked(tmp_path):
    data = simulate_series(100, 3)
    data[20:22, 1] = nan
    data[50:70, 2] = nan
    path = make_series_session(tmp_path / "s.nwb", data, rate=10.0)
    with pytest.raises(DataError, match=r"22 values are NaN.*`max_gap_s=SECONDS`"):
        read_recording(path, "signal")
    recording = read_recording(path, "signal", max_gap_s=0.3)
    assert [s.stop - s.start for s in segment_slices(recording)] == [50, 30]
    expected = np.interp([20, 21], [19, 22], data[[19, 22], 1])
    np.testing.assert_allclose(recording["data"].values[20:22, 1], expected)
    with pytest.raises(ParameterError, match="max_gap_s is -1"):
        read_recording(path, "signal", max_gap_s=-1)
