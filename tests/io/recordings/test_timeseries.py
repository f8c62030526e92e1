import h5py
import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.ecephys import ElectricalSeries

from nwb_dcf.data.recording import segment_slices
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.io.recordings import read_recording
from tests.nwb_files import make_roi_session, make_series_session, simulate_series


def test_starting_time_conversion_and_offset_are_applied(tmp_path):
    stored = simulate_series(40, 3)
    path = make_series_session(
        tmp_path / "s.nwb", stored, rate=4.0, starting_time=1e6, unit="V", conversion=0.5, offset=2.0
    )
    recording = read_recording(path, "signal")
    np.testing.assert_allclose(recording["data"], stored * 0.5 + 2)
    np.testing.assert_array_equal(recording["time"], 1e6 + np.arange(40) / 4)
    assert recording["data"].attrs["units"] == "V"
    assert recording.attrs["kind"] == "series"
    assert recording.attrs["bin_width_s"] is None


def test_one_column_becomes_one_channel(tmp_path):
    recording = read_recording(make_series_session(tmp_path / "s.nwb", np.arange(30) % 7), "signal")
    assert recording["data"].dims == ("time", "channel")
    assert recording["data"].shape == (30, 1)
    assert recording["data"].dtype.kind == "f"


def test_no_segment_crosses_a_gap(tmp_path):
    time = np.concatenate([np.arange(10) * 0.1, 5 + np.arange(7) * 0.1, [9.0], 12 + np.arange(3) * 0.1])
    recording = read_recording(make_series_session(tmp_path / "s.nwb", simulate_series(21), timestamps=time), "signal")
    assert [s.stop - s.start for s in segment_slices(recording)] == [10, 7, 3]
    np.testing.assert_allclose(recording["segment_start"], [0, 5, 12])
    np.testing.assert_allclose(recording["segment_stop"], [1.0, 5.7, 12.3])
    np.testing.assert_array_equal(recording["data"], simulate_series(21)[np.delete(np.arange(21), 17)])
    notes = " ".join(recording.attrs["notes"])
    assert "3 gaps" in notes
    assert "1 single samples" in notes


def test_a_gap_within_a_trial_splits_it(tmp_path):
    time = np.concatenate([np.arange(10) * 0.1, 5 + np.arange(10) * 0.1])
    path = make_series_session(tmp_path / "s.nwb", simulate_series(20), timestamps=time, trials=[(0.5, 5.5)])
    recording = read_recording(path, "signal", trials="trials")
    assert recording["segment_row"].values.tolist() == [0, 0]
    np.testing.assert_allclose(recording["segment_start"], [0.5, 5.0])
    np.testing.assert_allclose(recording["segment_stop"], [1.0, 5.5])


def test_a_real_clock_with_gaps(real_data):
    recording = read_recording(real_data("celegans_moving.nwb"), "ss_2D")
    assert recording.sizes["segment"] > 10
    assert recording.sizes["time"] <= 3690
    inside = np.diff(recording["segment_index"].values) == 0
    assert np.diff(recording["time"].values)[inside].max() < 2.5 * 0.166
    member = read_recording(real_data("celegans_moving.nwb"), "Activity_0007")
    assert member.sizes["channel"] == 1


def test_constant_channels_are_left_out(tmp_path):
    data = simulate_series(50, 4)
    data[:, 2] = 3
    recording = read_recording(make_series_session(tmp_path / "s.nwb", data), "signal")
    assert recording["channel"].values.tolist() == [0, 1, 3]
    assert recording.attrs["left_out"] == [
        {"what": "channel", "id": 2, "why": "it is 3 in every sample read", "value": 3.0}
    ]
    assert recording.attrs["source"]["channel_rows"] == [0, 1, 3]


def test_nan_outside_the_trials_does_no_harm(tmp_path):
    data = simulate_series(100, 3)
    data[90:] = np.nan
    path = make_series_session(tmp_path / "s.nwb", data, rate=10.0, trials=[(0, 4), (4, 8)])
    assert np.isfinite(read_recording(path, "signal")["data"]).all()
    with pytest.raises(DataError, match=r"s\.nwb: /acquisition/signal.*30 values are NaN.*channel 0 at 9 s"):
        read_recording(path, "signal", trials="none")


