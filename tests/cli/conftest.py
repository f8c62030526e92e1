from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fork_server import ForkServer
from tests.nwb_files import make_spike_session

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """A finished command."""

    code: int
    stdout: str
    stderr: str


LOADED = (
    "nwb_dcf.cli",
    "nwb_dcf.evaluation.result",
    "nwb_dcf.io.results.write",
    "nwb_dcf.pipeline.fit",
    "nwb_dcf.pipeline.fit_recording",
    "nwb_dcf.model.training",
    "nwb_dcf.estimator.smoothing_and_scale",
    "pynwb",
)
OF_STARTING = ("tests/cli/test_start.py", "tests/cli/test_kill.py", "tests/cli/test_locations.py")
"""Tests that are about starting, being killed or variables that libraries look at when they are loaded."""


@pytest.fixture(scope="session")
def cli_server() -> Iterator[ForkServer]:
    """A process that has loaded what most commands need, and forks one for each."""
    server = ForkServer(*LOADED)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def run_cli(cli_server: ForkServer) -> Callable[..., Run]:
    """Run ``nwb-dcf`` with the given arguments in a process of its own."""

    def run(*arguments: object, env: dict[str, str] | None = None, **options: Any) -> Run:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(env or {})}
        real = not hasattr(os, "fork") or env or "preexec_fn" in options
        real = real or os.environ["PYTEST_CURRENT_TEST"].startswith(OF_STARTING)
        done = subprocess.run(
            [*([sys.executable] if real else cli_server.command), "-m", "nwb_dcf", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=environment,
            **options,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def look_at() -> Callable[[Path], dict[str, bytes]]:
    """Return a function that gives every file of a folder, hidden ones too, with its bytes."""

    def look(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
        }

    return look


@dataclass(frozen=True)
class SmallFit:
    """A session and the copy of it that holds a fit; neither is to be changed."""

    session: Path
    output: Path
    before: bytes
    done: Run


@pytest.fixture(scope="session")
def small_fit(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., Run]) -> SmallFit:
    """Fit a small session once, into a copy."""
    session = make_spike_session(tmp_path_factory.mktemp("fit") / "s.nwb", n_units=5, duration_s=12)
    before = session.read_bytes()
    options = ("--dim", 2, "--steps", 5, "--seed", 3, "--null", 1, "--repeats", 2, "-o", "out.nwb", "--json")
    done = run_cli("fit", session, *options, cwd=session.parent)
    return SmallFit(session, session.parent / "out.nwb", before, done)
