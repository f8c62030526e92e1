"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

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
