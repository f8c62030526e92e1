"""Fits in Zarr: written as safely as into HDF5, though a folder cannot be replaced by one ``os.replace``."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results import atomic as replacement
from nwb_dcf.io.results import atomic_folder as folder
from nwb_dcf.io.results import check_writable, list_results, read_result, remove_leftovers, write, write_result
from nwb_dcf.io.results.staleness import hash_stored
from tests.io.backends.test_zarr import add_electrodes
from tests.nwb_files import convert_to_zarr, make_spike_session

from .synthetic import assert_same_result, make_result
from .test_atomic import exit_code, in_child

N_KILLS = 200
SPOILS = ("altered", "shorter")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of spikes and electrodes in Zarr, with the specification of somebody's extension in its cache."""
    import ndx_pose  # noqa: F401 - pynwb caches what is imported

    place = tmp_path_factory.mktemp("zarr")
    path = make_spike_session(place / "s.nwb", change=add_electrodes)
    return convert_to_zarr(path, place / "s.nwb.zarr")


@pytest.fixture
def session(original: Path, tmp_path: Path) -> Path:
    """Its copy, alone in a folder."""
    (tmp_path / "session").mkdir()
    return Path(shutil.copytree(original, tmp_path / "session" / "s.nwb.zarr"))


def result_of(path: Path, **settings: Any) -> Any:
    units = zarr.open_group(str(path), mode="r")["units"]
    source = {"path": "/units", "type": "Units", "object_id": units.attrs["object_id"], "sha256": hash_stored(units)}
    return make_result(units["id"][:], source=source, **settings)


def digest(path: Path) -> dict[str, str]:
    """Hash of every file below `path`."""
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.long
def test_fits_come_back_as_they_were(session: Path) -> None:
    first, second = result_of(session), result_of(session, seed=1, regular=True)
    assert write_result(first, session).notes == []
    write_result(second, session, name="other")
    assert [fit["name"] for fit in list_results(session)] == ["other", "units_dim3"]
    assert list_results(session)[1]["source"] == "/units"
    assert [fit["stale"] for fit in list_results(session)] == [False, False]
    assert_same_result(read_result(session, "units_dim3"), first)
    assert_same_result(read_result(session, "other"), second)
    write_result(first, session, name="other", overwrite=True)
    assert_same_result(read_result(session, "other"), first)
    zarr.open_group(str(session), mode="r+")["units/spike_times"][0] += 1e-3
    assert [fit["stale"] for fit in list_results(session)] == [True, True]
    assert os.listdir(session.parent) == [session.name]


