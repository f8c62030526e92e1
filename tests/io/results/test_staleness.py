"""Fits whose source has changed since are kept apart from those whose source has not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO

from nwb_dcf.errors import StoreError
from nwb_dcf.io.backends.session import open_session
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.io.recordings.provenance import hash_source
from nwb_dcf.io.results import list_results, write_result
from nwb_dcf.io.results import staleness as stale
from nwb_dcf.io.results.staleness import SourceCheck, hash_stored
from tests.nwb_files import make_spike_session

from .synthetic import make_result

REAL = [
    "reach_chewie.nwb",
    "human_mtl_000207.nwb",
    "celegans_moving.nwb",
    "ophys_rois.nwb",
    "openfield_video.nwb",
    "pose_bad_clock.nwb",
    "no_neural_data.nwb",
]


def describe_units(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return {
            "file": path.name,
            "path": "/units",
            "type": "Units",
            "object_id": file["units"].attrs["object_id"],
            "identifier": file["identifier"].asstr()[()],
            "sha256": hash_stored(file["units"]),
        }


@pytest.mark.parametrize("name", REAL)
def test_the_reader_and_the_list_hash_alike(real_data: Callable[[str], Path], name: str) -> None:
    from pynwb import TimeSeries
    from pynwb.misc import Units

    path, compared = real_data(name), 0
    with open_session(path) as session, h5py.File(path) as file:
        for where, obj in session.find_objects(Units, TimeSeries)[:40]:
            files = getattr(obj, "external_file", None)
            if files is not None and not all((path.parent / str(video)).exists() for video in files[:]):
                assert hash_stored(file[where]) is None
                continue
            assert hash_stored(file[where]) == hash_source(obj, path.parent), where
            compared += 1
    assert compared


def test_a_changed_source_is_stale_and_hashed_once_for_all_its_fits(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = describe_units(session)
    for seed, name in enumerate(("a", "b")):
        write_result(make_result(np.arange(3), source=source, seed=seed), session, name=name)
    write_result(make_result(np.arange(3)), session, name="no_source")
    assert [fit["stale"] for fit in list_results(session)] == [False, False, None]
    with h5py.File(session, "r+") as file:
        file["units/spike_times"][5] += 1e-4
    hashed = []

    def count(group: h5py.Group) -> str | None:
        hashed.append(group.name)
        return hash_stored(group)

    monkeypatch.setattr(stale, "hash_stored", count)
    fits = list_results(session)
    assert [fit["stale"] for fit in fits] == [True, True, None]
    assert fits[0]["stale_because"] == "/units has changed since it was fitted"
    assert fits[2]["stale_because"] == "the fit names no source"
    assert hashed == ["/units"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (False, None)),
        ({"path": "/gone"}, (True, "/gone is not in the file any more")),
        ({"sha256": "0"}, (True, "/units has changed since it was fitted")),
        ({"sha256": "0", "values": 9}, (True, "/units has changed since it was fitted (9 spikes then, 21354 now)")),
        ({"sha256": None}, (None, "/units was fitted without a hash")),
        ({"identifier": "another"}, (None, "the source lies in another file, three_units.nwb")),
    ],
)
def test_what_is_said_of_one_source(
    real_data: Callable[[str], Path], changes: dict[str, Any], expected: tuple[bool | None, str | None]
) -> None:
    path = real_data("three_units.nwb")
    with h5py.File(path) as file:
        source = describe_units(path) | changes
        assert SourceCheck(file).find_changes({"source": source}) == expected
        # One of several that has changed is enough, and one that cannot be known is reported where none has.
        several = {"identifier": source["identifier"], "file": path.name, "members": [describe_units(path), source]}
        assert SourceCheck(file).find_changes({"source": several}) == expected


def exchange(file: h5py.File) -> None:
    del file["identifier"]
    file["identifier"] = "another session"


def rewrite(file: h5py.File) -> None:
    file["units"].attrs["object_id"] = "00000000-0000-0000-0000-000000000000"


def sort_again(file: h5py.File) -> None:
    file["units/spike_times"][0] += 1e-3


def lose(file: h5py.File) -> None:
    del file["units"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (exchange, "this is another session"),
        (rewrite, "/units is another object than the one that was fitted"),
        (sort_again, "/units has changed since it was fitted"),
        (lose, "/units is not in the file any more"),
    ],
)
def test_a_fit_goes_into_the_file_that_was_read(session: Path, change: Callable[[h5py.File], None], words: str) -> None:
    source = describe_units(session)
    result = make_result(np.arange(3), source=source)
    with h5py.File(session) as file:
        stale.refuse_other_source(file, session, result.provenance)
    with h5py.File(session, "r+") as file:
        change(file)
    before = session.read_bytes()
    with pytest.raises(StoreError, match=words):
        write_result(result, session, as_read=True)
    assert session.read_bytes() == before


def test_where_nothing_is_known_of_the_source_nothing_is_refused(session: Path) -> None:
    with h5py.File(session) as file:
        for source in ({}, {"path": "/units", "type": "Units"}, {"path": "/units", "identifier": None}):
            stale.refuse_other_source(file, session, {"source": source})


def test_tables_that_decided_the_segments_count_and_others_do_not(tmp_path: Path) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=3)
    recording = read_recording(path, where="direction >= 0")
    source = recording.attrs["source"]
    assert source["intervals"]["/intervals/trials"]["columns"] == ["id", "start_time", "stop_time", "direction"]
    assert source["intervals"]["/intervals/invalid_times"] is None

    def ask() -> tuple[bool | None, str | None]:
        with h5py.File(path, "r") as file:
            return SourceCheck(file).find_changes({"source": source})

    assert ask() == (False, None)
    with h5py.File(path, "r+") as file:
        file["intervals/trials/side"][0] = "neither"  # decided nothing
    assert ask() == (False, None)
    with h5py.File(path, "r+") as file:
        stop = file["intervals/trials/stop_time"][2]
        file["intervals/trials/stop_time"][2] = stop - 0.1
    assert ask() == (True, "/intervals/trials has changed since it was fitted")
    with h5py.File(path, "r+") as file:
        file["intervals/trials/stop_time"][2] = stop
        file["intervals/trials/direction"][0] += 1
    assert ask()[0] is True
    with h5py.File(path, "r+") as file:
        file["intervals/trials/direction"][0] -= 1
    with NWBHDF5IO(str(path), "r+") as io:
        nwbfile = io.read()
        nwbfile.add_invalid_time_interval(start_time=1.0, stop_time=2.0)
        io.write(nwbfile)
    assert ask() == (True, "/intervals/invalid_times was added since it was fitted (1 row)")
