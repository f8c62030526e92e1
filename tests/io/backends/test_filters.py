"""Data compressed by a filter of HDF5 that is not installed: it is named, with what installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from nwb_dcf import list_sources, read_recording
from nwb_dcf.errors import DCFError
from nwb_dcf.io.backends.filters import find_missing_filter
from tests.nwb_files import make_roi_session, make_series_session, make_spike_session

FILTERS = {32001: "Blosc", 32004: "LZ4", 32008: "itshuffle", 32015: "Zstandard", 32026: "Blosc2", 40000: ""}


def mark(path: Path, name: str, number: int) -> Path:
    """Store a dataset as compressed by filter `number`, with a chunk that nobody here can decompress."""
    with h5py.File(path, "r+") as file:
        old = file[name]
        shape, dtype, kept = old.shape, old.dtype, dict(old.attrs)
        del file[name]
        parent, leaf = name.rsplit("/", 1)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(shape)
        plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (2, 2, 8, 100, 5, 1, 0))
        space = h5py.h5s.create_simple(shape)
        made = h5py.h5d.create(file[parent].id, leaf.encode(), h5py.h5t.py_create(dtype), space, plist)
        made.write_direct_chunk((0,) * len(shape), b"\1" * 100, 0)
        h5py.Dataset(made).attrs.update(kept)
        if f"{name}_index" in file:
            file[f"{name}_index"].attrs["target"] = h5py.Dataset(made).ref
    return path


WRITERS = {
    "units/spike_times": (make_spike_session, "units", {}),
    "intervals/trials/start_time": (make_spike_session, "units", {"trials": "trials"}),
    "acquisition/signal/data": (make_series_session, "signal", {}),
    "acquisition/signal/timestamps": (
        lambda path: make_series_session(path, timestamps=np.arange(600) / 20), "signal", {}
    ),
    "processing/ophys/Fluorescence/raw/data": (
        lambda path: make_roi_session(path, names={"Fluorescence": ["raw"]}), "raw", {}
    ),
}  # fmt: skip


@pytest.fixture
def without_hdf5plugin(monkeypatch):
    """The package is not installed, nor its filters known from another test."""
    installed = sys.modules.get("hdf5plugin")
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    for number in FILTERS:
        if h5py.h5z.filter_avail(number):
            h5py.h5z.unregister_filter(number)
    yield
    if installed is not None:
        installed.register()


@pytest.mark.usefixtures("without_hdf5plugin")
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("number", FILTERS)
def test_a_filter_that_is_not_there_is_named(tmp_path, name, number):
    write, source, settings = WRITERS[name]
    path = mark(write(tmp_path / "s.nwb"), name, number)
    with pytest.raises(DCFError) as error:
        read_recording(path, source, **settings)
    words = str(error.value)
    assert f"filter {number}" in words
    assert FILTERS[number] in words
    assert "damaged" not in words
    assert f"/{name}" in words
    if number == 40000:
        assert "hdf5plugin" not in words
    else:
        assert "pip install hdf5plugin" in words


@pytest.mark.usefixtures("without_hdf5plugin")
def test_info_lists_what_is_there_all_the_same(tmp_path):
    path = mark(make_spike_session(tmp_path / "s.nwb"), "units/spike_times", 32001)
    catalog = list_sources(path)
    assert "filter 32001 (Blosc)" in str(catalog.to_dict())
    assert catalog.default is None


@pytest.mark.parametrize(
    "name", ["Blosc", *(pytest.param(name, marks=pytest.mark.long) for name in ("Zstd", "LZ4", "Bitshuffle"))]
)
def test_the_package_is_used_where_it_is_installed(tmp_path, name):
    pytest.importorskip("hdf5plugin")
    path = make_series_session(tmp_path / "s.nwb")
    expected = read_recording(path, "signal")["data"].values
    script = (
        "import h5py, hdf5plugin, sys\n"
        "f = h5py.File(sys.argv[1], 'r+'); d = f['acquisition/signal/data']\n"
        "v, k = d[:], dict(d.attrs); del f['acquisition/signal/data']\n"
        "settings = getattr(hdf5plugin, sys.argv[2])()\n"
        "m = f.create_dataset('acquisition/signal/data', data=v, chunks=(100, 5), **settings)\n"
        "m.attrs.update(k)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path), name], check=True)
    read = (
        "import sys, numpy as np; from nwb_dcf import read_recording\n"
        "np.save(sys.argv[2], read_recording(sys.argv[1], 'signal')['data'].values)\n"
    )
    subprocess.run([sys.executable, "-c", read, str(path), str(tmp_path / "v.npy")], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), expected)


def test_an_array_of_a_closed_file_lacks_nothing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("x", data=[1.0])
    assert find_missing_filter(array) is None  # an error is explained after the file was closed
