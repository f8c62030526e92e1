"""A fit whose worth on unseen frames cannot be measured is refused, unless nothing is to be held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nwb_dcf import fit_nwb, plan_fit
from nwb_dcf.cli import main
from nwb_dcf.errors import DataError

from ..nwb_files import make_series_session

QUICK: dict[str, Any] = {"steps": 2, "width": 8, "depth": 1, "batch_size": 16, "solver_steps": 2, "device": "cpu"}
RNG = np.random.default_rng(0)


def make_walk(path: Path, frames: int = 300) -> Path:
    return make_series_session(path, RNG.normal(size=(frames, 3)).cumsum(axis=0))


@pytest.mark.parametrize("frames", [3, 20, 23])
def test_too_little_to_hold_out_is_refused_before_training(tmp_path: Path, frames: int) -> None:
    path = make_walk(tmp_path / "s.nwb", frames)
    before = path.read_bytes()
    with pytest.raises(DataError, match=rf"{frames} frames in 1 segment are too few to hold any out.*`held_out=0`"):
        plan_fit(path, 2, source="signal")
    assert path.read_bytes() == before
    assert plan_fit(path, 2, source="signal", held_out=0).split is None


def test_held_out_frames_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    path = make_walk(tmp_path / "s.nwb")
    plan = plan_fit(path, 2, source="signal", held_out=0.3)
    assert plan.split is not None
    time = plan.recording["time"].values
    values = plan.recording["data"].values.copy()
    for start, stop in plan.split.held_out_intervals_s:
        values[(time >= start) & (time <= stop)] = 1.5
    still = make_series_session(tmp_path / "still.nwb", values)
    with pytest.raises(DataError, match=r"still.nwb: .*frames held out .*are all alike.*`held_out=0`"):
        plan_fit(still, 2, source="signal", held_out=0.3)
    assert plan_fit(still, 2, source="signal", held_out=0).split is None


def test_the_command_ends_with_2_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_walk(tmp_path / "s.nwb", 20)
    before = path.read_bytes()
    assert main(["fit", str(path), "--source", "signal", "--dim", "2", "--steps", "2"]) == 2
    assert "too few to hold any out" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_fit_without_a_score_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_walk(tmp_path / "s.nwb", 120)
    before = path.read_bytes()
    monkeypatch.setattr("nwb_dcf.evaluation.frame_sums.FrameSums.compute_r2", lambda *_: float("nan"))
    monkeypatch.setattr("nwb_dcf.evaluation.scores._add_pair", lambda *_, **__: None)
    with pytest.raises(DataError, match=r"R2 of the .* frames held out cannot be computed.* not written"):
        fit_nwb(path, 2, source="signal", **QUICK)
    assert path.read_bytes() == before
