"""Ids, rows and times that are stored as other numbers than they should be: used, or refused by name; never cast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynwb.ecephys import ElectricalSeries

from nwb_dcf import list_sources, read_recording
from nwb_dcf.errors import DataError, DCFError
from tests.nwb_files import new_nwbfile, write_nwbfile

from .field_files import add_units, put_dataset, simulate_trains, write_events_table, write_interval_series, write_rois

RNG = np.random.default_rng(0)
FRACTIONS: Any = np.arange(6) + 0.5
TEXT: Any = np.array([f"r{i}" for i in range(6)], dtype="S2")
WHOLE: Any = 10.0 + np.arange(6)


def write_voltages(path: Path) -> Path:
    nwbfile = new_nwbfile()
    group = nwbfile.create_electrode_group("g", description="d", location="m", device=nwbfile.create_device("p"))
    for _ in range(6):
        nwbfile.add_electrode(location="m", group=group)
    region = nwbfile.create_electrode_table_region(list(range(6)), "r")
    data = RNG.normal(size=(2000, 6)).cumsum(axis=0)
    nwbfile.add_acquisition(ElectricalSeries(name="lfp", data=data, electrodes=region, rate=100.0))
    return write_nwbfile(nwbfile, path)


def write_fluorescence(path: Path) -> Path:
    return write_rois(path, rate=10.0)


def write_units(path: Path) -> Path:
    return write_nwbfile(add_units(new_nwbfile(), simulate_trains(6)), path)


PLACES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    # what is stored as something else: how the file is written, the dataset, how it is read
    "ids of ROIs": (write_fluorescence, "processing/ophys/ImageSegmentation/rois/id", {}),
    "rows of ROIs": (write_fluorescence, "processing/ophys/Fluorescence/raw/rois", {}),
    "ids of electrodes": (write_voltages, "general/extracellular_ephys/electrodes/id", {"bands": "none"}),
    "rows of electrodes": (write_voltages, "acquisition/lfp/electrodes", {"bands": "none"}),
    "ids of units": (write_units, "units/id", {}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("values", [FRACTIONS, TEXT], ids=["fractions", "text"])
def test_what_are_no_whole_numbers_is_refused(place: str, values: Any, tmp_path: Path) -> None:
    write, dataset, settings = PLACES[place]
    path = put_dataset(write(tmp_path / "s.nwb"), dataset, values)
    # pynwb refuses to open a file with such ids or with text; fractions as rows are left to its readers
    by_pynwb = place.startswith("ids") or values is TEXT
    words = (
        "Could not construct (ElementIdentifiers|DynamicTableRegion)" if by_pynwb else "fractions.*not whole numbers"
    )
    with pytest.raises(DCFError, match=rf"s\.nwb: .*/.*{words}"):
        read_recording(path, **settings)


@pytest.mark.parametrize("place", [name for name in PLACES if name.startswith("ids")])
@pytest.mark.parametrize("dtype", ["u8", "i2"])
def test_whole_numbers_are_ids_whatever_they_are_stored_as(place: str, dtype: str, tmp_path: Path) -> None:
    write, dataset, settings = PLACES[place]
    path = put_dataset(write(tmp_path / "s.nwb"), dataset, WHOLE.astype(dtype))
    recording = read_recording(path, **settings)
    ids = recording[recording["data"].dims[1]].values
    assert ids.tolist() == [10, 11, 12, 13, 14, 15]
    assert ids.dtype.kind == "i"


@pytest.mark.parametrize(
    ("dataset", "values", "words"),
    [
        ("timestamp", np.array([f"{t}" for t in range(20)], dtype="S3"), "timestamp.*text"),
        ("duration", np.array([f"{t}" for t in range(20)], dtype="S3"), "duration.*text"),
    ],
)
def test_a_table_of_events_is_asked_by_its_types(dataset: str, values: Any, words: str, tmp_path: Path) -> None:
    path = write_events_table(tmp_path / "s.nwb", np.arange(20) * 5.0, name="cue", durations=np.ones(20))
    put_dataset(path, f"events/cue/{dataset}", values)
    with pytest.raises(DataError, match=words):
        read_recording(path, align="cue", window=(0.0, 1.0))
    table = next(table for table in list_sources(path).tables if table.path == "/events/cue")
    assert table.problem


def test_half_a_beginning_is_no_beginning(tmp_path: Path) -> None:
    path = write_interval_series(tmp_path / "s.nwb", [1, -1] * 10, np.arange(20) * 5.0)
    put_dataset(path, "acquisition/run/data", np.tile([0.5, -0.5], 10))
    with pytest.raises(DataError, match="fractions"):
        read_recording(path, trials="run")
