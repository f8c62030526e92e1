import json
import time

import h5py
import numpy as np
import pytest

from nwb_dcf.data.recording import segment_slices
from nwb_dcf.data.spike_binning import Bins, count_spikes
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.io.recordings import read_recording
from tests.nwb_files import make_spike_session

from .field_files import put_dataset


def test_reach_counts_equal_those_stored_beside_the_spikes(real_data):
    recording = read_recording(real_data("reach_chewie.nwb"), bin_width_s=0.1)
    lengths = [s.stop - s.start for s in segment_slices(recording)]
    assert (recording.sizes["time"], recording.sizes["unit"], len(lengths)) == (1640, 163, 159)
    assert (min(lengths), max(lengths)) == (9, 14)
    with h5py.File(real_data("reach_chewie.nwb")) as file:
        stored = file["processing/ecephys/binned_spike_counts"]
        np.testing.assert_array_equal(recording["data"], stored["data"][:, recording.attrs["source"]["channel_rows"]])
        np.testing.assert_allclose(recording["time"], stored["timestamps"][:], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(recording["trial_direction"], file["intervals/trials/direction"][:])
    silent = [item["id"] for item in recording.attrs["left_out"]]
    assert silent == [23, 30, 32, 37, 42, 52, 53, 54, 137, 167, 171]
    assert "23, 30" in " ".join(recording.attrs["notes"])


def test_a_session_that_starts_late_keeps_its_clock(real_data):
    recording = read_recording(real_data("linear_track.nwb"))
    assert recording.sizes["segment"] == 1
    first, last = recording["time"].values[[0, -1]]
    assert first == pytest.approx(4397.0023 + 0.01)
    assert 6365.1 < last < 6365.147266666667
    with h5py.File(real_data("linear_track.nwb")) as file:
        spikes = file["units/spike_times"][:]
    stop = float(recording["segment_stop"][0])
    assert recording["data"].sum() == (spikes < stop).sum()  # spikes in = binned + those of the last, broken bin


def test_source_says_where_it_came_from_and_no_folder(tmp_path):
    recording = read_recording(make_spike_session(tmp_path / "s.nwb", unit_ids=[5, 6, 7], n_units=3), units="5,7")
    source = recording.attrs["source"]
    assert source["file"] == "s.nwb"
    assert (source["path"], source["type"], source["identifier"]) == ("/units", "Units", "test")
    assert source["channel_rows"] == [0, 2]
    assert len(source["sha256"]) == 64
    assert str(tmp_path) not in json.dumps(recording.attrs)  # and all of it is JSON-able


def test_hash_follows_the_spike_times(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb")
    before = read_recording(path).attrs["source"]["sha256"]
    assert read_recording(path, bin_width_s=0.1).attrs["source"]["sha256"] == before
    with h5py.File(path, "r+") as file:
        file["units/spike_times"][3] += 1e-9
    assert read_recording(path).attrs["source"]["sha256"] != before


def test_silent_and_constant_units_are_left_out_by_id(tmp_path):
    grid = np.arange(0.05, 10, 0.1)
    spikes = [grid, [], np.arange(0.02, 10, 0.3), [50.0]]
    path = make_spike_session(
        tmp_path / "s.nwb", spike_times=spikes, unit_ids=[10, 11, 12, 13], trials=[(0, 5), (5, 10)]
    )
    recording = read_recording(path, bin_width_s=0.1)
    assert recording["unit"].values.tolist() == [12]
    reasons = {item["id"]: item["why"] for item in recording.attrs["left_out"]}
    assert reasons == {10: "1 spikes in every bin", 11: "no spike in the bins read", 13: "no spike in the bins read"}


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        ("location == 'M1'", [1, 3]),
        ("quality > 0.5 and location in ('M1', 'PMd')", [2, 3]),
        ("id < 3", [1, 2]),
        ("3, 1", [1, 3]),
        ((2,), [2]),
    ],
)
def test_units_are_selected(tmp_path, selection, ids):
    path = make_spike_session(
        tmp_path / "s.nwb",
        n_units=4,
        unit_ids=[1, 2, 3, 4],
        unit_columns={"location": ["M1", "PMd", "M1", "S1"], "quality": [0.1, 0.6, 0.7, 0.9]},
    )
    recording = read_recording(path, units=selection)
    assert recording["unit"].values.tolist() == ids
    assert recording.attrs["source"]["channel_rows"] == [i - 1 for i in ids]


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ("7,99", "no unit has id 99"),
        ("location == 'M1'", "'location'.*columns are: id"),
        ("id > 90", "no unit fulfils"),
    ],
)
def test_units_that_do_not_exist_are_refused(tmp_path, selection, words):
    with pytest.raises(ParameterError, match=words):
        read_recording(make_spike_session(tmp_path / "s.nwb"), units=selection)


