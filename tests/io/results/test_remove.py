"""Removing fits: what goes, and what stays to the bit."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results import list_results, read_result, remove_result, write_result

from .odd_session import make_odd_session
from .structure import describe, find_differences
from .synthetic import assert_same_result, digest, make_result, result_for

BACK_COMPAT = Path(__file__).parents[2] / "back_compat"


def test_what_was_removed_is_all_that_is_gone(tmp_path: Path) -> None:
    session = make_odd_session(tmp_path)
    write_result(result_for(session, seed=1), session, name="stays")
    before = describe(session)
    write_result(result_for(session, seed=2), session, name="goes")
    with_both = session.stat().st_size
    removed = remove_result(session, "goes")
    assert (removed.name, removed.fits) == ("goes", ["stays"])
    assert (removed.bytes_before, removed.bytes_after) == (with_both, session.stat().st_size)
    assert find_differences(before, describe(session), allowed=()) == []
    assert removed.bytes_after <= with_both
    assert_same_result(read_result(session), result_for(session, seed=1))
    assert sorted(os.listdir(tmp_path)) == ["odd.nwb", "raw.nwb"]


def test_the_last_fit_takes_its_module_with_it(session: Path) -> None:
    before = describe(session)
    write_result(result_for(session), session)
    remove_result(session, "units_dim3")
    assert list_results(session) == []
    assert find_differences(before, describe(session)) == []
    with h5py.File(session) as file:
        assert "processing/dcf" not in file


@pytest.mark.parametrize("name", sorted(path.name for path in BACK_COMPAT.glob("ndx-dcf-*.nwb")))
def test_fits_of_every_released_schema_are_removed(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(BACK_COMPAT / name, tmp_path / name))
    names = [fit["name"] for fit in list_results(path)]
    for i, fit in enumerate(names):
        assert remove_result(path, fit).fits == names[i + 1 :]
    assert list_results(path) == []


def test_what_cannot_be_removed_is_said_and_changes_nothing(session: Path) -> None:
    with pytest.raises(StoreError, match=r"no fit 'units_dim3': it holds no fit"):
        remove_result(session, "units_dim3")
    write_result(result_for(session), session)
    with pytest.raises(StoreError, match=r"no fit 'x': its fits are units_dim3; name one of them"):
        remove_result(session, "x")
    with h5py.File(session, "r+") as file:
        file["processing/mine"] = h5py.SoftLink("/processing/dcf/units_dim3/latents")
    before = digest(session)
    with pytest.raises(StoreError, match="/processing/mine leads to the fit"):
        remove_result(session, "units_dim3")
    assert digest(session) == before
    with h5py.File(session, "r+") as file:
        del file["processing/mine"]
    before = digest(session)
    session.chmod(0o444)
    with pytest.raises(StoreError, match="the file is read-only"):
        remove_result(session, "units_dim3")
    assert digest(session) == before
    assert os.listdir(session.parent) == [session.name]


@pytest.mark.parametrize("refer", ["attribute", "column"])
def test_a_reference_to_the_fit_keeps_it(session: Path, refer: str) -> None:
    write_result(result_for(session), session)
    with h5py.File(session, "r+") as file:
        latents = file["processing/dcf/units_dim3/latents"].ref
        if refer == "attribute":
            file["units"].attrs["latents"] = latents
        else:
            kind = np.dtype([("idx_start", "i4"), ("count", "i4"), ("timeseries", h5py.ref_dtype)])
            file["units/latents"] = np.array([(0, 2, latents)], dtype=kind)
    with pytest.raises(StoreError, match=r"/units.* leads to the fit"):
        remove_result(session, "units_dim3")


def test_mode_links_and_time_are_kept_or_change_as_they_must(session: Path, tmp_path: Path) -> None:
    write_result(result_for(session), session)
    session.chmod(0o640)
    os.utime(session, (1e9, 1e9))
    link = tmp_path / "link.nwb"
    link.symlink_to(session)
    remove_result(link, "units_dim3")
    assert link.is_symlink()
    assert stat.S_IMODE(session.stat().st_mode) == 0o640
    assert session.stat().st_mtime > 1.7e9


def test_a_reader_goes_on_reading_what_it_opened(session: Path) -> None:
    write_result(result_for(session), session)
    script = (
        "import h5py, sys; f = h5py.File(sys.argv[1], 'r'); print('open', flush=True); sys.stdin.readline()\n"
        "print(f['processing/dcf/units_dim3/latents/data'][()].sum())\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-I", "-c", script, str(session)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "open\n"
    total = float(read_result(session).dataset["latents"].sum())
    remove_result(session, "units_dim3")
    assert float(reader.communicate("\n")[0]) == pytest.approx(total, rel=1e-4)


def test_from_a_zarr_folder_a_fit_is_removed_too(tmp_path: Path) -> None:
    pytest.importorskip("hdmf_zarr")
    from ...nwb_files import convert_to_zarr, make_spike_session

    folder = convert_to_zarr(make_spike_session(tmp_path / "s.nwb", n_units=4, duration_s=10), tmp_path / "s.zarr")
    source = {"path": "/units", "type": "Units"}
    write_result(make_result(np.arange(4), source=source), folder, name="stays")

    def look() -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    before = look()
    write_result(make_result(np.arange(4), source=source, seed=1), folder, name="goes")
    assert remove_result(folder, "goes").fits == ["stays"]
    after = look()
    assert {name for name in before.keys() ^ after.keys() if "specifications" not in name} == set()
    assert {
        n for n in before if not n.startswith(".z") and before[n] != after[n] and "specifications" not in n
    } == set()
    assert_same_result(read_result(folder), make_result(np.arange(4), source=source))
    assert sorted(os.listdir(tmp_path)) == ["s.nwb", "s.zarr"]
