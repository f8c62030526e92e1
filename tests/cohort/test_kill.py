"""A cohort fit that is killed harms nothing, goes on where it was, and ends as if it had never been killed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from nwb_dcf.cohort import read_cohort
from nwb_dcf.errors import DCFError
from nwb_dcf.io.results import list_results, read_result, write_session
from tests.fork_server import ForkServer

from .simulated import draw

N_KILLS, KILLS_A_ROUND = int(os.environ.get("NWB_DCF_KILLS", "200")), 3
N_SESSIONS, NAME = 3, "cohort_dim2"
READING = ("--align-on", "trials.condition", "--bin", "0.06")
FIT = ("cohort", "fit", "s", "--dim", "2", *READING, "--permutations", "19", "--quiet", "-o", "c.nwb")
LOADED = ("nwb_dcf.cli", "nwb_dcf.cohort.files", "nwb_dcf.io.results.write", "sklearn.linear_model", "pynwb")
Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path, clean_server: ForkServer) -> Iterator[Start]:
    """Start the fit in a fork that has loaded what it needs: two seconds of each of 250 runs are loading."""
    server = ForkServer(*LOADED)
    driver = Path(__file__).with_name("cohort_driver.py")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "KILL_PLACE": str(tmp_path / "pid"),
        "KILL_CLEAN": json.dumps(clean_server.command),
    }

    def begin() -> subprocess.Popen[bytes]:
        (tmp_path / "pid").unlink(missing_ok=True)
        return subprocess.Popen([*server.command, str(driver), *FIT], cwd=tmp_path / "work", env=environment)

    yield begin
    server.stop()


def kill(place: Path, process: subprocess.Popen[bytes], *, group: bool) -> None:
    """Kill the fit, alone or with the clean processes that write for it, which are told by its end otherwise."""
    if process.poll() is None and place.exists() and (text := place.read_text()):
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(int(text), signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def digest_data(file: Path) -> dict[str, str]:
    """Digest every dataset that is no result."""
    found: dict[str, str] = {}

    def look(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(("processing/dcf", "specifications")):
            found[name] = hashlib.sha256(
                np.asarray(item[()]).tobytes() if item.dtype.kind != "O" else repr(item[()]).encode()
            ).hexdigest()

    with h5py.File(file) as opened:
        opened.visititems(look)
    return found


def read_fit(file: Path) -> tuple[xr.Dataset, bytes] | None:
    """Read the fit of a file that holds one: latents and all beside them, and the coupling."""
    if not list_results(file):
        return None
    stored = read_result(file, NAME)
    return stored.dataset.load(), stored.weights


def read_whole_cohort(file: Path) -> xr.Dataset | None:
    try:
        return read_cohort(file).dataset.load()
    except (DCFError, OSError):
        return None


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_kills_harm_nothing_and_change_nothing(tmp_path: Path, start: Start) -> None:
    sessions, work = tmp_path / "sessions", tmp_path / "work"
    sessions.mkdir()
    for i, animal in enumerate(draw(N_SESSIONS, seed=6)):
        write_session(animal.recording, sessions / f"animal{i}.nwb", truth=animal.truth, seed=i)
    names = sorted(path.name for path in sessions.iterdir())
    original = {name: (sessions / name).read_bytes() for name in names}
    data = {name: digest_data(sessions / name) for name in names}

    def renew() -> None:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(sessions, work / "s")

    for _ in range(2):  # the first is slower: it loads what the server has not
        renew()
        started = time.perf_counter()
        assert start().wait() == 0
        whole_s = time.perf_counter() - started
    undisturbed = {name: read_fit(work / "s" / name) for name in names}
    cohort = read_whole_cohort(work / "c.nwb")
    assert cohort is not None

    drawn = random.Random(0)
    finished = {"none": 0, "some": 0, "all": 0}
    kills = 0
    while kills < N_KILLS:
        renew()
        done: dict[str, bytes] = {}
        # few in a round: with many the later ones would all find the sessions done
        for _ in range(min(KILLS_A_ROUND, N_KILLS - kills)):
            kills += 1
            process = start()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=whole_s * drawn.uniform(0.02, 1.0))
            kill(tmp_path / "pid", process, group=drawn.random() < 0.5)
            for name in names:
                file = work / "s" / name
                now = file.read_bytes()
                # no finished fit is made again
                assert done.get(name, now) == now
                if now != original[name]:
                    assert digest_data(file) == data[name]
                    fit, expected = read_fit(file), undisturbed[name]
                    assert fit is not None
                    assert expected is not None
                    assert fit[0].identical(expected[0]) or fit[0].equals(expected[0])
                    assert fit[1] == expected[1]
                    done[name] = now
            written = read_whole_cohort(work / "c.nwb")
            # its file is written last
            assert (work / "c.nwb").exists() == (written is not None)
            assert written is None or (len(done) == N_SESSIONS and written.equals(cohort))
            finished["all" if written is not None else "some" if done else "none"] += 1
            if written is not None:
                break
        assert start().wait() == 0, f"after {kills} kills"
        assert all((work / "s" / name).read_bytes() == content for name, content in done.items())
        for name in names:
            fit, expected = read_fit(work / "s" / name), undisturbed[name]
            assert fit is not None
            assert expected is not None
            assert fit[0].equals(expected[0])
            assert fit[1] == expected[1]
        last = read_whole_cohort(work / "c.nwb")
        assert last is not None
        assert last.equals(cohort)
        # nothing is left behind
        assert sorted(path.name for path in work.rglob("*")) == sorted(["c.nwb", "s", *names])
    print(f"{sum(finished.values())} kills of a fit of {whole_s:.1f} s; before, between, after all: {finished}")
    assert min(finished["none"], finished["some"]) > 0
