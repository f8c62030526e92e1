"""Left-out channels and shifted ones tell recordings with a common state from those without."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import simulate_dimensions
from nwb_dcf.errors import DataError
from nwb_dcf.estimator.fitted import FittedModel
from nwb_dcf.evaluation.encoded import EncodedSplit, encode_split
from nwb_dcf.evaluation.shared_signal import measure_left_out, measure_shared_signal, measure_shifted_apart

from ..estimator.test_dcf import QUICK


def fit(recording: xr.Dataset, dim: int = 2) -> tuple[FittedModel, EncodedSplit]:
    split = split_recording(recording, 0.3, seed=0)
    assert split is not None
    dcf = DCF(dim, **{**QUICK, "smooth": 0.04, "scale": "global"})
    dcf.fit(split.training)
    return dcf.fitted_, encode_split(dcf.fitted_, recording, split)


def simulate(n_dims: int, private: float) -> xr.Dataset:
    return simulate_dimensions(
        n_dims, private=private, n_trials=40, n_bins=40, n_units=20, mean_rate_hz=30, seed=3
    ).recording


def drift(recording: xr.Dataset) -> xr.Dataset:
    """Counts whose rate is one number a trial, the same for all units."""
    rng = np.random.default_rng(0)
    rate = rng.gamma(4, 0.25, recording.sizes["segment"])[recording["segment_index"].values]
    counts = rng.poisson(0.8 * rate[:, None], (recording.sizes["time"], recording.sizes["unit"]))
    return recording.assign(data=(recording["data"].dims, counts.astype(np.float32), recording["data"].attrs))


@pytest.fixture(scope="module")
def common() -> tuple[FittedModel, EncodedSplit]:
    return fit(simulate(2, 0.0))


def test_a_common_state_predicts_left_out_channels_and_is_no_noise(common: tuple[FittedModel, EncodedSplit]) -> None:
    fitted, parts = common
    left_out = measure_left_out(fitted, parts.training, parts.unseen)
    assert left_out["low"] > 0.05
    assert (left_out["chance"]["p"], left_out["channels"], left_out["n"]) == (pytest.approx(0.05), 20, 12)
    shifted = measure_shifted_apart(fitted, parts.training, parts.unseen)
    assert shifted["value"] > max(shifted["nulls"])
    assert (shifted["p"], shifted["over"]) == (1 / 40, "segments")


def test_private_rates_predict_nothing_and_are_noise() -> None:
    fitted, parts = fit(simulate(0, 0.7))
    left_out = measure_left_out(fitted, parts.training, parts.unseen)
    assert left_out["value"] < 0.01
    assert left_out["low"] < 0
    assert measure_shifted_apart(fitted, parts.training, parts.unseen)["p"] > 0.1


def test_trial_means_alone_survive_the_shift() -> None:
    fitted, parts = fit(drift(simulate(0, 0.0)))
    # they are common to all units, so that units predict each other, and yet not from moment to moment
    assert measure_left_out(fitted, parts.training, parts.unseen)["low"] > 0
    assert measure_shifted_apart(fitted, parts.training, parts.unseen)["p"] > 0.1


def test_hidden_channels_are_not_seen(common: tuple[FittedModel, EncodedSplit]) -> None:
    fitted, parts = common
    rng = np.random.default_rng(1)
    # noise of its own in one channel: seen through the latents, it would predict itself
    values = parts.whole.recording["data"].values.copy()
    values[:, 4] = rng.poisson(40, len(values))
    recording = parts.whole.recording.assign(data=(("time", "unit"), values))
    loud, own = fit(recording)
    found = measure_left_out(loud, own.training, own.unseen)
    before = measure_left_out(fitted, parts.training, parts.unseen)
    assert found["value"] < before["value"] + 0.02


def test_four_channels_are_left_out_one_by_one() -> None:
    rng = np.random.default_rng(0)
    state = np.sin(np.arange(400) / 6)[:, None] * [1.0, -1.0, 0.5, 1.0]
    fitted, parts = fit(make_recording(state + 0.3 * rng.normal(size=(400, 4)), np.arange(400) / 20), dim=1)
    found = measure_left_out(fitted, parts.training, parts.unseen)
    assert found["channels"] == 4
    assert found["low"] > 0.3


def test_no_fit_is_lost_for_what_cannot_be_measured(
    common: tuple[FittedModel, EncodedSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DataError("frames are not finite")

    monkeypatch.setattr("nwb_dcf.evaluation.shared_signal.decode_linearly", fail)
    fitted, parts = common
    left_out, shifted = measure_shared_signal(fitted, parts.training, parts.unseen)
    assert left_out == {"not_measured": "frames are not finite"}
    assert "value" in shifted


def test_what_cannot_be_measured_says_why(common: tuple[FittedModel, EncodedSplit]) -> None:
    rng = np.random.default_rng(0)
    few = make_recording(rng.normal(size=(200, 3)), np.arange(200) / 20)
    fitted, parts = fit(few, dim=1)
    assert measure_left_out(fitted, parts.training, parts.unseen) == {
        "not_measured": "3 channels are too few to leave any out"
    }