def test_segments_follow_shared_obs_intervals(tmp_path):
    spikes = [np.arange(0.01, 20, 0.07), np.arange(0.02, 20, 0.11)]
    observed = [[[1.0, 5.0], [8.05, 12.0]]] * 2
    recording = read_recording(
        make_spike_session(tmp_path / "s.nwb", spike_times=spikes, obs_intervals=observed, trials=None), bin_width_s=0.1
    )
    assert recording.sizes["segment"] == 2
    np.testing.assert_allclose(recording["segment_start"], [1, 8.05])
    np.testing.assert_allclose(recording["segment_stop"], [5, 11.95])
    assert recording["time"].values[[0, 40]] == pytest.approx([1.05, 8.1])


def test_partly_observed_bins_are_corrected_or_dropped(tmp_path):
    even = np.arange(0.005, 10, 0.01)  # ten spikes in each bin of 0.1 s
    lively = np.sort(np.concatenate([even, [1.0501, 2.0501]]))
    observed = [[[0.0, 4.04], [4.16, 10.0]], [[0.0, 10.0]]]  # unit 0: 40 % of bin 40, 40 % of bin 41
    seen = lively[(lively < 4.04) | (lively >= 4.16)]
    path = make_spike_session(
        tmp_path / "s.nwb", spike_times=[seen, lively], obs_intervals=observed, trials=[(0, 3), (3.05, 8.05)]
    )
    recording = read_recording(path, bin_width_s=0.1)
    # bins of the second trial start at 3.05: 3.95 to 4.05 is observed to 90 %, 4.05 to 4.15 not, 4.15 to 4.25 to 90 %
    assert recording.sizes["segment"] == 3
    assert recording["segment_row"].values.tolist() == [0, 1, 1]
    np.testing.assert_allclose(recording["segment_stop"].values[1], 4.05)
    np.testing.assert_allclose(recording["segment_start"].values[2], 4.15)
    unit = recording["data"].sel(unit=0)
    np.testing.assert_allclose(unit.values[[38, 39, 40, 41]], [10, 10, 10, 10], rtol=1e-5)
    notes = " ".join(recording.attrs["notes"])
    assert "2 bins were partly observed" in notes
    assert "1 of 80 bins dropped" in notes
    assert "unit 0" in notes


def test_units_never_observed_together_are_refused(tmp_path):
    spikes = [np.arange(0, 2, 0.1), np.arange(3, 5, 0.07)]
    path = make_spike_session(tmp_path / "s.nwb", spike_times=spikes, obs_intervals=[[[0, 2]], [[3, 5]]], trials=None)
    with pytest.raises(DataError, match="never observed all at once"):
        read_recording(path)
    assert read_recording(path, units="1", bin_width_s=0.3).sizes["unit"] == 1


def test_wide_bins_leave_nothing_and_say_so(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb", trials=None)
    with pytest.raises(DataError, match="narrower `bin_width_s=`"):
        read_recording(path, bin_width_s=25)
    for width in (np.nan, 0, -1):
        with pytest.raises(ParameterError, match="bin_width_s"):
            read_recording(path, bin_width_s=width)


def test_counting_is_fast():
    """Millions of spikes in a fraction of a second: counting is linear in spikes, whatever the number of trials."""
    rng = np.random.default_rng(0)
    trains = [np.sort(rng.uniform(0, 3000, 30_000)) for _ in range(100)]
    bins = Bins(np.arange(0, 3000, 5.0), np.full(600, 200), np.arange(600), 0.02)
    start = time.perf_counter()
    counts = count_spikes(trains, bins)
    seconds = time.perf_counter() - start
    assert counts.sum() == sum(((train % 5) < 4).sum() for train in trains)
    assert seconds < 2  # 0.15 s on two cores


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 1)])
def test_obs_intervals_of_another_shape_are_refused(tmp_path, shape):
    times = np.arange(0, 10, 0.05)
    observed = [[[0, 5], [5, 10]]] * 2
    path = make_spike_session(
        tmp_path / "s.nwb", spike_times=[times, times + 0.01], obs_intervals=observed, trials=None
    )
    put_dataset(path, "units/obs_intervals", np.resize(np.arange(10.0), shape if len(shape) == 1 else (4, shape[1])))
    with pytest.raises(DataError, match=r"not \(interval, 2\)"):
        read_recording(path)


def test_empty_obs_intervals_are_said(tmp_path):
    times = np.arange(0, 10, 0.05)
    path = make_spike_session(
        tmp_path / "s.nwb", spike_times=[times, times + 0.01], obs_intervals=[[[0, 0]]] * 2, trials=None
    )
    assert any("every interval of obs_intervals is empty" in note for note in read_recording(path).attrs["notes"])
