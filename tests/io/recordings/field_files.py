"""Small files, each of a kind on which a reader can be wrong in silence.

Each function writes one file. What is right to answer stands beside its use, in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pynwb import NWBFile, TimeSeries
from pynwb.behavior import BehavioralEpochs, CompassDirection, SpatialSeries
from pynwb.misc import AnnotationSeries, IntervalSeries

from tests.nwb_files import add_plane, make_rois, new_nwbfile, write_nwbfile
from tests.written_once import written_once


def simulate_trains(n_units: int = 8, duration_s: float = 120.0, start_s: float = 0.0, seed: int = 0) -> list[Any]:
    """Poisson trains of about 8 spikes/s, whose rates go up and down together twice a second."""
    rng = np.random.default_rng(seed)
    trains = []
    for i in range(n_units):
        times = np.sort(rng.uniform(0, duration_s, rng.poisson(16 * duration_s)))
        kept = rng.uniform(size=len(times)) < 0.5 * (1 + np.cos(np.pi * times + 2 * np.pi * i / n_units))
        trains.append(start_s + times[kept])
    return trains


def add_units(nwbfile: NWBFile, trains: Sequence[Any], **columns: Sequence[Any]) -> NWBFile:
    for name in columns:
        nwbfile.add_unit_column(name, f"column {name}")
    for i, times in enumerate(trains):
        nwbfile.add_unit(spike_times=times, **{name: values[i] for name, values in columns.items()})
    return nwbfile


def add_trials(
    nwbfile: NWBFile, scale: float = 1.0, shift: float = 0.0, n: int = 20, **columns: Sequence[Any]
) -> NWBFile:
    """`n` trials of 5 s, one every 6 s, as `shift + scale * seconds`."""
    for name in columns:
        nwbfile.add_trial_column(name, f"column {name}")
    for k in range(n):
        row = {name: values[k] for name, values in columns.items()}
        nwbfile.add_trial(start_time=shift + scale * 6.0 * k, stop_time=shift + scale * (6.0 * k + 5), **row)
    return nwbfile


def put_dataset(path: Path, name: str, data: Any, **settings: Any) -> Path:
    """Put other data in the place of a dataset, with its attributes; what points to it points to the new one."""
    with h5py.File(path, "r+") as file:
        kept = dict(file[name].attrs)
        del file[name]
        made = file.create_dataset(name, data=data, **settings)
        made.attrs.update(kept)
        if name + "_index" in file:
            file[name + "_index"].attrs["target"] = made.ref
    return path


@written_once
def write_spikes(
    path: Path,
    change_times: Callable[[Any], Any] = lambda t: t,
    *,
    dtype: str | None = None,
    trials: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """Write spikes at `change_times(seconds)`, stored as `dtype`, beside trials (arguments of `add_trials`), if any."""
    nwbfile = add_units(new_nwbfile(), [change_times(t) for t in simulate_trains(**settings)])
    if trials is not None:
        add_trials(nwbfile, **trials)
    write_nwbfile(nwbfile, path)
    if dtype is not None:
        with h5py.File(path, "r") as file:
            values = file["units/spike_times"][:]
        put_dataset(path, "units/spike_times", values.astype(dtype))
    return path


@written_once
def write_series(
    path: Path, timestamps: Any = None, *, rate: float | None = None, units: bool = True, **settings: Any
) -> Path:
    """Write a slow series `wheel` in acquisition beside the trains of 120 s, or alone."""
    nwbfile = new_nwbfile()
    if units:
        add_units(nwbfile, simulate_trains())
    n = len(timestamps) if timestamps is not None else 3600
    clock = {"timestamps": timestamps} if timestamps is not None else {"rate": rate}
    data = np.random.default_rng(1).normal(size=(n, 3)).cumsum(0)
    nwbfile.add_acquisition(TimeSeries(name="wheel", data=data, unit="cm", **clock, **settings))
    return write_nwbfile(nwbfile, path)


@written_once
def write_rois(
    path: Path,
    *,
    rate: float | None = None,
    timestamps: Any = None,
    trials: dict[str, Any] | None = None,
    n: int = 1200,
) -> Path:
    """Write fluorescence of 6 ROIs."""
    nwbfile = new_nwbfile()
    clock: dict[str, Any] = {"rate": rate} if timestamps is None else {"timestamps": timestamps}
    data = np.random.default_rng(0).normal(size=(n, 6)).cumsum(0)
    nwbfile_table = add_plane(nwbfile, n_rois=6)
    from pynwb.ophys import Fluorescence

    nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=[make_rois(nwbfile_table, "raw", data, **clock)]))
    if trials is not None:
        add_trials(nwbfile, **trials)
    return write_nwbfile(nwbfile, path)


@written_once
def write_epochs(
    path: Path, starts: Sequence[float], lengths: Sequence[float], *, n_units: int = 8, table: bool = True
) -> Path:
    """Write spikes of several epochs far apart, without obs_intervals."""
    parts = [
        simulate_trains(n_units, length, start, seed=k)
        for k, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]
    nwbfile = add_units(new_nwbfile(), [np.concatenate(trains) for trains in zip(*parts, strict=True)])
    if table:
        for start, length in zip(starts, lengths, strict=True):
            nwbfile.add_epoch(start_time=start, stop_time=start + length, tags=["run"])
    return write_nwbfile(nwbfile, path)


@written_once
def write_events_table(
    path: Path, times: Any, *, name: str = "rewards", durations: Any = None, **columns: Sequence[Any]
) -> Path:
    """Write the trains beside an EventsTable in /events."""
    nwbfile = add_units(new_nwbfile(), simulate_trains())
    table = nwbfile.create_events_table(name=name, description="events of a test")
    for column in columns:
        table.add_column(column, f"column {column}")
    for k, time in enumerate(times):
        row = {column: values[k] for column, values in columns.items()}
        if durations is not None:
            row["duration"] = float(durations[k])
        table.add_row(timestamp=float(time), **row)
    return write_nwbfile(nwbfile, path)


@written_once
def write_interval_series(path: Path, codes: Any, times: Any, *, where: str = "acquisition") -> Path:
    """Write the trains beside the IntervalSeries `run`."""
    nwbfile = add_units(new_nwbfile(), simulate_trains())
    series = IntervalSeries(name="run", data=np.asarray(codes, "i1"), timestamps=np.asarray(times, float))
    if where == "acquisition":
        nwbfile.add_acquisition(series)
    else:
        box = BehavioralEpochs(name="BehavioralEpochs")
        box.add_interval_series(series)
        nwbfile.create_processing_module("behavior", "b").add(box)
    return write_nwbfile(nwbfile, path)


@written_once
def write_annotations(path: Path, labels: Sequence[str], times: Any) -> Path:
    """Write the trains beside the AnnotationSeries `notes`."""
    nwbfile = add_units(new_nwbfile(), simulate_trains())
    nwbfile.add_acquisition(AnnotationSeries(name="notes", data=list(labels), timestamps=np.asarray(times, float)))
    return write_nwbfile(nwbfile, path)


@written_once
def write_heading(
    path: Path, values: Any, unit: str, *, rate: float = 30.0, compass: bool = True, **settings: Any
) -> Path:
    """Write the trains beside `heading`: a SpatialSeries in a CompassDirection, or a bare TimeSeries."""
    nwbfile = add_units(new_nwbfile(), simulate_trains())
    clock: dict[str, Any] = {"rate": rate} if "timestamps" not in settings else {}
    module = nwbfile.create_processing_module("behavior", "b")
    if compass:
        box = CompassDirection(name="CompassDirection")
        box.add_spatial_series(
            SpatialSeries(name="heading", data=values, reference_frame="north", unit=unit, **clock, **settings)
        )
        module.add(box)
    else:
        module.add(TimeSeries(name="heading", data=values, unit=unit, **clock, **settings))
    return write_nwbfile(nwbfile, path)
