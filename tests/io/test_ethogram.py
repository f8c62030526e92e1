"""Bands as bouts and outlier frames as events: what they hold, and that a file with them is valid."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO, validate

from nwb_dcf import DCFResult
from nwb_dcf.errors import StoreError
from nwb_dcf.io.ethogram import make_bouts, make_outlier_events
from tests.io.results.synthetic import make_result
from tests.nwb_files import new_nwbfile

STEP_S, N = 0.1, 400


@pytest.fixture
def result() -> DCFResult:
    """Two segments; latents jump between two places every 40 frames, and one frame lies far from both."""
    made = make_result(np.arange(8))
    latents = np.random.default_rng(0).normal(0, 0.1, (N, made.dim))
    latents[:, 0] += 10 * (np.arange(N) // 40 % 2)
    latents[123, 1] = 8.0
    old = made.dataset
    kept = old[[name for name, v in old.data_vars.items() if not {"time", "segment"} & set(v.dims)]]
    kept = kept.drop_vars([name for name in ("time", "segment", "segment_index") if name in kept.coords])
    segment = (np.arange(N) >= 220).astype(int)
    dataset = kept.assign(
        latents=(("time", "latent"), latents), velocity=(("time", "latent"), np.gradient(latents, STEP_S, axis=0))
    ).assign_coords(time=np.arange(N) * STEP_S, segment_index=("time", segment))
    return dataclasses.replace(made, dataset=dataset)


def test_bouts_are_the_visits_and_end_with_their_segment(result: DCFResult) -> None:
    pytest.importorskip("ndx_ethogram", reason="could not import ndx_ethogram")
    table = make_bouts(result, n_bands=2).to_dataframe()
    # ten visits of 40 frames, one of which the edge of the segments cuts in two
    assert len(table) == 11
    assert table["label"].tolist() == [f"band {1 + k}" for k in (0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1)]
    np.testing.assert_allclose(table["start_time"].iloc[:2], [0.0, 3.95])
    np.testing.assert_allclose((table["stop_time"] - table["start_time"]).iloc[1:5], 4.0)
    assert len(make_bouts(result, n_bands=2, shortest_s=3.0)) == 9


def test_outliers_are_the_frames_that_stand_out(result: DCFResult) -> None:
    pytest.importorskip("pynwb.event", reason="could not import pynwb.event")
    table = make_outlier_events(result, n_bands=2, n_outliers=3).to_dataframe()
    assert sorted(table["kind"]) == ["distance"] * 3 + ["speed"] * 3
    assert table["timestamp"].is_monotonic_increasing
    far = table[table["kind"] == "distance"].sort_values("value")
    assert far["timestamp"].iloc[-1] == pytest.approx(12.3)


def test_a_file_with_both_is_valid(result: DCFResult, tmp_path: Path) -> None:
    pytest.importorskip("ndx_ethogram", reason="could not import ndx_ethogram")
    pytest.importorskip("pynwb.event", reason="could not import pynwb.event")
    nwbfile, path = new_nwbfile(), tmp_path / "s.nwb"
    nwbfile.create_processing_module("behavior", "bands").add(make_bouts(result, n_bands=2))
    nwbfile.add_events_table(make_outlier_events(result, n_bands=2))
    with NWBHDF5IO(path, "w") as io:
        io.write(nwbfile)
    assert validate(path=str(path)) == []
    with NWBHDF5IO(path, "r") as io:
        read = io.read()
        assert read.processing["behavior"]["dcf_bands"].labeling_method == "automated"
        assert len(read.events["dcf_outliers"]) == 12


def test_without_the_extension_the_extra_is_named(result: DCFResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ndx_ethogram", None)
    with pytest.raises(StoreError, match="ethogram"):
        make_bouts(result)
