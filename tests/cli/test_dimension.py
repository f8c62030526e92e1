"""``--dim auto`` from the outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.nwb_files import make_spike_session


def test_the_command_prints_the_curve_and_the_reason(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=12, duration_s=30)
    done = run_cli("fit", path, "--dim", "auto", "--dry-run")
    assert done.code == 0, done.stderr
    assert "dimension " in done.stdout
    assert "random halves of the units" in done.stdout
    assert "shared variance along 1, 2, ...:" in done.stdout
    assert "is neither a whole number nor 'auto'" in run_cli("fit", path, "--dim", "many").stderr
