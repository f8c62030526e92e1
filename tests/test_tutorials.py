"""Tutorials run as they are written."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"


def test_spikes_from_file_to_latents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tutorial = runpy.run_path(str(TUTORIALS / "01_spikes_from_file_to_latents.py"))
    r2 = tutorial["main"](str(tmp_path), n_trials=24, steps=20)
    assert r2 > 0.8
    said = capsys.readouterr().out
    assert "fit would take /units" in said
    assert "latents (1440, 3)" in said
    assert [path.name for path in tmp_path.iterdir()] == ["tutorial.nwb"]


def test_every_tutorial_is_run() -> None:
    assert [path.name for path in sorted(TUTORIALS.glob("*.py"))] == ["01_spikes_from_file_to_latents.py"]
