"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .fork_server import ForkServer

REAL_DATA = Path(os.environ.get("NWB_DCF_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return a function from the name of a real recording to its path.

    The folder is ``../shared/data`` beside the repository, or the environment variable
    ``NWB_DCF_TEST_DATA``. Its files are read-only: copy one to ``tmp_path`` before writing to it.
    """

    def find(name: str) -> Path:
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"no real recording {name} in {REAL_DATA}; set NWB_DCF_TEST_DATA to the folder that holds it")
        return path

    return find


OF_CLEAN_PROCESSES = (
    "tests/io/results/test_clean_process.py",
    "tests/io/results/test_atomic.py::test_a_disk",  # whose limits a process has from the one that starts it
    "tests/io/results/test_atomic.py::test_killed_at",
    "tests/io/results/test_atomic.py::test_two_writers",
)
"""Tests that are about clean processes, which start them as the package does; commands in a process do so too."""


@pytest.fixture(scope="session", autouse=True)
def clean_server() -> Iterator[ForkServer | None]:
    """Fork the clean processes that write and verify from one that has loaded pynwb, and nothing of this package."""
    from nwb_dcf.io.results import clean_process

    if not hasattr(os, "fork"):
        yield None
        return
    server = ForkServer("h5py", "numpy", "pynwb")

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        if not os.environ.get("PYTEST_CURRENT_TEST", "").startswith(OF_CLEAN_PROCESSES):
            command = [*server.command, *command[1:]]
        return subprocess.Popen(command, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clean_process, "subprocess", SimpleNamespace(Popen=start, PIPE=subprocess.PIPE))
        yield server
    server.stop()
