"""A recording too large for memory is counted, prepared and scored block by block, to the same fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nwb_dcf.config import ReadConfig
from nwb_dcf.config.presets import make_config
from nwb_dcf.data import chunks, spike_trains
from nwb_dcf.data.lazy_counts import LazyCounts
from nwb_dcf.data.preprocessing import Preprocessor
from nwb_dcf.data.result import DCFResult
from nwb_dcf.estimator.fitted import FittedModel
from nwb_dcf.evaluation import encoded
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.metrics import rate_calibration
from nwb_dcf.pipeline.fit_recording import fit_recording, plan_recording
from tests.nwb_files import make_spike_session

N_UNITS, BLOCK = 6, 200  # frames


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    return make_spike_session(folder / "s.nwb", n_units=N_UNITS, duration_s=30.0, trials=None)


def fit(path: Path) -> DCFResult:
    read = ReadConfig(bin_width_s=0.02)
    settings = {"steps": 5, "width": 8, "depth": 1, "smooth": 0.1, "scale": "global", "try_encoder": False}
    recording = read_recording(path, bin_width_s=read.bin_width_s)
    config = make_config("default", settings, kind="counts")
    return fit_recording(plan_recording(recording, config, 2, held_out=0.2, read=read))[1]


@pytest.mark.long
def test_it_is_the_same_fit_and_no_step_holds_all_frames(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = fit(session)
    n_frames = given.dataset.sizes["time"]
    for module, name, value in (
        (chunks, "MOST_IN_MEMORY", 1000),
        (chunks, "BLOCK_NUMBERS", BLOCK * N_UNITS),
        (encoded, "NUMBERS_AT_ONCE", BLOCK * N_UNITS),
        (encoded, "FRAMES_AT_ONCE", BLOCK),
        (spike_trains, "MOST_COUNTED", BLOCK * N_UNITS),
        (rate_calibration, "MOST_CALIBRATED", BLOCK * N_UNITS),
    ):
        monkeypatch.setattr(module, name, value)
    most: dict[str, int] = {}
    count, prepare, reconstruct = LazyCounts._count, Preprocessor.apply, FittedModel.reconstruct

    def note(what: str, values: Any) -> Any:
        most[what] = max(most.get(what, 0), len(values))
        return values

    monkeypatch.setattr(LazyCounts, "_count", lambda self, key: note("counts", count(self, key)))
    monkeypatch.setattr(FittedModel, "reconstruct", lambda *args, **kw: note("frames", reconstruct(*args, **kw)))
    mapped: list[bool] = []

    def watch(self: Preprocessor, recording: Any) -> Any:
        prepared = prepare(self, recording)
        mapped.append(isinstance(prepared["data"].values.base, np.memmap))
        return prepared

    monkeypatch.setattr(Preprocessor, "apply", watch)
    found = fit(session)
    for name in ("latents", "flowed", "velocity"):
        np.testing.assert_array_equal(found.dataset[name].values, given.dataset[name].values)
    # a calibration of fewer frames has other rates
    scores, others = given.dataset.attrs["scores"], found.dataset.attrs["scores"]
    for name in ("bottleneck_r2", "flow_r2", "pca_r2", "round_trip_r2", "energy_outside", "smoothness"):
        assert others[name] == pytest.approx(scores[name], rel=1e-5), name
    assert others["left_out"]["value"] == pytest.approx(scores["left_out"]["value"], rel=1e-4)
    assert all(mapped)
    # blocks reach over their ends by the Gaussian, and readouts are made on samples of a thousand frames
    assert most["counts"] < n_frames / 2
    assert most["frames"] <= 1000 < n_frames
