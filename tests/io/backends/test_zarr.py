"""The same session in HDF5 and in Zarr is the same recording; a broken folder is one line."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from pynwb import NWBFile
from pynwb.ecephys import ElectricalSeries

from nwb_dcf.errors import SourceError
from nwb_dcf.io.backends.restricted_pickle import restrict_pickles
from nwb_dcf.io.recordings import list_sources, read_recording
from tests.nwb_files import convert_to_zarr, make_roi_session, make_series_session, make_spike_session


def add_electrodes(nwbfile: NWBFile) -> None:
    """Electrodes, whose table holds object references."""
    device = nwbfile.create_device("probe")
    group = nwbfile.create_electrode_group("shank", description="", location="CA1", device=device)
    for _ in range(3):
        nwbfile.add_electrode(location="CA1", group=group)
    region = nwbfile.create_electrode_table_region([2, 0, 1], "all")
    data = np.random.default_rng(0).integers(-500, 500, (2000, 3), dtype=np.int16)
    nwbfile.add_acquisition(
        ElectricalSeries(name="voltage", data=data, electrodes=region, rate=500.0, conversion=2e-6, starting_time=1.5)
    )


MAKERS: dict[str, tuple[Callable[[Path], Path], dict[str, object]]] = {
    "spikes in trials": (make_spike_session, {"bin_width_s": 0.05, "where": "side == 'left'"}),
    "voltages by name": (
        lambda path: make_spike_session(path, change=add_electrodes),
        {"source": "voltage", "bands": "none"},
    ),
    "power by name": (
        lambda path: make_spike_session(path, change=add_electrodes),
        {"source": "voltage", "bands": "12-30,30-80"},
    ),
    "observed units": (
        lambda path: make_spike_session(path, n_units=2, obs_intervals=[[(0, 20)], [(2, 30)]], trials=None),
        {},
    ),
    "series by rate": (make_series_session, {"source": "signal"}),
    "big-endian series": (
        lambda path: make_series_session(path, np.random.default_rng(0).normal(size=(50, 2)).astype(">f4")),
        {"source": "signal"},
    ),
    "series by timestamps": (
        lambda path: make_series_session(path, timestamps=np.cumsum(np.linspace(0.04, 0.06, 600))),
        {"source": "signal"},
    ),
    "rois": (lambda path: make_roi_session(path, names={"Fluorescence": ["F"], "DfOverF": ["dff"]}), {}),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_one_session_in_two_formats_is_one_recording(tmp_path: Path, kind: str) -> None:
    make, settings = MAKERS[kind]
    path = make(tmp_path / "s.nwb")
    folder = convert_to_zarr(path, tmp_path / "s.nwb.zarr")
    hdf5, zarr = read_recording(path, **settings), read_recording(folder, **settings)
    assert zarr.attrs["source"].pop("file") == "s.nwb.zarr"
    assert hdf5.attrs["source"].pop("file") == "s.nwb"
    assert len(hdf5.attrs["source"]["sha256"]) == 64
    xr.testing.assert_identical(hdf5, zarr)
    for a, b in zip(hdf5.variables.values(), zarr.variables.values(), strict=True):
        assert a.dtype == b.dtype
        assert a.values.tobytes() == b.values.tobytes() or a.dtype.kind == "O"
    catalogues = [list_sources(where).to_dict() for where in (path, folder)]
    assert [catalogue.pop("file") for catalogue in catalogues] == ["s.nwb", "s.nwb.zarr"]
    assert catalogues[0] == catalogues[1]


@pytest.mark.parametrize("name", ["ophys_rois.nwb", "three_units.nwb"])
def test_real_recordings_in_zarr(tmp_path: Path, name: str, real_data: Callable[[str], Path]) -> None:
    path = real_data(name)
    hdf5, zarr = read_recording(path), read_recording(convert_to_zarr(path, tmp_path / "s.zarr"))
    assert hdf5.attrs["source"]["sha256"] == zarr.attrs["source"]["sha256"]
    assert hdf5["data"].values.tobytes() == zarr["data"].values.tobytes()
    assert hdf5["time"].values.tobytes() == zarr["time"].values.tobytes()


def digest(folder: Path) -> str:
    return hashlib.sha256(
        b"".join(bytes(path) + path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    ).hexdigest()


def _garble(path: Path) -> None:
    stored = path.read_bytes()
    path.write_bytes(stored[:16] + bytes(255 - byte for byte in stored[16:]))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _rewrite(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _drop_consolidated(folder: Path) -> None:
    (folder / ".zmetadata").unlink()


BREAKS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "garbled chunk": (lambda f: _garble(f / "acquisition/signal/data/0.0"), ("/acquisition/signal/data", "damaged")),
    "short chunk": (lambda f: _cut(f / "acquisition/signal/data/0.0"), ("/acquisition/signal/data", "damaged")),
    "empty chunk": (
        lambda f: (f / "acquisition/signal/data/0.0").write_bytes(b""),
        ("/acquisition/signal/data", "damaged"),
    ),
    "no Zarr": (lambda f: (f / ".zgroup").unlink(), ("a folder, and no Zarr",)),
    "not NWB": (lambda f: (f / ".zattrs").write_text("{}"), ("Zarr but not NWB",)),
    "broken attributes": (lambda f: (f / ".zattrs").write_text('{"nwb'), (".zattrs is damaged",)),
    "broken metadata": (lambda f: (f / ".zmetadata").write_text('{"meta'), ("metadata", "damaged")),
    "format 3": (lambda f: (f / "zarr.json").write_text("{}"), ("Zarr format 3",)),
    "NWB 1": (lambda f: _rewrite(f / ".zattrs", nwb_version="NWB-1.0.6"), ("NWB 1",)),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_folder_is_one_line(tmp_path: Path, what: str) -> None:
    folder = convert_to_zarr(make_series_session(tmp_path / "s.nwb"), tmp_path / "s.zarr")
    break_it, words = BREAKS[what]
    break_it(folder)
    before = digest(folder)
    with pytest.raises(SourceError) as error:
        read_recording(folder, "signal")
    for word in ("s.zarr", ";", *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.fix
    assert digest(folder) == before


def test_a_missing_chunk_is_told(tmp_path: Path) -> None:
    folder = convert_to_zarr(make_series_session(tmp_path / "s.nwb"), tmp_path / "s.zarr")
    assert not any("missing" in note for note in read_recording(folder, "signal").attrs["notes"])
    data = np.zeros((600, 5)) + np.arange(600)[:, None]
    array = zarr.open_group(str(folder), mode="r+")["acquisition/signal"]
    array.create_dataset("data", data=data, chunks=(100, 5), overwrite=True).attrs["unit"] = "a.u."
    array["data"].attrs.update(conversion=1.0, offset=0.0, resolution=-1.0)
    zarr.consolidate_metadata(str(folder))
    (folder / "acquisition/signal/data/3.0").unlink()
    notes = read_recording(folder, "signal").attrs["notes"]
    assert any("1 of 6 chunks of /acquisition/signal/data are missing" in note for note in notes)


def test_without_consolidated_metadata(tmp_path: Path) -> None:
    folder = convert_to_zarr(make_spike_session(tmp_path / "s.nwb"), tmp_path / "s.zarr")
    before = read_recording(folder)
    _drop_consolidated(folder)
    xr.testing.assert_identical(read_recording(folder), before)


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return os.putenv, ("NWB_DCF_TEST_HARM", "done")


def test_a_pickle_in_a_file_runs_nothing(tmp_path: Path) -> None:
    path = make_spike_session(tmp_path / "s.nwb", change=add_electrodes)
    folder = convert_to_zarr(path, tmp_path / "s.zarr")
    group = folder / "general/extracellular_ephys/electrodes/group"
    assert json.loads((group / ".zarray").read_text())["filters"][0]["id"] == "pickle"  # what hdmf-zarr does
    list_sources(folder)
    (group / "0").write_bytes(numcodecs.Blosc().encode(pickle.dumps(np.array([Harmful()] * 3, dtype=object))))
    with restrict_pickles():
        array = zarr.open(str(group), mode="r")
    with pytest.raises(pickle.UnpicklingError, match=r"putenv.*not allowed"):
        array[:]
    assert numcodecs.get_codec({"id": "pickle"}).decode(pickle.dumps(range(3))) == range(3)  # as it was outside
