"""Video files that are elsewhere, missing, damaged or not what the NWB file says."""

import shutil
import sys

import numpy as np
import pytest

from nwb_dcf.errors import DataError, DCFError, SourceError, compose_install, name_options
from nwb_dcf.io.recordings import list_sources, read_recording
from tests.video_files import make_video_session, simulate_frames, write_video

pytest.importorskip("av")
FRAMES = simulate_frames()


def refuse(session, *words, **settings):
    """The refusal in one line with all of `words`; the file stays, and can be listed."""
    before = session.read_bytes()
    with pytest.raises(DCFError) as error:
        read_recording(session, **settings)
    message = name_options(str(error.value))
    assert [word for word in words if word not in message] == []
    assert "\n" not in message
    assert ";" in message
    assert session.read_bytes() == before
    list_sources(session)
    return message


@pytest.mark.parametrize(
    "stored", ["./videos/day 1/camera.mkv", "/data/lab/videos/day 1/camera.mkv", r"C:\lab\videos\day 1\camera.mkv"]
)
def test_a_moved_folder(tmp_path, stored):
    (tmp_path / "archive" / "day 1").mkdir(parents=True)
    write_video(tmp_path / "archive" / "day 1" / "camera.mkv", FRAMES)
    session = make_video_session(tmp_path / "s.nwb", [stored], num_samples=40)
    refuse(session, stored, "lies outside" if stored.startswith("/") else "is missing", "--video-dir")
    for folder in ("archive", "archive/day 1"):
        moved = read_recording(session, video_dir=str(tmp_path / folder))
        np.testing.assert_array_equal(moved["data"], FRAMES)
    catalog = list_sources(session, video_dir=str(tmp_path / "archive"))
    assert catalog.default == "/acquisition/camera"
    refuse(session, "is not in", video_dir=str(tmp_path))
    refuse(session, "there is no folder", video_dir=str(tmp_path / "nowhere"))


def test_relative_to_the_nwb_file_not_to_where_we_are(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    write_video(tmp_path / "camera.mkv", FRAMES)
    session = make_video_session(tmp_path / "sub" / "s.nwb", ["../camera.mkv"], num_samples=40)
    monkeypatch.chdir("/")
    refuse(session, "lies outside the folder", "--allow-outside")
    assert read_recording(session, allow_outside=True).sizes["time"] == 40


def test_an_address(tmp_path):
    session = make_video_session(tmp_path / "s.nwb", ["https://example.org/camera.mkv"], num_samples=40)
    refuse(session, "https://example.org/camera.mkv", "--video-dir")


def test_missing_in_a_file_that_has_something_else(tmp_path):
    def add(nwbfile):
        from pynwb.image import ImageSeries

        nwbfile.add_acquisition(ImageSeries(name="second", data=FRAMES, unit="n.a.", rate=25.0))

    session = make_video_session(tmp_path / "s.nwb", ["camera.mkv"], num_samples=40, change=add)
    recording = read_recording(session)
    assert recording.attrs["source"]["path"] == "/acquisition/second"
    assert "passed over: /acquisition/camera (its video file camera.mkv is missing" in recording.attrs["notes"][0]
    refuse(session, "camera.mkv is missing", "s.nwb: /acquisition/camera", source="camera")
    with pytest.raises(SourceError, match=r"2 videos.*/acquisition/camera, /acquisition/second"):
        read_recording(session, "video")


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "ending", "options", "fraction"),
    [
        ("libx264", "yuv420p", "mp4", {}, 0.8),  # the index at the end is gone
        ("libx264", "yuv420p", "mp4", {"movflags": "faststart"}, 0.8),  # the index at the start is whole
        ("mpeg4", "yuv420p", "avi", {}, 0.8),
        ("ffv1", "gray", "mkv", {}, 0.7),
    ],
)
@pytest.mark.parametrize("named", [None, "camera"])
def test_truncated(tmp_path, codec, pix_fmt, ending, options, fraction, named):
    whole = write_video(tmp_path / f"whole.{ending}", FRAMES, codec=codec, pix_fmt=pix_fmt, options=options)
    content = whole.read_bytes()
    (tmp_path / f"camera.{ending}").write_bytes(content[: int(len(content) * fraction)])
    session = make_video_session(tmp_path / "s.nwb", [f"camera.{ending}"], num_samples=40)
    message = refuse(session, f"camera.{ending}", source=named)
    assert "truncated" in message or "40 samples" in message


