"""Copies of real sessions to write into."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def session(real_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """Give a writable copy of a small real recording, alone in its folder."""
    folder = tmp_path / "session"
    folder.mkdir()
    path = Path(shutil.copyfile(real_data("three_units.nwb"), folder / "s.nwb"))
    path.chmod(0o644)
    return path
