"""Kinds of values between samples, of gaps, of storage and of settings: the right answer was written down first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nwb_dcf
from tests.nwb_files import new_nwbfile, write_nwbfile

from .field_files import (
    add_units,
    put_dataset,
    simulate_trains,
    write_epochs,
    write_heading,
    write_rois,
    write_series,
    write_spikes,
)
from .test_kinds_of_wrong_clocks import run

FIT = ("fit", "FILE", "--dry-run")
T = np.arange(0, 120, 1 / 30)


def read_column(path: Path, name: str, **settings: Any) -> tuple[Any, Any]:
    """Times and values of one source joined with units."""
    recording = nwb_dcf.read_recording(path, source=["units", name], **settings)
    data = recording.data if hasattr(recording, "data") else recording
    values = np.concatenate([np.asarray(part)[:, 8:] for part in ([data] if getattr(data, "ndim", 1) == 2 else data)])
    return np.asarray(recording.time), values


def _turn(unit: str) -> Any:
    full = {"radians": 2 * np.pi, "degrees": 360.0}[unit]
    return (full * 0.4 * T) % full


@pytest.mark.parametrize("unit", ["radians", "degrees"])
@pytest.mark.parametrize("low", [0.0, -0.5])
@pytest.mark.parametrize("compass", [True, False])
def test_an_angle_that_wraps_is_joined_on_the_circle(unit: str, low: float, compass: bool, tmp_path: Path) -> None:
    full = {"radians": 2 * np.pi, "degrees": 360.0}[unit]
    values = (_turn(unit) - low * full) % full + low * full
    path = write_heading(tmp_path / "s.nwb", values, unit, compass=compass)
    time, read = read_column(path, "heading")
    # the direction at these times, as cosine and sine or as an angle
    right = 2 * np.pi * 0.4 * time
    if read.shape[1] == 2:
        error = np.hypot(read[:, 0] - np.cos(right), read[:, 1] - np.sin(right))
    else:
        turns = (read[:, 0] / full - right / (2 * np.pi) + 0.5) % 1 - 0.5
        error = 2 * np.pi * np.abs(turns)
    assert np.max(error) < 0.05


def test_a_joint_in_degrees_that_never_wraps_stays_a_line(tmp_path: Path) -> None:
    path = write_heading(tmp_path / "s.nwb", 60 + 25 * np.sin(T), "degrees", compass=False)
    time, read = read_column(path, "heading")
    assert read.shape[1] == 1
    assert np.allclose(read[:, 0], 60 + 25 * np.sin(time), atol=0.1)


def test_a_step_holds_until_the_next(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    timestamps = np.cumsum(rng.uniform(0.8, 1.2, 110))
    values = rng.integers(1, 5, 110).astype(float)
    path = write_heading(tmp_path / "s.nwb", values, "n.a.", compass=False, timestamps=timestamps, continuity="step")
    time, read = read_column(path, "heading")
    right = values[np.searchsorted(timestamps, time, side="right") - 1]
    assert np.array_equal(read[:, 0], right)


def test_an_instantaneous_value_is_the_nearest(tmp_path: Path) -> None:
    timestamps = np.arange(0, 120, 0.1)
    values = np.random.default_rng(0).normal(size=1200)
    path = write_heading(
        tmp_path / "s.nwb", values, "n.a.", compass=False, timestamps=timestamps, continuity="instantaneous"
    )
    time, read = read_column(path, "heading")
    assert np.isin(read[:, 0].astype("f4"), values.astype("f4")).all()
    assert np.abs(timestamps[np.searchsorted(timestamps, time - 0.05)] - time).max() < 0.051


def _write_voltages(path: Path) -> tuple[Path, Any]:
    from pynwb.ecephys import ElectricalSeries

    nwbfile = add_units(new_nwbfile(), simulate_trains())
    group = nwbfile.create_electrode_group("g", description="d", location="m", device=nwbfile.create_device("emg"))
    for _ in range(3):
        nwbfile.add_electrode(location="m", group=group)
    data = np.random.default_rng(0).normal(scale=1000, size=(12000, 3)).cumsum(0).astype("i2")
    region = nwbfile.create_electrode_table_region([0, 1, 2], "r")
    nwbfile.add_acquisition(
        ElectricalSeries(
            name="emg", data=data, electrodes=region, rate=100.0, conversion=1e-6, channel_conversion=[1.0, 0.25, 4.0]
        )
    )
    return write_nwbfile(nwbfile, path), data * 1e-6 * np.array([1.0, 0.25, 4.0])


def test_the_conversion_of_each_channel_is_used_wherever_a_voltage_is_read(tmp_path: Path) -> None:
    path, right = _write_voltages(tmp_path / "s.nwb")
    alone = nwb_dcf.read_recording(path, source="emg", bands="none")
    assert np.allclose(np.asarray(alone.data), right, rtol=1e-5)
    time, joined = read_column(path, "emg", bands="none")
    line = np.column_stack([np.interp(time, np.arange(12000) / 100, column) for column in right.T])
    largest_step = np.abs(np.diff(right, axis=0)).max(axis=0)
    assert (np.abs(joined - line).max(axis=0) <= largest_step).all()


GAPS: dict[str, tuple[dict[str, Any], int]] = {
    # kind: the epochs, segments without a word from the user
    "two epochs half an hour apart": ({"starts": [0.0, 1800.0], "lengths": [60.0, 60.0]}, 2),
    "three epochs, unlike pauses": ({"starts": [0.0, 400.0, 700.0], "lengths": [60.0, 60.0, 60.0]}, 3),
    "six short epochs": ({"starts": [300.0 * k for k in range(6)], "lengths": [30.0] * 6}, 6),
    "two epochs without a table": ({"starts": [0.0, 1800.0], "lengths": [60.0, 60.0], "table": False}, 2),
}


@pytest.mark.parametrize("kind", GAPS)
def test_where_nothing_was_recorded_is_cut(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, segments = GAPS[kind]
    path = write_epochs(tmp_path / "s.nwb", **settings)
    code, text = run(capsys, path, FIT)
    assert code == 0, text
    assert f"in {segments} segments" in text, text
    assert "--no-gaps" in text, text
    code, text = run(capsys, path, (*FIT, "--no-gaps", "--held-out", "0"))  # of silence nothing is held out
    assert code == 0, text
    assert "in 1 segment" in text, text


def test_a_pause_of_one_unit_is_no_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trains = simulate_trains(duration_s=600.0)
    trains[3] = trains[3][trains[3] < 100]
    path = write_nwbfile(add_units(new_nwbfile(), trains), tmp_path / "s.nwb")
    code, text = run(capsys, path, FIT)
    assert code == 0, text
    assert "in 1 segment" in text, text
    assert "--no-gaps" not in text


def test_chunks_that_were_never_written_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rois(tmp_path / "s.nwb", rate=10.0)
    name = "processing/ophys/Fluorescence/raw/data"
    with h5py.File(path, "r+") as file:
        values, kept = file[name][:], dict(file[name].attrs)
        del file[name]
        made = file.create_dataset(name, shape=values.shape, dtype=values.dtype, chunks=(100, 6))
        made.attrs.update(kept)
        made[:600] = values[:600]
    code, text = run(capsys, path, FIT)
    assert "6 of 12 chunks" in text, text
    assert "never written" in text, text
    del code


def test_missing_parts_of_a_virtual_dataset_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rois(tmp_path / "s.nwb", rate=10.0)
    name = "processing/ophys/Fluorescence/raw/data"
    with h5py.File(path, "r+") as file:
        values, kept = file[name][:], dict(file[name].attrs)
        for k, part in enumerate(np.split(values, 2)):
            with h5py.File(tmp_path / f"part{k}.h5", "w") as other:
                other["data"] = part
        layout = h5py.VirtualLayout(shape=values.shape, dtype=values.dtype)
        for k in range(2):
            layout[600 * k : 600 * (k + 1)] = h5py.VirtualSource(f"part{k}.h5", "data", shape=(600, 6))
        del file[name]
        file.create_virtual_dataset(name, layout, fillvalue=0.0).attrs.update(kept)
    code, text = run(capsys, path, FIT)
    assert code == 0, text
    assert "part0.h5" in text, text
    (tmp_path / "part1.h5").unlink()
    code, text = run(capsys, path, FIT)
    assert "part1.h5" in text, text
    assert code == 2 or "missing" in text, text
    code, text = run(capsys, path, (*FIT, "--no-external"))
    assert code == 2, text
    assert "part0.h5" in text, text


def test_an_external_link_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rois(tmp_path / "s.nwb", rate=10.0)
    name = "processing/ophys/Fluorescence/raw/data"
    with h5py.File(path, "r+") as file, h5py.File(tmp_path / "other.h5", "w") as other:
        file.copy(name, other, "moved")
        del file[name]
        file[name] = h5py.ExternalLink("other.h5", "/moved")
    for command in (("info", "FILE"), FIT):
        code, text = run(capsys, path, command)
        assert code == 0, text
        assert "other.h5" in text, text
    code, text = run(capsys, path, (*FIT, "--no-external"))
    assert code == 2, text
    assert "other.h5" in text, text


def test_external_raw_storage_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rois(tmp_path / "s.nwb", rate=10.0)
    name = "processing/ophys/Fluorescence/raw/data"
    with h5py.File(path, "r+") as file:
        values, kept = file[name][:], dict(file[name].attrs)
        del file[name]
        raw = tmp_path / "values.raw"
        values.tofile(raw)
        made = file.create_dataset(
            name, shape=values.shape, dtype=values.dtype, external=[(str(raw), 0, values.nbytes)]
        )
        made.attrs.update(kept)
    code, text = run(capsys, path, FIT)
    assert code == 0, text
    assert "values.raw" in text, text


SETTINGS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...], tuple[str, ...]]] = {
    "a bin for a series": (
        lambda p: write_series(p, rate=30.0, units=False),
        ("--source", "wheel", "--bin", "0.05"),
        ("--bin", "--resample"),
    ),
    "a bin for ROIs": (lambda p: write_rois(p, rate=10.0), ("--bin", "0.1"), ("--bin", "--resample")),
    "bands for units": (write_spikes, ("--bands", "4-8"), ("--bands",)),
    "a crop for units": (write_spikes, ("--crop", "0", "0", "8", "8"), ("--crop",)),
    "dF/F of units": (write_spikes, ("--dff",), ("--dff",)),
    "ROIs of units": (write_spikes, ("--rois", "all"), ("--rois",)),
    "units of ROIs": (lambda p: write_rois(p, rate=10.0), ("--units", "1,2"), ("--units",)),
    "confidence of ROIs": (lambda p: write_rois(p, rate=10.0), ("--min-confidence", "0.9"), ("--min-confidence",)),
    "resampled units": (write_spikes, ("--resample", "10"), ("--resample", "--bin")),
    "size of a series": (
        lambda p: write_series(p, rate=30.0, units=False),
        ("--source", "wheel", "--size", "32"),
        ("--size",),
    ),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_setting_that_does_not_apply_is_refused(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, arguments, words = SETTINGS[kind]
    code, text = run(capsys, write(tmp_path / "s.nwb"), (*FIT, *arguments))
    assert code == 2, text
    assert [word for word in words if word not in text] == [], text


@pytest.mark.parametrize("dtype", ["u8", "i8", "f4"])
def test_spike_times_of_other_numbers_are_read_as_they_are(dtype: str, tmp_path: Path) -> None:
    path = write_spikes(tmp_path / "s.nwb")
    with h5py.File(path, "r") as file:
        values = np.round(file["units/spike_times"][:]) if dtype != "f4" else file["units/spike_times"][:]
    order = np.sort(values) if dtype != "f4" else values
    del order
    put_dataset(path, "units/spike_times", values.astype(dtype))
    recording = nwb_dcf.read_recording(path)
    assert np.asarray(recording.data).sum() > 0


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("units/spike_times", lambda v: np.array([f"{x:.3f}" for x in v], dtype="S12"), ("spike_times", "text")),
        ("units/spike_times_index", lambda v: v + 0.5, ("spike_times_index", "fraction")),
        ("units/spike_times_index", lambda v: v.astype("u8"), ()),
    ],
)
def test_other_types_of_indices_and_times_are_asked_by_dtype(
    name: str, values: Any, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_spikes(tmp_path / "s.nwb")
    with h5py.File(path, "r+") as file:
        changed, kept = values(file[name][:]), dict(file[name].attrs)
        del file[name]
        file[name] = changed
        file[name].attrs.update(kept)
        if name == "units/spike_times":
            file["units/spike_times_index"].attrs["target"] = file[name].ref
    code, text = run(capsys, path, FIT)
    assert code == (2 if words else 0), text
    assert [word for word in words if word not in text] == [], text


def test_a_huge_offset_loses_no_digits(tmp_path: Path) -> None:
    from pynwb import TimeSeries

    small = np.random.default_rng(0).normal(size=(1000, 3)).cumsum(0)
    nwbfile = new_nwbfile()
    nwbfile.add_acquisition(TimeSeries(name="wheel", data=1e9 + small, unit="cm", rate=30.0))
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    read = np.asarray(nwb_dcf.read_recording(path, source="wheel").data)
    assert np.corrcoef(read[:, 0], small[:, 0])[0, 1] > 0.9999
    assert np.allclose(read - read.mean(0), small - small.mean(0), atol=1e-4)
