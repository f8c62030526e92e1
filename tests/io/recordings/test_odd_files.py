"""Files of every NWB 2, with links that lead nowhere, with extensions nobody knows, and too large to be read whole."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from nwb_dcf.errors import SourceError
from nwb_dcf.io.recordings import list_sources, read_recording
from tests.nwb_files import make_series_session, make_spike_session

REAL = {
    "mouse_alm_000006.nwb": "2.0.2",
    "ophys_rois.nwb": "2.2.5",
    "human_mtl_000207.nwb": "2.4.0",
    "mouse_alm_000009.nwb": "2.1.0",
}


@pytest.mark.parametrize("version", [f"2.{minor}.0" for minor in range(10)])
def test_every_schema_of_nwb_2(tmp_path: Path, version: str) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    newest = read_recording(path)
    with h5py.File(path, "r+") as file:
        file.attrs["nwb_version"] = version
        del file["specifications"], file.attrs[".specloc"]  # pynwb keeps the specification since 2.1 alone
    old = read_recording(path)
    assert old.attrs["source"]["nwb_version"] == version
    xr.testing.assert_identical(old.assign_attrs(source=None), newest.assign_attrs(source=None))


@pytest.mark.parametrize("name", REAL)
def test_real_files_of_old_schemas(name: str, real_data: Callable[[str], Path]) -> None:
    catalogue = list_sources(real_data(name))
    assert catalogue.nwb_version == REAL[name]
    assert catalogue.default


def link_data(file: h5py.File) -> None:
    del file["acquisition/signal/data"]
    file["acquisition/signal/data"] = h5py.ExternalLink("gone.nwb", "/acquisition/far/data")


def link_series(file: h5py.File) -> None:
    del file["acquisition/signal"]
    file["acquisition/signal"] = h5py.ExternalLink("gone.nwb", "/acquisition/far")


def link_inside(file: h5py.File) -> None:
    del file["acquisition/signal"]
    file["acquisition/signal"] = h5py.SoftLink("/acquisition/far")


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (link_data, ("/acquisition/signal/data: this links to gone.nwb /acquisition/far/data, which is missing",)),
        (link_series, ("/acquisition/signal: this links to gone.nwb /acquisition/far, which is missing",)),
        (link_inside, ("/acquisition/signal: this links to /acquisition/far, which is missing",)),
    ],
)
@pytest.mark.parametrize("name", ["signal", "/acquisition/signal"])
def test_links_that_lead_nowhere(
    tmp_path: Path, break_it: Callable[[h5py.File], None], words: tuple[str, ...], name: str
) -> None:
    path = make_series_session(tmp_path / "s.nwb")
    with h5py.File(path, "r+") as file:
        break_it(file)
    before = path.read_bytes()
    with pytest.raises(SourceError) as error:
        read_recording(path, name)
    assert "\n" not in str(error.value)
    assert error.value.fix
    for word in ("s.nwb", *words):
        assert word in str(error.value)
    list_sources(path)
    assert path.read_bytes() == before


def test_a_broken_link_elsewhere_is_no_obstacle(tmp_path: Path) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    with h5py.File(path, "r+") as file:
        file["acquisition/far"] = h5py.ExternalLink("gone.nwb", "/acquisition/far")
    assert read_recording(path).sizes["unit"] == 8


MAKE_EXTENDED = """
import sys
from pathlib import Path
from pynwb import get_class, load_namespaces
from pynwb.spec import NWBGroupSpec, NWBNamespaceBuilder
from tests.nwb_files import make_spike_session, simulate_series
folder = Path(sys.argv[1])
builder = NWBNamespaceBuilder("odd", "ndx-odd", version="0.1.0", author=["a"], contact=["a@b.c"])
builder.include_type("TimeSeries", namespace="core")
odd = NWBGroupSpec("odd", neurodata_type_def="OddSeries", neurodata_type_inc="TimeSeries")
builder.add_spec("ndx-odd.extensions.yaml", odd)
builder.export("ndx-odd.namespace.yaml", outdir=str(folder))
load_namespaces(str(folder / "ndx-odd.namespace.yaml"))
odd = get_class("OddSeries", "ndx-odd")(name="odd", data=simulate_series(), unit="a.u.", rate=20.0)
make_spike_session(folder / "s.nwb", change=lambda nwbfile: nwbfile.add_acquisition(odd))
"""


def test_extensions_that_nobody_here_knows(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-W", "ignore", "-c", MAKE_EXTENDED, str(tmp_path)]
    subprocess.run(command, check=True, cwd=root, env={"PYTHONPATH": str(root), "PATH": ""})
    path = tmp_path / "s.nwb"
    assert read_recording(path, "odd").attrs["source"]["type"] == "OddSeries"  # by the specification in the file
    with h5py.File(path, "r+") as file:
        del file["specifications/ndx-odd"]
    before = path.read_bytes()
    for read in (list_sources, read_recording):
        with pytest.raises(SourceError, match=r"s\.nwb: it uses the extension ndx-odd, whose specification is not in"):
            read(path)
    assert path.read_bytes() == before


def test_a_file_of_a_hundred_gigabytes(tmp_path: Path) -> None:
    """A sparse one: reading all of it would take minutes and all memory; what is needed takes neither."""
    path = make_series_session(tmp_path / "s.nwb")
    with h5py.File(path, "r+") as file:
        file.copy("acquisition/signal", "acquisition/bulk")
        del file["acquisition/bulk/data"]
        space, kind = h5py.h5s.create_simple((50_000_000_000, 1)), h5py.h5t.NATIVE_INT16
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        h5py.h5d.create(file["acquisition/bulk"].id, b"data", kind, space, plist)
        old: Any = file["acquisition/signal/data"].attrs
        file["acquisition/bulk/data"].attrs.update(dict(old))
        file["acquisition/bulk"].attrs["object_id"] = "11111111-1111-4111-8111-111111111111"
    size = path.stat().st_size
    assert size > 100e9
    if path.stat().st_blocks * 512 > 1e9:
        pytest.skip("this file system keeps no sparse files")
    started = time.monotonic()
    recording = read_recording(path, "signal")
    assert "/acquisition/bulk" in [source.path for source in list_sources(path).sources]
    assert time.monotonic() - started < 60
    assert np.isfinite(recording["data"]).all()
