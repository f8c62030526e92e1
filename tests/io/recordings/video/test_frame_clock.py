"""When frames were taken: by the NWB file, or by the video files where the two disagree."""

import numpy as np
import pytest

from nwb_dcf.errors import DataError, ParameterError, SourceError
from nwb_dcf.io.recordings import read_recording
from tests.video_files import make_video_session, simulate_frames, write_video

pytest.importorskip("av")
FRAMES = simulate_frames()


def read_times(tmp_path, *, video_rate=25, ticks=None, frame_times="auto", **clock):
    write_video(tmp_path / "camera.mkv", FRAMES, rate_hz=video_rate, ticks=ticks)
    if "timestamps" not in clock:
        clock = {"num_samples": len(FRAMES), **clock}
    session = make_video_session(tmp_path / "s.nwb", ["camera.mkv"], **clock)
    recording = read_recording(session, frame_times=frame_times)
    note = " ".join(note for note in recording.attrs["notes"] if "frame times" in note)
    return recording["time"].values, note


def test_a_rate_that_agrees(tmp_path):
    time, note = read_times(tmp_path, rate=25.0, starting_time=1e6)
    np.testing.assert_array_equal(time, 1e6 + np.arange(40) / 25)
    assert note == ""


def test_a_rate_that_the_container_contradicts(tmp_path):
    time, note = read_times(tmp_path, rate=30.0, starting_time=7.0)
    np.testing.assert_allclose(time, 7 + np.arange(40) / 25)
    for word in ("camera.mkv", "30 Hz", "25 Hz", "`frame_times='nwb'`"):
        assert word in note


def test_a_rate_may_be_kept_against_the_container(tmp_path):
    time, note = read_times(tmp_path, rate=250.0, frame_times="nwb")
    np.testing.assert_allclose(time, np.arange(40) / 250)
    assert note == ""


def test_frames_at_varying_steps(tmp_path):
    ticks = np.arange(40) * 40 + np.where(np.arange(40) % 3 == 1, 25, 0)
    time, note = read_times(tmp_path, ticks=ticks.tolist(), rate=25.0)
    np.testing.assert_allclose(time, ticks / 1000)
    assert "the steps between frames vary, by up to 0.025 s" in note


def test_timestamps_come_first(tmp_path):
    stamps = 100 + np.arange(40) * 0.1 + np.where(np.arange(40) > 20, 0.03, 0)
    time, note = read_times(tmp_path, timestamps=stamps)
    np.testing.assert_array_equal(time, stamps)
    assert note == ""


def test_the_container_may_be_preferred(tmp_path):
    time, note = read_times(tmp_path, timestamps=3 + np.arange(40) * 0.5, frame_times="file")
    np.testing.assert_allclose(time, 3 + np.arange(40) / 25)
    assert "as asked" in note


def test_stored_frames_have_no_file_clock(tmp_path):
    session = make_video_session(tmp_path / "s.nwb", data=FRAMES)
    with pytest.raises(ParameterError, match="no video file"):
        read_recording(session, frame_times="file")


def test_no_segment_crosses_a_pause_of_the_camera(tmp_path):
    ticks = np.arange(40) * 40 + np.where(np.arange(40) >= 15, 5000, 0)
    write_video(tmp_path / "camera.mkv", FRAMES, ticks=ticks.tolist())
    session = make_video_session(tmp_path / "s.nwb", ["camera.mkv"], num_samples=40)
    recording = read_recording(session)
    assert np.bincount(recording["segment_index"]).tolist() == [15, 25]


def test_files_follow_one_another(tmp_path):
    write_video(tmp_path / "a.mkv", FRAMES[:15])
    write_video(tmp_path / "b.mkv", FRAMES[15:])
    session = make_video_session(
        tmp_path / "s.nwb", ["a.mkv", "b.mkv"], starting_frame=[0, 15], rate=20.0, num_samples=40
    )
    recording = read_recording(session)
    np.testing.assert_array_equal(recording["data"], FRAMES)
    np.testing.assert_allclose(recording["time"], np.arange(40) / 25)
    every = read_recording(session, every=4, frame_times="nwb")
    np.testing.assert_array_equal(every["data"], FRAMES[::4])
    np.testing.assert_allclose(every["time"], np.arange(0, 40, 4) / 20)


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ({"timestamps": np.arange(39) / 25}, "39 timestamps for 40 frames in camera.mkv"),
        ({"timestamps": np.arange(43) / 25}, "43 timestamps for 40 frames in camera.mkv"),
        ({"rate": 25.0, "num_samples": 50}, "50 samples (num_samples) for 40 frames in camera.mkv"),
        ({"rate": 0.0}, "rate is 0 Hz"),
        ({"timestamps": np.r_[np.arange(35.0), np.arange(5.0)]}, "timestamps do not increase"),
    ],
)
def test_clocks_that_do_not_fit(tmp_path, clock, words):
    with pytest.raises((DataError, SourceError)) as error:
        read_times(tmp_path, **clock)
    assert words in str(error.value)
    assert "s.nwb: /acquisition/camera" in str(error.value)
    assert error.value.fix or ";" in str(error.value)


def test_shifting_the_clock_shifts_time_alone(tmp_path):
    near, far = tmp_path / "near", tmp_path / "far"
    for folder, start in ((near, 0.0), (far, 1e6)):
        folder.mkdir()
        write_video(folder / "camera.mkv", FRAMES)
        make_video_session(folder / "s.nwb", ["camera.mkv"], starting_time=start, num_samples=40)
    first, second = (read_recording(folder / "s.nwb", every=3) for folder in (near, far))
    np.testing.assert_array_equal(first["data"], second["data"])
    np.testing.assert_allclose(second["time"] - 1e6, first["time"], atol=1e-9)


def test_rate_and_timestamps_give_the_same(tmp_path):
    write_video(tmp_path / "camera.mkv", FRAMES)
    by_rate = make_video_session(tmp_path / "a.nwb", ["camera.mkv"], num_samples=40)
    by_stamp = make_video_session(tmp_path / "b.nwb", ["camera.mkv"], timestamps=np.arange(40) / 25)
    first, second = read_recording(by_rate), read_recording(by_stamp)
    np.testing.assert_array_equal(first["data"], second["data"])
    np.testing.assert_array_equal(first["time"], second["time"])
