"""Small NWB files for tests: sound sessions, and sessions with one fault each.

>>> make_spike_session(tmp_path / "s.nwb", n_units=5)                                   # doctest: +SKIP
>>> make_faulty_session(tmp_path / "s.nwb", "overlapping trials")                       # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.ecephys import LFP, ElectricalSeries
from pynwb.epoch import TimeIntervals
from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation, OpticalChannel, RoiResponseSeries

from tests.written_once import written_once

Trials = Sequence[tuple[float, float]]


def new_nwbfile(identifier: str = "test") -> NWBFile:
    """An empty session."""
    return NWBFile("a session made for a test", identifier, datetime(2026, 1, 1, tzinfo=UTC))


def write_nwbfile(nwbfile: NWBFile, path: Path) -> Path:
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)
    return path


def convert_to_zarr(path: Path, folder: Path) -> Path:
    """Write the session at `path` once more, in Zarr: the same objects with the same ids and values."""
    from hdmf_zarr.nwb import NWBZarrIO

    with NWBHDF5IO(str(path), "r") as source, NWBZarrIO(str(folder), mode="w") as io:
        io.export(src_io=source, write_args={"link_data": False})
    return folder


def simulate_spike_times(n_units: int = 8, duration_s: float = 30.0, start_s: float = 0.0, seed: int = 0) -> list[Any]:
    """Spike times of units whose rates follow two slow oscillations: data of two dimensions, about 15 spikes/s."""
    rng = np.random.default_rng(seed)
    grid = np.arange(0, duration_s, 0.005)
    phase = 2 * np.pi * grid / 1.7
    latent = np.column_stack([np.cos(phase), np.sin(phase)])
    rates = 15 * np.exp(latent @ rng.normal(0, 0.7, (2, n_units)))
    spikes = rng.random(rates.shape) < rates * 0.005
    return [start_s + grid[spikes[:, i]] + rng.uniform(0, 0.005, spikes[:, i].sum()) for i in range(n_units)]


def add_trials(nwbfile: NWBFile, trials: Trials, columns: Mapping[str, Sequence[Any]] | None = None) -> None:
    for name in columns or {}:
        nwbfile.add_trial_column(name, f"column {name}")
    for i, (start, stop) in enumerate(trials):
        row = {name: values[i] for name, values in (columns or {}).items()}
        nwbfile.add_trial(start_time=float(start), stop_time=float(stop), **row)


def add_intervals(nwbfile: NWBFile, name: str, trials: Trials) -> None:
    table = TimeIntervals(name=name, description=f"table {name}")
    for start, stop in trials:
        table.add_interval(start_time=float(start), stop_time=float(stop))
    nwbfile.add_time_intervals(table)


@written_once
def make_spike_session(
    path: Path,
    *,
    spike_times: Sequence[Any] | None = None,
    n_units: int = 8,
    duration_s: float = 30.0,
    start_s: float = 0.0,
    trials: Trials | str | None = "regular",
    trial_columns: Mapping[str, Sequence[Any]] | None = None,
    unit_columns: Mapping[str, Sequence[Any]] | None = None,
    unit_ids: Sequence[int] | None = None,
    obs_intervals: Sequence[Any] | None = None,
    seed: int = 0,
    change: Callable[[NWBFile], None] | None = None,
) -> Path:
    """Write a session of sorted spikes.

    ``trials="regular"``: one of 1.2 s every 1.5 s, with columns ``direction`` (0 to 3), ``side`` (text) and
    ``go_time`` (0.3 s after the start); None: no table; else (start, stop) pairs. `obs_intervals` holds one
    array (interval, 2) a unit.
    """
    nwbfile = new_nwbfile()
    if spike_times is None:
        spike_times = simulate_spike_times(n_units, duration_s, start_s, seed)
    for name in unit_columns or {}:
        nwbfile.add_unit_column(name, f"column {name}")
    for i, times in enumerate(spike_times):
        row: dict[str, Any] = {name: values[i] for name, values in (unit_columns or {}).items()}
        if obs_intervals is not None:
            row["obs_intervals"] = np.asarray(obs_intervals[i], dtype=float)
        nwbfile.add_unit(
            spike_times=np.asarray(times, dtype=float), id=unit_ids[i] if unit_ids is not None else i, **row
        )
    if trials == "regular":
        starts = start_s + np.arange(0.1, duration_s - 1.3, 1.5)
        numbers = np.arange(len(starts)) % 4
        columns = {
            "direction": numbers.tolist(),
            "side": ["left" if n < 2 else "right" for n in numbers],
            "go_time": (starts + 0.3).tolist(),
        }
        add_trials(nwbfile, [(t, t + 1.2) for t in starts], columns)
    elif trials is not None:
        assert not isinstance(trials, str)
        add_trials(nwbfile, trials, trial_columns)
    if change is not None:
        change(nwbfile)
    return write_nwbfile(nwbfile, path)


def simulate_series(n_samples: int = 600, n_channels: int = 5, seed: int = 0) -> Any:
    """Values of shape (time, channel) that follow two oscillations, with some noise."""
    rng = np.random.default_rng(seed)
    phase = np.arange(n_samples) / 8
    latent = np.column_stack([np.cos(phase), np.sin(phase)])
    return latent @ rng.normal(size=(2, n_channels)) + 0.1 * rng.normal(size=(n_samples, n_channels))


@written_once
def make_series_session(
    path: Path,
    data: Any = None,
    *,
    name: str = "signal",
    rate: float | None = 20.0,
    starting_time: float | None = 0.0,
    timestamps: Any = None,
    trials: Trials | None = None,
    change: Callable[[NWBFile], None] | None = None,
    **settings: Any,
) -> Path:
    """Write a session with one TimeSeries in acquisition; `settings` go to it (unit, conversion, offset)."""
    nwbfile = new_nwbfile()
    clock = (
        {"rate": rate, "starting_time": starting_time} if timestamps is None else {"timestamps": np.asarray(timestamps)}
    )
    values = simulate_series() if data is None else data
    nwbfile.add_acquisition(TimeSeries(name=name, data=values, **{"unit": "a.u.", **settings}, **clock))
    if trials is not None:
        add_trials(nwbfile, trials)
    if change is not None:
        change(nwbfile)
    return write_nwbfile(nwbfile, path)


def add_plane(
    nwbfile: NWBFile,
    name: str = "plane",
    n_rois: int = 6,
    columns: Mapping[str, Any] | None = None,
    first_id: int = 100,
) -> Any:
    """Add an imaging plane with `n_rois` ROIs, ids from `first_id`, and return its PlaneSegmentation."""
    device = nwbfile.devices.get("microscope") or nwbfile.create_device("microscope")
    plane = nwbfile.create_imaging_plane(
        name=name,
        optical_channel=OpticalChannel(name="channel", description="green", emission_lambda=520.0),
        description="",
        device=device,
        excitation_lambda=920.0,
        indicator="GCaMP",
        location="V1",
    )
    if "ophys" not in nwbfile.processing:
        nwbfile.create_processing_module("ophys", "optical physiology").add(ImageSegmentation())
    segmentation = nwbfile.processing["ophys"]["ImageSegmentation"]
    table = segmentation.create_plane_segmentation("rois", plane, "rois" if name == "plane" else f"rois_{name}")
    for i in range(n_rois):
        table.add_roi(pixel_mask=[(i, i, 1.0)], id=100 + i)
    for column, values in (columns or {}).items():
        table.add_column(column, f"column {column}", data=values)
    return table


def make_rois(table: Any, name: str, data: Any, *, region: Sequence[int] | None = None, **settings: Any) -> Any:
    """Make a RoiResponseSeries of the rows `region` of `table`, all by default."""
    rows = list(range(len(table.id))) if region is None else list(region)
    clock = {} if "timestamps" in settings else {"rate": 10.0}
    reference = table.create_roi_table_region("some", region=rows)
    return RoiResponseSeries(name=name, data=data, rois=reference, **{"unit": "n.a.", **clock, **settings})


@written_once
def make_roi_session(
    path: Path,
    *,
    names: Mapping[str, Sequence[str]],
    n_rois: int = 6,
    rate: float = 10.0,
    columns: Mapping[str, Any] | None = None,
    change: Callable[[NWBFile], None] | None = None,
) -> Path:
    """Write ROI responses; `names` has the containers DfOverF, Fluorescence or acquisition, and the series in each.

    ROI ids are 100, 101, ... and each series holds them in reverse order. `columns` are those of their table.
    """
    nwbfile = new_nwbfile()
    table = add_plane(nwbfile, n_rois=n_rois, columns=columns)
    module = nwbfile.processing["ophys"]
    for container, series in names.items():
        rois = [
            make_rois(table, name, simulate_series(300, n_rois, seed=i), region=range(n_rois)[::-1], rate=rate)
            for i, name in enumerate(series)
        ]
        if container == "acquisition":
            for one in rois:
                nwbfile.add_acquisition(one)
        else:
            module.add({"DfOverF": DfOverF, "Fluorescence": Fluorescence}[container](roi_response_series=rois))
    if change is not None:
        change(nwbfile)
    return write_nwbfile(nwbfile, path)


def make_pose_session(path: Path, parts: Sequence[str] = ("nose", "tail")) -> Path:
    """Write a session whose only data are tracked body parts, each moving about a place of its own."""
    ndx_pose = pytest.importorskip("ndx_pose", reason="could not import ndx_pose")
    nwbfile = new_nwbfile()
    series = [
        ndx_pose.PoseEstimationSeries(
            name=name, data=simulate_series(300, 2, seed=i) + 10 * i, confidence=np.ones(300), reference_frame="",
            rate=25.0,
        )
        for i, name in enumerate(parts)
    ]  # fmt: skip
    nwbfile.create_processing_module("behavior", "").add(ndx_pose.PoseEstimation(pose_estimation_series=series))
    return write_nwbfile(nwbfile, path)


def make_voltage_session(path: Path, name: str = "eeg", *, processed: bool = False) -> Path:
    """Write a session whose only data are voltages: raw in ``/acquisition``, or `processed` in an LFP container."""
    nwbfile = new_nwbfile()
    group = nwbfile.create_electrode_group("shank", "", "", device=nwbfile.create_device("probe"))
    for _ in range(3):
        nwbfile.add_electrode(location="CA1", group=group)
    region = nwbfile.create_electrode_table_region([0, 1, 2], "all")
    noise = np.random.default_rng(0).normal(size=(20 * 200, 3))
    series = ElectricalSeries(name=name, data=noise, electrodes=region, rate=200.0)
    if processed:
        nwbfile.create_processing_module("ecephys", "").add(LFP(electrical_series=series))
    else:
        nwbfile.add_acquisition(series)
    return write_nwbfile(nwbfile, path)


def _with_nan() -> Any:
    data = simulate_series()
    data[100, 3] = np.nan
    return data


def _swap_first_spikes() -> list[Any]:
    spikes = simulate_spike_times()
    spikes[2][[4, 5]] = spikes[2][[5, 4]]
    return spikes


def _put_nan_spike() -> list[Any]:
    spikes = simulate_spike_times()
    spikes[2][4] = np.nan
    return spikes


def _set_timestamps(path: Path, values: Any) -> Path:
    """Replace the timestamps by `values`; pynwb itself refuses to write such a file, others do."""
    with h5py.File(path, "r+") as file:
        group = file["acquisition/signal"]
        attrs = dict(group["timestamps"].attrs)
        del group["timestamps"]
        group["timestamps"] = values
        group["timestamps"].attrs.update(attrs)
    return path


def _set_rate(path: Path, rate: float) -> Path:
    with h5py.File(path, "r+") as file:
        file["acquisition/signal/starting_time"].attrs["rate"] = rate
    return path


def replace_data(path: Path, data: Any) -> Path:
    """Store other data in the series of `make_series_session`: of a type or shape that pynwb would not write."""
    with h5py.File(path, "r+") as file:
        group = file["acquisition/signal"]
        attrs = dict(group["data"].attrs)
        del group["data"]
        group["data"] = data
        group["data"].attrs.update(attrs)
    return path


def _write_rois(path: Path, data: Any) -> Path:
    nwbfile = new_nwbfile()
    series = make_rois(add_plane(nwbfile, n_rois=4), "raw", data)
    nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=[series]))
    return write_nwbfile(nwbfile, path)


FAULTY: dict[str, tuple[Callable[[Path], Path], dict[str, Any], tuple[str, ...]]] = {
    # fault: how to write it, arguments of read_recording that meet it, words of the error
    "overlapping trials": (
        lambda path: make_spike_session(path, trials=[(1, 3), (2.5, 5), (6, 8)]),
        {"trials": "trials"},
        ("overlap", "/intervals/trials", "rows 0 and 1"),
    ),
    "overlapping windows": (
        lambda path: make_spike_session(path),
        {"align": "go_time", "window": (-1.0, 1.0)},
        ("overlap", "--window"),
    ),
    "short trials": (
        lambda path: make_spike_session(path, trials=[(1, 1.03), (2, 2.03)]),
        {"trials": "trials"},
        ("2 shorter than two bins", "--bin"),
    ),
    "trials outside the recording": (
        lambda path: make_spike_session(path, trials=[(1000, 1002), (1003, 1005)]),
        {"trials": "trials"},
        ("2 outside the recording", "clock"),
    ),
    "trials without a stop": (
        lambda path: make_spike_session(path, trials=[(1, np.nan), (3, np.nan)]),
        {"trials": "trials"},
        ("2 without a finite start before a finite stop",),
    ),
    "unsorted spike times": (
        lambda path: make_spike_session(path, spike_times=_swap_first_spikes()),
        {},
        ("unit 2", "not in order", "/units", "sort"),
    ),
    "NaN spike times": (
        lambda path: make_spike_session(path, spike_times=_put_nan_spike()),
        {},
        ("unit 2", "NaN", "/units", "remove"),
    ),
    "no spikes": (
        lambda path: make_spike_session(path, spike_times=[[], []]),
        {"source": "units"},
        ("no spike", "/units"),
    ),
    "NaN data": (
        lambda path: make_series_session(path, _with_nan()),
        {"source": "signal"},
        ("channel 3", "5 s", "/acquisition/signal", "NaN"),
    ),
    "text data": (
        lambda path: make_series_session(path, ["a", "b", "c"]),
        {"source": "signal"},
        ("text", "/acquisition/signal"),
    ),
    "complex data": (
        lambda path: replace_data(make_series_session(path), simulate_series() + 1j),
        {"source": "signal"},
        ("complex numbers", "/acquisition/signal"),
    ),
    "compound data": (
        lambda path: replace_data(make_series_session(path), np.zeros(600, dtype=[("x", "f8"), ("y", "i4")])),
        {"source": "signal"},
        ("compound values", "/acquisition/signal"),
    ),
    "compound data of two dimensions": (
        lambda path: replace_data(make_series_session(path), np.zeros((600, 3), dtype=[("x", "f8"), ("y", "f8")])),
        {"source": "signal"},
        ("compound values", "/acquisition/signal"),
    ),
    "references": (
        lambda path: replace_data(make_series_session(path), np.full(600, h5py.Reference(), dtype=h5py.ref_dtype)),
        {"source": "signal"},
        ("references", "/acquisition/signal"),
    ),
    "no samples": (
        lambda path: replace_data(make_series_session(path), np.zeros((0, 5))),
        {"source": "signal"},
        ("(0, 5)", "too few"),
    ),
    "no channels": (
        lambda path: replace_data(make_series_session(path), np.zeros((600, 0))),
        {"source": "signal"},
        ("(600, 0)", "/acquisition/signal"),
    ),
    "one sample of one column": (
        lambda path: replace_data(make_series_session(path), np.zeros(1)),
        {"source": "signal"},
        ("(1,)", "too few"),
    ),
    "ROIs transposed": (
        lambda path: _write_rois(path, simulate_series(4, 300)),
        {"source": "raw"},
        ("(4, 300) for 4 ROIs look like (roi, time)", "/processing/ophys/Fluorescence/raw"),
    ),
    "ROIs without a value": (
        lambda path: _write_rois(path, np.full((300, 4), np.nan)),
        {},
        ("every roi is NaN", "/processing/ophys/Fluorescence/raw"),
    ),
    "frames": (
        lambda path: make_series_session(path, np.zeros((5, 4, 4, 2))),
        {"source": "signal"},
        ("(5, 4, 4, 2)", "/acquisition/signal"),
    ),
    "one sample": (
        lambda path: make_series_session(path, np.zeros((1, 3))),
        {"source": "signal"},
        ("(1, 3)", "too few"),
    ),
    "constant data": (
        lambda path: make_series_session(path, np.ones((50, 3))),
        {"source": "signal"},
        ("constant", "/acquisition/signal"),
    ),
    "timestamps of another number": (
        lambda path: _set_timestamps(make_series_session(path, timestamps=np.arange(600) / 20), np.arange(590) / 20),
        {"source": "signal"},
        ("590 timestamps for 600 samples",),
    ),
    "more timestamps than samples": (
        lambda path: _set_timestamps(make_series_session(path, timestamps=np.arange(600) / 20), np.arange(610) / 20),
        {"source": "signal"},
        ("610 timestamps for 600 samples",),
    ),
    "timestamps that go back": (
        lambda path: make_series_session(path, simulate_series(4), timestamps=[0.0, 1.0, 0.5, 2.0]),
        {"source": "signal"},
        ("do not increase", "0.5 s follows 1 s at sample 2"),
    ),
    "NaN timestamps": (
        lambda path: make_series_session(path, simulate_series(4), timestamps=[0.0, np.nan, 0.5, 2.0]),
        {"source": "signal"},
        ("timestamps are NaN", "sample 1"),
    ),
    "rate zero": (
        lambda path: make_series_session(path, rate=0.0),
        {"source": "signal"},
        ("sampling rate is 0 Hz", "/acquisition/signal"),
    ),
    "rate below zero": (
        lambda path: _set_rate(make_series_session(path), -20.0),
        {"source": "signal"},
        ("sampling rate is -20 Hz",),
    ),
    "rate NaN": (
        lambda path: make_series_session(path, rate=np.nan),
        {"source": "signal"},
        ("sampling rate is nan Hz",),
    ),
    "nothing to fit": (lambda path: make_series_session(path), {}, ("--source: signal",)),
    "empty file": (lambda path: write_nwbfile(new_nwbfile(), path), {}, ("no other units or TimeSeries",)),
}


@written_once
def make_faulty_session(path: Path, fault: str) -> Path:
    """Write a session with one fault, one of `FAULTY`."""
    return FAULTY[fault][0](path)
