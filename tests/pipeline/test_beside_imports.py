"""A plan made in a fork, while this process loads other things: the same plan, refusals, progress and warnings."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.config.progress import Listener, Progress
from nwb_dcf.errors import DataError
from nwb_dcf.pipeline import beside_imports
from nwb_dcf.pipeline.beside_imports import own_process, plan_beside_imports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not fork")
FRAMES = np.arange(6.0).reshape(3, 2)


def make_plan(told: Listener | None = None, **more: Any) -> Any:
    data = xr.DataArray(FRAMES, dims=("time", "unit"))
    return SimpleNamespace(recording=xr.Dataset({"data": data}), made_in=os.getpid(), **more)


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(beside_imports, "_pays", lambda _path: True)
    monkeypatch.setattr(beside_imports, "LATER", ("json",))
    # a shell lets what it runs in the background ignore interrupts, this pytest too
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("forks")
def test_a_plan_of_a_fork_is_the_plan() -> None:
    plan = plan_beside_imports(make_plan, "s.nwb", None)
    assert plan.made_in != os.getpid()
    np.testing.assert_array_equal(plan.recording["data"].values, FRAMES)


@pytest.mark.usefixtures("forks")
def test_progress_and_warnings_of_a_fork_arrive() -> None:
    def plan(told: Listener | None) -> Any:
        warnings.warn("odd", UserWarning, stacklevel=1)
        assert told is not None
        told(Progress("reading s.mp4", 1, 2))
        return make_plan()

    seen: list[Progress] = []
    with pytest.warns(UserWarning, match="odd"):
        assert plan_beside_imports(plan, "s.nwb", seen.append).made_in != os.getpid()
    assert seen == [Progress("reading s.mp4", 1, 2)]


@pytest.mark.usefixtures("forks")
def test_a_refusal_of_a_fork_is_raised_whole() -> None:
    def plan(_told: Listener | None) -> Any:
        raise DataError("no segment is as long as 2 bins", where="s.nwb", fix="use a narrower --bin")

    with pytest.raises(DataError) as raised:
        plan_beside_imports(plan, "s.nwb", None)
    assert raised.value.describe_options() == {
        "what": "no segment is as long as 2 bins", "where": "s.nwb", "fix": "use a narrower --bin",
    }  # fmt: skip


def die(_told: Listener | None, parent: int = os.getpid()) -> Any:
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return make_plan()


def fail(_told: Listener | None, parent: int = os.getpid()) -> Any:
    if os.getpid() != parent:
        raise RuntimeError("a defect")
    return make_plan()


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize(
    "plan",
    [
        die,
        fail,
        lambda told: make_plan(told, unsendable=lambda: None),
        lambda told: SimpleNamespace(**{**vars(make_plan(told)), "recording": make_plan().recording.chunk(time=1)}),
    ],
    ids=["killed", "defect", "not sendable", "read on demand"],
)
def test_where_a_fork_gives_no_plan_it_is_made_here(plan: Callable[[Listener | None], Any]) -> None:
    assert plan_beside_imports(plan, "s.nwb", None).made_in == os.getpid()


@pytest.mark.usefixtures("forks")
def test_a_fork_ends_when_its_process_has_been_killed() -> None:
    """By SIGTERM before anything is trained, as a scheduler's, or by SIGKILL: nobody is left to read its plan."""
    alive, held = os.pipe()
    begun, begins = os.pipe()

    def plan(_told: Listener | None) -> Any:
        parent = os.getppid()
        os.write(begins, struct.pack("i", os.getpid()))
        while os.getppid() == parent:
            time.sleep(0.005)
        return make_plan(more_than_a_pipe_takes=np.zeros(2**17))

    process = multiprocessing.get_context("fork").Process(target=plan_beside_imports, args=(plan, "s.nwb", None))
    process.start()
    os.close(held)
    (fork,) = struct.unpack("i", os.read(begun, 4))
    process.kill()
    process.join()
    try:
        # the end of a pipe that nobody holds any more
        assert select.select([alive], [], [], 10)[0]
        assert os.read(alive, 1) == b""
    finally:
        with suppress(ProcessLookupError):
            os.kill(fork, signal.SIGKILL)
        for end in (alive, begun, begins):
            os.close(end)


@pytest.mark.usefixtures("forks")
def test_an_interrupted_fork_takes_its_files_away(tmp_path: Path) -> None:
    left = tmp_path / "skeleton.nwb"

    def plan(_told: Listener | None) -> Any:
        left.touch()
        try:
            os.kill(os.getppid(), signal.SIGINT)
            raise KeyboardInterrupt  # which a terminal sends to both
        finally:
            time.sleep(0.2)
            left.unlink()

    with pytest.raises(KeyboardInterrupt):
        plan_beside_imports(plan, "s.nwb", None)
    assert not left.exists()


@pytest.mark.usefixtures("forks")
def test_an_interrupt_while_the_fork_starts_takes_its_files_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, start = tmp_path / "skeleton.nwb", multiprocessing.context.ForkProcess.start

    def start_slowly(process: Any) -> None:
        start(process)
        while not left.exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

    def plan(_told: Listener | None) -> Any:
        try:
            left.touch()
            time.sleep(0.5)
            raise KeyboardInterrupt
        finally:
            left.unlink()

    monkeypatch.setattr(multiprocessing.context.ForkProcess, "start", start_slowly)
    with pytest.raises(KeyboardInterrupt):
        plan_beside_imports(plan, "s.nwb", None)
    assert not left.exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("forks")
def test_interrupts_are_heard_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_process: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise OSError("no more processes")

    monkeypatch.setattr(multiprocessing.context.ForkProcess, "start", refuse)
    with pytest.raises(KeyboardInterrupt):
        plan_beside_imports(make_plan, "s.nwb", None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("forks")
def test_a_fork_hears_interrupts() -> None:
    def plan(_told: Listener | None) -> Any:
        return make_plan(hears=signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    assert plan_beside_imports(plan, "s.nwb", None).hears


def test_a_message_that_breaks_off_is_that_of_a_fork_that_died() -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    os.write(sender.fileno(), struct.pack("!i", 100) + b"half")
    sender.close()
    with pytest.raises(EOFError):
        beside_imports._receive(receiver, None)
    receiver.close()


def test_a_process_that_is_not_ours_alone_does_not_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "s.nwb"
    file.write_bytes(b"")
    assert plan_beside_imports(make_plan, file, None).made_in == os.getpid()
    for name in ("torch", "pynwb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(beside_imports.threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})
    assert not beside_imports._pays(file)
    with own_process():
        assert beside_imports._pays(file)
        assert not beside_imports._pays("https://example.org/s.nwb")
        monkeypatch.setattr(beside_imports.threading, "active_count", lambda: 2)
        assert not beside_imports._pays(file)


def test_planning_alone_loads_neither_pynwb_nor_torch_before_it_reads() -> None:
    code = "import sys, nwb_dcf.pipeline.fit, nwb_dcf.batch; print([m for m in ('torch', 'pynwb') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]
