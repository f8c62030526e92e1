"""Simulating and how far it reaches: starts, causality, ensembles, horizons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from nwb_dcf import DCF, read_recording
from nwb_dcf.cli.fit_report import describe_fit, summarise_fit
from nwb_dcf.config import ReadConfig
from nwb_dcf.data.recording import make_recording, select_segments
from nwb_dcf.data.split import split_recording
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.estimator.fitted import FittedModel, PreparedFrames
from nwb_dcf.estimator.rollout import find_starts
from nwb_dcf.evaluation.encoded import encode_recording
from nwb_dcf.evaluation.forecast import describe_horizon, measure_horizon
from nwb_dcf.evaluation.latent_measures import measure_latents
from nwb_dcf.evaluation.result import build_result
from nwb_dcf.io.results.payload import to_payload, to_result
from nwb_dcf.metrics import forecast
from nwb_dcf.metrics.forecast import Autoregression, score_forecasts

from .test_dcf import TRAINED, draw_data, make_spikes


@pytest.fixture(scope="module")
def fitted() -> DCF:
    return DCF(2, **TRAINED).fit(draw_data())


@pytest.fixture(scope="module")
def fitted_spikes() -> DCF:
    """Smoothed by 0.04 s, bins of 0.05 s."""
    return DCF(2, **TRAINED).fit(make_spikes())


# -- starts ---------------------------------------------------------------------------------------------


def test_starts_are_last_frames_first_frames_with_a_history_or_frames() -> None:
    recording = make_recording(np.ones((12, 2)), np.arange(12.0), segment_index=np.repeat([0, 1, 2], [6, 2, 4]))
    np.testing.assert_array_equal(find_starts(recording, "last", 3), [5, 7, 11])
    np.testing.assert_array_equal(find_starts(recording, "first", 3), [3, 7, 11])
    np.testing.assert_array_equal(find_starts(recording, "first", 0), [0, 6, 8])
    np.testing.assert_array_equal(find_starts(recording, [4, 0], 3), [4, 0])
    for wrong in ("middle", [], [0.5], [[1]], [-1], [12]):
        with pytest.raises(ParameterError, match="starts"):
            find_starts(recording, wrong, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_a_start_knows_all_that_was_before_it_and_nothing_after(fitted_spikes: DCF, tau: float) -> None:
    spikes = make_spikes()
    whole = fitted_spikes.simulate(spikes, 5, starts=[20, 50], tau=tau)
    until = fitted_spikes.simulate(spikes.isel(time=slice(0, 21), segment=[0]), 5, tau=tau)
    first = whole["data"].values[:5]
    np.testing.assert_allclose(first, until["data"], atol=1e-5)
    later, before = spikes.copy(deep=True), spikes.copy(deep=True)
    later["data"][21:] = 7
    before["data"][:18] = 7
    for changed, same in ((later, True), (before, False)):
        path = fitted_spikes.simulate(changed, 5, starts=[20], tau=tau)["data"].values
        assert np.allclose(path, first, atol=1e-5) == same
    # as a whole, the frame at the start would have been smoothed with those after it
    assert not np.allclose(fitted_spikes.transform(later)["data"][20], fitted_spikes.transform(spikes)["data"][20])


def test_shapes_of_arrays_say_what_was_asked_for(fitted: DCF) -> None:
    x = draw_data()
    assert fitted.simulate(x, 7).shape == (7, 2)
    assert fitted.simulate(x, 7, tau=0.5).shape == (7, 6)
    assert fitted.simulate(x, 7, starts=[40, 200, 7]).shape == (3, 7, 2)
    assert fitted.simulate(x, 7, n_paths=4).shape == (4, 7, 2)
    assert fitted.simulate(x, 7, starts=[40, 200, 7], n_paths=4, tau=1.0).shape == (3, 4, 7, 6)
    each = fitted.simulate(x, 7, starts=[40, 200])
    np.testing.assert_allclose(each[1], fitted.simulate(x[:201], 7), atol=1e-5)
    assert [part.shape for part in fitted.simulate([x[:50], x], 7, n_paths=3)] == [(3, 7, 2)] * 2


def test_recordings_of_paths_say_where_each_began(fitted_spikes: DCF) -> None:
    spikes = make_spikes()
    paths = fitted_spikes.simulate(spikes, 4, starts=[20, 50], n_paths=3, tau=1.0)
    assert dict(paths.sizes) == {"time": 24, "unit": 6, "segment": 6}
    np.testing.assert_array_equal(paths["unit"], spikes["unit"])
    np.testing.assert_array_equal(paths["trial_path"], [0, 1, 2] * 2)
    np.testing.assert_array_equal(paths["trial_start_s"], np.repeat(spikes["time"].values[[20, 50]], 3))
    lead = paths["time"].values.reshape(6, 4) - paths["trial_start_s"].values[:, None]
    np.testing.assert_allclose(lead, [[0.05, 0.1, 0.15, 0.2]] * 6, atol=1e-6)
    assert paths["data"].attrs["units"] == "count"
    assert (paths["data"] >= 0).all()
    assert fitted_spikes.simulate(spikes, 2, tau=0.5)["data"].attrs["units"] == "prepared"


def test_dataarrays_hold_path_after_path() -> None:
    time = 50 + np.arange(300) * 0.1
    x = xr.DataArray(draw_data(), dims=("time", "unit"), coords={"time": time, "unit": list("abcdef")})
    dcf = DCF(2, **TRAINED).fit(x)
    paths = dcf.simulate(x, 3, starts=[9, 19], n_paths=2)
    assert paths.dims == ("time", "latent")
    np.testing.assert_array_equal(paths["path"], np.tile(np.repeat([0, 1], 3), 2))
    np.testing.assert_allclose(paths["start_s"], np.repeat(time[[9, 19]], 6))


def test_frames_at_tau_one_are_in_the_unit_of_the_data() -> None:
    """A rotation in the plane of two channels: the data go on, unscaled, and the latents with them."""
    phase = np.arange(400) * 2 * np.pi / 40
    x = 30 * np.column_stack([2 * np.cos(phase), np.sin(phase)]) @ np.random.default_rng(0).normal(size=(2, 6)) + 100
    dcf = DCF(2, history=1, k_max=2, **TRAINED).fit(x[:320])
    data = dcf.simulate(x[:320], 10, tau=1.0)
    assert np.abs(data - x[320:330]).max() < 0.1 * np.ptp(x)
    between = dcf.simulate(x[:320], 10, tau=0.5)
    np.testing.assert_allclose(dcf.prepare(x)[320:330], between, atol=0.1 * np.ptp(dcf.prepare(x)))


# -- ensembles ------------------------------------------------------------------------------------------


def test_paths_of_an_ensemble_differ_and_a_seed_repeats_them(fitted: DCF) -> None:
    x = draw_data()
    paths = fitted.simulate(x, 5, n_paths=200, seed=1)
    np.testing.assert_array_equal(paths, fitted.simulate(x, 5, n_paths=200, seed=1))
    assert np.abs(paths - fitted.simulate(x, 5, n_paths=200, seed=2)).max() > 0.01
    alone = fitted.simulate(x, 5)
    np.testing.assert_array_equal(alone, fitted.simulate(x, 5, seed=9))
    # latents have unit variance, so the bridge's noise on them is rho itself
    rho = fitted.config_.model.bridge_noise
    np.testing.assert_allclose(paths[:, 0].std(axis=0), rho, rtol=0.35)
    np.testing.assert_allclose(paths[:, 0].mean(axis=0), alone[0], atol=0.02)
    two = fitted.simulate([x, x], 5, n_paths=2, seed=1)
    assert np.abs(two[0] - two[1]).max() > 0.01


def test_a_loaded_model_draws_the_same_noise(fitted: DCF) -> None:
    again = DCF.from_bytes(fitted.to_bytes(), device="cpu")
    for tau in (0.0, 1.0):
        drawn = [dcf.simulate(draw_data(), 3, n_paths=5, tau=tau) for dcf in (fitted, again)]
        np.testing.assert_allclose(drawn[0], drawn[1], atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_frames": 0}, "n_frames is 0"),
        ({"n_frames": 2.5}, "n_frames is 2.5"),
        ({"tau": 1.5}, "tau is 1.5"),
        ({"tau": "data"}, "tau is data"),
        ({"n_paths": 0}, "n_paths is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"starts": [300]}, "starts go from 300"),
    ],
)
def test_what_cannot_be_meant_is_refused(fitted: DCF, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        fitted.simulate(draw_data(), **{"n_frames": 3, **wrong})


# -- rivals and horizons --------------------------------------------------------------------------------


def draw_turns(n_segments: int = 6, n_frames: int = 40, noise: float = 0.0) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    phases = [rng.uniform(0, 6) + 0.3 * np.arange(n_frames) for _ in range(n_segments)]
    return [np.column_stack([np.cos(p), np.sin(p)]) + noise * rng.normal(size=(n_frames, 2)) + [3, -1] for p in phases]


def test_an_autoregression_goes_on_with_a_rotation_about_its_mean() -> None:
    turns = draw_turns()
    path = Autoregression(turns).extrapolate(turns[0][None, [9, 8, 7]], 20)
    np.testing.assert_allclose(path[0], turns[0][10:30], atol=0.01)


def test_an_autoregression_is_the_ridge_of_the_least_cross_validation_error() -> None:
    from sklearn.linear_model import RidgeCV

    turns = draw_turns(noise=0.3)
    found = Autoregression(turns)
    past = np.concatenate([np.hstack([z[2:-1], z[1:-2], z[:-3]]) for z in turns]) - np.tile(found.mean, 3)
    moved = np.concatenate([np.diff(z, axis=0)[2:] for z in turns])
    mean_square = np.square(np.linalg.svd(past, compute_uv=False)).mean()
    from nwb_dcf.metrics.forecast import PENALTIES

    expected = RidgeCV(alphas=PENALTIES * mean_square, fit_intercept=False).fit(past, moved)
    np.testing.assert_allclose(found.weights, expected.coef_.T, atol=0.02)
    with pytest.raises(DataError, match="no segment is longer than 3"):
        Autoregression([np.ones((3, 2))])


def test_an_autoregression_of_a_long_recording_takes_some_of_its_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import RidgeCV

    turns, shown, own = draw_turns(n_frames=400, noise=0.1), [], RidgeCV.fit
    monkeypatch.setattr(RidgeCV, "fit", lambda ridge, x, y: shown.append(len(x)) or own(ridge, x, y))  # type: ignore[func-returns-value]
    whole = Autoregression(turns)
    monkeypatch.setattr(forecast, "MOST_PAIRS", 600)
    some = Autoregression(turns)
    assert shown == [6 * 397, 600]
    np.testing.assert_allclose(some.weights, whole.weights, atol=0.1)
    np.testing.assert_array_equal(some.mean, whole.mean)


def test_scores_are_pooled_over_starts_and_latents() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20, 3, 2))
    guess = truth + 0.5 * rng.normal(size=truth.shape)
    truth[13:, 2] = np.nan  # the segments of seven starts end
    scored = score_forecasts(truth, {"stay": 0 * guess, "model": guess})
    for lead, rows in ((0, 20), (2, 13)):
        t, g = truth[:rows, lead], guess[:rows, lead]
        expected = 1 - np.square(t - g).sum() / np.square(t - t.mean(axis=0)).sum()
        assert scored["model"][lead] == pytest.approx(expected)
    np.testing.assert_array_equal(scored["starts"], [20, 20, 13])
    truth[7:, 1] = np.nan
    few = score_forecasts(truth, {"stay": 0 * guess, "model": guess})
    assert np.isnan(few["model"].values).tolist() == [False, True, False]
    assert few.attrs["horizon"] == {"model": 1}


def test_the_horizon_ends_where_stay_or_the_mean_is_better() -> None:
    truth = np.tile(np.linspace(-1, 1, 20)[:, None, None], (1, 5, 1))
    held = truth * np.array([0.9, 0.5, 0.0, -1.0, -1.0])[:, None]  # worse than the mean from the fourth lead on

    def reach(*gains: float) -> int:
        forecasts = {"stay": held, "model": truth * np.array(gains)[:, None]}
        scored = score_forecasts(truth, forecasts)
        # a gain g scores 1 - (1 - g)^2, so that the cases below are what they are said to be
        known = np.isfinite(gains)
        np.testing.assert_allclose(scored["model"][known], 1 - np.square(1 - np.array(gains)[known]), atol=1e-9)
        return int(scored.attrs["horizon"]["model"])

    assert reach(1, 1, 1, 1, 1) == 5
    assert reach(1, 1, 0.2, -0.2, 0.2) == 3  # better than stay, no better than the mean; better again later
    assert reach(1, 1, 0.2, 0, 0.2) == 3  # as good as the mean is not better
    assert reach(1, 0.5, 1, 1, 1) == 1  # better than the mean, no better than stay
    assert reach(0.8, 1, 1, 1, 1) == 0
    assert reach(1, np.nan, 1, 1, 1) == 1
    assert reach(1, 1, np.inf, 1, 1) == 2


class Split:
    def __init__(self) -> None:
        """Two oscillations in each of twelve segments, four of them unseen."""
        x = np.concatenate([draw_data(60, seed=3) for _ in range(12)])
        recording = make_recording(x, np.arange(720.0) * 0.1, segment_index=np.repeat(np.arange(12), 60))
        self.recording, self.split = recording, split_recording(recording, 0.3, seed=0)
        assert self.split is not None
        self.training, self.unseen = self.split.training, self.split.held_out
        self.dcf = DCF(2, **TRAINED).fit(self.training)


def encode(dcf: DCF, *recordings: xr.Dataset) -> tuple[Any, ...]:
    """The fitted model, and recordings as it encodes them."""
    return dcf.fitted_, *(encode_recording(dcf.fitted_, recording) for recording in recordings)


def measure_split(dcf: DCF, training: xr.Dataset, unseen: xr.Dataset, **settings: Any) -> xr.Dataset:
    return measure_horizon(*encode(dcf, training, unseen), **settings)


@pytest.fixture(scope="module")
def split() -> Split:
    return Split()


def test_rollouts_of_oscillations_reach_far(split: Split) -> None:
    scored = measure_split(split.dcf, split.training, split.unseen, n_leads=20)
    assert scored["rollout"].dims == ("lead",)
    assert scored.attrs["step_s"] == pytest.approx(0.1)
    assert scored.attrs["horizon"]["rollout"] >= 10
    assert scored["rollout"][4] > scored["stay"][4] + 0.5
    assert scored["ar3"][4] > scored["stay"][4] + 0.5
    # every frame from the fourth to the last but one starts; those near the end see fewer leads
    n_unseen = split.unseen.sizes["segment"]
    np.testing.assert_array_equal(scored["starts"], n_unseen * (56 - np.arange(20)))


def test_the_score_of_a_lead_is_that_of_simulations_by_hand(split: Split) -> None:
    one = select_segments(split.unseen, [0]).isel(time=slice(0, 16))
    scored = measure_split(split.dcf, split.training, one, n_leads=4)
    x, truth = one["data"].values, split.dcf.transform(one)["data"].values
    starts = np.arange(3, 15)
    paths = np.stack([split.dcf.simulate(x[: start + 1], 4) for start in starts])
    aim = np.stack([np.pad(truth[start + 1 : start + 5], ((0, max(0, start - 11)), (0, 0)), constant_values=np.nan)
                    for start in starts])  # fmt: skip
    expected = score_forecasts(aim, {"rollout": paths, "stay": np.repeat(truth[starts, None], 4, axis=1)})
    np.testing.assert_array_equal(scored["starts"], [12, 11, 10, 9])
    for name in ("rollout", "stay"):
        np.testing.assert_allclose(scored[name], expected[name], atol=1e-4)


def test_what_is_encoded_already_is_not_encoded_again(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, lengths, encode_frames = encode(split.dcf, split.training, split.unseen), [], FittedModel.encode

    def count(self: FittedModel, frames: PreparedFrames, k: int | None = None) -> Any:
        lengths.append(len(frames))
        return encode_frames(self, frames, k)

    monkeypatch.setattr(FittedModel, "encode", count)
    measure_horizon(*encoded, n_leads=5)
    assert len(lengths) == 1  # the histories of all starts


def test_starts_are_thinned_evenly(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nwb_dcf.evaluation.forecast.MOST_STARTS", 40)
    scored = measure_split(split.dcf, split.training, split.unseen, n_leads=5)
    assert scored["starts"].max() == 40
    assert scored["rollout"][2] > 0.5


def test_what_is_too_short_says_so(split: Split) -> None:
    short = split.unseen.isel(time=slice(0, 8), segment=[0])
    with pytest.raises(DataError, match="both a history and a future"):
        measure_split(split.dcf, split.training, short)
    assert "both a history and a future" in describe_horizon(*encode(split.dcf, split.training, short))["not_measured"]


def test_a_fit_keeps_its_horizon_and_prints_it(split: Split) -> None:
    parts = split.dcf.fitted_, split.recording, split.split
    result = build_result(*parts, measured=measure_latents(*parts), read=ReadConfig(), held_out=0.3)
    kept = result.dataset.attrs["scores"]["rollout"]
    assert kept["leads"] == 50
    assert len(kept["rollout"]) == len(kept["ar3"]) == len(kept["stay"]) == 50
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
    stored = to_result(to_payload(result, schema_version="0", package_version="0"), name="a")
    assert stored.dataset.attrs["scores"]["rollout"] == kept
    text = describe_fit(summarise_fit(result, "s.nwb"))
    assert f"frame {kept['horizon']['rollout']}" in text or f"measured, {kept['horizon']['rollout']}" in text
    assert "ridge AR(3)" in text


def test_real_reaches_are_foretold_better_than_by_staying(real_data: Callable[[str], Path]) -> None:
    recording = read_recording(real_data("reach_chewie.nwb"), bin_width_s=0.1)
    parts = split_recording(recording, 0.2, seed=0)
    assert parts is not None
    dcf = DCF(3, **TRAINED).fit(parts.training)
    scored = measure_split(dcf, parts.training, parts.held_out)
    assert scored.attrs["horizon"]["rollout"] >= 2
    assert scored.sizes["lead"] < 12  # reaches last 9 to 14 bins
    assert scored["rollout"][0] > scored["stay"][0] + 0.05