@pytest.mark.parametrize("can_exchange", [True, pytest.param(False, marks=pytest.mark.long)])
def test_nothing_else_changes_and_others_read_on(
    session: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(folder, "_exchange", lambda one, other: False)
        (session / ".zmetadata").unlink()
    before, modes = digest(session), {p.name: p.stat().st_mode for p in session.iterdir()}
    chunk = session / "units" / "spike_times" / "0"
    inode = chunk.stat().st_ino
    times = zarr.open_group(str(session), mode="r")["units/spike_times"]
    values = times[:]
    write_result(result_of(session), session)
    np.testing.assert_array_equal(times[:], values)  # by a reader who had it open
    after = digest(session)
    assert {path for path in before if after.get(path) != before[path]} == ({".zmetadata"} if can_exchange else set())
    assert any(path.startswith("specifications/ndx-pose/") for path in before)
    added = {path for path in after if path not in before}
    assert all(path.startswith(("processing/dcf/", "specifications/ndx-dcf/")) for path in added)
    assert {p.name: p.stat().st_mode for p in session.iterdir()} == modes
    assert (chunk.stat().st_ino, chunk.stat().st_nlink) == (inode, 1)
    assert os.listdir(session.parent) == [session.name]
    script = (
        "import sys; from hdmf_zarr.nwb import NWBZarrIO\n"
        "with NWBZarrIO(sys.argv[1], mode='r') as io:\n"
        "    n = io.read(); f = n.processing['dcf']['units_dim3']\n"
        "    print(f['latents'].data.shape, len(f['flowed'].timestamps), f.source_units is n.units)\n"
        "    print(len(f.segments.to_dataframe()), len(n.electrodes.to_dataframe()), 'nwb_dcf' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(session)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["(62, 3) 62 True", "6 3 False"]


def deadly(moment: str, function: Callable[..., Any], script: str = "") -> Callable[..., Any]:
    """Kill the process before or after `function`, if its first argument is `script`."""

    def wrapper(*arguments: Any, **settings: Any) -> Any:
        hit = not script or arguments[0] == script
        if hit and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        value = function(*arguments, **settings)
        if hit and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    return wrapper


@pytest.mark.parametrize(
    ("stage", "moment"),
    [
        ("copy_beside", "after"),
        ("append.py", "after"),
        pytest.param("verify_folder.py", "after", marks=pytest.mark.slow),
        ("replace", "after"),
    ],
)
def test_killed_around_each_stage(session: Path, stage: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, result = digest(session), result_of(session)
    name, script = ("run_clean", stage) if stage.endswith(".py") else (stage, "")
    monkeypatch.setattr(write, name, deadly(moment, getattr(write, name), script))
    assert exit_code(in_child(lambda: write_result(result, session))) == -signal.SIGKILL
    monkeypatch.undo()
    assert len(os.listdir(session.parent)) >= 2
    if stage == "replace":
        assert_same_result(read_result(session), result)
    else:
        assert digest(session) == before
    remove_leftovers(session)
    check_writable(session, name="next", kind="units", dim=3)
    assert os.listdir(session.parent) == [session.name]


@pytest.mark.parametrize("killed_after", [1, pytest.param(2, marks=pytest.mark.long)])
def test_killed_between_two_renames(session: Path, killed_after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where folders cannot be exchanged, the next command brings the folder back."""
    before, result, rename, renamed = digest(session), result_of(session), os.rename, []

    def rename_and_die(*arguments: Any) -> None:
        rename(*arguments)
        renamed.append(arguments)
        if len(renamed) == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(folder, "_exchange", lambda one, other: False)
    monkeypatch.setattr(os, "rename", rename_and_die)
    assert exit_code(in_child(lambda: write_result(result, session))) == -signal.SIGKILL
    monkeypatch.undo()
    assert session.exists() == (killed_after == 2)
    fits = [fit["name"] for fit in list_results(session)]
    if killed_after == 1:
        assert fits == []
        assert digest(session) == before
    else:
        assert_same_result(read_result(session), result)
    remove_leftovers(session)
    check_writable(session, name="next", kind="units", dim=3)
    assert os.listdir(session.parent) == [session.name]


def test_folders_are_exchanged_in_one_step_here(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name / name).mkdir(parents=True)
    if not folder._exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange folders")
    assert os.listdir(tmp_path / "a") == ["b"]
    assert os.listdir(tmp_path / "b") == ["a"]


@pytest.mark.parametrize("when", ["before", "at the last moment"])
def test_a_folder_that_another_program_changes_is_left_to_it(
    session: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = (write, "sync_copy") if when == "before" else (replacement, "replace_folder")
    function, calls = getattr(module, name), []

    def change_meanwhile(*arguments: Any) -> Any:
        if not calls:
            (session / "acquisition" / "new").mkdir()
        calls.append(arguments)
        return function(*arguments)

    monkeypatch.setattr(module, name, change_meanwhile)
    with pytest.raises(StoreError, match="changed by another program"):
        write_result(result_of(session), session)
    assert (session / "acquisition" / "new").is_dir()
    assert list_results(session) == []
    assert os.listdir(session.parent) == [session.name]


@pytest.mark.parametrize("what", ["lost", "latents", *(pytest.param(w, marks=pytest.mark.slow) for w in SPOILS)])
def test_a_copy_that_does_not_verify_never_replaces(session: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_clean, before = write.run_clean, digest(session)

    def spoil(script: str, request: dict[str, Any], **place: Any) -> dict[str, Any]:
        report = run_clean(script, request, **place)
        copy = Path(request["copy"])
        if script == "append.py" and what == "lost":
            shutil.rmtree(copy / "intervals" / "trials" / "side")
        elif script == "append.py" and what == "altered":
            (copy / "units" / ".zattrs").write_text(json.dumps({"description": "other"}))
        elif script == "append.py" and what == "shorter":
            (copy / "units" / "spike_times" / "0").unlink()
            (copy / "units" / "spike_times" / "0").write_bytes(b"")
        elif script == "append.py":
            latents = zarr.open_group(str(copy), mode="r+")["processing/dcf/units_dim3/latents/data"]
            latents[0, 0] += 1
        return report

    monkeypatch.setattr(write, "run_clean", spoil)
    with pytest.raises(StoreError, match="the file is unchanged"):
        write_result(result_of(session), session)
    assert digest(session) == before
    assert os.listdir(session.parent) == [session.name]


@pytest.mark.slow
def test_two_writers_lose_no_fit(session: Path) -> None:
    results = {name: result_of(session, seed=seed) for seed, name in enumerate(["a", "b"])}
    pids = [in_child(lambda n=name: write_result(results[n], session, name=n)) for name in results]
    assert [exit_code(pid) for pid in pids] == [0, 0]
    for name, result in results.items():
        assert_same_result(read_result(session, name), result)


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(StoreError) as error:
        check_writable(path, kind="units", dim=3, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_read_only_folder_asks_for_an_output(session: Path) -> None:
    before, out = digest(session), session.parent / "out.nwb.zarr"
    session.chmod(0o555)
    assert "read-only" in refusal(session)
    assert "`output='s.nwb_dcf.zarr'`" in refusal(session)
    write_result(result_of(session), session, output=out)
    session.chmod(0o755)
    assert digest(session) == before
    assert_same_result(read_result(out), result_of(session))
    assert all(path.stat().st_nlink == 1 for path in out.rglob("*") if path.is_file())  # it shares nothing
    session.parent.chmod(0o555)
    assert "output='FOLDER/s.nwb.zarr'" in refusal(session)
    session.parent.chmod(0o755)


def test_outputs_that_cannot_be_meant(session: Path) -> None:
    home, file = session.parent / "home", session.parent / "file.nwb"
    home.mkdir()
    (home / "letters").write_text("dear")
    file.write_text("")
    assert "no Zarr" in refusal(session, output=home, overwrite=True)
    assert "is a file" in refusal(session, output=file, overwrite=True)
    assert "inside" in refusal(session, output=session / "out.zarr")
    assert (home / "letters").read_text() == "dear"


def test_folders_that_hold_no_nwb(tmp_path: Path) -> None:
    assert "no Zarr" in refusal(tmp_path)
    zarr.open_group(str(tmp_path / "z.zarr"), mode="w")
    assert "not an NWB 2 file" in refusal(tmp_path / "z.zarr")
    (tmp_path / "z.zarr" / ".zgroup").write_text("{")
    assert "damaged" in refusal(tmp_path / "z.zarr")


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_kills_harm_nothing(session: Path) -> None:
    before, result, draw = digest(session), result_of(session), random.Random(0)
    kept = shutil.copytree(session, session.parent.parent / "kept")
    started = time.monotonic()
    assert exit_code(in_child(lambda: write_result(result, session))) == 0
    needed_s, done = time.monotonic() - started, 0
    shutil.rmtree(session)
    shutil.copytree(kept, session)
    for _ in range(N_KILLS):
        pid = in_child(lambda: write_result(result, session))
        time.sleep(draw.uniform(0, 1.2 * needed_s))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if digest(session) != before:
            done += 1
            assert_same_result(read_result(session, "units_dim3"), result)
            shutil.rmtree(session)
            shutil.copytree(kept, session)
    print(f"{N_KILLS} kills over {1.2 * needed_s:.1f} s: {done} after the exchange, {N_KILLS - done} before, 0 harmed")
    assert 0 < done < N_KILLS
    remove_leftovers(session)
    assert check_writable(session, kind="units", dim=3) == "units_dim3"
    assert os.listdir(session.parent) == [session.name]
