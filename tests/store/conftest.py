"""Copies of real sessions and results that fit them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from nwb_dcf.result import DCFResult

from .synthetic import make_result


@pytest.fixture
def session(real_data: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies a real recording to a folder of its own and makes it writable."""

    def copy(name: str = "three_units.nwb") -> Path:
        folder = tmp_path / "session"
        folder.mkdir(exist_ok=True)
        path = Path(shutil.copyfile(real_data(name), folder / name))
        path.chmod(0o644)
        return path

    return copy


def result_for(path: Path, **settings: Any) -> DCFResult:
    """Make a result of the units of the file at `path`."""
    with h5py.File(path) as file:
        units = file["units"]
        source = {"path": "/units", "type": "Units", "object_id": units.attrs["object_id"]}
        ids = units["id"][()]
    return make_result(ids, source=source, **{"dim": min(3, len(ids)), **settings})


def digest(path: Path) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
