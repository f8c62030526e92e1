from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest
import xarray as xr

from nwb_dcf.cohort import Cohort, session_reader
from nwb_dcf.cohort.session_reader import SessionReader
from nwb_dcf.config import ReadConfig
from nwb_dcf.errors import DataError, ParameterError

READ = ReadConfig(bin_width_s=0.06)


@pytest.fixture
def paths(folder: Path, tmp_path: Path) -> dict[str, Path]:
    for path in (folder / "raw").iterdir():
        shutil.copy(path, tmp_path)
    return {path.name: path for path in sorted(tmp_path.glob("*.nwb"))}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, in order."""
    done: list[str] = []
    read = session_reader.read_recording

    def note(path: Path, **options: object) -> xr.Dataset:
        done.append(path.name)
        return read(path, **options)

    monkeypatch.setattr(session_reader, "read_recording", note)
    return done


def test_what_fits_into_memory_is_read_once(paths: dict[str, Path], reads: list[str]):
    reader = SessionReader(paths, READ)
    reader.read_all("trials.condition")
    assert [reader[name].sizes["segment"] for name in reader]
    assert reads == list(paths)


def test_a_cohort_that_fits_into_no_memory_is_the_same(paths: dict[str, Path], reads: list[str]):
    reader = SessionReader(paths, READ, kept_bytes=0)
    reader.read_all("trials.condition")
    assert len(reads) == len(paths)
    found = [
        Cohort(2, n_permutations=19, repeats=2).fit(one, "condition") for one in (reader, SessionReader(paths, READ))
    ]
    assert (found[0].axes_.anchors == found[1].axes_.anchors).all()
    assert (found[0].means.values == found[1].means.values).all()


def test_a_file_that_changes_meanwhile_is_refused(paths: dict[str, Path]):
    reader = SessionReader(paths, READ, kept_bytes=0)
    reader.read_all("trials.condition")
    with h5py.File(paths["animal1.nwb"], "r+") as file:
        file["units/spike_times"][0] += 1e-3
    with pytest.raises(DataError, match=r"animal1\.nwb: the file changed while the cohort was fitted"):
        reader["animal1.nwb"]


def test_files_that_cannot_be_used_are_left_out(paths: dict[str, Path]):
    paths["animal0.nwb"].write_bytes(b"x")
    reader = SessionReader(paths, READ)
    reader.read_all("trials.condition")
    assert list(reader) == ["animal1.nwb", "animal2.nwb", "animal3.nwb"]
    assert "HDF5" in reader.left_out["animal0.nwb"]
    with pytest.raises(DataError, match=r"0 of 3 files can be used"):
        SessionReader({name: paths[name] for name in reader}, READ).read_all("trials.conditions")


@pytest.mark.long
def test_files_read_by_several_processes_are_the_same(paths: dict[str, Path], tmp_path: Path):
    (tmp_path / "broken.nwb").write_bytes(b"no file of HDF5")
    everything = {**paths, "broken.nwb": tmp_path / "broken.nwb"}
    one, several = SessionReader(everything, READ), SessionReader(everything, READ)
    one.read_all("trials.condition", jobs=1)
    several.read_all("trials.condition", jobs=2)
    assert list(several) == list(one) == list(paths)
    assert several.left_out == one.left_out
    assert "this is not an HDF5 file" in several.left_out["broken.nwb"]
    for name in one:
        xr.testing.assert_identical(several[name], one[name])


def test_jobs_below_one_are_refused(paths: dict[str, Path]):
    with pytest.raises(ParameterError, match="jobs is 0"):
        SessionReader(paths, READ).read_all("trials.condition", jobs=0)
