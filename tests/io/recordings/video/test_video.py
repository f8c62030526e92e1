"""Frames of video, outside and within the NWB file, as they come into a recording."""

import h5py
import numpy as np
import pytest
from pynwb.device import Device
from pynwb.ophys import OnePhotonSeries, OpticalChannel, TwoPhotonSeries

from nwb_dcf.errors import DataError
from nwb_dcf.io.recordings import list_sources, read_recording
from tests.nwb_files import make_spike_session
from tests.video_files import make_video_session, simulate_frames, write_video

pytest.importorskip("av")


@pytest.fixture(scope="module")
def frames():
    return simulate_frames()


@pytest.fixture
def session(tmp_path, frames):
    """A session whose camera is beside it, frames coded without loss."""
    write_video(tmp_path / "camera.mkv", frames)
    return make_video_session(tmp_path / "s.nwb", ["camera.mkv"], num_samples=len(frames))


def test_external_frames_come_as_they_are(session, frames):
    recording = read_recording(session)
    assert recording["data"].dims == ("time", "y", "x")
    assert recording["data"].dtype == np.uint8
    np.testing.assert_array_equal(recording["data"], frames)
    np.testing.assert_allclose(recording["time"], np.arange(40) / 25)
    assert recording["data"].attrs["units"] == "gray level (0 to 255)"
    assert recording.attrs["kind"] == "video"
    source = recording.attrs["source"]
    assert source["path"] == "/acquisition/camera"
    assert [file["name"] for file in source["files"]] == ["camera.mkv"]
    assert source["files"][0]["size_bytes"] == (session.parent / "camera.mkv").stat().st_size
    assert source["frames"] == {"full": [32, 24], "crop": [0, 0, 32, 24], "size": [32, 24], "mask": None}
    assert str(session.parent) not in str(recording.attrs)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "ending", "tolerance"),
    [
        ("ffv1", "bgr0", "mkv", 0),  # colour without loss
        ("ffv1", "yuv420p", "mkv", 1),  # levels 16 to 235
        ("png", "rgb24", "mov", 0),
        ("rawvideo", "gray", "avi", 0),
        ("libx264", "yuv420p", "mp4", 30),
        ("mpeg4", "yuv420p", "avi", 75),
    ],
)
def test_any_pixel_format_becomes_gray(tmp_path, frames, codec, pix_fmt, ending, tolerance):
    write_video(tmp_path / f"camera.{ending}", frames, codec=codec, pix_fmt=pix_fmt)
    session = make_video_session(tmp_path / "s.nwb", [f"camera.{ending}"], num_samples=len(frames))
    data = read_recording(session)["data"]
    assert data.dtype == np.uint8
    off = np.abs(data.astype(float) - frames)
    assert off.max() <= tolerance
    assert off.mean() <= tolerance / 15


def test_deep_pixels_keep_their_depth_on_the_scale_of_8_bits(tmp_path, frames):
    deep = frames.astype(np.uint16) * 257 - np.uint16(100)
    write_video(tmp_path / "camera.mkv", deep, pix_fmt="gray16le")
    session = make_video_session(tmp_path / "s.nwb", ["camera.mkv"], num_samples=len(deep))
    data = read_recording(session)["data"]
    assert data.dtype == np.float32
    np.testing.assert_allclose(data, deep / 257, rtol=1e-5)


def test_colour_weighs_as_luma(tmp_path):
    colour = np.zeros((6, 8, 8, 3), np.uint8)
    colour[::2, ..., 0], colour[1::2, ..., 1] = 200, 200
    write_video(tmp_path / "camera.mkv", colour, pix_fmt="bgr0")
    outside = read_recording(make_video_session(tmp_path / "a.nwb", ["camera.mkv"], num_samples=6))["data"]
    within = read_recording(make_video_session(tmp_path / "b.nwb", data=colour))["data"]
    np.testing.assert_allclose(within[:2, 0, 0], [0.299 * 200, 0.587 * 200], rtol=1e-5)
    np.testing.assert_allclose(outside, within, atol=1)


