"""Behaviour decoded from a stored fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBFile, TimeSeries

from nwb_dcf import DCFResult, fit_nwb
from nwb_dcf.cli import main
from nwb_dcf.data.preprocessing import Preprocessor
from nwb_dcf.errors import DataError, SourceError
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.metrics import compute_pca_axes, score_decoding_on
from nwb_dcf.pipeline import evaluate as decoding
from nwb_dcf.pipeline.evaluate import evaluate_nwb, find_held_out_frames

from ..nwb_files import make_spike_session, simulate_spike_times
from .test_transform import QUICK

CYCLE_S = 1.7  # of the rhythm that the simulated units follow


def add_rhythm(nwbfile: NWBFile) -> None:
    module = nwbfile.create_processing_module("behavior", "what it did")
    time = np.arange(0, 30, 0.01)
    phase = 2 * np.pi * time / CYCLE_S
    data = np.column_stack([np.cos(phase), np.sin(phase)])
    data[time > 25] = np.nan
    module.add(TimeSeries(name="rhythm", data=data, rate=100.0, starting_time=0.0, unit="m"))
    module.add(TimeSeries(name="late", data=data, rate=100.0, starting_time=1e6, unit="m"))
    module.add(TimeSeries(name="in_ms", data=data, timestamps=time * 1000, unit="m"))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a fit, whose units follow `rhythm`; not to be changed."""
    path = tmp_path_factory.mktemp("decoding") / "s.nwb"
    make_spike_session(path, spike_times=simulate_spike_times(8, 30.0, seed=3), change=add_rhythm)
    fit_nwb(path, 2, bin_width_s=0.05, **QUICK)
    return path


def test_what_is_in_the_latents_is_found_on_held_out_segments(fitted: Path) -> None:
    report = evaluate_nwb(fitted, against="behavior/rhythm")
    assert report.against == "/processing/behavior/rhythm"
    assert report.rule.startswith("learned on ")
    assert "that the fit held out" in report.rule
    assert report.frames + report.left_out == 20 * 24
    assert report.left_out > 0
    for scores in report.scores.values():
        assert 0.6 < scores["latents"]["low"] < scores["latents"]["value"] < scores["latents"]["high"] <= 1
        assert scores["latents"]["over"] == scores["pca"]["over"]
        assert scores["pca"]["value"] > 0.6
        assert scores["difference"]["value"] == pytest.approx(scores["latents"]["value"] - scores["pca"]["value"])
    assert report.notes == []
    assert evaluate_nwb(fitted, against="rhythm") == report


def test_pca_is_that_of_the_frames_learned_from(fitted: Path) -> None:
    from nwb_dcf import read_result

    stored = read_result(fitted)
    data = stored.dataset
    unseen = data["segment_held_out"].values[data["segment_index"].values]
    phase = 2 * np.pi * data["time"].values / CYCLE_S
    target, known = np.column_stack([np.cos(phase), np.sin(phase)]), data["time"].values < 24.9
    x = Preprocessor.from_dict(stored.provenance["preparation"]).apply(read_recording(fitted, bin_width_s=0.05))
    learn, score = known & ~unseen, known & unseen
    mean, axes = compute_pca_axes(x["data"].values[learn], 2)
    z = (x["data"].values - mean) @ axes
    z /= z[learn].std(axis=0)
    segment = data["segment_index"].values
    expected = score_decoding_on(z[learn], target[learn], segment[learn], z[score], target[score], segment[score])
    found = evaluate_nwb(fitted, against="rhythm").scores["ridge"]["pca"]["value"]
    assert found == pytest.approx(expected.value, abs=2e-3)  # the series is interpolated


def test_a_series_of_another_time_is_refused(fitted: Path) -> None:
    with pytest.raises(DataError, match=r"/processing/behavior/late is known at 0 of the 480 frames of units_dim2"):
        evaluate_nwb(fitted, against="late")


def test_without_the_source_there_is_no_pca_and_it_says_so(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = evaluate_nwb(fitted, against="rhythm").scores["ridge"]["latents"]

    def refuse(*_: object) -> None:
        raise SourceError("the source cannot be read here", where="s.nwb")

    monkeypatch.setattr(decoding, "read_fitted", refuse)
    report = evaluate_nwb(fitted, against="rhythm")
    ridge = report.scores["ridge"]
    assert (ridge["latents"], ridge["pca"], ridge["difference"]) == (expected, None, None)
    assert report.notes == ["neither PCA nor all channels are beside it: s.nwb: the source cannot be read here"]


def test_the_command_prints_both_decoders_with_pca(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(fitted), "--against", "behavior/rhythm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "decoded   /processing/behavior/rhythm (m, 2 columns pooled) from 2 latents of units_dim2"
    assert lines[2].startswith("found     R2 ")
    assert "by ridge regression; PCA " in lines[2]
    assert "by nearest neighbours; PCA " in lines[3]
    assert main(["evaluate", str(fitted), "--against", "licks"]) == 2
    assert "there is no series 'licks'; series are: " in capsys.readouterr().err


def make_blocks() -> DCFResult:
    """A result of one segment of which two blocks were held out."""
    from tests.io.results.synthetic import make_result

    result = make_result(np.arange(5), regular=True, start_s=0.0)
    dataset = result.dataset.assign(segment_held_out=("segment", [False]))
    time = 0.5 * np.arange(120)
    intervals = [[10.0, 15.0], [40.0, 44.5]]
    provenance = {**result.provenance, "split": {"held_out_intervals_s": intervals}}
    return DCFResult(dataset.assign_coords(time=("time", time)), result.config, provenance, b"w")


def test_blocks_of_a_long_segment_are_unseen_and_what_is_near_is_not_learned_from() -> None:
    result = make_blocks()
    time = result.dataset["time"].values
    unseen, near, segment = find_held_out_frames(result)
    np.testing.assert_array_equal(unseen, ((time >= 10) & (time <= 15)) | ((time >= 40) & (time <= 44.5)))
    np.testing.assert_array_equal(near, ((time >= 9) & (time <= 16)) | ((time >= 39) & (time <= 45.5)))
    assert len(np.unique(segment)) == 5
    assert all(len(np.unique(unseen[segment == label])) == 1 for label in np.unique(segment))


def test_segments_that_were_held_out_whole_need_no_gap() -> None:
    from tests.io.results.synthetic import make_result

    result = make_result(np.arange(5))
    unseen, near, segment = find_held_out_frames(result)
    index = result.dataset["segment_index"].values
    np.testing.assert_array_equal(unseen, np.isin(index, [1, 4]))
    np.testing.assert_array_equal(near, unseen)
    np.testing.assert_array_equal(segment, index)


@pytest.mark.slow
def test_hand_velocity_of_a_real_recording(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "s.nwb"
    fit_nwb(real_data("reach_chewie.nwb"), 3, bin_width_s=0.1, smooth=0.1, output=path, **QUICK)
    report = evaluate_nwb(path, against="hand_velocity")
    assert report.scores["ridge"]["latents"]["value"] > 0.45
    assert report.scores["neighbours"]["latents"]["value"] > 0.6


def test_behaviour_on_another_clock_is_refused_with_the_scale_that_mends_it(
    fitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(fitted), "--against", "in_ms"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "in_ms is in milliseconds" in error
    assert "--time-scale 0.001" in error
    mended = evaluate_nwb(fitted, against="in_ms", time_scale=0.001)
    right = evaluate_nwb(fitted, against="rhythm")
    assert mended.frames == right.frames
    assert mended.scores["ridge"]["latents"]["value"] == pytest.approx(right.scores["ridge"]["latents"]["value"])
