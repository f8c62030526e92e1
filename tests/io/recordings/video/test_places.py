"""What a name of a video may open: a container of frames, in the folder of the file or the one that was named."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import av
import h5py
import numpy as np
import pytest

from nwb_dcf import list_sources, read_recording
from nwb_dcf.errors import SourceError
from nwb_dcf.io.recordings.video.decode import CONTAINERS, OPEN_OPTIONS, peek_video
from nwb_dcf.io.recordings.video.frame_cache import SUFFIX
from tests.video_files import make_video_session, simulate_frames, write_video


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    write_video(tmp_path / "here" / "v.mkv", simulate_frames())
    return make_video_session(tmp_path / "here" / "s.nwb", ["v.mkv"], num_samples=40)


def name_video(session: Path, name: str) -> None:
    with h5py.File(session, "r+") as file:
        series = next(iter(file["acquisition"].values()))
        attributes = dict(series["external_file"].attrs)
        del series["external_file"]
        series.create_dataset("external_file", data=[name], dtype=h5py.string_dtype())
        series["external_file"].attrs.update(attributes)


def find_video(session: Path) -> Path:
    return next(path for path in session.parent.iterdir() if path.suffix in (".mp4", ".avi", ".mkv"))


@pytest.mark.parametrize("form", ["../away/{}", "sub/../../away/{}", "{absolute}", "./../away/{}"])
def test_a_path_that_leaves_the_folder_needs_leave(form: str, session: Path) -> None:
    video = find_video(session)
    away = session.parent.parent / "away"
    away.mkdir()
    (session.parent / "sub").mkdir()
    moved = Path(shutil.move(video, away / video.name))
    name_video(session, form.format(video.name, absolute=moved))
    with pytest.raises(
        SourceError, match=r"lies outside the folder of the NWB file; name the folder .*`allow_outside=True`"
    ):
        read_recording(session, "video")
    assert "lies outside the folder" in next(iter(list_sources(session).sources)).problem
    assert read_recording(session, "video", allow_outside=True).sizes["time"] > 0
    assert read_recording(session, "video", video_dir=str(away)).sizes["time"] > 0
    name_video(session, "../" + video.name)
    with pytest.raises(SourceError, match="lies outside"):
        read_recording(session, "video")


def test_a_folder_that_is_named_is_not_left_either(session: Path) -> None:
    video = find_video(session)
    given = session.parent / "given"
    given.mkdir()
    name_video(session, f"../{video.name}")  # beside the folder that is given
    with pytest.raises(SourceError, match=r"is not in .*given"):
        read_recording(session, "video", video_dir=str(given))
    assert read_recording(session, "video", video_dir=str(given), allow_outside=True).sizes["time"] > 0


def test_ffmpeg_opens_files_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v.mp4"
        with pytest.raises(av.FFmpegError):
            av.open(address, options=OPEN_OPTIONS, timeout=1)
        with pytest.raises(BlockingIOError):  # nobody has called
            server.accept()


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".sdp"])
def test_lists_of_other_files_are_no_videos(text: str, suffix: str, session: Path) -> None:
    video = find_video(session)
    listed = video.with_name(f"list{suffix}")
    listed.write_text(text.format(video.name))
    with pytest.raises(SourceError, match="cannot be read"):
        peek_video(listed)


@pytest.mark.parametrize("name", ["concat:a.mp4|b.mp4", "pipe:0", "data:x", "http:x.mp4", "file:a.mp4", "subfile,,:a"])
def test_a_name_that_reads_as_a_protocol_is_a_name(name: str, session: Path) -> None:
    video = find_video(session)
    odd = video.with_name(name)
    shutil.move(video, odd)
    assert peek_video(odd).width > 0
    name_video(session, name)
    assert read_recording(session, "video").sizes["time"] > 0


def test_containers_are_those_of_frames() -> None:
    assert not {"hls", "concat", "dash", "sdp", "rtsp", "applehttp", "imf", "image2", "lavfi"} & set(CONTAINERS)


def test_kept_frames_are_trusted_only_as_they_were_kept(session: Path) -> None:
    first = read_recording(session, "video", keep_frames=True)["data"].values
    (kept,) = session.parent.glob(f"*{SUFFIX}")
    assert np.load(kept).shape == first.shape
    whole = kept.read_bytes()
    changes = {
        "a pixel": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        "no hashes": whole[: -len(whole) // 2],
        "another key": whole[:-70] + bytes([whole[-70] ^ 1]) + whole[-69:],
        "nothing": b"",
    }
    for what, data in changes.items():
        kept.write_bytes(data)
        again = read_recording(session, "video", keep_frames=True)["data"].values
        np.testing.assert_array_equal(again, first, err_msg=what)
        assert kept.read_bytes() == whole, what
    assert [path.name for path in session.parent.iterdir() if path.name.startswith(".")] == []
