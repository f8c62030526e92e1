"""Tutorials run as they are written."""

from __future__ import annotations

import contextlib
import io
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"


def run(name: str) -> dict[str, Any]:
    pytest.importorskip("matplotlib", reason="could not import matplotlib")
    return runpy.run_path(str(TUTORIALS / name))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float, str]:
    """The folder of the first tutorial, what it returns and what it prints."""
    folder, said = tmp_path_factory.mktemp("first"), io.StringIO()
    with contextlib.redirect_stdout(said):
        r2 = run("01_spikes_from_file_to_figure.py")["main"](str(folder), n_trials=24, steps=20)
    return folder, r2, said.getvalue()


def test_spikes_from_file_to_figure(first: tuple[Path, float, str]) -> None:
    folder, r2, said = first
    assert r2 > 0.8
    assert "fit would take /units" in said
    assert "latents (1440, 3)" in said
    assert sorted(path.name for path in folder.iterdir()) == ["tutorial.html", "tutorial.nwb", "tutorial.png"]
    assert (folder / "tutorial.png").read_bytes().startswith(b"\x89PNG")


def test_video_with_snapshots_along_bands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av", reason="could not import av")
    result = run("02_video_with_snapshots_along_bands.py")["main"](str(tmp_path), size=16, every=4, steps=3)
    assert result.dataset["latents"].shape == (150, 3)
    said = capsys.readouterr().out
    assert "ball.nwb: fit would take /acquisition/behavior_video" in said
    assert said.count("snapshots at") == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ball.mp4",
        "ball.nwb",
        "bands.png",
        "video_latents.nwb",
    ]


@pytest.mark.slow
def test_the_video_of_a_mouse(
    real_data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = real_data("openfield_video.nwb")
    result = run("02_video_with_snapshots_along_bands.py")["main"](str(tmp_path), session, size=16, every=4, steps=10)
    assert result.dataset["latents"].shape == (583, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bands.png", "video_latents.nwb"]


def test_a_result_is_read_where_there_is_no_nwb_dcf(first: tuple[Path, float, str], tmp_path: Path) -> None:
    script = TUTORIALS / "03_read_a_result_without_nwb_dcf.py"
    code = (
        "import runpy, sys; sys.modules['nwb_dcf'] = None; "
        f"runpy.run_path({str(script)!r})['main']({str(first[0] / 'tutorial.nwb')!r}, {str(tmp_path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pynwb: latents (1440, 3)" in done.stdout
    assert "pynapple: (1440, 3) from 10.01 s; 60 frames in the first segment" in done.stdout
    assert "mean_velocity (17, 17, 17, 3)" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["field.png"]


def test_a_stored_model_on_a_new_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    r2 = run("04_a_stored_model_on_a_new_session.py")["main"](str(tmp_path), n_trials=18, steps=10)
    assert r2 > 0.7
    said = capsys.readouterr().out
    assert ", 3) by units_dim3 of monday.nwb" in said
    assert "refused: " in said
    assert "5 of the model's 50 units are missing" in said
    made = {"monday.nwb", "tuesday.nwb", "fewer.nwb", "paths.csv", "paths.png", "tuesday.nc"}
    assert {path.name for path in tmp_path.iterdir()} == made


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
        "01_spikes_from_file_to_figure.py",
        "02_video_with_snapshots_along_bands.py",
        "03_read_a_result_without_nwb_dcf.py",
        "04_a_stored_model_on_a_new_session.py",
        "05_spikeinterface_from_sorting_to_nwb.py",
    ]
