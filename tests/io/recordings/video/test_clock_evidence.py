"""Whose clock is right, the file's or the video's, and frames that a player does not show."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynwb import TimeSeries

from nwb_dcf import list_sources, read_recording
from nwb_dcf.errors import DCFError
from tests.nwb_files import make_series_session
from tests.video_files import make_video_session, simulate_frames, write_video

av = pytest.importorskip("av")


def cut_without_recoding(source: Path, path: Path, first: int) -> Path:
    """Begin the clip at frame `first`: as ``ffmpeg -ss ... -c copy``, with the frames before it kept but hidden."""
    with av.open(str(source)) as old, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as new:
        stream = old.streams.video[0]
        out = new.add_stream_from_template(stream)
        step = round(1 / (stream.average_rate * stream.time_base))
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.pts -= first * step
                packet.dts -= first * step
                packet.stream = out
                new.mux(packet)
    return path


def rotate(path: Path, degrees: int) -> Path:
    """Set the display matrix of the one track of an mp4, as a telephone or a camera on its side does."""
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    box = bytearray(path.read_bytes())
    at = box.find(b"tkhd") + 4 + 4 + 20 + 16  # version 0: after flags, times, layer and volume
    one = 0x10000
    struct.pack_into(">9i", box, at, a * one, b * one, 0, -b * one, a * one, 0, 0, 0, 0x40000000)
    path.write_bytes(bytes(box))
    return path


def notes(recording: Any) -> str:
    return " ".join(recording.attrs["notes"])


H264 = {"codec": "libx264", "pix_fmt": "yuv420p"}


@pytest.mark.parametrize("first", [7, 33])
def test_hidden_frames_are_no_truncation(tmp_path, first):
    frames = simulate_frames(90, 32, 48)
    full = write_video(tmp_path / "full.mp4", frames, rate_hz=30, **H264)
    cut_without_recoding(full, tmp_path / "clip.mp4", first)
    path = make_video_session(tmp_path / "s.nwb", ["clip.mp4"], rate=30.0, num_samples=90)
    try:
        reported = notes(read_recording(path, "camera"))
        assert read_recording(path, "camera")["data"].sizes["time"] == 90 - first
    except DCFError as error:
        reported = str(error)
    assert "truncated" not in reported
    assert "edit list" in reported
    assert f"{first} " in reported
    assert "90" in reported


def test_a_truncated_file_is_still_called_so(tmp_path):
    full = write_video(tmp_path / "full.mkv", simulate_frames(90, 32, 48), rate_hz=30)
    (tmp_path / "clip.mkv").write_bytes(full.read_bytes()[: full.stat().st_size // 2])
    path = make_video_session(tmp_path / "s.nwb", ["clip.mkv"], rate=30.0, num_samples=90)
    with pytest.raises(DCFError) as error:
        read_recording(path, "camera")
    assert "edit list" not in str(error.value)


FILE_WINS = {
    # what fits 250 Hz and not 30 Hz: trials, events, a series on its own clock
    "trials": {"trials": [(0.2 * k, 0.2 * k + 0.15) for k in range(8)]},
    "few trials": {"trials": [(0.1, 0.7), (0.9, 1.5)]},
    "a series": {"series": np.arange(160) / 100.0},
    "events": {"events": np.linspace(0.05, 1.55, 12)},
}


def write_camera(path: Path, *, rate: float, trials: Any = None, series: Any = None, events: Any = None) -> Path:
    def add(nwbfile: Any) -> None:
        if series is not None:
            nwbfile.add_acquisition(TimeSeries(name="wheel", data=np.sin(series), timestamps=series, unit="cm"))
        if events is not None:
            nwbfile.add_acquisition(TimeSeries(name="licks", data=np.ones(len(events)), timestamps=events, unit="n"))

    return make_video_session(path, ["camera.mp4"], rate=rate, num_samples=400, trials=trials, change=add)


@pytest.mark.parametrize("evidence", FILE_WINS)
def test_the_files_rate_wins_where_its_other_clocks_fit_it(tmp_path, evidence):
    write_video(tmp_path / "camera.mp4", simulate_frames(400, 16, 16), rate_hz=30, **H264)
    path = write_camera(tmp_path / "s.nwb", rate=250.0, **FILE_WINS[evidence])
    recording = read_recording(path, "camera")
    every = np.sort(recording.time.values)
    assert np.median(np.diff(every)) == pytest.approx(1 / 250)
    assert every[-1] < 1.61
    assert "250 Hz" in notes(recording)
    assert "30 Hz" in notes(recording)
    (source,) = (one for one in list_sources(path).sources if one.path == "/acquisition/camera")
    assert source.rate_hz == pytest.approx(250.0)
    assert source.duration_s == pytest.approx(399 / 250)


VIDEO_WINS = {
    "trials": {"trials": [(1.5 * k, 1.5 * k + 1.2) for k in range(8)]},
    "a series": {"series": np.arange(1333) / 100.0},
}


@pytest.mark.parametrize("evidence", VIDEO_WINS)
def test_the_clock_of_the_video_wins_where_the_other_clocks_fit_it(tmp_path, evidence):
    write_video(tmp_path / "camera.mp4", simulate_frames(400, 16, 16), rate_hz=30, **H264)
    path = write_camera(tmp_path / "s.nwb", rate=250.0, **VIDEO_WINS[evidence])
    recording = read_recording(path, "camera")
    assert np.median(np.diff(recording.time.values)) == pytest.approx(1 / 30, rel=1e-2)
    (source,) = (one for one in list_sources(path).sources if one.path == "/acquisition/camera")
    assert source.rate_hz == pytest.approx(30.0)
    assert source.duration_s == pytest.approx(399 / 30)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_videos_are_turned_as_players_turn_them(tmp_path, degrees):
    frames = np.zeros((40, 32, 64), np.uint8)
    for i in range(40):
        frames[i, 2:10, 4 + i // 2 : 20 + i // 2] = 220  # above and to the left
    plain = write_video(tmp_path / "plain.mp4", frames, rate_hz=25, **H264)
    (tmp_path / "camera.mp4").write_bytes(plain.read_bytes())
    rotate(tmp_path / "camera.mp4", degrees)
    path = make_video_session(tmp_path / "s.nwb", ["camera.mp4"], num_samples=40)
    recording = read_recording(path, "camera")
    seen = np.stack([np.rot90(frame, -degrees // 90) for frame in frames])
    assert (recording["data"].sizes["y"], recording["data"].sizes["x"]) == seen.shape[1:]
    assert np.abs(recording["data"].values - seen).mean() < 8
    assert f"{degrees}" in notes(recording)
    assert "turned" in notes(recording)
    (source,) = list_sources(path).sources
    assert tuple(source.shape) == seen.shape


def test_a_video_that_is_not_rotated_has_no_note(tmp_path):
    write_video(tmp_path / "camera.mp4", simulate_frames(40, 32, 48), rate_hz=25, **H264)
    recording = read_recording(make_video_session(tmp_path / "s.nwb", ["camera.mp4"], num_samples=40), "camera")
    assert "turned" not in notes(recording)


def test_a_wheel_alone_is_no_video(tmp_path):
    assert "video" not in notes(read_recording(make_series_session(tmp_path / "s.nwb"), "signal"))