def test_stored_frames_are_converted_in_blocks(tmp_path, frames, monkeypatch):
    monkeypatch.setattr("nwb_dcf.io.recordings.video.stored_frames.BLOCK_BYTES", 24 * 32 * 2 * 7)  # seven frames
    stored = frames.astype(np.uint16) * 9
    session = make_video_session(tmp_path / "s.nwb", data=stored, unit="lux", conversion=0.5, offset=-3.0)
    recording = read_recording(session)
    np.testing.assert_allclose(recording["data"], stored * 0.5 - 3)
    assert recording["data"].attrs["units"] == "lux"
    thinned = read_recording(session, every=3)
    np.testing.assert_allclose(thinned["data"], stored[::3] * 0.5 - 3)


@pytest.mark.parametrize("kind", [OnePhotonSeries, TwoPhotonSeries])
def test_imaging_is_fitted_when_there_is_nothing_better(tmp_path, frames, kind):
    def add_plane(nwbfile):
        device = nwbfile.add_device(Device("microscope"))
        channel = OpticalChannel(name="green", description="", emission_lambda=510.0)
        plane = nwbfile.create_imaging_plane(
            name="plane", optical_channel=channel, description="", device=device, excitation_lambda=480.0,
            indicator="GCaMP", location="V1", imaging_rate=25.0,
        )  # fmt: skip
        nwbfile.add_acquisition(
            kind(name="movie", data=frames.transpose(0, 2, 1), imaging_plane=plane, unit="n.a.", rate=25.0)
        )

    session = make_spike_session(tmp_path / "s.nwb", n_units=3, change=add_plane)
    assert read_recording(session).attrs["kind"] == "units"
    empty = make_video_session(tmp_path / "t.nwb", data=frames, name="camera", change=add_plane)
    assert read_recording(empty).attrs["source"]["path"] == "/acquisition/camera"
    assert [source.kind for source in list_sources(empty).sources] == ["video", "imaging"]
    recording = read_recording(empty, "movie")
    assert recording["data"].attrs["units"] == "gray level (0 to 255)"
    np.testing.assert_array_equal(recording["data"], frames)


def test_what_was_shown_is_no_default(tmp_path, frames):
    from pynwb.image import ImageSeries

    def show(nwbfile):
        nwbfile.add_stimulus(ImageSeries(name="movie", data=frames, unit="n.a.", rate=25.0))

    session = make_video_session(tmp_path / "s.nwb", data=frames[:20], change=show)
    assert [source.kind for source in list_sources(session).sources] == ["video", "stimulus"]
    assert read_recording(session, "movie").sizes["time"] == 40
    assert read_recording(session, "video").sizes["time"] == 20


def test_volumes_and_odd_colours_are_refused(tmp_path, frames):
    session = make_video_session(tmp_path / "s.nwb", data=np.repeat(frames[..., None], 5, axis=3))
    with pytest.raises(DataError, match=r"s\.nwb: /acquisition/camera: data have shape \(40, 24, 32, 5\): 5 colours"):
        read_recording(session, "camera")


def test_nan_in_stored_frames_is_named(tmp_path, frames):
    broken = frames.astype(np.float32)
    broken[7, 2, 3] = np.nan
    with pytest.raises(DataError, match=r"1 values are NaN or infinite, the first in y 2, x 3 at 0\.28 s"):
        read_recording(make_video_session(tmp_path / "s.nwb", data=broken))


def test_a_still_video_is_refused(tmp_path, frames):
    session = make_video_session(tmp_path / "s.nwb", data=np.repeat(frames[:1], 10, axis=0))
    with pytest.raises(DataError, match="no pixel changes"):
        read_recording(session)


def test_frames_are_kept_beside_the_video_only_when_asked(session, frames):
    folder = session.parent
    read_recording(session, size=16)
    assert sorted(file.name for file in folder.iterdir()) == ["camera.mkv", "s.nwb"]
    first = read_recording(session, size=16, keep_frames=True, trials="none")
    (kept,) = folder.glob("camera.*.dcf-frames.npy")
    np.testing.assert_array_equal(np.load(kept), first["data"])
    made = kept.stat().st_mtime_ns, kept.stat().st_ino
    again = read_recording(session, size=16, keep_frames=True)
    np.testing.assert_array_equal(again["data"], first["data"])
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == made  # taken, not made again
    np.save(kept, np.load(kept)[:, ::-1])
    again = read_recording(session, size=16, keep_frames=True)
    np.testing.assert_array_equal(again["data"], first["data"])
    write_video(folder / "camera.mkv", 255 - frames)  # another video: other frames
    other = read_recording(session, size=16, keep_frames=True)
    np.testing.assert_allclose(other["data"], 255 - first["data"].astype(int), atol=1)
    assert len(list(folder.glob(".camera*"))) == 0


