"""A session with everything odd that HDF5 and NWB allow, and a source to fit.

A dataset of HDF5's null space and a relative soft link are missing: pynwb cannot open a file that holds one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from ...nwb_files import make_spike_session

ADD_WITH_PYNWB = """
import sys
import numpy as np
from hdmf.common import DynamicTableRegion
from pynwb import H5DataIO, NWBHDF5IO, TimeSeries, load_namespaces, get_class
from pynwb.spec import NWBAttributeSpec, NWBGroupSpec, NWBNamespaceBuilder, export_spec
path, other, folder = sys.argv[1:]
kind = NWBGroupSpec(neurodata_type_def="OddThing", neurodata_type_inc="NWBDataInterface", doc="odd",
                    attributes=[NWBAttributeSpec(name="odd", doc="odd", dtype="text")])
builder = NWBNamespaceBuilder(name="ndx-odd", version="0.1.0", doc="odd", author=["a"], contact=["b"])
builder.include_type("NWBDataInterface", namespace="core")
export_spec(builder, [kind], folder)
load_namespaces(folder + "/ndx-odd.namespace.yaml")
OddThing = get_class("OddThing", "ndx-odd")
with NWBHDF5IO(path, "r+", load_namespaces=False) as io:
    nwbfile = io.read()
    device = nwbfile.create_device("probe")
    group = nwbfile.create_electrode_group("shank", description="d", location="M1", device=device)
    for _ in range(3):
        nwbfile.add_electrode(group=group, location="M1")
    data = H5DataIO(np.random.default_rng(0).normal(size=(500, 3)), chunks=(50, 3), maxshape=(None, 3),
                    compression="gzip", compression_opts=7, shuffle=True, fletcher32=True)
    lfp = TimeSeries(name="lfp", data=data, unit="V", timestamps=np.arange(500.0))
    nwbfile.add_acquisition(lfp)
    nwbfile.add_acquisition(TimeSeries(name="same_clock", data=np.arange(500), unit="V", timestamps=lfp))
    texts = TimeSeries(name="texts", data=["a", "fr\\u00fch"], unit="n/a", rate=1.0)
    nwbfile.add_acquisition(texts)
    nwbfile.add_epoch(1.0, 2.0, ["tag", "other"], [lfp])
    nwbfile.add_scratch(np.arange(6).reshape(2, 3), name="notes", description="mine")
    nwbfile.create_processing_module("odd", "odd").add(OddThing(name="thing", odd="yes"))
    with NWBHDF5IO(other, "r", manager=io.manager) as raw:
        nwbfile.add_acquisition(raw.read().acquisition["raw"])
        io.write(nwbfile)
"""
RAW = """
import sys
from datetime import datetime, timezone
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
nwbfile = NWBFile("raw", "raw", datetime(2026, 1, 1, tzinfo=timezone.utc))
nwbfile.add_acquisition(TimeSeries(name="raw", data=[1.0, 2.0], unit="V", rate=1.0))
with NWBHDF5IO(sys.argv[1], "w") as io:
    io.write(nwbfile)
"""


def make_odd_session(folder: Path) -> Path:
    """Make ``odd.nwb`` in `folder`, and ``raw.nwb``, to which it links."""
    path = make_spike_session(folder / "odd.nwb", n_units=5, duration_s=12)
    for script, arguments in ((RAW, [folder / "raw.nwb"]), (ADD_WITH_PYNWB, [path, folder / "raw.nwb", folder])):
        subprocess.run([sys.executable, "-I", "-c", script, *map(str, arguments)], check=True, capture_output=True)
    for spec in folder.glob("ndx-odd*"):
        spec.unlink()  # nobody has this extension but the file
    with h5py.File(path, "r+") as file:
        odd = file["processing/odd/thing"]
        odd["region"] = np.array([file["acquisition/lfp/data"].regionref[10:20, 1]], dtype=h5py.regionref_dtype)
        odd["nothing"] = np.zeros((0, 3))
        odd["again"] = file["acquisition/lfp/timestamps"]  # a hard link
        odd["soft"] = h5py.SoftLink("/processing/odd/thing/few")
        odd["dangling"] = h5py.ExternalLink("nowhere.h5", "/x")
        kind = np.dtype([("n", "i4"), ("led", h5py.ref_dtype)])
        odd["compound"] = np.array([(3, file["units"].ref), (4, file["acquisition/lfp"].ref)], dtype=kind)
        odd["few"] = np.array([True, False])
        odd.create_dataset("lzf", data=np.arange(100), compression="lzf", chunks=(7,), fillvalue=-1)
        odd.attrs["where"] = file["units"].ref
        odd.attrs["texts"] = ["x", "ü"]
        odd.attrs["empty"] = h5py.Empty("S1")
        odd.attrs["numbers"] = np.arange(3, dtype=">i2")
    return path
