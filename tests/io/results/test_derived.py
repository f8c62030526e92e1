"""A file of results alone: the same session and subject as its source, and none of its data."""

from __future__ import annotations

import datetime
from pathlib import Path

import pynwb
import pytest
from pynwb import NWBHDF5IO, NWBFile
from pynwb.file import Subject

from nwb_dcf.errors import StoreError
from nwb_dcf.io.recordings import describe_session
from nwb_dcf.io.results import check_derived, list_results, read_result, write_derived
from tests.nwb_files import convert_to_zarr, make_spike_session

from .synthetic import assert_same_result, result_for


def describe(nwbfile: NWBFile) -> None:
    nwbfile.experimenter = ["A. Person", "B. Other"]
    nwbfile.keywords = ["spikes"]
    nwbfile.institution = "a university"
    nwbfile.subject = Subject(
        subject_id="m1", species="Mus musculus", sex="F", age="P90D", description="früh",
        date_of_birth=datetime.datetime(2025, 10, 1, tzinfo=datetime.UTC),
    )  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_spike_session(tmp_path / "source.nwb", change=describe)


def test_session_and_subject_are_repeated_and_nothing_else(source: Path) -> None:
    out, result = source.parent / "out.nwb", result_for(source)
    session = describe_session(source)
    result.provenance["source"] |= {"identifier": session["identifier"], "file": session["file"]}
    assert describe_session(convert_to_zarr(source, source.parent / "s.zarr")) == {**session, "file": "s.zarr"}
    written = write_derived(result, session, out)
    assert written.notes == ["it holds the results alone; their source is source.nwb"]
    assert_same_result(read_result(out), result)
    assert out.stat().st_size < 1e6
    with NWBHDF5IO(str(source), "r") as one, NWBHDF5IO(str(out), "r") as other:
        a, b = one.read(), other.read()
        for name in ("session_description", "session_start_time", "timestamps_reference_time", "institution"):
            assert getattr(a, name) == getattr(b, name), name
        assert list(a.experimenter) == list(b.experimenter)
        assert list(a.keywords[:]) == list(b.keywords[:])
        for name in ("subject_id", "species", "sex", "age", "age__reference", "date_of_birth", "description"):
            assert getattr(a.subject, name) == getattr(b.subject, name), name
        assert a.identifier != b.identifier
        assert "source.nwb" in b.source_script
        assert b.units is None
        assert list(b.processing) == ["dcf"]
    assert pynwb.validate(path=str(out)) == []
    assert list_results(out)[0]["stale"] is None  # its source is elsewhere
    assert sorted(path.name for path in source.parent.iterdir()) == ["out.nwb", "s.zarr", "source.nwb"]


def test_a_file_that_exists_is_replaced_only_if_asked(source: Path) -> None:
    out = source.parent / "out.nwb"
    out.write_text("mine")
    with pytest.raises(StoreError, match=r"output exists.*`overwrite=True`"):
        write_derived(result_for(source), describe_session(source), out)
    with pytest.raises(StoreError, match="replaces NWB files alone"):
        check_derived(out, kind="units", dim=3, overwrite=True)
    assert out.read_text() == "mine"
    out.write_bytes(source.read_bytes())
    out.chmod(0o640)
    assert check_derived(out, kind="units", dim=3, overwrite=True) == "units_dim3"
    write_derived(result_for(source), describe_session(source), out, overwrite=True)
    assert list_results(out)[0]["name"] == "units_dim3"
    assert out.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("place", "name", "word"),
    [("", None, "is a folder"), ("none/out.nwb", None, "no such folder"), ("out.nwb", "a/b", "name of a fit")],
)
def test_what_cannot_be_written_is_refused_early(tmp_path: Path, place: str, name: str | None, word: str) -> None:
    with pytest.raises(StoreError, match=word):
        check_derived(tmp_path / place, name=name, kind="units", dim=3, overwrite=True)