def test_progress_is_reported(session):
    reported = []
    read_recording(session, progress=reported.append)
    assert reported[-1].stage == "reading camera.mkv"
    assert (reported[-1].step, reported[-1].steps, reported[-1].unit, reported[-1].loss) == (40, 40, "frame", None)


def test_hash_follows_the_video(session, frames):
    before = read_recording(session).attrs["source"]
    write_video(session.parent / "camera.mkv", frames[::-1].copy())
    after = read_recording(session).attrs["source"]
    assert before["sha256"] != after["sha256"]
    with h5py.File(session, "r+") as file:
        file["acquisition/camera/starting_time"].attrs["rate"] = 25.000001
    assert after["sha256"] != read_recording(session, frame_times="nwb").attrs["source"]["sha256"]


def test_real_video(real_data):
    catalog = list_sources(real_data("openfield_video.nwb"))
    (source,) = catalog.sources
    assert (source.kind, source.shape, source.problem) == ("video", (2330, 480, 640), "")
    assert catalog.default == "/acquisition/behavior_video"
    recording = read_recording(real_data("running_mouse_video.nwb"), every=4, size=(48, 32))
    assert recording["data"].shape == (249, 32, 48)
    np.testing.assert_allclose(np.diff(recording["time"]), 4 / 250)
    assert 20 < float(recording["data"].mean()) < 235
    assert not any("presentation times" in note for note in recording.attrs["notes"])


@pytest.mark.parametrize("external", [True, False])
def test_zarr_gives_the_same(tmp_path, frames, external):
    pytest.importorskip("hdmf_zarr")
    from hdmf_zarr import NWBZarrIO
    from pynwb import NWBHDF5IO

    write_video(tmp_path / "camera.mkv", frames)
    fields = {"files": ["camera.mkv"], "num_samples": 40} if external else {"data": frames}
    session = make_video_session(tmp_path / "s.nwb", **fields)
    with NWBHDF5IO(str(session), "r") as source, NWBZarrIO(str(tmp_path / "s.nwb.zarr"), "w") as target:
        target.export(src_io=source, write_args={"link_data": False})
    settings = {"every": 3, "size": 8, "crop": (2, 2, 20, 20)}
    first, second = (read_recording(tmp_path / name, **settings) for name in ("s.nwb", "s.nwb.zarr"))
    np.testing.assert_array_equal(first["data"], second["data"])
    np.testing.assert_array_equal(first["time"], second["time"])
    assert first.attrs["source"]["sha256"] == second.attrs["source"]["sha256"]


def test_video_beside_spikes_on_one_clock(tmp_path, frames):
    def add_video(nwbfile):
        from pynwb.image import ImageSeries

        nwbfile.add_acquisition(ImageSeries(name="camera", data=frames, unit="n.a.", rate=25.0, starting_time=2.0))

    session = make_spike_session(tmp_path / "s.nwb", n_units=3, trials=None, change=add_video)
    joined = read_recording(session, ("units", "video"), bin_width_s=0.04, size=4)
    assert joined.attrs["kind"] == "joined"
    assert joined.sizes["channel"] == 3 + 4 * 4
    assert 2 - 0.04 <= joined["time"].values[0] <= 2.08
    assert joined["time"].values[-1] <= 2 + 40 / 25


def test_real_avi_by_its_absolute_path(real_data, tmp_path):
    session = make_video_session(tmp_path / "s.nwb", [str(real_data("head_fixed.avi"))], rate=150.0, num_samples=152)
    recording = read_recording(session, crop=(100, 0, 512, 512), size=32, every=5, allow_outside=True)
    assert recording["data"].shape == (31, 32, 32)
    np.testing.assert_allclose(np.diff(recording["time"]), 5 / 150)
    assert float(recording["data"].std(dim="time").mean()) > 0.1
