import numpy as np
import pytest

from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DCFError
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.io.recordings.resample import Frames, divide_clock, keep_frames, resample, resample_recording
from tests.nwb_files import make_series_session, make_spike_session


def frames(edges, segment=None):
    edges = np.asarray(edges, float)
    centre = (edges[1:] + edges[:-1]) / 2
    return Frames(edges[:-1], centre, edges[1:], np.zeros(len(centre), int) if segment is None else np.array(segment))


def ramp(time, segment=None):
    time = np.asarray(time, float)
    return make_recording(np.column_stack([time, 2 * time]), time, segment_index=segment)


def test_frames_take_the_mean_of_many_samples_and_the_line_between_few():
    recording = make_recording(np.array([[1.0], [3.0], [8.0], [4.0]]), np.array([0.1, 0.2, 0.35, 0.75]))
    on = resample(recording, frames([0.0, 0.3, 0.5, 0.7, 0.9]))
    # two samples: their mean; one: the line from 8 at 0.35 s to 4 at 0.75 s at 0.4 and 0.6 s; then the last sample
    np.testing.assert_allclose(on.values[:, 0], [2.0, 7.5, 5.5, 4.0])
    assert on.covered.all()


def test_a_frame_holds_its_left_edge_and_not_its_right_one():
    recording = make_recording(np.arange(5.0)[:, None], 1e6 + np.arange(5) * 0.1)
    on = resample(recording, frames(1e6 + np.array([0.0, 0.2, 0.4])))
    np.testing.assert_allclose(on.values[:, 0], [0.5, 2.5])


def test_nothing_is_drawn_across_a_gap_and_ends_hold_for_half_a_step():
    time = np.array([0.0, 1, 2, 3, 10, 11, 12])
    on = resample(ramp(time, np.repeat([0, 1], [4, 3])), frames(np.arange(-2, 15) + 0.2))
    # centres at -1.3, -0.3, 0.7, ...; 3.7 lies more than half a step after the last sample before the gap
    assert on.covered.tolist() == [False, True, *[True] * 3, False, *[False] * 5, True, True, True, False, False]
    centre = np.arange(-2, 14) + 0.7
    inside = [2, 3, 4, 12, 13]
    np.testing.assert_allclose(on.values[inside, 0], centre[inside])
    np.testing.assert_allclose(on.values[[1, 11], 0], [0, 10])
    assert not on.values[~on.covered].any()


def test_images_are_flattened():
    images = make_recording(np.arange(24.0).reshape(4, 2, 3), np.arange(4.0))
    on = resample(images, frames([-0.5, 0.5, 1.5]))
    np.testing.assert_allclose(on.values, np.arange(12.0).reshape(2, 6))


def test_frames_of_samples_end_halfway_to_their_neighbours():
    divided = divide_clock(ramp([0.0, 1, 3, 10, 11], [0, 0, 0, 1, 1]))
    assert divided.left.tolist() == [-0.5, 0.5, 2, 9.5, 10.5]
    assert divided.right.tolist() == [0.5, 2, 4, 10.5, 11.5]


def test_at_its_own_rate_nothing_changes():
    recording = ramp(5 + np.arange(40) / 8)
    same = resample_recording(recording, 8.0)
    np.testing.assert_allclose(same["time"], recording["time"])
    np.testing.assert_allclose(same["data"], recording["data"])


@pytest.mark.parametrize("factor", [2, 4, 5])
def test_the_mean_of_some_samples_stands_where_they_do(factor):
    recording = ramp(5 + np.arange(40) / 8)
    slower = resample_recording(recording, 8.0 / factor)
    np.testing.assert_allclose(slower["data"][:, 0], slower["time"], atol=1e-12)
    np.testing.assert_allclose(slower["time"], (5 + np.arange(40) / 8).reshape(-1, factor).mean(axis=1))


def test_a_line_stays_a_line_on_an_irregular_clock():
    time = np.cumsum(np.random.default_rng(0).uniform(0.05, 0.15, 100))
    faster = resample_recording(ramp(time), 50.0)
    inside = (faster["time"] > time[0]) & (faster["time"] < time[-1])
    np.testing.assert_allclose(faster["data"][inside, 0], faster["time"][inside], atol=1e-9)
    np.testing.assert_allclose(np.diff(faster["time"]), 0.02)


def test_frames_without_cover_cut_segments():
    recording = make_recording(
        np.arange(10.0)[:, None], np.arange(10.0), segment_index=np.repeat([0, 1], 5),
        segment_start=[-0.5, 4.5], segment_stop=[4.5, 9.5], segment_row=[7, 9],
        trial_columns={"side": np.array(["a", "b"])},
    )  # fmt: skip
    good = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1, 1], bool)
    kept = keep_frames(recording, good, 0.0)
    assert kept["time"].values.tolist() == [0, 1, 6, 7, 8, 9]
    assert kept["segment_row"].values.tolist() == [7, 9]
    assert kept["trial_side"].values.tolist() == ["a", "b"]
    assert kept["segment_start"].values.tolist() == [-0.5, 5.5]
    assert kept["segment_stop"].values.tolist() == [1.5, 9.5]
    assert keep_frames(recording, good, 3.0)["time"].values.tolist() == [6, 7, 8, 9]
    assert keep_frames(recording, np.ones(10, bool), 0.0) is recording
    with pytest.raises(DCFError, match="no two successive frames are covered"):
        keep_frames(recording, np.arange(10) % 2 == 0, 0.0)


def test_series_are_resampled_when_asked(tmp_path):
    path = make_series_session(tmp_path / "s.nwb", trials=[(1, 4), (5, 9)])
    recording = read_recording(path, "signal", resample_hz=5)
    np.testing.assert_allclose(np.diff(recording["time"])[:14], 0.2)
    assert np.bincount(recording["segment_index"]).tolist() == [15, 20]
    assert recording["segment_row"].values.tolist() == [0, 1]
    assert "resampled from 20 to 5 Hz: the mean of the samples" in " ".join(recording.attrs["notes"])
    assert recording["data"].attrs["units"] == "a.u."
    raw = read_recording(path, "signal")
    np.testing.assert_allclose(recording["data"][0], raw["data"][:4].mean(axis=0))


def test_counts_that_were_averaged_are_counts_no_more(tmp_path):
    counts = np.random.default_rng(0).poisson(2, (100, 4))
    path = make_series_session(tmp_path / "s.nwb", counts, unit="count")
    assert read_recording(path, "signal")["data"].attrs["units"] == "count"
    assert read_recording(path, "signal", resample_hz=5)["data"].attrs["units"] == "mean count"


@pytest.mark.parametrize(
    ("make", "settings", "words"),
    [
        (make_spike_session, {"resample_hz": 10}, "/units: units are in bins.*give `bin_width_s=`"),
        (make_series_session, {"source": "signal", "resample_hz": 0}, "resample_hz is 0"),
        (make_series_session, {"source": "signal", "resample_hz": np.nan}, "resample_hz is nan"),
        (make_series_session, {"source": "signal", "resample_hz": 0.01}, "as long as two frames at 0.01 Hz"),
        (make_series_session, {"source": "signal", "resample_hz": 1e9}, "do not fit into memory"),
    ],
)
def test_invalid_resampling_is_refused(tmp_path, make, settings, words):
    with pytest.raises(DCFError, match=words):
        read_recording(make(tmp_path / "s.nwb"), **settings)
