"""Kinds of events and intervals: what is right to answer was written down before the reader was looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.nwb_files import new_nwbfile, write_nwbfile

from .field_files import (
    add_units,
    simulate_trains,
    write_annotations,
    write_events_table,
    write_interval_series,
    write_spikes,
)
from .test_kinds_of_wrong_clocks import run

STARTS = 3.0 + 5.5 * np.arange(20)
SHUFFLED = np.random.default_rng(0).permutation(STARTS)
FIT = ("fit", "FILE", "--dry-run")


def _write_locations(path: Path) -> Path:
    nwbfile = new_nwbfile()
    device = nwbfile.create_device("probe")
    places = ["M1", "PMd"]
    for k, place in enumerate(places):
        group = nwbfile.create_electrode_group(f"g{k}", description="d", location=place, device=device)
        for _ in range(4):
            nwbfile.add_electrode(location=place, group=group)
    for k, times in enumerate(simulate_trains()):
        nwbfile.add_unit(spike_times=times, electrodes=[k, k + 1] if k in (0, 1, 2) else [k])
    return write_nwbfile(nwbfile, path)


def _write_repeated_ids(path: Path) -> Path:
    nwbfile = new_nwbfile()
    for k, times in enumerate(simulate_trains()):
        nwbfile.add_unit(spike_times=times, id=k // 2)
    return write_nwbfile(nwbfile, path)


def _write_invalid(path: Path, **row: object) -> Path:
    from pynwb import TimeSeries

    nwbfile = add_units(new_nwbfile(), simulate_trains(duration_s=200.0))
    camera = TimeSeries(name="camera", data=np.arange(2000.0), unit="a.u.", rate=10.0)
    nwbfile.add_acquisition(camera)
    if row.pop("of_camera", False):
        row["timeseries"] = [camera]
    nwbfile.add_invalid_time_interval(start_time=50.0, stop_time=150.0, **row)
    return write_nwbfile(nwbfile, path)


Case = tuple[Callable[[Path], Path], tuple[str, ...], int, tuple[str, ...]]

KINDS: dict[str, Case] = {
    "a sorted EventsTable": (
        lambda path: write_events_table(path, STARTS),
        (*FIT, "--align", "rewards", "--window", "-1", "2"),
        0,
        ("20 segments", "/events/rewards"),
    ),
    "an unsorted EventsTable": (
        lambda path: write_events_table(path, SHUFFLED),
        (*FIT, "--align", "rewards", "--window", "-1", "2"),
        0,
        ("20 segments", "/events/rewards"),
    ),
    "an EventsTable of a value": (
        lambda path: write_events_table(path, SHUFFLED, size=[k % 2 for k in range(20)]),
        (*FIT, "--align", "rewards", "--window", "-1", "2", "--where", "size == 1"),
        0,
        ("10 segments",),
    ),
    "an EventsTable with durations as trials": (
        lambda path: write_events_table(path, SHUFFLED, durations=np.full(20, 2.0)),
        (*FIT, "--trials", "rewards"),
        0,
        ("20 segments", "/events/rewards"),
    ),
    "an EventsTable where some have no duration": (
        lambda path: write_events_table(path, STARTS, durations=[2.0] * 15 + [np.nan] * 5),
        (*FIT, "--trials", "rewards"),
        0,
        ("15 segments", "5"),
    ),
    "an EventsTable without duration as trials": (
        lambda path: write_events_table(path, STARTS),
        (*FIT, "--trials", "rewards"),
        2,
        ("/events/rewards", "duration", "--align rewards"),
    ),
    "an EventsTable in info": (
        lambda path: write_events_table(path, STARTS),
        ("info", "FILE"),
        0,
        ("/events/rewards", "20", "--align"),
    ),
    "an IntervalSeries to align to": (
        lambda path: write_interval_series(path, np.tile([1, -1], 20), np.sort(np.concatenate([STARTS, STARTS + 2]))),
        (*FIT, "--align", "run", "--window", "0", "2"),
        0,
        ("20 segments", "/acquisition/run"),
    ),
    "an IntervalSeries as trials": (
        lambda path: write_interval_series(
            path, np.tile([1, -1], 20), np.sort(np.concatenate([STARTS, STARTS + 2])), where="behavior"
        ),
        (*FIT, "--trials", "run"),
        0,
        ("20 segments", "run"),
    ),
    "an IntervalSeries of two types": (
        lambda path: write_interval_series(
            path, np.tile([1, -1, 2, -2], 10), np.sort(np.concatenate([STARTS, STARTS + 2]))
        ),
        (*FIT, "--trials", "run", "--where", "type == 2"),
        0,
        ("10 segments",),
    ),
    "an IntervalSeries that begins within an interval": (
        lambda path: write_interval_series(
            path, [-1, *np.tile([1, -1], 19)], np.sort(np.concatenate([STARTS, STARTS + 2]))[1:]
        ),
        (*FIT, "--trials", "run"),
        0,
        ("19 segments", "1"),
    ),
    "annotations": (
        lambda path: write_annotations(path, ["lick", "reward"] * 10, STARTS),
        (*FIT, "--align", "notes", "--window", "-1", "2", "--where", "annotation == 'lick'"),
        0,
        ("10 segments",),
    ),
    "invalid times of another series": (
        lambda path: _write_invalid(path, tags=["camera"], of_camera=True),
        FIT,
        0,
        ("in 1 segment", "camera"),
    ),
    "invalid times by tag alone": (
        lambda path: _write_invalid(path, tags=["camera"]),
        FIT,
        0,
        ("in 1 segment", "camera"),
    ),
    "invalid times with a reason": (
        lambda path: _write_invalid(path, tags=["artifact"]),
        FIT,
        0,
        ("artifact", "--keep-invalid"),
    ),
    "invalid times that are kept": (
        lambda path: _write_invalid(path, tags=["artifact"]),
        (*FIT, "--keep-invalid"),
        0,
        ("in 1 segment", "artifact"),
    ),
    "units by the location of their electrode": (
        _write_locations,
        (*FIT, "--units", "location == 'PMd'"),
        0,
        ("4 units",),
    ),
    "repeated unit ids": (_write_repeated_ids, FIT, 0, ("8 units", "ids", "repeated")),
    "an empty condition": (lambda path: write_spikes(path, trials={}), (*FIT, "--where", ""), 2, ("--where", "empty")),
    "an empty tag": (lambda path: write_spikes(path, trials={}), (*FIT, "--tags", ""), 2, ("--tags", "empty")),
    "an empty source": (lambda path: write_spikes(path, trials={}), (*FIT, "--source", ""), 2, ("--source", "empty")),
    "an empty condition on units": (lambda path: write_spikes(path), (*FIT, "--units", " "), 2, ("--units", "empty")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_events_and_intervals_are_what_they_say(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, command, code, words = KINDS[kind]
    seen, text = run(capsys, write(tmp_path / "s.nwb"), command)
    assert seen == code, text
    assert [word for word in words if word not in text] == [], text
