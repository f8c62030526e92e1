"""A cohort from files, to files. One fit serves all tests that only look at it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import nwb_dcf
from nwb_dcf import cohort
from nwb_dcf.cli import main
from nwb_dcf.cohort.files import CohortResult, list_files
from nwb_dcf.cohort.stored import find_session
from nwb_dcf.errors import DataError, ParameterError, StoreError

from .conftest import READING


def test_a_broken_file_is_named_and_stops_nothing(fitted: CohortResult):
    assert list(fitted.left_out) == ["broken.nwb"]
    assert "HDF5" in fitted.left_out["broken.nwb"]
    assert [about["state"] for about in fitted.files.values()] == ["written"] * 3


def test_each_session_holds_a_fit_that_names_its_cohort(fitted: CohortResult):
    about = fitted.files["animal0.nwb"]
    stored = nwb_dcf.read_result(about["file"], about["fit"])
    assert stored.provenance["cohort"]["sha256"] == fitted.record.sha256
    assert stored.dataset.sizes["latent"] == 2
    recording = nwb_dcf.read_recording(about["file"], bin_width_s=0.06)
    expected = fitted.cohort.transform(recording, "animal0.nwb")
    assert np.array_equal(stored.dataset["latents"].values, expected["latents"].values)
    assert np.array_equal(stored.dataset["velocity"].values, expected["velocity"].values)
    # each frame by itself, so noisier than latents of a window, which are shrunk
    assert stored.dataset["flowed"].shape == stored.dataset["latents"].shape
    alike = np.corrcoef(stored.dataset["flowed"].values[:, 0], expected["latents"].values[:, 0])[0, 1]
    assert 0.5 < alike < 0.999
    assert np.allclose(stored.dataset["loadings"].values.T @ stored.dataset["loadings"].values, np.eye(2))
    (listed,) = nwb_dcf.list_results(about["file"])
    assert listed["stale"] is False


def test_the_cohort_is_read_back_as_it_was(fitted: CohortResult):
    stored = cohort.read_cohort(fitted.output)
    assert np.array_equal(stored.dataset["anchors"].values, fitted.cohort.axes_.anchors)
    assert np.array_equal(stored.dataset["means"].values, fitted.cohort.means.values, equal_nan=True)
    assert stored.dataset["session"].values.tolist() == ["animal0.nwb", "animal1.nwb", "animal2.nwb"]
    assert stored.statistics["findings"]
    assert stored.provenance["left_out"].keys() == {"broken.nwb"}


def test_running_again_makes_nothing_again(fitted: CohortResult, folder: Path):
    before = {path: path.stat().st_mtime_ns for path in (folder / "sessions").iterdir()}
    shutil.copy(fitted.output, folder / "sessions" / "beside.nwb")  # a cohort's file is no session
    again = cohort.fit_cohort(folder / "sessions", 2, output=fitted.output, **READING)
    (folder / "sessions" / "beside.nwb").unlink()
    assert [about["state"] for about in again.files.values()] == ["there"] * 3
    assert {path: path.stat().st_mtime_ns for path in (folder / "sessions").iterdir()} == before


def test_its_model_does_not_stand_alone_and_says_so(fitted: CohortResult):
    about = fitted.files["animal0.nwb"]
    with pytest.raises(StoreError, match="is a session of a cohort: a coupling and a field"):
        nwb_dcf.DCF.from_result(nwb_dcf.read_result(about["file"], about["fit"]))
    with pytest.raises(StoreError, match="is fitted as a whole"):
        nwb_dcf.refit(about["file"], about["fit"])


def test_a_new_session_is_coupled_and_one_of_the_cohort_refused(fitted: CohortResult, folder: Path):
    report = cohort.add_to_cohort(fitted.output, folder / "new" / "animal3.nwb")
    assert report["conditions"] == report["of_conditions"] == 6
    stored = nwb_dcf.read_result(folder / "new" / "animal3.nwb", report["fit"])
    assert stored.provenance["cohort"]["in_axes"] is False
    with pytest.raises(DataError, match="is in the cohort"):
        cohort.add_to_cohort(fitted.output, fitted.files["animal1.nwb"]["file"], overwrite=True)


def test_a_session_that_was_coupled_later_is_listed(fitted: CohortResult, folder: Path, tmp_path: Path):
    """The cohort's file stays as it is; what lies beside it is looked at, and what is no session is left alone."""
    shutil.copy(fitted.output, tmp_path / "cohort.nwb")
    new = folder / "new" / "animal3.nwb"
    report = cohort.add_to_cohort(fitted.output, new, output=tmp_path / "animal3.nwb", overwrite=True)
    (tmp_path / "notes.nwb").write_text("no HDF5")
    *before, row = cohort.list_cohort(tmp_path / "cohort.nwb")
    assert len(before) == 3
    assert (row["session"], row["units"], row["trials"]) == ("animal3.nwb", report["units"], report["trials"])
    assert row["in_axes"] is False
    assert row["state"] == "coupled later, current"


