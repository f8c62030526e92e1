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


def test_spikeinterface_from_sorting_to_nwb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tutorial = runpy.run_path(str(TUTORIALS / "05_spikeinterface_from_sorting_to_nwb.py"))
    assert tutorial["main"](str(tmp_path), duration_s=12.0, steps=4) > 0.6
    said = capsys.readouterr().out
    assert "latents (600, 2) (time, latent), first bin at 30.01 s" in said
    assert "session.nwb holds units_dim2: latents (600, 2)" in said
    assert "fitted from the file: largest difference 0.0e+00" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["analyzer", "curated", "latents.png", "session.nwb"]


def test_every_tutorial_is_run() -> None:
    assert [path.name for path in sorted(TUTORIALS.glob("*.py"))] == [
        "01_spikes_from_file_to_latents.py",
        "05_spikeinterface_from_sorting_to_nwb.py",
    ]
