"""`info` says of the source that is fitted by default what a fit would leave out, cut or miss."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pynwb.ophys import DfOverF, Fluorescence

from nwb_dcf import list_sources, read_recording
from nwb_dcf.data.clock_doubts import find_row_doubt, find_spike_doubts
from nwb_dcf.errors import DOUBT, DCFError
from nwb_dcf.io.recordings.roi_quality import judge_rois
from tests.nwb_files import add_plane, convert_to_zarr, make_rois, new_nwbfile, write_nwbfile

from .field_files import add_trials, add_units, put_dataset, simulate_trains, write_annotations, write_events_table


def write_units(path: Path, change: Callable[[Any], Any] = lambda nwbfile: None, parts: Sequence[float] = (0,)) -> Path:
    nwbfile = new_nwbfile()
    pieces = [simulate_trains(8, 40.0, start, seed) for seed, start in enumerate(parts)]
    add_units(nwbfile, [np.concatenate(trains) for trains in zip(*pieces, strict=True)])
    change(nwbfile)
    return write_nwbfile(nwbfile, path)


def write_responses(path: Path, columns: Any = None, **settings: Any) -> Path:
    nwbfile = new_nwbfile()
    values = np.random.default_rng(0).normal(size=(600, 6)).cumsum(axis=0)
    table = add_plane(nwbfile, n_rois=6, columns=columns)
    nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=[make_rois(table, "traces", values, **settings)]))
    return write_nwbfile(nwbfile, path)


def lose_chunks(path: Path) -> Path:
    with h5py.File(path, "r+") as file:
        name = "processing/ophys/Fluorescence/traces/data"
        values, about = file[name][:], dict(file[name].attrs)
        del file[name]
        made = file.create_dataset(name, shape=values.shape, chunks=(100, 6), dtype="f8")
        made[:400] = values[:400]
        made.attrs.update(about)
    return path


def break_index(path: Path) -> Path:
    with h5py.File(path) as file:
        ends = file["units/spike_times_index"][:]
    return put_dataset(path, "units/spike_times_index", ends + 0.5)


def reverse_spikes(path: Path) -> Path:
    with h5py.File(path) as file:
        times = file["units/spike_times"][:]
    return put_dataset(path, "units/spike_times", times[::-1].copy())


CONTENTS = {
    "pauses": (lambda path: write_units(path, parts=(0, 500, 1100)), "cut where nothing was recorded"),
    "invalid": (
        lambda path: write_units(path, lambda n: n.add_invalid_time_interval(5.0, 9.0, tags=["saturation"])),
        r"1 intervals of /intervals/invalid_times \(saturation\) are excluded, 4 s",
    ),
    "chunks": (lambda path: lose_chunks(write_responses(path)), "2 of 6 chunks .* were never written"),
    "text": (lambda path: write_responses(path, {"is_accepted": ["yes", "no"] * 3}), "3 of 6 ROIs"),
    "order": (lambda path: reverse_spikes(write_units(path)), "a fit refuses it: spike times of unit .* not in order"),
    "index": (lambda path: break_index(write_units(path)), "a fit refuses it: indices of spike_times"),
}


@pytest.mark.parametrize("form", ["HDF5", "Zarr"])
@pytest.mark.parametrize("name", CONTENTS)
def test_info_says_what_a_fit_would_leave_out(name: str, form: str, tmp_path: Path) -> None:
    make, text = CONTENTS[name]
    path = make(tmp_path / "s.nwb")
    if form == "Zarr":
        if name == "chunks":
            pytest.skip("an export writes every chunk")
        path = convert_to_zarr(path, tmp_path / "zarr" / "s.nwb")
    notes = list_sources(path).notes
    assert len(notes) == 1
    assert re.search(text, notes[0]), notes


def test_nothing_is_said_of_an_ordinary_session(tmp_path: Path) -> None:
    assert list_sources(write_units(tmp_path / "units.nwb")).notes == ()
    assert list_sources(write_responses(tmp_path / "rois.nwb")).notes == ()


FRAMES = np.arange(20) * 170.0 + 90


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_events_table(path, FRAMES),
        lambda path: write_annotations(path, ["x"] * 20, FRAMES),
    ],
)
def test_events_in_numbers_of_frames_are_doubted(write: Callable[[Path], Path], tmp_path: Path) -> None:
    catalog = list_sources(write(tmp_path / "s.nwb"))
    (doubt,) = catalog.doubts
    assert "frame numbers" in doubt
    assert "=1/RATE" in doubt


@pytest.mark.parametrize(
    ("start", "doubted"),
    [
        (np.arange(50.0) * 30, True),
        (np.arange(50.0) * 30 + 0.2, False),  # no numbers of frames
        (np.arange(50.0) * 2, False),  # within what is fitted
        (np.arange(50.0) * 5, False),  # half of it: trials went on without the recording
        (np.arange(9.0) * 1000, False),  # too few to tell
        (np.arange(50.0) * -30, False),  # before it: another part of the session
    ],
)
def test_whole_numbers_behind_the_end_are_numbers_of_frames(start: Any, doubted: bool) -> None:
    assert (find_row_doubt(start, (0.0, 120.0), path="/events/e", name="e") is not None) == doubted


def test_the_advice_is_one_where_a_step_stands_in_place_of_the_rate(tmp_path: Path) -> None:
    nwbfile = new_nwbfile()
    values = np.random.default_rng(0).normal(size=(600, 6)).cumsum(axis=0)
    table = add_plane(nwbfile, n_rois=6)
    nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=[make_rois(table, "traces", values, rate=1 / 30)]))
    add_trials(nwbfile, n=3)
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    (doubt,) = list_sources(path).doubts
    assert "the step in place of the rate" in doubt
    with pytest.raises(DCFError, match=r"the step in place of the rate.*1/900") as caught:
        read_recording(path)
    assert "0.001" not in str(caught.value)
    assert read_recording(path, time_scale="1/900").sizes["segment"] == 3


def test_a_rate_that_cannot_be_names_both_causes_that_would_explain_it() -> None:
    times = [train / 30000 for train in simulate_trains()]
    (doubt,) = find_spike_doubts(times, bin_width_s=0.02)
    assert doubt.refuses
    assert "30000" in doubt.fix
    assert "86400" in doubt.fix
    minutes = [train / 60 for train in simulate_trains()]
    assert "or --time-scale" not in find_spike_doubts(minutes, bin_width_s=0.02)[0].fix


@pytest.mark.parametrize(
    ("name", "values", "n_bad", "note"),
    [
        ("quality", ["good", "bad", "good"], 1, ""),
        ("curation", ["keep", "discard", ""], 1, "1 ROIs stay"),
        ("cnn_score", [0.9, 0.1, 0.5], 0, "which values of cnn_score are good"),
        ("SNR", [9.0, 1.0, 5.0], 0, "which values of SNR are good"),
        ("cell probability", [0.9, 0.1, 0.5], 0, "which values of cell probability"),
        ("responsive", ["yes", "no", "yes"], 0, ""),
        ("depth", [9.0, 1.0, 5.0], 0, ""),
    ],
)
def test_quality_in_any_form_is_used_or_noted(name: str, values: Any, n_bad: int, note: str) -> None:
    found = judge_rois({name: np.asarray(values)}, 3)
    assert int(found.bad.sum()) == n_bad
    assert bool(found.notes) == bool(note)
    assert note in "".join(found.notes)


def test_the_default_source_can_be_transposed_without_a_name(tmp_path: Path) -> None:
    path = write_responses(tmp_path / "s.nwb", rate=30.0)
    name = "processing/ophys/Fluorescence/traces/data"
    with h5py.File(path) as file:
        values = file[name][:].T.copy()
    put_dataset(path, name, values)
    with pytest.raises(DCFError, match="transpose"):
        read_recording(path)
    recording = read_recording(path, transpose=True)
    assert dict(recording.sizes) == {"time": 600, "roi": 6, "segment": 1}
    assert any("transpose" in note for note in recording.attrs["notes"])
    assert not any(note.startswith(DOUBT) for note in recording.attrs["notes"])


@pytest.mark.parametrize("form", ["HDF5", "Zarr"])
def test_a_series_that_a_container_links_to_is_of_its_kind(form: str, tmp_path: Path) -> None:
    nwbfile = new_nwbfile()
    table = add_plane(nwbfile, n_rois=6)
    rng = np.random.default_rng(0)
    linked, other = (make_rois(table, name, rng.normal(size=(600, 6)).cumsum(axis=0)) for name in ("all", "a"))
    nwbfile.add_acquisition(linked)
    nwbfile.processing["ophys"].add([DfOverF(roi_response_series=[linked]), Fluorescence(roi_response_series=[other])])
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    if form == "Zarr":
        path = convert_to_zarr(path, tmp_path / "zarr" / "s.nwb")
    catalog = list_sources(path)
    assert catalog.default == "/acquisition/all"
    assert "dF/F" in catalog.why
