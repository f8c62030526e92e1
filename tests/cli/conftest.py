from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """A finished command."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., Run]:
    """Run ``nwb-dcf`` with the given arguments in a process of its own."""

    def run(*arguments: object, env: dict[str, str] | None = None, **options: Any) -> Run:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(env or {})}
        done = subprocess.run(
            [sys.executable, "-m", "nwb_dcf", *map(str, arguments)],
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
