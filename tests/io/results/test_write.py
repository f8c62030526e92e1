import dataclasses
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results import check_writable, list_results, read_result, write_result

from .synthetic import assert_same_result, digest, make_result, result_for

BACK_COMPAT = Path(__file__).parents[2] / "back_compat" / "ndx-dcf-0.1.0.nwb"


def test_several_fits_and_overwriting_one(session: Path) -> None:
    first, second, third = (result_for(session, seed=seed) for seed in range(3))
    assert write_result(first, session).name == "units_dim3"
    before = digest(session)
    with pytest.raises(StoreError, match=r"this fit exists; .*`overwrite=True`.*`name='units_dim3_2'`"):
        write_result(second, session)
    assert digest(session) == before

    written = write_result(second, session, name="units_dim3_2")
    assert written.notes == []  # the schema rose with the first fit
    with pytest.raises(StoreError, match=r"several fits and no name: its fits are units_dim3, units_dim3_2; name one"):
        read_result(session)
    write_result(third, session, overwrite=True)
    assert_same_result(read_result(session, "units_dim3"), third)
    assert_same_result(read_result(session, "units_dim3_2"), second)
    assert [fit["name"] for fit in list_results(session)] == ["units_dim3", "units_dim3_2"]
    with pytest.raises(StoreError, match=r"no fit 'units_dim2': its fits are"):
        read_result(session, "units_dim2")
    assert os.listdir(session.parent) == [session.name]


def test_the_rise_of_the_schema_is_said_and_kept(session: Path) -> None:
    written = write_result(result_for(session), session)
    assert any("rose from 2.4.0 to" in note for note in written.notes)
    assert read_result(session).provenance["nwb_version_before"] == "2.4.0"
    (fit,) = list_results(session)
    assert fit == {
        "name": "units_dim3",
        "kind": "units",
        "dim": 3,
        "k_eff": 4,
        "source": "/units",
        "created": "2026-11-23T20:00:00+00:00",
        "schema_version": "1.2.0",
        "stale": None,
        "stale_because": "/units was fitted without a hash",
        "altered": [],
        "certificate": {},
        "best": False,
        "unreadable": None,
    }


def test_output_leaves_the_given_file_alone(session: Path, tmp_path: Path) -> None:
    session.chmod(0o444)
    before, output = digest(session), tmp_path / "out.nwb"
    written = write_result(result_for(session), session, output=output)
    assert written.path == str(output)
    assert digest(session) == before
    assert_same_result(read_result(output), result_for(session))
    assert output.stat().st_mode & stat.S_IWUSR
    with pytest.raises(StoreError, match="the output exists"):
        write_result(result_for(session), session, output=output)
    with pytest.raises(StoreError, match="output is the file itself"):
        write_result(result_for(session), session, output=session)
    with pytest.raises(StoreError, match="no such folder"):
        write_result(result_for(session), session, output=tmp_path / "nowhere" / "out.nwb")
    assert sorted(os.listdir(tmp_path)) == ["out.nwb", "session"]


def test_links_mode_and_readers_survive(session: Path, tmp_path: Path) -> None:
    session.chmod(0o640)
    link = tmp_path / "link.nwb"
    link.symlink_to(session)
    reader = _open_elsewhere(session, "r")
    try:
        write_result(result_for(session), link)
    finally:
        reader.communicate("\n")
    assert link.is_symlink()
    assert link.resolve() == session
    assert stat.S_IMODE(session.stat().st_mode) == 0o640
    assert len(list_results(session)) == 1


