"""Objects of other files, and links within one: a source goes by its path in the file that was named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO, TimeSeries

from nwb_dcf import list_sources, read_recording
from tests.nwb_files import (
    add_plane,
    make_rois,
    make_series_session,
    make_spike_session,
    new_nwbfile,
    simulate_series,
    write_nwbfile,
)


def link_from(raw: Path, path: Path, take: str, place: str, own: str | None = None) -> Path:
    """Write a session that links to /acquisition/`take` of `raw` from `place`, and may have a wheel of its own."""
    with NWBHDF5IO(str(raw), "r") as io:
        nwbfile = new_nwbfile("other")
        linked = io.read().acquisition[take]
        if place == "acquisition":
            nwbfile.add_acquisition(linked)
        else:
            nwbfile.create_processing_module("behavior", "b").add(linked)
        if own is not None:
            nwbfile.add_acquisition(TimeSeries(name=own, data=simulate_series(400, 2, seed=5), rate=10.0, unit="cm"))
        with NWBHDF5IO(str(path), "w", manager=io.manager) as out:
            out.write(nwbfile)
    return path


@pytest.mark.parametrize("place", ["acquisition", "processing/behavior"])
def test_a_link_into_another_file_goes_by_its_path_here(tmp_path, place):
    raw = make_series_session(tmp_path / "raw.nwb", name="wheel")
    path = link_from(raw, tmp_path / "s.nwb", "wheel", place)
    (source,) = list_sources(path).sources
    assert source.path == f"/{place}/wheel"
    recording = read_recording(path, source.path)
    assert recording.attrs["source"]["path"] == f"/{place}/wheel"
    np.testing.assert_allclose(recording["data"].values, simulate_series())


def test_two_of_one_name_can_both_be_addressed(tmp_path):
    raw = make_series_session(tmp_path / "raw.nwb", name="wheel")
    path = link_from(raw, tmp_path / "s.nwb", "wheel", "processing/behavior", own="wheel")
    assert {source.path for source in list_sources(path).sources} == {
        "/acquisition/wheel",
        "/processing/behavior/wheel",
    }
    assert read_recording(path, "/acquisition/wheel")["data"].sizes == {"time": 400, "channel": 2}
    assert read_recording(path, "/processing/behavior/wheel")["data"].sizes == {"time": 600, "channel": 5}


def test_a_link_within_the_file_adds_no_second_source(tmp_path):
    nwbfile = new_nwbfile()
    wheel = TimeSeries(name="wheel", data=simulate_series(), rate=20.0, unit="cm")
    nwbfile.add_acquisition(wheel)
    nwbfile.create_processing_module("behavior", "b").add(wheel)
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    (source,) = list_sources(path).sources
    assert source.path == "/acquisition/wheel"
    for name in ("wheel", "/acquisition/wheel", "/processing/behavior/wheel"):
        assert read_recording(path, name)["data"].sizes == {"time": 600, "channel": 5}


def test_linked_rois_go_by_their_path_here(tmp_path):
    nwbfile = new_nwbfile("raw")
    nwbfile.add_acquisition(make_rois(add_plane(nwbfile), "traces", simulate_series(300, 6)))
    raw = write_nwbfile(nwbfile, tmp_path / "raw.nwb")
    path = link_from(raw, tmp_path / "s.nwb", "traces", "processing/behavior")
    catalog = list_sources(path)
    assert catalog.default == "/processing/behavior/traces"
    assert read_recording(path)["data"].sizes == {"time": 300, "roi": 6}


def test_linked_units_and_trials_are_those_of_this_file(tmp_path):
    raw = make_spike_session(tmp_path / "raw.nwb")
    with NWBHDF5IO(str(raw), "r") as io:
        session = io.read()
        nwbfile = new_nwbfile("other")
        nwbfile.units = session.units
        nwbfile.trials = session.trials
        path = tmp_path / "s.nwb"
        with NWBHDF5IO(str(path), "w", manager=io.manager) as out:
            out.write(nwbfile)
    catalog = list_sources(path)
    assert catalog.default == "/units"
    assert [table.path for table in catalog.tables] == ["/intervals/trials"]
    assert read_recording(path, trials="trials")["data"].sizes == read_recording(raw, trials="trials")["data"].sizes
