"""Counts and times of sortings: by hand, and equal to those of the NWB file of the same data."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from spikeinterface.core import NumpySorting, aggregate_units, create_sorting_analyzer
from spikeinterface.core.base import unit_period_dtype
from spikeinterface.extractors import read_nwb_sorting

import nwb_dcf
import nwb_dcf.spikeinterface
from nwb_dcf.data.recording import segment_slices, validate_recording
from nwb_dcf.errors import DOUBT, DataError, ParameterError
from nwb_dcf.spikeinterface.clocks import find_clocks
from nwb_dcf.spikeinterface.sorted_units import SortedUnits

from .sessions import RATE_HZ, make_analyzer, make_recording, make_sorting, write_nwb


def sorting_of(times_s, *, t_start=None, rate_hz=RATE_HZ):
    """A sorting of one segment from spike times by unit."""
    units = list(times_s)
    samples = np.concatenate([np.round(np.asarray(times_s[u]) * rate_hz).astype(int) for u in units])
    labels = np.concatenate([np.full(len(times_s[u]), u) for u in units])
    sorting = NumpySorting.from_samples_and_labels([samples], [labels], rate_hz, unit_ids=units)
    sorting.segments[0]._t_start = t_start
    return sorting


def test_counts_by_hand():
    sorting = sorting_of({"a": [0.0, 0.05, 0.1, 0.35], "b": [0.12, 0.13, 0.31]})
    found = nwb_dcf.spikeinterface.from_sorting(sorting, make_recording((0.45,), (7.0,)), bin_width_s=0.1)
    np.testing.assert_array_equal(found["data"], [[2, 0], [1, 2], [0, 0], [1, 1]])  # the fifth bin is half a bin
    np.testing.assert_allclose(found["time"], [7.05, 7.15, 7.25, 7.35], atol=1e-12)
    assert found["unit"].values.tolist() == ["a", "b"]
    assert found["segment_start"].values.tolist() == [7.0]
    assert (found.attrs["kind"], found["data"].attrs["units"]) == ("units", "count")
    json.dumps(found.attrs)


def test_an_analyzer_counts_as_its_sorting_and_its_file(analyzer, sorting, recording, tmp_path):
    found = nwb_dcf.spikeinterface.from_analyzer(analyzer)
    assert [s.stop - s.start for s in segment_slices(found)] == [600, 400]
    assert found["trial_si_segment"].values.tolist() == [0, 1]
    for other in (
        nwb_dcf.spikeinterface.from_sorting(sorting, recording),
        nwb_dcf.read_recording(write_nwb(tmp_path / "s.nwb", sorting, recording)),
    ):
        np.testing.assert_array_equal(found["data"], other["data"])
        np.testing.assert_allclose(found["time"], other["time"], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(found["segment_index"], other["segment_index"])


def test_spikes_are_divided_among_units_without_a_function_that_is_compiled_first():
    sorting = make_sorting((6.0, 4.0))
    ids = sorting.unit_ids[::-1][:-2]
    clocks = find_clocks(sorting, make_recording((6.0, 4.0), (0.0, 10.0)), where="here")
    source = SortedUnits(sorting, ids, clocks, None, "here", "")
    found = [source.read_trains(segment).times for segment in (0, 1)]
    # the spikes of all units in order, which numba makes, in most of a second where it has not been compiled
    assert not sorting._cached_lexsorted_spike_vector
    for segment, times in enumerate(found):
        for unit, spikes in zip(ids, times, strict=True):
            samples = sorting.get_unit_spike_train(unit, segment_index=segment)
            np.testing.assert_array_equal(spikes, clocks[segment].compute_times(samples))


def test_from_the_first_spike_to_the_last_as_a_file_without_obs_intervals(tmp_path):
    sorting, recording = make_sorting((10.0,)), make_recording((10.0,), (50.0,))
    path = write_nwb(tmp_path / "s.nwb", sorting, recording, observed=False)
    expected = nwb_dcf.read_recording(path)
    for found in (
        nwb_dcf.spikeinterface.from_analyzer(make_analyzer(sorting, recording), extent="spikes"),
        nwb_dcf.spikeinterface.from_sorting(sorting, recording, extent="spikes"),
    ):
        np.testing.assert_array_equal(found["data"], expected["data"])
        np.testing.assert_allclose(found["time"], expected["time"], rtol=0, atol=1e-9)


def test_a_sorting_alone_warns_that_it_has_no_clock(sorting):
    with pytest.warns(UserWarning, match="times count from the first sample"):
        found = nwb_dcf.spikeinterface.from_sorting(sorting)
    assert found["time"].values[0] < 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        known = nwb_dcf.spikeinterface.from_sorting(
            sorting_of({"a": [0, 1, 1.1], "b": [0.5, 1.9]}, t_start=30.0), bin_width_s=0.2
        )
    assert known["time"].values[0] == pytest.approx(30.1)


def test_segments_may_overlap_in_time():
    sorting, recording = make_sorting((6.0, 6.0)), make_recording((6.0, 6.0))
    found = validate_recording(nwb_dcf.spikeinterface.from_sorting(sorting, recording))
    first, second = segment_slices(found)
    np.testing.assert_array_equal(found["time"][first], found["time"][second])
    alone = nwb_dcf.spikeinterface.from_sorting(
        NumpySorting.from_unit_dict(
            {u: sorting.get_unit_spike_train(u, segment_index=1) for u in sorting.unit_ids}, RATE_HZ
        ),
        make_recording((6.0,)),
    )
    np.testing.assert_array_equal(found["data"][second], alone["data"])


@pytest.mark.parametrize("through", ["analyzer", "argument", "registered"])
def test_a_recording_shifted_against_its_sorting_is_refused(through):
    sorting, recording = make_sorting((6.0,)), make_recording((6.0,))
    sorting.register_recording(recording)
    recording.shift_times(100.0)
    read = {
        "analyzer": lambda: nwb_dcf.spikeinterface.from_analyzer(make_analyzer(sorting, recording)),
        "argument": lambda: nwb_dcf.spikeinterface.from_sorting(sorting, recording),
        "registered": lambda: nwb_dcf.spikeinterface.from_sorting(sorting),
    }[through]
    with pytest.raises(DataError, match=r"segment 0 starts at 100 s in the recording and at 0 s in the sorting"):
        read()


def test_a_sorting_without_a_clock_takes_the_recordings():
    found = nwb_dcf.spikeinterface.from_analyzer(make_analyzer(make_sorting((6.0,)), make_recording((6.0,), (100.0,))))
    assert found["time"].values[0] == pytest.approx(100.01)


def test_gaps_of_a_time_vector_cut_segments():
    sorting, recording = make_sorting((10.0,)), make_recording((10.0,))
    times = np.arange(100_000) / RATE_HZ
    times[40_000:] += 5.0  # 5 s were lost after 4 s
    recording.set_times(times + 20.0)
    found = nwb_dcf.spikeinterface.from_sorting(sorting, recording)
    assert [s.stop - s.start for s in segment_slices(found)] == [200, 300]
    np.testing.assert_allclose(found["segment_start"], [20.0, 29.0])
    assert found["trial_si_segment"].values.tolist() == [0, 0]
    whole = nwb_dcf.spikeinterface.from_sorting(sorting, make_recording((10.0,)))
    np.testing.assert_array_equal(found["data"], whole["data"])


def compute_periods(analyzer, periods):
    rows = [(0, int(start * RATE_HZ), int(stop * RATE_HZ), unit) for unit, start, stop in periods]
    analyzer.compute(
        "valid_unit_periods",
        method="user_defined",
        user_defined_periods=np.array(rows, dtype=unit_period_dtype),
        minimum_valid_period_duration=0.5,
    )


def test_valid_periods_are_honoured_as_obs_intervals(tmp_path):
    sorting, recording = make_sorting((10.0,), 4), make_recording((10.0,))
    analyzer = make_analyzer(sorting, recording)
    compute_periods(analyzer, [(0, 0, 10), (1, 1.0, 6.005), (1, 7, 9), (2, 0, 10), (2, 2, 3)])  # unit 3 never
    found = nwb_dcf.spikeinterface.from_analyzer(analyzer)
    assert found["unit"].values.tolist() == ["u0", "u1", "u2"]
    assert found.attrs["left_out"] == [{"what": "unit", "id": "u3", "why": "it has no valid period"}]
    np.testing.assert_allclose(found["segment_start"], [1, 7])
    assert [s.stop - s.start for s in segment_slices(found)] == [250, 100]
    whole = nwb_dcf.spikeinterface.from_analyzer(analyzer, valid_unit_periods=False)
    assert whole.sizes["unit"] == 4
    np.testing.assert_array_equal(found["data"][:250], whole["data"][50:300, :3])
    compute_periods(analyzer, [(0, 0, 3), (1, 4, 6), (2, 0, 10), (3, 0, 10)])
    with pytest.raises(DataError, match="no time at which all 4 units are valid"):
        nwb_dcf.spikeinterface.from_analyzer(analyzer)


def test_nwb_sortings_are_read_as_their_file_is(tmp_path):
    path = write_nwb(tmp_path / "s.nwb", make_sorting((10.0,)), make_recording((10.0,), (50.0,)))
    found = nwb_dcf.spikeinterface.from_sorting(read_nwb_sorting(path, sampling_frequency=RATE_HZ))
    expected = nwb_dcf.read_recording(path)
    np.testing.assert_array_equal(found["data"], expected["data"])
    np.testing.assert_array_equal(found["time"], expected["time"])  # with its obs_intervals
    assert found["unit"].values.tolist() == [f"u{i}" for i in range(8)]


def test_aggregated_analyzers_count_all_their_units():
    parts = {key: make_sorting((6.0,), 3, seed=seed) for seed, key in enumerate("ab")}
    recordings = {key: make_recording((6.0,)) for key in parts}
    for key, recording in recordings.items():
        recordings[key] = recording.rename_channels([f"{key}{i}" for i in range(2)])
    analyzer = create_sorting_analyzer(parts, recordings, sparse=False, set_sparsity_by_dict_key=True)
    found = nwb_dcf.spikeinterface.from_analyzer(analyzer)
    assert found.sizes["unit"] == 6
    whole = nwb_dcf.spikeinterface.from_sorting(aggregate_units(list(parts.values())), recordings["a"])
    np.testing.assert_array_equal(found["data"], whole["data"])


def test_arguments_that_cannot_be_meant(analyzer, sorting):
    with pytest.raises(ParameterError, match="no unit nobody"):
        nwb_dcf.spikeinterface.from_analyzer(analyzer, unit_ids=["u0", "nobody"])
    with pytest.raises(ParameterError, match="extent is 'all'"):
        nwb_dcf.spikeinterface.from_analyzer(analyzer, extent="all")
    with pytest.raises(ParameterError, match="has no table of trials"):
        nwb_dcf.spikeinterface.from_sorting(sorting, make_recording((12.0, 8.0)), trials="trials")
    with (
        pytest.raises(ParameterError, match="the length of the recording is unknown"),
        pytest.warns(UserWarning, match="no start"),
    ):
        nwb_dcf.spikeinterface.from_sorting(sorting, extent="recording")
    with pytest.raises(DataError, match="number of segments of the sorting is 2"):
        nwb_dcf.spikeinterface.from_sorting(sorting, make_recording((12.0,)))


@pytest.mark.parametrize(
    ("change", "words"), [(lambda t: t * 1000, "milliseconds"), (lambda t: t + 1.7e9, "1970"), (lambda t: t, "")]
)
def test_the_clock_of_a_recording_is_doubted_as_that_of_a_file(change, words):
    durations = (60.0,)
    sorting, recording = make_sorting(durations), make_recording(durations)
    recording.set_times(change(np.arange(recording.get_num_samples()) / RATE_HZ), segment_index=0)
    notes = nwb_dcf.spikeinterface.from_sorting(
        sorting, recording, bin_width_s=0.05 if change(1.0) < 1e3 else 1.0
    ).attrs["notes"]
    doubts = [note for note in notes if note.startswith(DOUBT)]
    assert len(doubts) == bool(words)
    assert all(words in doubt and "recording.set_times" in doubt for doubt in doubts)
