"""Events, periods and sources of extensions that nothing here imports: the file alone says what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nwb_dcf

from .extension_files import (
    add_annotated_events,
    add_binned_spikes,
    add_labeled_events,
    add_microscopy_responses,
    add_valid_periods,
)
from .field_files import write_series, write_spikes
from .test_kinds_of_wrong_clocks import run

FIT = ("fit", "FILE", "--dry-run")
TIMES = 3.0 + 5.5 * np.arange(20)
WINDOW = ("--window", "-1", "2")


@pytest.mark.parametrize(
    ("condition", "n_segments"),
    [((), 20), (("--where", "label == 'left'"), 10), (("--where", "value == 1"), 10)],
)
def test_labeled_events_are_aligned_to_and_chosen_by_label(
    condition: tuple[str, ...], n_segments: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = add_labeled_events(write_spikes(tmp_path / "s.nwb"), TIMES, np.arange(20) % 2, ["left", "right"])
    code, text = run(capsys, path, (*FIT, "--align", "licks", *WINDOW, *condition))
    assert code == 0, text
    assert f"in {n_segments} segments" in text


def test_annotated_events_are_aligned_to_by_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = add_annotated_events(write_spikes(tmp_path / "s.nwb"), {"cue": TIMES, "reward": TIMES[:5] + 1})
    code, text = run(capsys, path, (*FIT, "--align", "annotated", *WINDOW, "--where", "label == 'reward'"))
    assert code == 0, text
    assert "in 5 segments" in text


def test_events_of_extensions_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = add_labeled_events(write_spikes(tmp_path / "s.nwb"), TIMES, np.arange(20) % 2, ["left", "right"])
    code, text = run(capsys, path, ("info", "FILE"))
    assert code == 0, text
    assert "/processing/behavior/licks" in text


def test_units_are_read_in_their_valid_periods(tmp_path: Path) -> None:
    path = write_spikes(tmp_path / "s.nwb")
    add_valid_periods(path, [(row, 0.0, 50.0) for row in range(6)] + [(row, 60.0, 110.0) for row in range(6)])
    recording = nwb_dcf.read_recording(path)
    assert recording.sizes["unit"] == 6
    assert recording.sizes["segment"] == 2
    assert recording["segment_start"].values == pytest.approx([0, 60])
    assert [item["id"] for item in recording.attrs["left_out"] if item["what"] == "unit"] == [6, 7]
    assert any("valid_unit_periods" in note for note in recording.attrs["notes"])


def test_microscopy_responses_are_responses_of_rois(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = np.random.default_rng(0).normal(size=(500, 4)).cumsum(0)
    path = add_microscopy_responses(write_series(tmp_path / "s.nwb", rate=10.0, units=False), data, 10.0)
    code, text = run(capsys, path, FIT)
    assert code == 0, text
    assert "MicroscopyResponseSeriesContainer/responses" in text
    recording = nwb_dcf.read_recording(path)
    assert recording["data"].dims == ("time", "roi")
    assert np.allclose(recording["data"].values, data)


def test_binned_spikes_are_counts_in_their_bins(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(1.0, (6, 500))
    path = add_binned_spikes(
        write_series(tmp_path / "s.nwb", rate=10.0, units=False), counts, bin_width_ms=20.0, start_ms=500.0
    )
    recording = nwb_dcf.read_recording(path, source="BinnedSpikes")
    assert recording["data"].attrs["units"] == "count"
    assert np.array_equal(recording["data"].values, counts.T)
    assert recording["time"].values[:2] == pytest.approx([0.51, 0.53])
    assert recording.attrs["bin_width_s"] == pytest.approx(0.02)
    assert nwb_dcf.list_sources(path).default == "/processing/ecephys/BinnedSpikes"
