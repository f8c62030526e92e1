"""Whatever happens to a write, the file is the original to the byte or holds a complete, readable fit."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results import check_writable, list_results, read_result, remove_leftovers, write
from nwb_dcf.io.results.atomic import lock_work_folder, work_folder_of
from nwb_dcf.io.results.write import write_result

from .synthetic import assert_same_result, digest, result_for

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="these tests fork and kill")

N_KILLS = int(os.environ.get("NWB_DCF_KILLS", "200"))
# A moment after one stage is the moment before the next.
MOMENTS = [
    ("copy_beside", "before"),
    ("copy_beside", "after"),
    ("append.py", "after"),
    ("replace", "before"),
    ("replace", "after"),
]


def in_child(action: Callable[[], Any]) -> int:
    """Run `action` in a fork and return its pid; it exits with 0, or 2 for a StoreError."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        except StoreError as error:
            sys.stderr.write(f"{error}\n")
            code = 2
        finally:
            os._exit(code)
    return pid


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_randomly(session: Path, n_kills: int, latest_s: float) -> int:
    """Kill `n_kills` writes at random moments, check the file after each, and return how many were done."""
    original, before = session.read_bytes(), digest(session)
    result = result_for(session)
    done = 0
    moments = random.Random(0)
    for _ in range(n_kills):
        pid = in_child(lambda: write_result(result, session))
        time.sleep(moments.uniform(0, latest_s))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if digest(session) != before:
            done += 1
            assert_same_result(read_result(session, "units_dim3"), result)
            session.write_bytes(original)
    remove_leftovers(session)
    assert check_writable(session, kind="units", dim=3) == "units_dim3"
    assert os.listdir(session.parent) == [session.name]
    return done


@pytest.mark.long
def test_killed_at_random_moments(session: Path) -> None:
    kill_randomly(session, 10, 2.5)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_at_two_hundred_random_moments(session: Path) -> None:
    start = time.monotonic()
    assert exit_code(in_child(lambda: write_result(result_for(session), session))) == 0
    needed_s = time.monotonic() - start
    write_result(result_for(session), session, overwrite=True)
    with h5py.File(session, "r+") as file:
        del file["processing/dcf/units_dim3"]
    done = kill_randomly(session, N_KILLS, 1.3 * needed_s)
    sys.stderr.write(f"{N_KILLS} kills over {1.3 * needed_s:.1f} s: {done} fits whole, the rest untouched, 0 harmed\n")
    assert 0 < done < N_KILLS


@pytest.mark.parametrize(("stage", "moment"), MOMENTS)
def test_killed_around_each_stage(session: Path, stage: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result, before = result_for(session), digest(session)

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            hit = not stage.endswith(".py") or args[0] == stage
            if hit and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            value = function(*args, **kwargs)
            if hit and moment == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return value

        return wrapper

    name = "run_clean" if stage.endswith(".py") else f"os.{stage}" if stage == "replace" else stage
    owner, _, attribute = name.rpartition(".")
    module = os if owner else write
    monkeypatch.setattr(module, attribute, deadly(getattr(module, attribute)))
    pid = in_child(lambda: write_result(result, session))
    assert exit_code(pid) == -signal.SIGKILL
    monkeypatch.undo()
    assert work_folder_of(session).exists()
    if (stage, moment) == ("replace", "after"):
        assert_same_result(read_result(session), result)
    else:
        assert digest(session) == before
    remove_leftovers(session)
    check_writable(session, name="next", kind="units", dim=3)
    assert os.listdir(session.parent) == [session.name]


@pytest.mark.parametrize(
    "tenth", [pytest.param(tenth, marks=pytest.mark.long) if tenth in (6, 7, 8) else tenth for tenth in range(10)]
)
def test_a_disk_that_is_full_after_each_tenth_of_the_write(
    session: Path, tenth: int, capfd: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource", reason="no file-size limits on this system")
    before = digest(session)
    # The file grows by some 300 kB: the copy of it fills the first six tenths, the fit the rest.
    result, limit = result_for(session), (session.stat().st_size + 300_000) * tenth // 10

    def write_limited() -> None:
        limit_bytes = max(limit, 2**14)  # standard error is a file here too
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        write_result(result, session)

    assert exit_code(in_child(write_limited)) == 2
    message = capfd.readouterr().err.strip()
    assert "no space to write the copy" in message
    assert "\n" not in message
    assert digest(session) == before
    assert os.listdir(session.parent) == [session.name]


def test_two_writers_lose_no_fit(session: Path) -> None:
    results = {name: result_for(session, seed=seed) for seed, name in enumerate(["a", "b"])}
    pids = [in_child(lambda n=name: write_result(results[n], session, name=n)) for name in results]
    assert [exit_code(pid) for pid in pids] == [0, 0]
    for name, result in results.items():
        assert_same_result(read_result(session, name), result)
    assert os.listdir(session.parent) == [session.name]


def test_a_second_writer_is_refused_in_the_end(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nwb_dcf.io.results.atomic.LOCK_WAIT_S", 0.1)
    with lock_work_folder(session) as folder:
        pid = in_child(lambda: write_result(result_for(session), session))
        assert exit_code(pid) == 2
        assert folder.exists()
    assert list_results(session) == []
    assert os.listdir(session.parent) == [session.name]


def spoil(copy: str, what: str) -> None:
    with h5py.File(copy, "r+") as file:
        fit = file["processing/dcf/units_dim3"]
        if what == "unreadable":
            del fit["latents"].attrs["neurodata_type"]
        elif what == "unreadable to us":
            del fit["segments"].attrs["colnames"]


@pytest.mark.parametrize("what", ["unreadable", "unreadable to us", "original changed"])
def test_a_copy_that_does_not_verify_never_replaces(session: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_clean = write.run_clean

    def run_and_spoil(script: str, request: dict[str, Any], **place: Any) -> dict[str, Any]:
        report = run_clean(script, request, **place)
        if script == "append.py":
            spoil(request["copy"], what)
        if script == "verify.py" and what == "original changed":
            os.utime(request["original"])
        return report

    monkeypatch.setattr(write, "run_clean", run_and_spoil)
    before = digest(session)
    with pytest.raises(StoreError):
        write_result(result_for(session), session)
    assert digest(session) == before
    assert os.listdir(session.parent) == [session.name]
