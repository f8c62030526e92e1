"""Which part of the frames is read, at what size, and what is hidden of it."""

import numpy as np
import pytest

from nwb_dcf.errors import ParameterError, SourceError
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.io.recordings.video.crop import shrink_frames
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


def test_frames_shrink_to_means_of_areas(tmp_path, frames):
    write_video(tmp_path / "camera.mkv", frames)
    outside = make_video_session(tmp_path / "a.nwb", ["camera.mkv"], num_samples=len(frames))
    within = make_video_session(tmp_path / "b.nwb", data=frames)
    means = frames.reshape(40, 8, 3, 8, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(read_recording(within, size=8)["data"], means, rtol=1e-5)
    np.testing.assert_allclose(read_recording(outside, size=8)["data"], means, atol=1)
    odd = read_recording(within, size=(10, 7))["data"]
    assert odd.shape == (40, 7, 10)
    np.testing.assert_allclose(read_recording(outside, size=(10, 7))["data"], odd, atol=1.5)
    np.testing.assert_allclose(odd.mean(), frames.mean(), rtol=1e-5)


def test_smaller_frames_are_not_enlarged(session):
    assert read_recording(session, size=30)["data"].shape[1:] == (24, 30)
    assert read_recording(session, size=500)["data"].shape[1:] == (24, 32)


def test_weights_of_areas_by_hand():
    frame = np.float32([[[0, 6, 12], [3, 9, 15]]])
    np.testing.assert_allclose(shrink_frames(frame, (2, 1)), [[[(0 + 3 + 3 + 4.5) / 3, (3 + 4.5 + 12 + 15) / 3]]])


@pytest.mark.parametrize("external", [True, False])
def test_crop_every_and_trials_choose_the_frames(tmp_path, frames, external):
    trials = [(0.1, 0.5), (0.9, 1.3)]
    if external:
        write_video(tmp_path / "camera.mkv", frames)
        session = make_video_session(tmp_path / "s.nwb", ["camera.mkv"], num_samples=40, trials=trials)
    else:
        session = make_video_session(tmp_path / "s.nwb", data=frames, trials=trials)
    recording = read_recording(session, crop=(5, 3, 20, 17), every=2)
    np.testing.assert_allclose(recording["time"], np.r_[4:13:2, 24:33:2] / 25)
    np.testing.assert_array_equal(recording["data"], frames[np.r_[4:13:2, 24:33:2], 3:20, 5:25])
    assert recording["segment_row"].values.tolist() == [0, 1]
    assert any("20 x 17 pixels at x 5, y 3, one of every 2" in note for note in recording.attrs["notes"])


def test_crop_of_odd_offsets_from_subsampled_colour(tmp_path, frames):
    write_video(tmp_path / "camera.mkv", frames, pix_fmt="yuv420p")
    session = make_video_session(tmp_path / "s.nwb", ["camera.mkv"], num_samples=40)
    np.testing.assert_allclose(read_recording(session, crop=(3, 5, 11, 9))["data"], frames[:, 5:14, 3:14], atol=1)


@pytest.mark.parametrize("form", ["mask.png", "mask.npy"])
def test_masked_pixels_are_zero_with_a_note(session, frames, form):
    from av import VideoFrame

    mask = np.full((24, 32), 255, np.uint8)
    mask[:7, :5] = 0
    path = session.parent / form
    if form == "mask.npy":
        np.save(path, mask > 0)
    else:
        VideoFrame.from_ndarray(mask, format="gray").to_image().save(path)
    recording = read_recording(session, mask=str(path))
    np.testing.assert_array_equal(recording["data"], np.where(mask == 0, 0, frames))
    small = read_recording(session, mask=str(path), size=8)["data"].values
    assert (small == 0).all(axis=0).sum() == 3 * 2  # 3 x 4 pixels each: whoever is masked in part is masked
    assert any("35 of 768 pixels masked (set to 0)" in note for note in recording.attrs["notes"])
    assert len(recording.attrs["source"]["frames"]["mask"]["sha256"]) == 64


def test_mask_of_another_size(session):
    np.save(session.parent / "mask.npy", np.ones((24, 30)))
    with pytest.raises(ParameterError, match=r"mask\.npy: the mask has 30 x 24 pixels and the frames 32 x 24"):
        read_recording(session, mask=str(session.parent / "mask.npy"))


def test_mask_that_hides_all_or_is_none(session):
    np.save(session.parent / "mask.npy", np.zeros((24, 32)))
    with pytest.raises(ParameterError, match="leaves no whole pixel"):
        read_recording(session, mask=str(session.parent / "mask.npy"))
    with pytest.raises(ParameterError, match="no such mask"):
        read_recording(session, mask="nowhere.png")
    (session.parent / "mask.png").write_text("no image")
    with pytest.raises(SourceError, match=r"mask\.png"):
        read_recording(session, mask=str(session.parent / "mask.png"))


def test_a_pickled_mask_is_not_opened(session):
    np.save(session.parent / "mask.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ParameterError, match="no array"):
        read_recording(session, mask=str(session.parent / "mask.npy"))


@pytest.mark.parametrize("crop", [(20, 0, 13, 8), (0, 20, 8, 5)])
def test_crop_beyond_the_frames(session, crop):
    with pytest.raises(ParameterError, match=r"the crop reaches to .* frames have 32 x 24 pixels"):
        read_recording(session, crop=crop)


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 0},
        {"size": (8, 8, 8)},
        {"crop": (0, 0, 8)},
        {"crop": (-1, 0, 8, 8)},
        {"every": 0},
        {"frame_times": "x"},
    ],
)
def test_invalid_settings_are_refused(session, settings):
    with pytest.raises(ParameterError, match=next(iter(settings))):
        read_recording(session, **settings)
