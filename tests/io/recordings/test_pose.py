"""Pose: body parts by coordinates, trusted positions, the animal's own frame."""

import h5py
import numpy as np
import pytest

from nwb_dcf.data.recording import segment_slices
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.io.recordings import list_sources, read_recording
from nwb_dcf.io.recordings.pose import turn_to_animal
from tests.nwb_files import new_nwbfile, simulate_series, write_nwbfile

ndx_pose = pytest.importorskip("ndx_pose")


def make_pose(path, parts, *, rate=20.0, unit="pixels"):
    """Write a PoseEstimation; `parts` has positions, or positions and confidence, of each body part."""
    nwbfile = new_nwbfile()
    series = []
    for name, given in parts.items():
        positions, confidence = given if isinstance(given, tuple) else (given, np.ones(len(given)))
        series.append(
            ndx_pose.PoseEstimationSeries(
                name=name, data=positions, confidence=confidence, reference_frame="corner", unit=unit, rate=rate
            )
        )
    module = nwbfile.create_processing_module("behavior", "behaviour")
    module.add(ndx_pose.PoseEstimation(name="Pose", pose_estimation_series=series))
    return write_nwbfile(nwbfile, path)


def test_parts_by_coordinates(tmp_path):
    nose, tail = simulate_series(50, 2, seed=1), simulate_series(50, 2, seed=2)
    path = make_pose(tmp_path / "s.nwb", {"tail": tail, "nose": nose})
    (source,) = list_sources(path).sources
    assert (source.kind, source.shape, source.rate_hz) == ("pose", (50, 4), 20.0)
    recording = read_recording(path)
    assert recording["channel"].values.tolist() == ["nose_x", "nose_y", "tail_x", "tail_y"]
    np.testing.assert_array_equal(recording["data"], np.hstack([nose, tail]))
    assert recording.attrs["kind"] == "pose"
    assert recording["data"].attrs["units"] == "pixels"
    about = recording.attrs["source"]
    assert [item["path"].rsplit("/", 1)[-1] for item in about["members"]] == ["nose", "tail"]
    assert about["channel_rows"] == [0, 1, 0, 1]
    assert read_recording(path, "tail").sizes["channel"] == 2


def test_positions_of_low_confidence_are_missing(tmp_path):
    data = simulate_series(100, 2)
    confidence = np.ones(100)
    confidence[10:12] = 0.1  # bridged: 0.15 s between the trusted ones
    confidence[40:60] = 0.59  # cut out
    confidence[80] = np.nan  # unknown is not low
    lost = np.where(np.arange(100) < 70, 0.0, 1.0)
    path = make_pose(tmp_path / "s.nwb", {"nose": (data, confidence), "ear": (data, lost)})
    recording = read_recording(path)
    assert recording["channel"].values.tolist() == ["nose_x", "nose_y"]
    assert [s.stop - s.start for s in segment_slices(recording)] == [40, 40]
    expected = data[9] + (data[12] - data[9]) * np.array([[1 / 3], [2 / 3]])
    np.testing.assert_allclose(recording["data"].values[10:12], expected)
    why = "confidence below 0.6 in 70% of the samples read"
    assert recording.attrs["left_out"][0] == {"what": "body part", "id": "ear", "why": why}
    assert "(`min_confidence=`): nose 22.0%" in " ".join(recording.attrs["notes"])
    assert read_recording(path, min_confidence=0).sizes == {"time": 100, "channel": 4, "segment": 1}
    assert read_recording(path, min_confidence=0.5).sizes["time"] == 100
    with pytest.raises(DataError, match=r"every body part is below the confidence of 0.6.*`min_confidence=`"):
        read_recording(make_pose(tmp_path / "t.nwb", {"nose": (data, np.zeros(100))}))


def test_turn_by_hand():
    centre = np.array([[5.0, 5.0], [0.0, 0.0], [2.0, 2.0]])
    ahead = np.array([[5.0, 8.0], [-2.0, 0.0], [2.0, 2.0]])
    ear = np.array([[4.0, 5.0], [0.0, 1.0], [9.0, 9.0]])
    turned = turn_to_animal(np.stack([centre, ahead, ear], axis=1), centre, ahead)
    np.testing.assert_allclose(turned[0], [[0, 0], [3, 0], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(turned[1], [[0, 0], [2, 0], [0, -1]], atol=1e-12)
    assert np.isnan(turned[2]).all()  # no direction
    deep = turn_to_animal(np.array([[[0.0, 0, 7], [0, 2, 9]]]), np.array([[0.0, 0, 7]]), np.array([[0.0, 2, 9]]))
    np.testing.assert_allclose(deep, [[[0, 0, 0], [2, 0, 2]]], atol=1e-12)


def test_moving_and_turning_the_animal_changes_nothing_egocentric(tmp_path):
    rng = np.random.default_rng(0)
    shape = {"tail": [0.0, 0.0], "nose": [4.0, 0.0], "ear": [3.0, 1.0]}
    angle, place = np.cumsum(rng.normal(0, 0.3, 60)), np.cumsum(rng.normal(size=(60, 2)), axis=0)
    wiggle = 1 + 0.1 * np.sin(np.arange(60))
    cos, sin = np.cos(angle), np.sin(angle)
    parts = {
        name: place + wiggle[:, None] * np.column_stack([cos * x - sin * y, sin * x + cos * y])
        for name, (x, y) in shape.items()
    }
    path = make_pose(tmp_path / "s.nwb", parts)
    recording = read_recording(path, egocentric=("tail", "nose"))
    assert recording["channel"].values.tolist() == ["ear_x", "ear_y", "nose_x"]
    np.testing.assert_allclose(recording["data"], wiggle[:, None] * [[3, 1, 4]])
    assert {item["id"] for item in recording.attrs["left_out"]} == {"nose_y", "tail_x", "tail_y"}
    assert "tail is the origin" in " ".join(recording.attrs["notes"])
    for parts, words in ((("tail", "nos"), "no body part 'nos'.*ear, nose, tail"), (("ear", "ear"), "twice")):
        with pytest.raises(ParameterError, match=words):
            read_recording(path, egocentric=parts)


def test_confidence_of_another_length(tmp_path):
    path = make_pose(tmp_path / "s.nwb", {"nose": simulate_series(50, 2)})
    with h5py.File(path, "r+") as file:
        group = file["processing/behavior/Pose/nose"]
        attrs = dict(group["confidence"].attrs)
        del group["confidence"]
        group["confidence"] = np.ones(49)
        group["confidence"].attrs.update(attrs)
    with pytest.raises(DataError, match="49 confidences for 50 positions"):
        read_recording(path)


def test_real_pose_without_our_importing_its_extension(real_data):
    path = real_data("pose_bad_clock.nwb")
    with pytest.warns(UserWarning, match="likely frame numbers"):
        recording = read_recording(path, egocentric=("ind1_tailbase", "ind1_snout"))
    assert recording["channel"].values.tolist() == [
        "ind1_leftear_x",
        "ind1_leftear_y",
        "ind1_rightear_x",
        "ind1_rightear_y",
        "ind1_snout_x",
    ]
    assert recording.sizes["time"] == 2330
    assert (recording["data"].sel(channel="ind1_snout_x") > 0).all()
    # Ears lie ahead of the tail and on both sides of the body.
    means = recording["data"].mean("time")
    assert means.sel(channel="ind1_leftear_x") > 0
    assert means.sel(channel="ind1_leftear_y") * means.sel(channel="ind1_rightear_y") < 0
    assert any(note.startswith("doubt: ") and "0, 1, 2" in note for note in recording.attrs["notes"])
