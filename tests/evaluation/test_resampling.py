"""Fits made again: what is shifted, what is resampled, what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.config import FitConfig
from nwb_dcf.data.recording import iterate_segments, make_recording, segment_slices
from nwb_dcf.data.split import Split, split_recording
from nwb_dcf.errors import TrainingError
from nwb_dcf.estimator.fit import fit
from nwb_dcf.estimator.fitted import FittedModel
from nwb_dcf.evaluation.resampling import measure_agreement, measure_null, resample_segments
from nwb_dcf.metrics import decode_linearly, measure_consistency, rank_in_null

from ..estimator.test_dcf import draw_data, make_spikes

QUICK: dict[str, Any] = {
    "steps": 3,
    "width": 8,
    "depth": 1,
    "batch_size": 32,
    "solver_steps": 2,
    "early_stopping": False,
}


class Made:
    """A fit whose data have two dimensions that all channels share."""

    def __init__(self) -> None:
        recording = make_spikes(20)
        split = split_recording(recording, 0.3, seed=0)
        assert split is not None
        self.split: Split = split
        self.estimator = DCF(2, **QUICK).fit(split.training)
        self.parts = self.estimator.fitted_, split.training, split.held_out


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


@pytest.fixture
def fitted_to(monkeypatch: pytest.MonkeyPatch) -> list[tuple[FittedModel, xr.Dataset]]:
    """Every model that is fitted again with what it was fitted to."""
    seen: list[tuple[FittedModel, xr.Dataset]] = []

    def note(recording: xr.Dataset, config: FitConfig, **settings: Any) -> FittedModel:
        fitted = fit(recording, config, **settings)
        seen.append((fitted, recording))
        return fitted

    monkeypatch.setattr("nwb_dcf.evaluation.resampling.fit", note)
    return seen


def test_null_fits_see_channels_shifted_before_they_are_smoothed(
    made: Made, fitted_to: list[tuple[FittedModel, xr.Dataset]]
) -> None:
    scores = {"bottleneck_r2": made.estimator.score(made.split.held_out), "pca_r2": 0.9}
    null = measure_null(*made.parts, scores, 2)
    training = made.split.training
    for fitted, shifted in fitted_to:
        train = replace(made.estimator.config_.train, beta=0.0)  # v does not learn
        assert fitted.config == replace(made.estimator.config_, train=train)
        assert shifted["data"].dtype == training["data"].dtype
        assert shifted["data"].attrs["units"] == "count"
        for before, after in zip(iterate_segments(training), iterate_segments(shifted), strict=True):
            np.testing.assert_array_equal(np.sort(before, axis=0), np.sort(after, axis=0))
    assert not np.array_equal(fitted_to[0][1]["data"], fitted_to[1][1]["data"])
    assert not np.array_equal(fitted_to[0][1]["data"], training["data"])
    assert null["fits"] == len(null["bottleneck_r2"]) == len(null["pca_r2"]) == 2
    assert max(null["bottleneck_r2"]) < scores["bottleneck_r2"] - 0.1
    assert rank_in_null(scores["bottleneck_r2"], null["bottleneck_r2"]) == pytest.approx(1 / 3)
    assert (null["p"], null["p_floor"]) == (None, pytest.approx(1 / 3))  # two nulls say nothing
    assert "survives" in null["survives"]
    assert "stopped" not in null


def test_fits_beside_learn_the_code_and_u_alone_to_the_bit(
    made: Made, fitted_to: list[tuple[FittedModel, xr.Dataset]]
) -> None:
    measure_null(*made.parts, {"bottleneck_r2": 0.0, "pca_r2": 0.0}, 1)
    brief, shifted = fitted_to[0]
    whole = fit(shifted, made.estimator.config_)
    assert (set(brief.steps), set(whole.steps)) == ({"u"}, {"u", "v"})
    assert (brief.calibration, brief.solver_error) == (None, {})
    frames = whole.prepare(made.split.held_out)
    np.testing.assert_array_equal(brief.encode(frames), whole.encode(frames))
    np.testing.assert_array_equal(brief.reconstruct(brief.encode(frames)), whole.reconstruct(whole.encode(frames)))


def test_null_figures_are_of_shifted_held_out_data(made: Made, fitted_to: list[tuple[FittedModel, xr.Dataset]]) -> None:
    null = measure_null(*made.parts, {"bottleneck_r2": 0.0, "pca_r2": 0.0}, 1)
    fitted, shifted = fitted_to[0]
    for tried in (made.split.held_out, shifted):
        assert null["bottleneck_r2"][0] != pytest.approx(fitted.score(fitted.prepare(tried)), abs=1e-3)
    assert null["bottleneck_r2"] == measure_null(*made.parts, {"bottleneck_r2": 0.0, "pca_r2": 0.0}, 1)["bottleneck_r2"]


def test_null_of_a_fit_that_held_nothing_out_is_measured_where_it_was_fitted(
    made: Made, fitted_to: list[tuple[FittedModel, xr.Dataset]]
) -> None:
    training = made.split.training
    null = measure_null(made.estimator.fitted_, training, training, {"bottleneck_r2": 0.5, "pca_r2": 0.5}, 1)
    fitted, shifted = fitted_to[0]
    assert null["bottleneck_r2"] == [fitted.score(fitted.prepare(shifted))]


def test_images_are_shifted_pixel_by_pixel(fitted_to: list[tuple[FittedModel, xr.Dataset]]) -> None:
    rng = np.random.default_rng(0)
    images = make_recording(rng.normal(size=(60, 4, 4)), np.arange(60.0), segment_index=np.repeat(np.arange(6), 10))
    dcf = DCF(2, **QUICK, network="mlp").fit(images)
    null = measure_null(dcf.fitted_, images, images, {"bottleneck_r2": 0.5, "pca_r2": 0.5}, 1)
    assert fitted_to[0][1]["data"].shape == (60, 4, 4)
    assert np.isfinite(null["bottleneck_r2"]).all()


def test_further_fits_have_other_seeds_and_segments(
    made: Made, fitted_to: list[tuple[FittedModel, xr.Dataset]]
) -> None:
    stages: list[str] = []
    agreement = measure_agreement(*made.parts, 3, progress=lambda event: stages.append(event.stage))
    assert [fitted.config.train.seed for fitted, _ in fitted_to] == [1, 2]
    drawn = [x["segment_origin"].values for _, x in fitted_to]
    assert not np.array_equal(drawn[0], drawn[1])
    assert all(len(set(origin)) < len(origin) == made.split.training.sizes["segment"] for origin in drawn)
    assert all(stage.startswith(("fit 2 of 3: training", "fit 3 of 3: training")) for stage in stages)
    fits = (made.estimator.fitted_, *(fitted for fitted, _ in fitted_to))
    latents = [fitted.encode(fitted.prepare(made.split.held_out)) for fitted in fits]
    pairs = [measure_consistency(latents[i], latents[j]).axes for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(agreement["axes"], np.mean(pairs, axis=0))
    assert (agreement["fits"], agreement["over"]) == (3, "segments")
    assert sorted(axis for group in agreement["groups"] for axis in group) == [1, 2]
    assert 0.5 < max(agreement["pca_axes"]) < 1 - 1e-6  # PCA of other trials, not of the same
    assert len(agreement["planes"]) == len(agreement["pca_planes"]) == len(agreement["groups"])
    spaces = [measure_consistency(latents[i], latents[j], np.ones(2)).worst for i, j in ((0, 1), (0, 2), (1, 2))]
    assert agreement["space"] == pytest.approx(np.mean(spaces))
    invented = agreement["invented"]
    assert (invented["fits"], [one["latent"] for one in invented["latents"]], invented["n"]) == (3, [1, 2], 6)
    # every frame is sampled in so short a recording: each latent against a regression on those of both refits
    training = [fitted.encode(fitted.prepare(made.split.training)) for fitted in fits]
    predicted = [decode_linearly(training[i], training[0], latents[i], ridge=0.0) for i in (1, 2)]
    spread = np.square(latents[0] - latents[0].mean(axis=0)).sum(axis=0)
    r2 = np.mean([1 - np.square(one - latents[0]).sum(axis=0) / spread for one in predicted], axis=0)
    np.testing.assert_allclose([one["decoded"] for one in invented["latents"]], r2, atol=1e-4)


def test_a_resampled_recording_keeps_whole_segments() -> None:
    recording = make_spikes(12)
    drawn = resample_segments(recording, seed=3)
    assert drawn.sizes["segment"] == 12
    slices = segment_slices(recording)
    for origin, values in zip(drawn["segment_origin"].values, iterate_segments(drawn), strict=True):
        np.testing.assert_array_equal(values, recording["data"].values[slices[origin]])
    np.testing.assert_array_equal(resample_segments(recording, seed=3)["data"], drawn["data"])
    assert not np.array_equal(resample_segments(recording, seed=4)["segment_origin"], drawn["segment_origin"])


def test_one_long_segment_is_resampled_in_blocks() -> None:
    recording = make_recording(draw_data(400), np.arange(400.0))
    drawn = resample_segments(recording, seed=0)
    assert drawn.sizes["segment"] == 20
    for block in segment_slices(drawn):
        np.testing.assert_array_equal(np.diff(drawn["time"].values[block]), 1)


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_segment_stay_on_one_side_of_a_split(seed: int) -> None:
    split = split_recording(resample_segments(make_spikes(12), seed=seed), 0.3, seed=seed)
    assert split is not None
    sides = [set(part["segment_origin"].values) for part in (split.training, split.held_out)]
    assert all(sides)
    assert not sides[0] & sides[1]


def interrupt(event: Any) -> None:
    if event.stage.startswith(("null 2", "fit 3")):
        raise KeyboardInterrupt


def test_ctrl_c_keeps_the_repeats_that_are_done_where_asked(made: Made) -> None:
    scores = {"bottleneck_r2": 0.5, "pca_r2": 0.5}
    with pytest.raises(KeyboardInterrupt):
        measure_null(*made.parts, scores, 2, progress=interrupt)
    null = measure_null(*made.parts, scores, 3, progress=interrupt, keep_partial=True)
    assert (null["fits"], null["stopped"]) == (1, "interrupted")
    agreement = measure_agreement(*made.parts, 4, progress=interrupt, keep_partial=True)
    assert (agreement["fits"], agreement["stopped"], len(agreement["axes"])) == (2, "interrupted", 2)


def test_a_repeat_that_fails_does_not_lose_the_fit(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(recording: xr.Dataset, config: FitConfig, **settings: Any) -> FittedModel:
        raise TrainingError("the loss is no longer finite")

    monkeypatch.setattr("nwb_dcf.evaluation.resampling.fit", fail)
    null = measure_null(*made.parts, {"bottleneck_r2": 0.5, "pca_r2": 0.5}, 2)
    assert (null["fits"], null["p"]) == (0, None)
    assert "no longer finite" in null["stopped"]
    agreement = measure_agreement(*made.parts, 2)
    assert agreement["fits"] == 1
    assert "axes" not in agreement
