"""A plan says what a fit would do, and does none of its dear work: no count, no choice that nobody asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nwb_dcf
from nwb_dcf.data import chunks
from nwb_dcf.data.spike_trains import BinnedTrains
from nwb_dcf.data.synthetic import simulate_navigation
from nwb_dcf.estimator import smoothing_and_scale
from nwb_dcf.estimator.smoothing_and_scale import LEAST_BIN_S, MOST_BIN_S
from nwb_dcf.io.recordings import units
from nwb_dcf.io.results import write_session
from nwb_dcf.metrics import cross_prediction
from nwb_dcf.pipeline import fit_memory, fit_seconds
from tests.nwb_files import make_spike_session

QUICK: dict[str, Any] = {"steps": 3, "width": 8, "depth": 1}


@pytest.fixture(scope="module")
def track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recording = simulate_navigation("track", 30, duration_s=300.0, bin_width_s=0.02, seed=1).recording
    return write_session(recording, tmp_path_factory.mktemp("track") / "s.nwb")


class Watched:
    """What is read and counted: spikes of the file, and values of counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads, self.counted, self.scans = 0, 0, 0
        read, count, score = units.read_all_times, BinnedTrains.count, cross_prediction.score_settings

        def note_read(*given: Any) -> Any:
            self.reads += 1
            return read(*given)

        def note_count(trains: BinnedTrains, units: Any = None, frames: Any = None) -> Any:
            made = count(trains, units, frames)
            self.counted += made.size
            return made

        def note_score(*given: Any, **settings: Any) -> Any:
            self.scans += 1
            return score(*given, **settings)

        monkeypatch.setattr(units, "read_all_times", note_read)
        monkeypatch.setattr(BinnedTrains, "count", note_count)
        monkeypatch.setattr("nwb_dcf.estimator.smoothing_and_scale.score_settings", note_score)


def test_a_dry_run_scans_nothing_and_counts_a_few_bins(track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    monkeypatch.setattr(fit_seconds, "CHEAP_S", 0.0)
    monkeypatch.setattr(chunks, "BLOCK_NUMBERS", 2**12)  # of which this session is many
    plan = nwb_dcf.plan_fit(track, 3, choose=False, output=track.with_name("o.nwb"))
    said = plan.to_dict()
    assert (watched.reads, watched.scans) == (1, 0)
    # the first frames that differ are looked for, and no more: not of all units and bins
    assert watched.counted < 0.2 * plan.recording["data"].size
    assert plan.config.prepare.smooth == "auto"
    assert said["bins"] is None
    assert said["bin_width_s"] is None
    choices = said["to_choose"]
    assert choices["bin_width_s"] == [LEAST_BIN_S, MOST_BIN_S]
    low, high = choices["bins"]
    fitted = nwb_dcf.plan_fit(track, 3, output=track.with_name("o.nwb")).to_dict()
    assert low <= fitted["bins"] <= high
    assert low == pytest.approx(fitted["bins"] * fitted["bin_width_s"] / MOST_BIN_S, rel=0.01)
    assert choices["memory_bytes"][0] <= fitted["memory_bytes"] <= choices["memory_bytes"][1] == said["memory_bytes"]


def test_what_a_plan_chooses_is_what_a_fit_takes_and_spikes_are_read_once(
    track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    plan = nwb_dcf.plan_fit(track, 2, output=track.with_name("o.nwb"), **QUICK)
    assert (watched.reads, watched.scans) == (1, 1)
    result = nwb_dcf.fit_nwb(track, 2, output=track.with_name("o.nwb"), **QUICK)
    assert (watched.reads, watched.scans) == (2, 2)
    said = plan.to_dict()
    assert said["smoothing"] == result.provenance["smoothing"]
    assert said["to_choose"] is None
    assert said["bins"] == result.dataset.sizes["time"]
    assert said["bin_width_s"] == result.config["read"]["bin_width_s"] == said["smoothing"]["bin_width_s"] != 0.02
    # counts of a plan are there for those who ask
    recording = nwb_dcf.read_recording(track, bin_width_s=said["bin_width_s"])
    np.testing.assert_array_equal(plan.recording["data"].values, recording["data"].values)


def test_a_plan_without_a_choice_refuses_what_no_choice_would_fit(track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_seconds, "CHEAP_S", 0.0)
    most = nwb_dcf.plan_fit(track, 2, choose=False).to_dict()["memory_bytes"]
    monkeypatch.setattr(fit_memory, "_find_held", lambda: 0)
    monkeypatch.setattr(fit_memory, "find_free_memory", lambda: most - 2**20)
    choices = nwb_dcf.plan_fit(track, 2, choose=False).to_dict()["to_choose"]
    assert LEAST_BIN_S < choices["least_bin_width_s"] < MOST_BIN_S
    monkeypatch.setattr(fit_memory, "find_free_memory", lambda: 2**20)
    with pytest.raises(nwb_dcf.DCFError, match="GiB are free"):
        nwb_dcf.plan_fit(track, 2, choose=False)


def test_a_plan_makes_a_choice_that_takes_a_moment(track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    monkeypatch.setattr(fit_seconds, "CHEAP_S", 5.0)
    said = nwb_dcf.plan_fit(track, 2, choose=False).to_dict()
    assert (watched.reads, watched.scans) == (1, 1)
    assert said["to_choose"] is None
    assert said == {**nwb_dcf.plan_fit(track, 2).to_dict(), "seconds": said["seconds"]}
    # bins that are given leave smoothing and scale to be chosen alike
    assert nwb_dcf.plan_fit(track, 2, choose=False, bin_width_s=0.05).to_dict()["smoothing"]["chosen"]


def test_too_short_for_a_choice_is_settled_at_once(tmp_path: Path) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=8, trials=None)
    said = nwb_dcf.plan_fit(path, 2, choose=False).to_dict()
    assert said["to_choose"] is None
    assert said["bin_width_s"] == 0.02


def test_it_knows_how_much_is_scanned() -> None:
    limits = fit_seconds.SCANNED_ROWS, fit_seconds.SCANNED_CHANNELS, fit_seconds.SCAN_BIN_S
    assert limits == (cross_prediction.MAX_ROWS, cross_prediction.MAX_CHANNELS, smoothing_and_scale.SCAN_BIN_S)
