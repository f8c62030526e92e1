"""A file whose series are listed without pynwb has the catalog that pynwb gives."""

from __future__ import annotations

import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.behavior import SpatialSeries
from pynwb.file import Subject
from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries
from pynwb.image import ImageSeries

from nwb_dcf import list_sources
from nwb_dcf.io.backends import light_series
from nwb_dcf.io.backends.session import open_session
from tests.nwb_files import new_nwbfile, simulate_spike_times, write_nwbfile


def add_series(nwbfile: NWBFile) -> None:
    """Series of every way to have a clock, and some that are not plain."""
    rng = np.random.default_rng(0)
    module = nwbfile.create_processing_module("behavior", "b")
    first = TimeSeries(name="stamped", data=rng.normal(size=(60, 2)), timestamps=np.arange(60) / 20.0, unit="m")
    nwbfile.add_acquisition(first)
    # Timestamps by a link, which keep this one with pynwb, and its target too.
    module.add(TimeSeries(name="linked", data=rng.normal(size=60), timestamps=first, unit="m"))
    module.add(TimeSeries(name="frames counted", data=rng.normal(size=200), timestamps=np.arange(200.0), unit="m"))
    module.add(TimeSeries(name="words", data=["a", "b", "c"], rate=1.0, unit="n/a"))
    module.add(TimeSeries(name="wide", data=rng.normal(size=(3, 900)), rate=30.0, unit="V"))
    module.add(TimeSeries(name="late", data=rng.normal(size=(90, 3)), rate=30.0, starting_time=12.5, unit="V"))
    module.add(SpatialSeries(name="place", data=rng.normal(size=(40, 2)), rate=20.0, reference_frame="r", unit="cm"))
    nwbfile.add_stimulus(TimeSeries(name="sound", data=rng.normal(size=90), rate=30.0, unit="Pa"))
    nwbfile.add_acquisition(ImageSeries(name="film", data=rng.integers(0, 9, (20, 8, 8)), rate=10.0, unit="n/a"))


def add_sweeps(nwbfile: NWBFile) -> None:
    """Patch clamp: series that link to an electrode, in a table that refers to them."""
    electrode = nwbfile.create_icephys_electrode("e", description="d", device=nwbfile.create_device("rig"))
    for i in range(4):
        about = {"electrode": electrode, "gain": 1.0, "rate": 1e3, "sweep_number": i}
        response = CurrentClampSeries(name=f"r{i}", data=np.random.default_rng(i).normal(size=80), **about)
        stimulus = CurrentClampStimulusSeries(name=f"s{i}", data=np.ones(80), **about)
        nwbfile.add_intracellular_recording(electrode=electrode, stimulus=stimulus, response=response)


def make_session(path: Path) -> Path:
    nwbfile = new_nwbfile()
    for times in simulate_spike_times(4, 10.0):
        nwbfile.add_unit(spike_times=times)
    add_series(nwbfile)
    add_sweeps(nwbfile)
    return write_nwbfile(nwbfile, path)


@pytest.fixture
def is_light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light_series, "FEW", 1)


def test_the_catalog_is_that_of_pynwb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_session(tmp_path / "s.nwb")
    known = list_sources(path)
    with open_session(path, light=True) as session:
        assert session._apart == ()  # so few are read by pynwb
    monkeypatch.setattr(light_series, "FEW", 1)
    with open_session(path, light=True) as session:
        apart = {series.light_path for series in session._apart}
    assert "/processing/behavior/late" in apart
    assert "/acquisition/r0" in apart
    assert not apart & {"/processing/behavior/linked", "/processing/behavior/place", "/acquisition/film"}
    assert list_sources(path) == known
    assert {source.path for source in known.sources if source.problem} >= {"/processing/behavior/words"}
    assert {source.path for source in known.sources if source.doubt} >= {"/processing/behavior/wide"}
    assert any("frames counted" in doubt for doubt in known.doubts)


@pytest.mark.usefixtures("is_light")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda group: group["data"].attrs.__delitem__("unit"),
        lambda group: group.attrs.__setitem__("neurodata_type", "SpatialSeries"),
        lambda group: group["starting_time"].attrs.__delitem__("rate"),
        lambda group: group.__setitem__("timestamps", np.arange(90.0)),
        lambda group: group.__delitem__("data"),
    ],
    ids=["no unit", "another type", "no rate", "two clocks", "no data"],
)
def test_what_is_not_as_it_should_be_is_left_to_pynwb(tmp_path: Path, spoil: object) -> None:
    path = make_session(tmp_path / "s.nwb")
    with h5py.File(path, "r+") as file:
        spoil(file["processing/behavior/late"])  # type: ignore[operator]
    with h5py.File(path, "r") as file:
        apart = {series.light_path for series in light_series.read_plain_series(file)}
    assert "/processing/behavior/late" not in apart
    assert "/processing/behavior/wide" in apart


@pytest.mark.usefixtures("is_light")
def test_an_external_link_is_left_to_pynwb(tmp_path: Path) -> None:
    path, other = make_session(tmp_path / "s.nwb"), make_session(tmp_path / "other.nwb")
    with h5py.File(path, "r+") as file:
        del file["processing/behavior/late"], file["processing/behavior/wide/data"]
        file["processing/behavior/late"] = h5py.ExternalLink(other.name, "/processing/behavior/late")
        file["processing/behavior/wide/data"] = h5py.ExternalLink(other.name, "/processing/behavior/wide/data")
    with h5py.File(path, "r") as file:
        apart = {series.light_path for series in light_series.read_plain_series(file)}
    assert not apart & {"/processing/behavior/late", "/processing/behavior/wide"}
    sources = {source.path: source for source in list_sources(path).sources}
    assert "other.nwb (external link)" in sources["/processing/behavior/late"].why


def test_pynwb_builds_few_objects_of_a_file_with_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    nwbfile = NWBFile("d", "i", start, subject=Subject(subject_id="s"))
    for i in range(150):
        nwbfile.add_acquisition(TimeSeries(name=f"s{i}", data=np.zeros((9, 2)), rate=10.0, unit="V"))
    with NWBHDF5IO(tmp_path / "s.nwb", "w") as io:
        io.write(nwbfile)
    built = []
    monkeypatch.setattr(TimeSeries, "__init__", lambda self, *a, **k: built.append(self))
    assert list_sources(tmp_path / "s.nwb").sources
    assert not built
