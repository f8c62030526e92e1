"""Fits in folders of both formats of Zarr, as the installed hdmf-zarr can: where it cannot, it is said beforehand.

``benchmarks/zarr_matrix.py`` does the same on every Python.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.backends import zarr_format
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.io.results import check_writable, list_results, read_result, remove_result, write_result
from nwb_dcf.io.results.read import open_nwb
from nwb_dcf.io.results.staleness import hash_stored
from tests.io.backends.test_zarr import add_electrodes
from tests.nwb_files import convert_to_zarr, make_spike_session

from .synthetic import assert_same_result, make_result


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session in the format that the installed version writes, alone in a folder."""
    (tmp_path / "alone").mkdir()
    path = make_spike_session(tmp_path / "s.nwb", change=add_electrodes)
    return convert_to_zarr(path, tmp_path / "alone" / "s.nwb.zarr")


@pytest.mark.long
def test_a_second_fit_a_replaced_one_and_what_is_left_without_them(session: Path) -> None:
    before = read_recording(session)
    with open_nwb(session) as file:
        units, stored = file["units"]["id"][:], hash_stored(file["units"])
        source = {"path": "/units", "type": "Units", "object_id": file["units"].attrs["object_id"], "sha256": stored}
    assert stored == before.attrs["source"]["sha256"]
    first, second = make_result(units, source=source), make_result(units, source=source, seed=1, regular=True)
    write_result(first, session, as_read=True)
    write_result(second, session, name="other")
    # A fit with times of its own shares them among its series by links.
    assert [(fit["name"], fit["stale"], fit["altered"]) for fit in list_results(session)] == [
        ("other", False, []),
        ("units_dim3", False, []),
    ]
    assert_same_result(read_result(session, "other"), second)
    write_result(first, session, name="other", overwrite=True)
    assert_same_result(read_result(session, "other"), first)
    assert remove_result(session, "other").fits == ["units_dim3"]
    assert remove_result(session, "units_dim3").fits == []
    assert not (session / "processing" / "dcf").exists()
    assert read_recording(session).equals(before)
    assert os.listdir(session.parent) == [session.name]


def test_a_format_that_is_read_and_not_written_is_refused_before_the_fit(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zarr_format, "find_format", lambda path: 2)
    monkeypatch.setattr(zarr_format, "writes_format_3", lambda: True)
    with pytest.raises(StoreError) as refused:
        check_writable(session, kind="units", dim=2)
    assert "Zarr format 2" in refused.value.what
    assert "convert_to_v3('s.nwb.zarr', 's_format3.nwb.zarr'" in refused.value.fix
