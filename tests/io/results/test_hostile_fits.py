"""A stored fit is data: whatever is in it, it is read or refused in one line, soon and without much memory."""

from __future__ import annotations

import json
import resource
import shutil
import time
from pathlib import Path

import h5py
import pytest

from nwb_dcf import list_results, read_result
from nwb_dcf.config.file_places import FilePlaces
from nwb_dcf.errors import ParameterError, StoreError
from nwb_dcf.pipeline.stored_source import find_beside, find_reading

from .hostile_fits import REASONS, list_changes

FILE = Path(__file__).parents[2] / "back_compat" / "ndx-dcf-1.0.0.nwb"
CHANGES = list_changes()
SOON_S = 30.0  # of one refusal on a busy machine; most take 50 ms
MUCH_BYTES = 300e6


@pytest.fixture
def name() -> str:
    """A fit whose model was trained."""
    return "real"


def test_there_are_enough() -> None:
    assert len(CHANGES) >= 150
    assert set(REASONS) <= set(CHANGES)


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_fit_is_refused_in_one_line(what: str, name: str, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(FILE, tmp_path / "s.nwb"))
    with h5py.File(path, "r+") as file:
        CHANGES[what](file[f"processing/dcf/{name}"])
    with h5py.File(tmp_path / "mark.h5", "w") as file:
        file["values"] = [1.0]
    before, started = path.read_bytes(), time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StoreError) as caught:
        read_result(path, name)
    assert str(caught.value).count("\n") == 0
    assert f"s.nwb: /processing/dcf/{name}: the fit cannot be read (" in str(caught.value)
    assert REASONS.get(what, "") in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.perf_counter() - started < SOON_S
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < MUCH_BYTES
    assert path.read_bytes() == before


def test_list_says_what_cannot_be_read_and_is_refused_where_that_is_all(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(FILE, tmp_path / "s.nwb"))
    with h5py.File(path, "r+") as file:
        CHANGES["provenance is nested"](file[f"processing/dcf/{name}"])
    reasons = {fit["name"]: fit["unreadable"] for fit in list_results(path)}
    assert "provenance is nested deeper than 40 levels" in str(reasons.pop(name))
    assert reasons
    assert set(reasons.values()) == {None}
    with h5py.File(path, "r+") as file:
        for other in reasons:
            CHANGES["provenance is nested"](file[f"processing/dcf/{other}"])
    with pytest.raises(StoreError, match=r"no fit can be read \(provenance is nested deeper than 40 levels"):
        list_results(path)
    with h5py.File(path, "r+") as file:
        for other in reasons:
            del file[f"processing/dcf/{other}"]
    with pytest.raises(StoreError, match=f"/processing/dcf/{name}: the fit cannot be read .provenance is nested"):
        list_results(path)


def test_settings_that_name_files_are_not_obeyed(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(FILE, tmp_path / "s.nwb"))
    with h5py.File(path, "r+") as file:
        group = file[f"processing/dcf/{name}"]
        config = json.loads(group["config"][()])
        config["read"] = {**(config.get("read") or {}), "video_dir": "/marked", "keep_frames": True, "every": 2}
        group["config"][()] = json.dumps(config)
    read = find_reading(read_result(path, name))
    assert (read.video_dir, read.keep_frames, read.mask, read.every) == (None, False, None, 2)
    with h5py.File(path, "r+") as file:
        config["read"]["mask"] = "/marked.png"
        file[f"processing/dcf/{name}/config"][()] = json.dumps(config)
    with pytest.raises(ParameterError, match="was read through a mask"):
        find_reading(read_result(path, name))
    assert find_reading(read_result(path, name), FilePlaces(mask="mine.png")).mask == "mine.png"


@pytest.mark.parametrize("recorded", ["../other.nwb", "/etc/hostname", "folder/other.nwb", "..", "", "s.nwb"])
def test_a_recorded_name_leads_nowhere_but_beside(recorded: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder" / "other.nwb", tmp_path.parent / "other.nwb"):
        place.write_bytes(b"marked")
    path = Path(shutil.copyfile(FILE, tmp_path / "s.nwb"))
    result = read_result(path, name)
    result.provenance["source"] = {"file": recorded}
    assert find_beside(path, result) is None
