"""A test for each row of the table in `nwb_dcf.io.recordings.clock`."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nwb_dcf.errors import DataError
from nwb_dcf.io.recordings import list_sources, read_recording
from nwb_dcf.io.recordings.clock import find_gaps, peek_clock, read_clock
from tests.nwb_files import make_series_session, simulate_series


def series(n=5, **clock):
    return SimpleNamespace(data=np.zeros(n), **{"timestamps": None, "rate": None, "starting_time": None, **clock})


def read(n=5, **clock):
    return read_clock(series(n, **clock), n, "s.nwb: /x")


def test_rate_counts_from_starting_time():
    clock = read(rate=4.0, starting_time=1e6)
    assert clock.time.dtype == np.float64
    assert clock.time.tolist() == [1e6, 1e6 + 0.25, 1e6 + 0.5, 1e6 + 0.75, 1e6 + 1]
    assert (clock.notes, clock.doubts) == ((), ())


def test_rate_without_starting_time_begins_at_zero():
    assert read(3, rate=2.0).time.tolist() == [0, 0.5, 1]


def test_regular_timestamps_are_taken_without_a_word():
    stamps = 10 + np.arange(50) / 30
    clock = read(50, timestamps=stamps)
    assert clock.time.tolist() == stamps.tolist()
    assert (clock.notes, clock.doubts) == ((), ())


@pytest.mark.parametrize(("rate", "disagrees"), [(10.0, False), (30.0, True)])
def test_timestamps_go_before_a_rate_beside_them(rate, disagrees):
    stamps = 5 + np.arange(20) / 10
    clock = read(20, timestamps=stamps, rate=rate, starting_time=0.0)
    assert clock.time.tolist() == stamps.tolist()
    (note,) = clock.notes
    assert f"the rate of {rate:g} Hz beside them is not used" in note
    assert ("disagrees: their median step is 0.1 s" in note) == disagrees


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ({"rate": 0.0}, "rate is 0 Hz"),
        ({"rate": -5.0}, "rate is -5 Hz"),
        ({"rate": np.nan}, "rate is nan Hz"),
        ({"rate": np.inf}, "rate is inf Hz"),
        ({"rate": 5.0, "starting_time": np.nan}, "starting_time is nan s"),
        ({}, "neither timestamps nor a rate"),
        ({"timestamps": np.arange(4.0)}, "4 timestamps for 5 samples"),
        ({"timestamps": np.arange(6.0)}, "6 timestamps for 5 samples"),
        ({"timestamps": np.array([0, 1, 1, 2, 3.0])}, "1 s follows 1 s at sample 2"),
        ({"timestamps": np.array([0, 1, 5, 2, 3.0])}, "2 s follows 5 s at sample 3"),
        ({"timestamps": np.array([0, 1, np.nan, 2, 3.0])}, "sample 2"),
        ({"timestamps": np.array(["0", "1", "2", "3", "4"])}, "type <U1"),
    ],
)
def test_clock_that_is_none_is_refused(clock, words):
    with pytest.raises(DataError, match=words):
        read(**clock)


def test_jitter_and_irregular_steps_are_kept_with_a_note():
    stamps = np.cumsum(np.random.default_rng(0).uniform(0.08, 0.12, 200))
    clock = read(200, timestamps=stamps)
    assert clock.time.tolist() == stamps.tolist()
    (note,) = clock.notes
    assert note.startswith("the clock is irregular, with steps of 0.08")
    assert "every sample keeps its own time" in note


def test_a_few_unknown_times_are_left_out_and_many_refused():
    stamps = np.arange(200) / 10
    stamps[[7, 90]] = np.nan, np.inf
    clock = read(200, timestamps=stamps)
    assert np.flatnonzero(np.isnan(clock.time)).tolist() == [7, 90]
    assert np.delete(clock.time, [7, 90]).tolist() == np.delete(stamps, [7, 90]).tolist()
    assert clock.notes == ("2 samples dropped, whose timestamp is NaN or infinite",)
    stamps[50] = np.nan
    with pytest.raises(DataError, match=r"3 timestamps are NaN or infinite, the first at sample 7"):
        read(200, timestamps=stamps)


def test_of_equal_times_the_first_sample_is_kept():
    stamps = np.arange(200) / 10
    stamps[8] = stamps[7]
    clock = read(200, timestamps=stamps)
    assert np.flatnonzero(np.isnan(clock.time)).tolist() == [8]
    assert "1 samples dropped, whose timestamp is that of the sample before" in clock.notes
    stamps[10:13] = stamps[10]
    with pytest.raises(DataError, match=r"0.7 s follows 0.7 s at sample 8 \(3 such steps\)"):
        read(200, timestamps=stamps)


@pytest.mark.parametrize("last", [[0.0], [-1.0], [0.0, 0.0], [0.0, 0.1]])
def test_bad_last_stamps_are_left_out(last):
    stamps = np.arange(200) / 10
    stamps[-len(last) :] = last
    clock = read(200, timestamps=stamps)
    assert np.flatnonzero(np.isnan(clock.time)).tolist() == list(range(200 - len(last), 200))
    (note,) = clock.notes
    assert note.startswith(f"the last {len(last)} samples dropped, whose timestamps go back: {last[0]:g} s follows 19.")


def test_a_clock_that_begins_again_is_refused():
    with pytest.raises(DataError, match=r"0 s follows 9\.9 s at sample 100"):
        read(200, timestamps=np.tile(np.arange(100) / 10, 2))


def test_a_sample_far_from_all_others_is_noted():
    stamps = np.append(-1.5e9, np.arange(100) / 10)
    assert "the first sample lies at -1.5e+09 s, 1.5e+09 s from all others" in " ".join(
        read(101, timestamps=stamps).notes
    )
    stamps = np.append(np.arange(100) / 10, 1e12)
    assert "the last sample lies at 1e+12 s" in " ".join(read(101, timestamps=stamps).notes)


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1, r"seconds since 1970 \(2020-09-13\)"), (1e3, r"milliseconds since 1970 \(2020-09-13\).*--time-scale 0.001")],
)
def test_unix_times_are_kept_and_doubted(factor, words):
    stamps = factor * (1.6e9 + np.arange(100) / 30)
    clock = read(100, timestamps=stamps)
    assert clock.time.tolist() == stamps.tolist()
    (doubt,) = clock.doubts
    assert re.search(words, doubt.describe("/x"))
    assert re.search(words, read(100, rate=30.0 / factor, starting_time=stamps[0]).doubts[0].describe("/x"))


@pytest.mark.parametrize("first", [0, 1])
def test_frame_numbers_are_doubted(first):
    clock = read(100, timestamps=np.arange(first, 100 + first))
    assert clock.time.tolist() == list(range(first, 100 + first))
    (doubt,) = clock.doubts
    assert f"timestamps are {first}, {first + 1}, {first + 2}, ...: one second a sample" in doubt.what
    assert read(100, timestamps=0.5 + np.arange(100)).doubts == ()


def test_one_frame_a_second_is_doubted_of_images_and_poses_alone():
    pose = series(100, rate=1.0, neurodata_type="PoseEstimationSeries")
    assert "the rate is 1 Hz" in read_clock(pose, 100, "").doubts[0].what
    assert read(100, rate=1.0).doubts == ()


def test_single_precision_late_in_a_session_is_doubted():
    stamps = (2**17 + np.arange(100) / 64).astype(np.float32)  # spaced by just what float32 resolves there
    (doubt,) = read(100, timestamps=stamps).doubts
    assert "float32, which resolves 15.6 ms at 131074 s, beside steps of 0.01562 s" in doubt.what
    assert read(100, timestamps=stamps - 2**17).doubts == ()


def test_transposed_data_are_recognised():
    turned = SimpleNamespace(data=np.zeros((3, 10)), timestamps=np.arange(10.0), rate=None, starting_time=None)
    with pytest.raises(DataError, match=r"\(channel, time\)"):
        read_clock(turned, 3, "")


def test_gap_is_a_step_above_two_and_a_half_medians():
    time = np.array([0, 1, 2, 4, 5, 6, 8.6, 9.6])  # one missing sample at 3 is bridged
    assert find_gaps(time).tolist() == [6]
    assert find_gaps(time[:1]).tolist() == []


def test_peek_says_what_read_gives():
    stamps = np.array([3.0, 3.5, 4.0, 4.5])
    clock = peek_clock(series(4, timestamps=stamps), 4, "")
    assert (clock.rate_hz, clock.median_step_s, clock.start_s, clock.stop_s) == (None, 0.5, 3.0, 4.5)
    clock = peek_clock(series(4, rate=2.0, starting_time=3.0), 4, "")
    assert (clock.rate_hz, clock.median_step_s, clock.start_s, clock.stop_s) == (2.0, 0.5, 3.0, 4.5)


def test_samples_without_a_time_are_in_no_run_and_cut_none(tmp_path):
    data, stamps = simulate_series(), 100 + np.arange(600) / 20
    stamps[[200, 599]] = stamps[199], 0.0
    recording = read_recording(make_series_session(tmp_path / "s.nwb", data, timestamps=stamps), "signal")
    kept = np.delete(np.arange(600), [200, 599])
    np.testing.assert_array_equal(recording["data"].values, data[kept])
    np.testing.assert_array_equal(recording["time"].values, stamps[kept])
    assert recording.sizes["segment"] == 1


def test_real_pose_is_read_with_a_warning(real_data):
    with pytest.warns(UserWarning, match=r"pose_bad_clock.nwb.*ind1_snout: timestamps are 0, 1, 2, \.\.\."):
        recording = read_recording(real_data("pose_bad_clock.nwb"), "ind1_snout")
    assert recording.attrs["notes"][0].startswith("doubt: ")
    assert "timestamps are 0, 1, 2" in recording.attrs["notes"][0]


def test_real_event_that_lies_decades_before_its_session(real_data):
    with pytest.raises(DataError, match="follows"):
        read_recording(real_data("human_mtl_000207.nwb"), "events")


def test_a_clock_whose_first_samples_are_all_at_one_time_is_doubted_before_it_is_read(tmp_path: Path) -> None:
    stamps = (1.7e9 + np.arange(2000) / 50).astype(np.float32).astype(np.float64)
    path = make_series_session(tmp_path / "s.nwb", np.zeros((2000, 3)), timestamps=stamps)
    assert any("float32" in doubt and "128 s" in doubt for doubt in list_sources(path).doubts)
