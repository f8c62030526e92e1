"""Single frames by number: the right one in any order, from files and from the NWB file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="could not import av")

from nwb_dcf.errors import SourceError
from nwb_dcf.io.recordings import NO_VIDEO, open_frames
from nwb_dcf.io.recordings.video.decode import FrameSeeker, probe_video
from tests.nwb_files import make_spike_session
from tests.video_files import make_video_session, simulate_frames, write_video

N_FRAMES = 150  # more than are decoded up to without a seek


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    shades = simulate_frames(N_FRAMES)
    shades[:, :4, :4] = np.arange(N_FRAMES, dtype=np.uint8)[:, None, None]  # the number of each frame
    return shades


def read_number(picture: np.ndarray) -> int:
    return round(float(picture[:3, :3].mean()))


@pytest.mark.parametrize("ticks", [False, True])
def test_frames_in_any_order_are_those_asked_for(frames: np.ndarray, tmp_path: Path, ticks: bool) -> None:
    irregular = np.cumsum(np.where(np.arange(N_FRAMES) % 7, 33, 81)).tolist() if ticks else None
    path = write_video(tmp_path / "v.mkv", frames, ticks=irregular)
    seeker = FrameSeeker(probe_video(path), 32)
    order = [149, 0, 1, 2, 100, 99, 70, 149, 148, 3, 64, 65, 140, 20]
    assert [read_number(seeker.read(number)) for number in order] == order
    with pytest.raises(SourceError, match="no frame 150"):
        seeker.read(150)
    seeker.close()


@pytest.mark.parametrize("name", ["m3v1mp4.mp4", "test_vid.mp4", "head_fixed.avi"])
def test_a_sought_frame_of_a_real_video_is_the_one_that_decoding_comes_to(
    real_data: Callable[[str], Path], name: str
) -> None:
    video = probe_video(real_data(name))
    order = np.random.default_rng(0).permutation(min(video.n_frames, 400))[:12]
    seeker, through = FrameSeeker(video, 64), FrameSeeker(video, 64)
    decoded = {number: through.read(number) for number in range(order.max() + 1)}
    for number in order:
        np.testing.assert_array_equal(seeker.read(int(number)), decoded[int(number)])


def test_a_lying_clock_leads_to_decoding_from_the_start(frames: np.ndarray, tmp_path: Path) -> None:
    import dataclasses

    video = probe_video(write_video(tmp_path / "v.mkv", frames))
    assert video.time_s is not None
    seeker = FrameSeeker(dataclasses.replace(video, time_s=video.time_s * 1.37), 32)
    assert [read_number(seeker.read(number)) for number in (120, 70, 149)] == [120, 70, 149]


def test_frames_of_several_files_and_of_the_nwb_file(frames: np.ndarray, tmp_path: Path) -> None:
    for k, part in enumerate((frames[:80], frames[80:])):
        write_video(tmp_path / f"{k}.mkv", part)
    external = make_video_session(
        tmp_path / "external.nwb", ["0.mkv", "1.mkv"], starting_frame=[0, 80], num_samples=N_FRAMES
    )
    stored = make_video_session(tmp_path / "stored.nwb", data=frames)
    for path in (external, stored):
        access, why = open_frames(path)
        assert why == ""
        assert access is not None
        assert len(access.time) == N_FRAMES
        shown = [access.read(number).astype(int) for number in (149, 79, 80, 0)]
        order = [149, 79, 80, 0]
        if path == external:
            assert [read_number(picture) for picture in shown] == order
        else:  # contrast is stretched, which keeps the order
            shades = [read_number(picture) for picture in shown]
            assert shades[0] > shades[2] >= shades[1] > shades[3]
        access.close()


def test_why_there_is_no_video(tmp_path: Path) -> None:
    assert open_frames(make_spike_session(tmp_path / "s.nwb")) == (None, NO_VIDEO)
    lost = make_video_session(tmp_path / "lost.nwb", ["gone.mkv"], num_samples=5)
    access, why = open_frames(lost)
    assert access is None
    assert "gone.mkv" in why