def test_damaged_within(tmp_path):
    content = bytearray(write_video(tmp_path / "camera.mp4", FRAMES, codec="mpeg4", pix_fmt="yuv420p").read_bytes())
    middle = slice(len(content) // 3, len(content) // 2)
    content[middle] = bytes(len(content[middle]))
    (tmp_path / "camera.mp4").write_bytes(bytes(content))
    session = make_video_session(tmp_path / "s.nwb", ["camera.mp4"], num_samples=40)
    refuse(session, "camera.mp4")


@pytest.mark.parametrize("content", [b"", b"this is no video\n" * 50])
def test_not_a_video(tmp_path, content):
    (tmp_path / "camera.mp4").write_bytes(content)
    session = make_video_session(tmp_path / "s.nwb", ["camera.mp4"], num_samples=40)
    refuse(session, "camera.mp4")


@pytest.mark.parametrize("ending", ["mkv", "avi"])
def test_no_frames(tmp_path, ending):
    write_video(tmp_path / f"camera.{ending}", FRAMES[:0], codec="mpeg4", pix_fmt="yuv420p")
    session = make_video_session(tmp_path / "s.nwb", [f"camera.{ending}"], num_samples=40)
    refuse(session, f"camera.{ending}")


def test_two_sizes(tmp_path):
    write_video(tmp_path / "a.mkv", FRAMES[:20])
    write_video(tmp_path / "b.mkv", FRAMES[20:, :20])
    session = make_video_session(tmp_path / "s.nwb", ["a.mkv", "b.mkv"], starting_frame=[0, 20], num_samples=40)
    refuse(session, "two sizes", "a.mkv has 32 x 24", "b.mkv 32 x 20", "/acquisition/camera")


def test_a_size_that_changes_within_the_file(tmp_path):
    small = write_video(tmp_path / "small.ts", FRAMES[:, :16], codec="mpeg2video", pix_fmt="yuv420p")
    large = write_video(tmp_path / "large.ts", FRAMES, codec="mpeg2video", pix_fmt="yuv420p")
    (tmp_path / "camera.ts").write_bytes(large.read_bytes() + small.read_bytes())
    session = make_video_session(tmp_path / "s.nwb", ["camera.ts"], num_samples=80)
    refuse(session, "camera.ts", "frame", "32 x 16", "32 x 24")


@pytest.mark.parametrize("starting_frame", [[0, 0], [0, 10], [5, 20]])
def test_starting_frames_that_do_not_fit(tmp_path, starting_frame):
    write_video(tmp_path / "a.mkv", FRAMES[:15])
    write_video(tmp_path / "b.mkv", FRAMES[15:])
    session = make_video_session(tmp_path / "s.nwb", ["a.mkv", "b.mkv"], starting_frame=starting_frame, num_samples=40)
    refuse(session, f"starting_frame is {starting_frame}", "[0, 15]", "a.mkv, b.mkv")


def test_one_of_several_is_missing(tmp_path):
    write_video(tmp_path / "a.mkv", FRAMES[:20])
    session = make_video_session(tmp_path / "s.nwb", ["a.mkv", "b.mkv"], starting_frame=[0, 20], num_samples=40)
    refuse(session, "b.mkv is missing")


def test_without_the_package(tmp_path, monkeypatch):
    write_video(tmp_path / "camera.mkv", FRAMES)
    session = make_video_session(tmp_path / "s.nwb", ["camera.mkv"], num_samples=40)
    monkeypatch.setitem(sys.modules, "av", None)
    refuse(session, "needs the package av", compose_install("video"))


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    write_video(tmp_path / "camera.mkv", FRAMES)
    session = make_video_session(tmp_path / "s.nwb", ["camera.mkv"], num_samples=40)

    def refuse_to_write(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("numpy.lib.format.open_memmap", refuse_to_write)
    refuse(session, "Permission denied", "--keep-frames", keep_frames=True)


def test_poses_name_the_video_they_were_tracked_in(real_data):
    with pytest.raises(SourceError, match=r"pose_bad_clock\.nwb: /processing/.*no video.*fake_path"):
        read_recording(real_data("pose_bad_clock.nwb"), "video")


def test_stimulus_movies_that_are_absent(real_data):
    with pytest.raises(SourceError, match=r"human_mtl_000207\.nwb: /stimulus/.*NB_24\.mp4 is missing"):
        read_recording(real_data("human_mtl_000207.nwb"), "StimulusPresentation_encoding")


def test_real_video_cut_short(real_data, tmp_path):
    shutil.copy(real_data("openfield_video.nwb"), tmp_path / "s.nwb")
    content = real_data("m3v1mp4.mp4").read_bytes()
    (tmp_path / "m3v1mp4.mp4").write_bytes(content[: len(content) // 2])
    refuse(tmp_path / "s.nwb", "m3v1mp4.mp4", "truncated or damaged")


def test_one_frame_is_too_few(tmp_path):
    session = make_video_session(tmp_path / "s.nwb", data=FRAMES[:1])
    with pytest.raises(DataError, match="a fit needs two at least"):
        read_recording(session)