@pytest.mark.parametrize(
    ("unit", "data", "expected"),
    [
        ("count", np.arange(12).reshape(6, 2), "count"),
        ("Counts", np.arange(12.0).reshape(6, 2), "count"),
        ("counts", np.arange(12).reshape(6, 2) / 7, "counts"),
        ("count", np.arange(12).reshape(6, 2) - 5, "count"),
        ("volts", np.arange(12).reshape(6, 2), "volts"),
    ],
)
def test_whole_counts_are_counts(tmp_path, unit, data, expected):
    recording = read_recording(make_series_session(tmp_path / "s.nwb", data, unit=unit), "signal")
    assert recording["data"].attrs["units"] == expected


def test_stored_counts_of_a_real_session(real_data):
    recording = read_recording(real_data("reach_chewie.nwb"), "binned_spike_counts")
    assert recording["data"].attrs["units"] == "count"
    assert (recording.sizes["time"], recording.sizes["channel"], recording.sizes["segment"]) == (1640, 163, 159)
    hand = read_recording(real_data("reach_chewie.nwb"), "/processing/behavior/Position/hand_position")
    np.testing.assert_array_equal(hand["time"], recording["time"])


def test_rois_keep_their_ids(tmp_path):
    recording = read_recording(make_roi_session(tmp_path / "s.nwb", names={"Fluorescence": ["raw"]}, n_rois=4))
    assert recording["data"].dims == ("time", "roi")
    assert recording["roi"].values.tolist() == [103, 102, 101, 100]
    np.testing.assert_allclose(recording["data"], simulate_series(300, 4, seed=0))
    assert recording.attrs["kind"] == "ophys"


def test_real_rois(real_data):
    recording = read_recording(real_data("ophys_rois.nwb"))
    assert recording["roi"].values.tolist() == [0, 1, 2, 5, 7, 9, 10]
    assert recording.attrs["source"]["path"] == "/processing/ophys/Fluorescence/RoiResponseSeries"
    assert dict(recording.sizes) == {"time": 250, "roi": 7, "segment": 1}
    assert np.diff(recording["time"]).tolist() == pytest.approx([0.1] * 249)
    neuropil = read_recording(real_data("ophys_rois.nwb"), "Neuropil")
    assert neuropil.attrs["kind"] == "ophys"


def test_channel_conversion_of_electrodes(tmp_path):
    def add(file):
        group = file.create_electrode_group("g", "", "", device=file.create_device("d"))
        for i in range(3):
            file.add_electrode(location="M1", group=group, id=20 + i)
        file.add_acquisition(
            ElectricalSeries(
                name="lfp",
                data=simulate_series(100, 3),
                electrodes=file.create_electrode_table_region([0, 1, 2], ""),
                rate=10.0,
                conversion=2.0,
                channel_conversion=np.array([1.0, 10.0, 100.0]),
                offset=1.0,
            )
        )

    path = make_series_session(tmp_path / "s.nwb", change=add)
    recording = read_recording(path, "lfp", bands="none")
    assert recording.attrs["kind"] == "series"
    np.testing.assert_allclose(recording["data"], simulate_series(100, 3) * 2 * [1, 10, 100] + 1)
    assert recording["channel"].values.tolist() == [20, 21, 22]


def test_units_cannot_be_selected_from_a_series(tmp_path):
    with pytest.raises(ParameterError, match=r"units is for a units table.*leave `units=` out"):
        read_recording(make_series_session(tmp_path / "s.nwb"), "signal", units="1")


def test_hash_follows_data_and_clock(tmp_path):
    path = make_series_session(tmp_path / "s.nwb")
    before = read_recording(path, "signal").attrs["source"]["sha256"]
    with h5py.File(path, "r+") as file:
        file["acquisition/signal/starting_time"].attrs["rate"] = 21.0
    moved = read_recording(path, "signal").attrs["source"]["sha256"]
    with h5py.File(path, "r+") as file:
        file["acquisition/signal/data"][0, 0] += 1
    assert len({before, moved, read_recording(path, "signal").attrs["source"]["sha256"]}) == 3


def test_timestamps_shared_by_link_are_followed(tmp_path):
    stamps = 3 + np.arange(20) * 0.5

    def add(file):
        first = file.acquisition["signal"]
        file.add_acquisition(TimeSeries(name="other", data=simulate_series(20, 2), unit="cm", timestamps=first))

    path = make_series_session(tmp_path / "s.nwb", simulate_series(20), timestamps=stamps, change=add)
    np.testing.assert_array_equal(read_recording(path, "other")["time"], stamps)
