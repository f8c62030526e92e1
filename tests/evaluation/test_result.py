"""What a fit says of itself, from an estimator and a recording; no file needed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

from nwb_dcf import DCF, DCFResult
from nwb_dcf.config import FitConfig, ReadConfig
from nwb_dcf.data.split import Split, split_recording
from nwb_dcf.evaluation.latent_measures import measure_latents
from nwb_dcf.evaluation.result import build_result
from nwb_dcf.metrics import (
    bootstrap_over_segments,
    compare_paired,
    measure_energy_outside,
    measure_smoothness,
    r2_score,
    reconstruct_by_pca,
    score_rates,
    score_reconstruction,
)
from nwb_dcf.metrics.rate_calibration import calibrate_rates

from ..estimator.test_dcf import QUICK, make_spikes


class Made:
    def __init__(self, share: float, **settings: Any) -> None:
        self.recording = make_spikes()
        self.split: Split | None = split_recording(self.recording, share, seed=0)
        self.estimator = DCF(2, **{**QUICK, **settings})
        self.estimator.fit(self.split.training if self.split else self.recording)
        parts = self.estimator.fitted_, self.recording, self.split
        read = ReadConfig(bin_width_s=0.05)
        self.result: DCFResult = build_result(*parts, measured=measure_latents(*parts), read=read, held_out=share)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(0.2)


def test_every_frame_is_described_held_out_ones_too(made: Made) -> None:
    data = made.result.dataset
    assert dict(data.sizes) == {
        "time": 300, "latent": 2, "segment": 10, "component": 6, "unit": 6, "step": len(data["step"]),
        "grid_1": 33, "grid_2": 33,
    }  # fmt: skip
    recording = made.recording
    for name, use in (("latents", "transform"), ("flowed", "flow"), ("velocity", "velocity")):
        np.testing.assert_array_equal(data[name], getattr(made.estimator, use)(recording)["data"])
        assert data[name].dims == ("time", "latent")
        assert np.isfinite(data[name]).all()
    assert (data["latents"].attrs["units"], data["velocity"].attrs["units"]) == ("1", "1/s")
    for name in ("time", "segment_index", "unit"):
        np.testing.assert_array_equal(data[name], recording[name])
    for name in ("segment_start", "segment_stop", "segment_row"):
        xr.testing.assert_equal(data[name].variable, recording[name].variable)
    assert made.split is not None
    np.testing.assert_array_equal(data["segment_held_out"], made.split.held_out_segments)
    assert data["segment_held_out"].sum() == 2
    np.testing.assert_array_equal(data["latent"], [1, 2])
    np.testing.assert_array_equal(data["component"], np.arange(1, 7))


def test_figures_are_those_of_unseen_frames(made: Made) -> None:
    dcf, split, scores = made.estimator, made.split, made.result.dataset.attrs["scores"]
    assert split is not None
    x = dcf.prepare(split.held_out)
    states = dcf.compress(split.held_out)
    expected = {
        "frames": 60,
        "bottleneck_r2": dcf.score(split.held_out),
        "flow_r2": r2_score(x, dcf.reconstruct(dcf.transform(split.held_out)["data"].values, decoder="flow")),
        "pca_r2": r2_score(x, reconstruct_by_pca(dcf.prepare(split.training), x, 2)),
        "round_trip_r2": r2_score(x, dcf.expand(states)),
        "energy_outside": measure_energy_outside(states, dcf.mean_, dcf.loadings_, 2),
    }
    assert scores["on"] == "held-out data"
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-5), name
    assert scores["bottleneck_r2"] != pytest.approx(dcf.score(split.training), rel=1e-3)


def test_scores_come_with_intervals_over_segments_pca_beside_them(made: Made) -> None:
    dcf, split, scores = made.estimator, made.split, made.result.dataset.attrs["scores"]
    assert split is not None
    x, segment = dcf.prepare(split.held_out), split.held_out["segment_index"].values
    latents = dcf.transform(split.held_out)["data"].values
    by_pca = reconstruct_by_pca(dcf.prepare(split.training), x, 2)
    ours, pca = (score_reconstruction(x, estimate, segment) for estimate in (dcf.reconstruct(latents), by_pca))
    found = {
        "bottleneck_r2": bootstrap_over_segments(ours),
        "pca_r2": bootstrap_over_segments(pca),
        "difference_r2": compare_paired(ours, pca),
    }
    for name, interval in found.items():
        assert scores[name] == pytest.approx(interval.value, abs=1e-6), name
        assert scores["intervals"][name] == pytest.approx([interval.low, interval.high], abs=1e-6), name
    assert scores["intervals"]["over"] == "blocks"  # two segments are too few to resample
    assert scores["intervals"]["n"] == 8
    assert scores["smoothness"] == pytest.approx(measure_smoothness(latents, segment).value)
    assert scores["pca_smoothness"] > 1


def test_counts_are_scored_without_smoothing(made: Made) -> None:
    dcf, split, scores = made.estimator, made.split, made.result.dataset.attrs["scores"]
    assert split is not None
    counts = split.held_out["data"].values
    frame = np.arange(len(counts))
    rates = dcf.rates(dcf.transform(split.held_out))["data"].values
    assert scores["deviance_explained"] == pytest.approx(score_rates(counts, rates, frame).value, rel=1e-5)
    assert scores["deviance_explained"] > 0.1
    seen, unseen, expect = dcf.prepare(split.training), dcf.prepare(split.held_out), dcf.preparation_.expect_counts
    known = calibrate_rates(expect(reconstruct_by_pca(seen, seen, 2)), split.training["data"].values)
    pca = known.apply(expect(reconstruct_by_pca(seen, unseen, 2)))
    assert scores["pca_deviance_explained"] == pytest.approx(score_rates(counts, pca, frame).value, rel=1e-5)
    low, high = scores["intervals"]["deviance_explained"]
    assert low < scores["deviance_explained"] < high


def test_other_values_than_counts_have_no_deviance() -> None:
    recording = make_spikes()
    values = recording.assign(data=(recording["data"].dims, recording["data"].values * 1.0, {"units": "mV"}))
    estimator = DCF(2, **{**QUICK, "steps": 2}, smooth=0).fit(values)
    measured = measure_latents(estimator.fitted_, values, None)
    result = build_result(estimator.fitted_, values, None, measured=measured, read=ReadConfig(), held_out=0)
    assert "deviance_explained" not in result.dataset.attrs["scores"]
    assert result.provenance["support"]["causal"] is True


def test_the_support_of_a_latent_is_told(made: Made) -> None:
    support = made.result.provenance["support"]
    config = made.estimator.config_.model
    assert (
        (support["frames_before"], support["frames_after"]) == (config.encoder_window, config.encoder_window) == (2, 2)
    )
    assert support["seconds"] == pytest.approx(0.1)
    assert support["velocity"] == {"frames_before": 2 + config.history, "frames_after": 2}
    assert support["flowed"] == {"frames_before": 0, "frames_after": 0}
    assert support["causal"] is False
    assert support["smoothing"]["sigma_s"] == 0.04
    assert support["smoothing"]["reach_s"] == pytest.approx(0.16)
    # the claim itself: frames beyond window and smoother change nothing, frames within do
    recording, at = make_spikes(1), 15
    reach = 2 + int(0.16 / 0.05)
    before = made.estimator.transform(recording)["data"].values[at]
    for lag, changes in ((reach, True), (reach + 1, False), (-reach, True), (-reach - 1, False)):
        values = recording["data"].values.copy()
        values[at + lag] += 50
        after = made.estimator.transform(
            recording.assign(data=(recording["data"].dims, values, recording["data"].attrs))
        )
        assert bool((after["data"].values[at] != before).any()) is changes, lag


def test_the_curve_is_that_of_each_number_of_latents(made: Made) -> None:
    dcf, split, curve = made.estimator, made.split, made.result.curve
    assert split is not None
    x, codes = dcf.prepare(split.held_out), dcf.transform(split.held_out, dim=6)["data"].values
    for k in (1, 2, 6):
        of_k = curve.sel(component=k)
        assert float(of_k["bottleneck_r2"]) == pytest.approx(r2_score(x, dcf.reconstruct(codes[:, :k])), rel=1e-5)
        pca = reconstruct_by_pca(dcf.prepare(split.training), x, k)
        assert float(of_k["pca_r2"]) == pytest.approx(r2_score(x, pca), rel=1e-5)
    assert curve["pca_r2"].values[-1] == pytest.approx(1)
    assert (np.diff(curve["pca_r2"]) > 0).all()
    np.testing.assert_array_equal(curve["spectrum"], dcf.spectrum_)


def test_where_nothing_was_held_out_figures_say_so() -> None:
    made = Made(0.0, steps=2)
    assert made.split is None
    scores = made.result.dataset.attrs["scores"]
    assert "nothing was held out" in scores["on"]
    assert scores["frames"] == 300
    assert not made.result.dataset["segment_held_out"].any()
    assert made.result.provenance["split"] == {
        "training": 10, "held_out": 0, "rule": "nothing held out", "share": 0.0, "held_out_intervals_s": []
    }  # fmt: skip


def test_losses_are_noted_along_the_steps() -> None:
    made = Made(0.2, steps=60)
    data, fitted = made.result.dataset, made.estimator.fitted_
    np.testing.assert_array_equal(data["step"], fitted.curve.step)
    np.testing.assert_allclose(data["loss_cf"], fitted.curve.cf)
    np.testing.assert_allclose(data["loss_df"], fitted.curve.df)
    np.testing.assert_allclose(data["loss_align"], fitted.curve.align)
    trace = made.result.provenance
    assert trace["search"]["step"] == fitted.search.held_out_step
    # None, as JSON has no NaN: v may be searched for longer than u
    np.testing.assert_array_equal(np.array(trace["search"]["held_out_cf"], float), fitted.search.held_out_cf)


def test_provenance_says_how_it_came_to_be(made: Made) -> None:
    trace, dcf = made.result.provenance, made.estimator
    assert trace["seed"] == 0
    assert trace["channels"] == [11, 12, 15, 16, 20, 21]
    assert trace["kind"] == "units"
    assert trace["steps"] == dcf.steps_
    assert trace["learned"] == {"encoder": True, "axes": False}
    assert {"python", "torch", "numpy", "xarray", "pynwb", "torchdiffeq"} <= set(trace["versions"])
    assert {"device", "name", "threads"} <= set(trace["machine"])
    assert trace["preparation"]["factor"] == dcf.preparation_.factor.tolist()
    assert (trace["split"]["training"], trace["split"]["held_out"]) == (8, 2)
    assert len(trace["split"]["held_out_intervals_s"]) == 2
    assert trace["training"]["seconds"] > 0
    assert not trace["interrupted"]


def test_configuration_and_provenance_are_json_and_read_back(made: Made) -> None:
    result = made.result
    assert json.loads(json.dumps(result.provenance, allow_nan=False)).keys() == result.provenance.keys()
    config = FitConfig.from_dict(json.loads(json.dumps(result.config)))
    assert config.model == made.estimator.config_.model
    assert config.read == ReadConfig(bin_width_s=0.05)
    json.dumps(result.dataset.attrs, allow_nan=False)


def test_the_model_in_the_result_is_the_one_that_was_fitted(made: Made) -> None:
    again = DCF.from_result(made.result)
    np.testing.assert_allclose(again.transform(made.recording)["data"], made.result.dataset["latents"], atol=1e-6)
    np.testing.assert_allclose(again.velocity(made.recording)["data"], made.result.dataset["velocity"], atol=1e-5)
