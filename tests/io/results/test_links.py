"""Links of a fit to its source, and links of the session to other files."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from nwb_dcf.io.results import read_result, write_result

from .synthetic import assert_same_result, digest, make_result, result_for


def test_a_fit_of_a_series_links_to_it(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = Path(shutil.copyfile(real_data("reach_chewie.nwb"), tmp_path / "s.nwb"))
    path.chmod(0o644)
    found: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, _: found.append(name) if name.endswith("binned_spike_counts") else None)
        (name,) = found
        source = {"path": f"/{name}", "object_id": file[name].attrs["object_id"], "type": "TimeSeries"}
        n_channels = file[name]["data"].shape[1]
    result = make_result(np.arange(n_channels), kind="series", source=source)
    assert write_result(result, path).notes == []
    assert_same_result(read_result(path, "series_dim3"), result)
    script = (
        "import sys; from pynwb import NWBHDF5IO\n"
        "with NWBHDF5IO(sys.argv[1], 'r') as io:\n"
        "    n = io.read(); f = n.processing['dcf']['series_dim3']\n"
        "    print(f.source_series is n.objects[sys.argv[2]], f.units, f.source_units, f.channels[-1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(path), source["object_id"]], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "None", "None", str(n_channels - 1)]


def test_units_that_were_left_out_are_left_out_of_the_links(session: Path) -> None:
    with h5py.File(session) as file:
        ids = file["units/id"][()]
        source = {"path": "/units", "type": "Units", "object_id": file["units"].attrs["object_id"]}
    write_result(make_result(ids[[2, 0]], dim=2, source=source), session)
    with h5py.File(session) as file:
        fit = file["processing/dcf/units_dim2"]
        assert fit["units"][()].tolist() == [2, 0]
        assert file[fit["units"].attrs["table"]].name == "/units"
        assert fit["source_units"] == file["units"]


def test_relative_links_to_other_files_still_lead_there(session: Path) -> None:
    other = session.with_name("raw.nwb")
    shutil.copyfile(session, other)
    script = (
        "import sys; from pynwb import NWBHDF5IO, TimeSeries\n"
        "with NWBHDF5IO(sys.argv[1], 'r+') as io:\n"
        "    n = io.read(); raw = TimeSeries(name='raw', data=[1.0, 2.0], unit='V', rate=1.0)\n"
        "    n.add_acquisition(raw); io.write(n)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script, str(other)], check=True)
    with h5py.File(session, "r+") as file:
        file["acquisition/raw"] = h5py.ExternalLink("raw.nwb", "/acquisition/raw")
    before = digest(other)
    write_result(result_for(session), session)
    assert digest(other) == before
    with h5py.File(session) as file:
        link = file.get("acquisition/raw", getlink=True)
        assert (link.filename, link.path) == ("raw.nwb", "/acquisition/raw")
        assert file["acquisition/raw/data"][()].tolist() == [1.0, 2.0]
