"""Copies of real sessions to write into."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fork_server import ForkServer


@pytest.fixture(scope="session", autouse=True)
def _started(clean_server: ForkServer | None) -> None:
    """Start the server before tests that fork: what it forks for them is not to depend on a process that is killed."""
    if clean_server is not None:
        assert clean_server.command


@pytest.fixture
def session(real_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """Give a writable copy of a small real recording, alone in its folder."""
    folder = tmp_path / "session"
    folder.mkdir()
    path = Path(shutil.copyfile(real_data("three_units.nwb"), folder / "s.nwb"))
    path.chmod(0o644)
    return path
