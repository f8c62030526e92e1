"""Thirty more files of the kinds on which a reader can be wrong in silence, written with their right answers first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pynwb import NWBFile, TimeSeries
from pynwb.behavior import Position
from pynwb.ecephys import ElectricalSeries
from pynwb.icephys import VoltageClampSeries
from pynwb.ophys import DfOverF, Fluorescence, OnePhotonSeries

from nwb_dcf import list_sources, read_recording
from nwb_dcf.errors import DOUBT, DCFError, name_options
from tests.nwb_files import add_plane, make_rois, new_nwbfile, write_nwbfile

from .field_files import (
    add_trials,
    add_units,
    put_dataset,
    simulate_trains,
    write_annotations,
    write_epochs,
    write_events_table,
    write_heading,
    write_interval_series,
    write_rois,
    write_series,
    write_spikes,
)

RNG = np.random.default_rng(0)


def walk(*shape: int) -> Any:
    return RNG.normal(size=shape).cumsum(axis=0)


def save(path: Path, change: Callable[[NWBFile], Any], units: bool = False) -> Path:
    nwbfile = new_nwbfile()
    if units:
        add_units(nwbfile, simulate_trains())
    change(nwbfile)
    return write_nwbfile(nwbfile, path)


def add_responses(nwbfile: NWBFile, names: Sequence[str], columns: Any = None, box: Any = Fluorescence) -> None:
    table = add_plane(nwbfile, n_rois=6, columns=columns)
    series = [make_rois(table, name, walk(600, 6) + 200) for name in names]
    nwbfile.processing["ophys"].add(box(roi_response_series=series))


def add_voltages(nwbfile: NWBFile, name: str, data: Any, n: int = 4, **settings: Any) -> None:
    if nwbfile.electrodes is None:
        group = nwbfile.create_electrode_group("g", description="d", location="m", device=nwbfile.create_device("p"))
        for _ in range(n):
            nwbfile.add_electrode(location="m", group=group)
    region = nwbfile.create_electrode_table_region(list(range(n)), "r")
    nwbfile.add_acquisition(ElectricalSeries(name=name, data=data, electrodes=region, **settings))


def add_clamps(nwbfile: NWBFile) -> None:
    electrode = nwbfile.create_icephys_electrode(name="e", description="d", device=nwbfile.create_device("amplifier"))
    for k in range(5):
        nwbfile.add_acquisition(
            VoltageClampSeries(name=f"sweep{k}", data=walk(2000), electrode=electrode, gain=1.0, rate=1e4)
        )


def add_photons(nwbfile: NWBFile) -> None:
    """A cell of 6 x 4 pixels at x 20, y 3 of a picture 30 wide and 12 high, as (frame, x, y)."""
    seen = np.full((100, 30, 12), 50, np.uint16)
    flicker = (40 * np.sin(np.arange(100)[:, None, None] / 4 + np.arange(24).reshape(6, 4))).astype(int)
    seen[:, 20:26, 3:7] += (100 + flicker).astype(np.uint16)
    add_plane(nwbfile)
    plane = nwbfile.imaging_planes["plane"]
    nwbfile.add_acquisition(OnePhotonSeries(name="movie", data=seen, imaging_plane=plane, unit="a.u.", rate=10.0))


def add_twins(nwbfile: NWBFile) -> None:
    for name, level in (("left", 0.0), ("right", 100.0)):
        module = nwbfile.create_processing_module(name, "m")
        module.add(TimeSeries(name="speed", data=walk(500, 2) + level, unit="cm/s", rate=10.0))


def add_position(nwbfile: NWBFile) -> None:
    box = Position(name="Position")
    box.create_spatial_series(name="xy", data=walk(800, 2), reference_frame="r", rate=10.0)
    nwbfile.create_processing_module("behavior", "b").add(box)


def transpose(path: Path, dataset: str) -> Path:
    with h5py.File(path) as file:
        values = file[dataset][:].T.copy()
    return put_dataset(path, dataset, values)


def doubts_of(path: Path) -> str:
    return name_options(" ".join(list_sources(path).doubts))


def notes_of(recording: Any) -> str:
    return name_options(" ".join(recording.attrs["notes"]))


def refused(path: Path, *words: str, **settings: Any) -> None:
    with pytest.raises(DCFError) as caught:
        read_recording(path, **settings)
    message = name_options(str(caught.value))
    for word in words:
        assert word in message, (word, message)


# -- clocks


def spikes_of_20_khz(path: Path) -> None:
    write_spikes(path, lambda t: np.round(t * 20000), dtype="u8", trials={})
    refused(path, "sample numbers", "--time-scale")
    mended = read_recording(path, time_scale="1/20000")
    assert mended.sizes["segment"] == 20


def slow_units_of_a_long_session(path: Path) -> None:
    trains = [np.sort(RNG.uniform(0, 4000, 1200)) for _ in range(5)]  # 0.3 spikes/s
    write_nwbfile(add_units(new_nwbfile(), trains), path)
    assert doubts_of(path) == ""
    recording = read_recording(path)
    assert recording.sizes["segment"] == 1
    assert DOUBT not in notes_of(recording)


def rois_in_milliseconds(path: Path) -> None:
    write_rois(path, timestamps=np.arange(1200) * 100.0)
    assert "milliseconds: give --time-scale raw=0.001" in doubts_of(path)
    time = read_recording(path, time_scale=0.001)["time"].values
    assert np.allclose(np.diff(time), 0.1)


def rois_with_frame_numbers(path: Path) -> None:
    write_rois(path, timestamps=np.arange(1200.0))
    assert "frame numbers" in doubts_of(path)
    read = notes_of(read_recording(path))
    assert "give --time-scale 1/RATE" in read


def a_series_that_begins_after_the_units_end(path: Path) -> None:
    write_series(path, 5000 + np.arange(3600) / 30)
    refused(path, "wheel", source=["units", "wheel"])


def events_in_sample_numbers(path: Path) -> None:
    write_events_table(path, np.round((3 + 5.5 * np.arange(20)) * 30000))
    refused(path, "--time-scale", "rewards", align="rewards", window=(-1.0, 2.0))
    mended = read_recording(path, align="rewards", window=(-1.0, 2.0), time_scale="rewards=1/30000")
    assert mended.sizes["segment"] == 20


def a_sorting_without_the_clock_of_its_recording(path: Path) -> None:
    def add(nwbfile: NWBFile, start_s: float = 500.0) -> None:
        add_voltages(nwbfile, "raw", walk(12500, 4), rate=100.0, starting_time=start_s)

    save(path, add, units=True)
    assert "sorting.register_recording" in doubts_of(path)
    assert "sorting.register_recording" in notes_of(read_recording(path))
    same = path.with_name("same.nwb")
    save(same, lambda nwbfile: add(nwbfile, 0.0), units=True)
    assert doubts_of(same) == ""


def trials_that_begin_before_the_spikes(path: Path) -> None:
    write_spikes(path, start_s=30.0, trials={"n": 20})
    recording = read_recording(path)
    assert recording["time"].values[0] >= 30
    assert recording.sizes["segment"] < 20


# -- shapes


def rois_as_rows(path: Path) -> None:
    transpose(write_rois(path, rate=10.0), "processing/ophys/Fluorescence/raw/data")
    refused(path, "--transpose")
    assert read_recording(path, "raw", transpose=True)["data"].shape == (1200, 6)


def positions_as_rows(path: Path) -> None:
    transpose(save(path, add_position), "processing/behavior/Position/xy/data")
    refused(path, "--transpose", source="xy")
    assert read_recording(path, "xy", transpose=True)["data"].shape == (800, 2)


def timestamps_as_a_column(path: Path) -> None:
    write_series(path, np.arange(3600) / 30)
    with h5py.File(path) as file:
        values = file["acquisition/wheel/timestamps"][:]
    put_dataset(path, "acquisition/wheel/timestamps", values[:, None])
    recording = read_recording(path, "wheel")
    assert recording["data"].shape == (3600, 3)
    assert np.allclose(recording["time"], values)


def many_short_samples_with_a_rate(path: Path) -> None:
    save(path, lambda n: n.add_acquisition(TimeSeries(name="wide", data=walk(100, 300), unit="a", rate=10.0)))
    assert "--transpose" in doubts_of(path)
    assert read_recording(path, "wide")["data"].shape == (100, 300)


def photons_by_width_and_height(path: Path) -> None:
    save(path, add_photons)
    recording = read_recording(path, "movie", crop=(20, 3, 6, 4), size=6)
    assert (recording.sizes["x"], recording.sizes["y"]) == (6, 4)
    assert (recording["data"].values.std(axis=0) > 0).all()


# -- where nothing was recorded


def three_runs_of_few_units(path: Path) -> None:
    write_epochs(path, [0.0, 500.0, 2000.0], [60.0, 60.0, 60.0], n_units=3, table=False)
    recording = read_recording(path)
    assert recording.sizes["segment"] == 3
    assert "--no-gaps" in notes_of(recording)
    assert read_recording(path, cut_gaps=False).sizes["segment"] == 1


def a_short_rest_is_no_gap(path: Path) -> None:
    trains = [t[(t < 60) | (t > 60.5)] for t in simulate_trains()]
    write_nwbfile(add_units(new_nwbfile(), trains), path)
    assert read_recording(path).sizes["segment"] == 1


# -- what is fitted by default


def denoised_before_all_but_dff(path: Path) -> None:
    save(path, lambda n: add_responses(n, ["Baseline", "Deconvolved", "Denoised", "Neuropil"]))
    assert str(list_sources(path).default).endswith("/Denoised")


def nothing_but_neuropil(path: Path) -> None:
    save(path, lambda n: add_responses(n, ["Neuropil"]))
    assert list_sources(path).default is None


def dff_before_fluorescence(path: Path) -> None:
    save(path, lambda n: add_responses(n, ["traces"], box=DfOverF))
    assert "DfOverF" in str(list_sources(path).default)
    assert [source.kind for source in list_sources(path).sources] == ["dff"]


def voltage_clamp_beside_units(path: Path) -> None:
    save(path, add_clamps, units=True)
    assert list_sources(path).default == "/units"


def voltage_clamp_alone(path: Path) -> None:
    save(path, add_clamps)
    assert list_sources(path).default is None


def two_voltages(path: Path) -> None:
    def add(nwbfile: NWBFile) -> None:
        add_voltages(nwbfile, "a_raw", walk(8000, 4), rate=2000.0)
        add_voltages(nwbfile, "lfp", walk(4000, 4), rate=1000.0)

    save(path, add)
    assert list_sources(path).default == "/acquisition/lfp"


def words_say_which_rois(path: Path) -> None:
    save(path, lambda n: add_responses(n, ["raw"], {"is_accepted": ["yes", "no", "yes", "", "no", "yes"]}))
    recording = read_recording(path)
    assert recording["roi"].values.tolist() == [100, 102, 103, 105]


def minus_one_is_no_verdict(path: Path) -> None:
    save(path, lambda n: add_responses(n, ["raw"], {"Accepted": np.array([1, -1, 0, 1, 1, 1])}))
    recording = read_recording(path)
    assert recording.sizes["roi"] == 6
    assert "--rois" in notes_of(recording)


def a_probability_is_no_verdict(path: Path) -> None:
    save(path, lambda n: add_responses(n, ["raw"], {"iscell": np.array([0.9, 0.2, 0.8, 0.7, 0.1, 0.6])}))
    recording = read_recording(path)
    assert recording.sizes["roi"] == 6
    assert "iscell > 0.5" in notes_of(recording)
    assert read_recording(path, rois="iscell > 0.5").sizes["roi"] == 4


# -- values between samples


def degrees_from_minus_180(path: Path) -> None:
    time = np.arange(0, 120, 1 / 30)
    write_heading(path, (144 * time + 180) % 360 - 180, "deg", compass=False)
    joined = read_recording(path, source=["units", "heading"])
    wrong = joined["data"].values[:, 8] - 144 * joined["time"].values
    assert np.abs((wrong + 180) % 360 - 180).max() < 2


def an_offset_of_a_hundred_million(path: Path) -> None:
    values = 1e8 + walk(2000, 3)
    save(path, lambda n: n.add_acquisition(TimeSeries(name="gps", data=values, unit="m", rate=10.0)))
    read = read_recording(path, "gps")["data"].values
    assert np.allclose(np.diff(read, axis=0), np.diff(values, axis=0), atol=1e-6)


# -- events, intervals, links, settings


def annotations_are_events(path: Path) -> None:
    write_annotations(path, ["a", "b"] * 5, 5 + 10.0 * np.arange(10))
    assert read_recording(path, align="notes", window=(0.0, 1.0)).sizes["segment"] == 10
    assert read_recording(path, align="notes", window=(0.0, 1.0), where="value == 'b'").sizes["segment"] == 5


def two_kinds_of_intervals(path: Path) -> None:
    write_interval_series(path, [1, -1, 2, -2] * 5, np.arange(20) * 5.0, where="behavior")
    assert read_recording(path, trials="run").sizes["segment"] == 10
    assert read_recording(path, trials="run", where="type == 2").sizes["segment"] == 5


def what_is_invalid_by_the_name_of_a_device(path: Path) -> None:
    def add(nwbfile: NWBFile) -> None:
        add_voltages(nwbfile, "lfp", walk(12000, 4), rate=100.0)
        nwbfile.add_invalid_time_interval(start_time=50.0, stop_time=60.0, tags=["p"])

    save(path, add)
    assert read_recording(path, "lfp", bands="none").sizes["segment"] == 2
    assert read_recording(path, "lfp", bands="none", keep_invalid=True).sizes["segment"] == 1


def twins_by_their_paths(path: Path) -> None:
    save(path, add_twins)
    refused(path, "left", "right", source="speed")
    assert read_recording(path, "right/speed")["data"].values[0].mean() > 50
    assert read_recording(path, "/processing/left/speed")["data"].values[0].mean() < 50


def bins_for_what_has_frames(path: Path) -> None:
    write_rois(path, rate=10.0)
    refused(path, "--bin", bin_width_s=0.05)


def conditions_that_are_empty(path: Path) -> None:
    write_nwbfile(add_trials(add_units(new_nwbfile(), simulate_trains())), path)
    refused(path, "where is empty", where="")
    refused(path, "tags is empty", tags="")


def ids_that_stand_twice(path: Path) -> None:
    nwbfile = new_nwbfile()
    for i, times in enumerate(simulate_trains()):
        nwbfile.add_unit(spike_times=times, id=[0, 1, 2, 3, 0, 1, 2, 3][i])
    write_nwbfile(nwbfile, path)
    assert "ids" in notes_of(read_recording(path))


CASES = [
    value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__annotations__", {}) == {"path": "Path", "return": "None"}
]


def test_there_are_thirty_of_them() -> None:
    assert len(CASES) >= 30


@pytest.mark.parametrize("case", CASES, ids=[case.__name__ for case in CASES])
@pytest.mark.filterwarnings("ignore")
def test_other_members(case: Callable[[Path], None], tmp_path: Path) -> None:
    case(tmp_path / "s.nwb")