def test_a_fit_of_another_cohort_is_not_replaced_unasked(fitted: CohortResult, folder: Path):
    with pytest.raises(StoreError, match="another cohort"):
        cohort.fit_cohort(folder / "sessions", 2, output=fitted.output, seed=1, **READING)
    with pytest.raises(StoreError, match="this fit exists"):
        cohort.fit_cohort(folder / "sessions", 2, output=folder / "other.nwb", seed=1, **READING)
    assert not (folder / "other.nwb").exists()


def test_a_session_that_changed_since_is_named(fitted: CohortResult, folder: Path, tmp_path: Path):
    shutil.copy(fitted.output, tmp_path / "cohort.nwb")
    shutil.copy(folder / "sessions" / "animal0.nwb", tmp_path)
    shutil.copy(folder / "sessions" / "animal1.nwb", tmp_path)
    with h5py.File(tmp_path / "animal1.nwb", "r+") as file:
        file["units/spike_times"][0] += 1e-3
    states = {row["session"]: row["state"] for row in cohort.list_cohort(tmp_path / "cohort.nwb")}
    assert states["animal0.nwb"] == "current"
    assert states["animal1.nwb"].startswith("changed since")
    assert states["animal2.nwb"] == "there is no file animal2.nwb beside the cohort's"


def test_sessions_are_found_where_they_lay_or_where_they_are_said_to_be(
    fitted: CohortResult, folder: Path, tmp_path: Path
):
    assert [row["state"] for row in cohort.list_cohort(fitted.output)] == ["current"] * 3
    shutil.copy(fitted.output, tmp_path / "moved.nwb")
    moved = cohort.list_cohort(tmp_path / "moved.nwb", sessions=folder / "sessions")
    assert [row["state"] for row in moved] == ["current"] * 3
    assert "there is no file" in str(cohort.list_cohort(tmp_path / "moved.nwb")[0]["state"])


def test_a_place_above_the_cohort_is_not_followed(fitted: CohortResult, tmp_path: Path):
    (tmp_path / "animal0.nwb").write_bytes(b"x")
    sources = {"animal0.nwb": {"place": "../animal0.nwb"}}
    record = dataclasses.replace(fitted.record, provenance={**fitted.record.provenance, "sources": sources})
    inside = tmp_path / "inside" / "cohort.nwb"
    assert find_session(inside, record, "animal0.nwb") == tmp_path / "inside" / "animal0.nwb"


def test_what_is_not_a_cohort_is_never_replaced(folder: Path, tmp_path: Path):
    other = tmp_path / "other.nwb"
    shutil.copy(folder / "new" / "animal3.nwb", other)
    with pytest.raises(StoreError, match="no cohort"):
        cohort.fit_cohort(folder / "sessions", 2, output=other, overwrite=True, **READING)


def test_a_newer_schema_is_refused(fitted: CohortResult, tmp_path: Path):
    newer = tmp_path / "newer.nwb"
    shutil.copy(fitted.output, newer)
    with h5py.File(newer, "r+") as file:
        file["processing/dcf/cohort"].attrs["schema_version"] = "9.0.0"
    with pytest.raises(StoreError, match=r"9\.0\.0"):
        cohort.read_cohort(newer)


def test_the_command_line_shows_what_was_found(fitted: CohortResult, capsys: pytest.CaptureFixture[str]):
    assert main(["cohort", "show", fitted.output]) == 0
    text = capsys.readouterr().out
    assert "conditions differ in a common way" in text
    assert "warning: trials begin at the start times of their table" in text
    assert main(["cohort", "show", fitted.output, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == fitted.record.sha256


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("file,group\nanimal0.nwb,a\n", "3 of 4 files have no group, the first animal1.nwb"),
        ("name,group\nanimal0.nwb,a\n", "has no columns file and group"),
        ("file,group\nanimal0.nwb,a\nanimal0.nwb,b\n", "a file has two rows"),
        ("group,file\na\n", "4 of 4 files have no group"),  # a row that ends before the last column
    ],
)
def test_groups_that_do_not_cover_the_files_are_refused(folder: Path, tmp_path: Path, groups: str, message: str):
    (tmp_path / "groups.csv").write_text(groups)
    with pytest.raises(ParameterError, match=message):
        cohort.fit_cohort(folder / "sessions", 2, output=tmp_path / "c.nwb", groups=tmp_path / "groups.csv", **READING)


def test_files_are_listed_once(tmp_path: Path):
    with pytest.raises(ParameterError, match=r"a\.nwb is listed twice"):
        list_files([tmp_path / "a.nwb", tmp_path / "a.nwb"])
    with pytest.raises(ParameterError, match="no NWB file"):
        list_files(tmp_path)