def test_a_file_open_for_writing_elsewhere_is_refused(session: Path) -> None:
    before = digest(session)
    writer = _open_elsewhere(session, "r+")
    try:
        with pytest.raises(StoreError, match=r"open for writing in another program; .*HDF5_USE_FILE_LOCKING"):
            check_writable(session, kind="units", dim=3)
    finally:
        writer.communicate("\n")
    assert digest(session) == before
    assert check_writable(session, kind="units", dim=3) == "units_dim3"


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "."])
def test_impossible_names_are_refused(session: Path, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name of a fit"):
        check_writable(session, name=name, kind="units", dim=3)


def test_read_only_file_and_folder_are_refused_even_to_root(session: Path) -> None:
    session.chmod(0o444)
    with pytest.raises(StoreError, match=r"s\.nwb: the file is read-only; .*`output='s_dcf.nwb'`"):
        check_writable(session, kind="units", dim=3)
    session.chmod(0o644)
    session.parent.chmod(0o555)
    try:
        with pytest.raises(StoreError, match="the folder is read-only"):
            write_result(result_for(session), session)
    finally:
        session.parent.chmod(0o755)
    assert os.listdir(session.parent) == [session.name]


def test_what_is_no_nwb_file_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.nwb"
    text.write_text("not HDF5" * 100)
    with h5py.File(tmp_path / "plain.nwb", "w") as file:
        file["x"] = 1
    for name, what in [
        ("absent.nwb", "no such file"),
        ("text.nwb", "not an HDF5 file"),
        ("plain.nwb", "not an NWB 2 file"),
    ]:
        for call in (list_results, read_result):
            with pytest.raises(StoreError, match=what):
                call(tmp_path / name)
    with pytest.raises(StoreError, match="a folder, and no Zarr"):
        list_results(tmp_path)


def test_too_little_room_is_refused_early(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 1_000_000})
    monkeypatch.setattr("nwb_dcf.io.results.destination.shutil.disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match=r"needs 2 MB, and 1 MB are free"):
        check_writable(session, kind="units", dim=3)


@pytest.mark.parametrize("place", ["cached specification", "fit"])
def test_a_fit_of_a_newer_schema_is_refused(session: Path, place: str) -> None:
    with h5py.File(session, "r+") as file:
        if place == "fit":
            fit = file.create_group("processing/dcf/units_dim3")
            fit.attrs.update(
                {"neurodata_type": "DynamicCompressionFlow", "namespace": "ndx-dcf", "schema_version": "1.10.0"}
            )
        else:
            file.create_group("specifications/ndx-dcf/1.10.0")
            fit = file.create_group("processing/dcf/units_dim3")
            fit.attrs.update({"neurodata_type": "DynamicCompressionFlow", "namespace": "ndx-dcf"})
    before = digest(session)
    for call in (
        lambda: read_result(session),
        lambda: write_result(result_for(session), session),
        lambda: check_writable(session, kind="units", dim=2),
    ):
        with pytest.raises(StoreError, match=r"holds fits of ndx-dcf 1\.10\.0, .*; upgrade nwb_dcf"):
            call()
    assert digest(session) == before


@pytest.mark.parametrize("call", [list_results, read_result])
@pytest.mark.parametrize("part", ["provenance", "not JSON", "clock", "a table"])
def test_a_malformed_fit_is_said_in_one_line(tmp_path: Path, part: str, call: Any) -> None:
    path = Path(shutil.copyfile(BACK_COMPAT, tmp_path / "s.nwb"))
    with h5py.File(path, "r+") as file:
        del file["processing/dcf/one_segment"]
        fit = file["processing/dcf/units_dim3"]
        if part == "not JSON":
            del fit["provenance"]
            fit["provenance"] = "__import__('os')"
        else:
            del fit[{"clock": "latents/timestamps", "a table": "segments/count"}.get(part, part)]
    with pytest.raises(StoreError, match=r"/processing/dcf/units_dim3: the fit cannot be read") as caught:
        call(path)
    assert "\n" not in str(caught.value)


def test_foreign_things_in_the_module_stay(session: Path) -> None:
    script = (
        "import sys; from pynwb import NWBHDF5IO, TimeSeries\n"
        "with NWBHDF5IO(sys.argv[1], 'r+') as io:\n"
        "    n = io.read(); m = n.create_processing_module('dcf', 'mine')\n"
        "    m.add(TimeSeries(name='units_dim3', data=[1.0, 2.0], unit='V', rate=1.0)); io.write(n)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script, str(session)], check=True)
    with pytest.raises(StoreError, match=r"something that is not a fit has this name; use `name='units_dim3_2'`"):
        check_writable(session, kind="units", dim=3, overwrite=True)
    write_result(result_for(session), session, name="units_dim3_2")
    with h5py.File(session) as file:
        assert file["processing/dcf/units_dim3/data"][()].tolist() == [1.0, 2.0]
        assert file["processing/dcf"].attrs["description"] == "mine"
    assert [fit["name"] for fit in list_results(session)] == ["units_dim3_2"]


def test_a_source_of_another_file_is_not_linked_and_said(session: Path) -> None:
    result = make_result(np.arange(5), kind="array")
    assert any("does not link to its source" in note for note in write_result(result, session).notes)
    assert_same_result(read_result(session, "array_dim3"), dataclasses.replace(result, name="array_dim3"))


def _open_elsewhere(path: Path, mode: str) -> "subprocess.Popen[str]":
    script = (
        "import h5py, sys; f = h5py.File(sys.argv[1], sys.argv[2]); print('open', flush=True); sys.stdin.readline()"
    )
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", script, str(path), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process
