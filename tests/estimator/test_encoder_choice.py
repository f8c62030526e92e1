"""Values that are no counts: an encoder is trained beside PCA's latents, and held-out frames decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from scipy.spatial import cKDTree

from nwb_dcf import DCF
from nwb_dcf.config.presets import configure_encoder, make_config
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.summary import describe_encoder
from nwb_dcf.data.synthetic import simulate_lorenz
from nwb_dcf.errors import TrainingError
from nwb_dcf.estimator import encoder_choice
from nwb_dcf.estimator.serialization import pack_weights, unpack_weights
from nwb_dcf.metrics import Interval, r2_score
from nwb_dcf.model.parallel import use_threads

QUICK: dict[str, Any] = {"steps": 60, "width": 16, "depth": 2, "solver_steps": 4}


def draw(smoothing: float, noise: float, seed: int = 0) -> tuple[xr.Dataset, np.ndarray]:
    """Twenty cells that follow two states, white or smooth, with noise of their own."""
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(1200, 2))
    state = gaussian_filter1d(state, smoothing, axis=0) if smoothing else state
    state /= state.std(axis=0)
    values = state @ rng.normal(size=(2, 20)) + noise * rng.normal(size=(1200, 20))
    return make_recording(values.astype("f4"), np.arange(1200) / 10.0, units="dF/F"), state


GAINS = {"above": (0.01, 0.02), "none": (-0.01, 0.01), "below": (-0.02, -0.01)}


@pytest.mark.parametrize(
    ("reconstruction", "left_out", "trained"),
    [
        ("above", "above", True),
        ("above", "none", True),
        ("none", "above", True),
        ("none", "none", False),
        ("above", "below", False),
        ("below", "above", False),
    ],
)
def test_an_encoder_is_taken_that_is_better_at_one_and_not_worse_at_the_other(
    monkeypatch: pytest.MonkeyPatch, reconstruction: str, left_out: str, trained: bool
) -> None:
    given = iter((reconstruction, left_out))

    def compare(*_: Any, **__: Any) -> Interval:
        low, high = GAINS[next(given)]
        return Interval((low + high) / 2, low, high, 0.95, 20, "blocks")

    monkeypatch.setattr(encoder_choice, "compare_paired", compare)
    fitted = DCF(2, settings={"beta": 0.0}, **QUICK).fit(draw(smoothing=6, noise=3)[0]).fitted_
    assert fitted.encoder["trained"] == fitted.model.learns_encoder == trained
    assert fitted.config.model.encoder_window == (2 if trained else 0)
    assert not fitted.config.train.try_encoder  # a fit to other frames chooses no more
    stored = unpack_weights(pack_weights(fitted), "cpu")
    assert stored.encoder == fitted.encoder
    assert stored.config == fitted.config


@pytest.mark.long
def test_a_trained_encoder_of_simulated_calcium_is_nearer_to_the_truth() -> None:
    made = simulate_lorenz(1, 4000, 100, bin_width_s=0.1, speed=0.5, mean_rate_hz=2, seed=1)
    kept = np.exp(-1 / 5)  # an indicator that decays in half a second
    noise = 0.3 * np.random.default_rng(0).normal(size=(4000, 100))
    calcium = lfilter([1], [1, -kept], made.recording["data"].values, axis=0) + noise
    recording = make_recording(calcium.astype("f4"), np.arange(4000) / 10.0, units="dF/F")
    truth = []
    for settings in ({}, {"train_encoder_with_flows": False}):
        fitted = DCF(3, settings={"beta": 0.0, **settings}).fit(recording).fitted_
        latents, known = fitted.encode(fitted.prepare(recording)), made.truth["latents"].values
        half = np.arange(4000) < 2000
        seen, unseen = (np.where(rows)[0] for rows in (half, ~half))
        near = cKDTree(latents[seen]).query(latents[unseen], k=30)[1]
        truth.append(r2_score(known[unseen], known[seen][near].mean(axis=1)))
        assert fitted.encoder.get("trained", False) == (not settings)
    assert truth[0] > truth[1] + 0.02


def test_latents_stay_those_of_pca_where_no_encoder_does_better() -> None:
    recording, _ = draw(smoothing=0, noise=1)
    model = DCF(2, **QUICK).fit(recording)
    assert not model.fitted_.encoder["trained"]
    assert not model.fitted_.model.learns_encoder
    x = model.prepare(recording).astype("f8")
    scores = (x - x.mean(axis=0)) @ np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:2].T
    both = np.corrcoef(model.transform(recording)["data"].values.T, scores.T)[:2, 2:]
    np.testing.assert_allclose(np.abs(np.diag(both)), 1, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"train_encoder_with_flows": False},
        {"train_encoder_with_flows": True},
        {"start": "random"},
        {"single_stage": True},
        {"try_encoder": False},
    ],
)
def test_nothing_is_tried_where_the_encoder_was_given(settings: dict[str, Any]) -> None:
    assert configure_encoder(make_config("default", settings)) is None


@pytest.mark.parametrize("kind", ["counts", "images"])
def test_counts_and_images_have_encoders_of_their_own(kind: str) -> None:
    assert configure_encoder(make_config("default", {}, kind=kind)) is None


def test_what_is_given_by_name_holds_for_the_tried_encoder_too() -> None:
    tried = configure_encoder(make_config("default", {"encoder_window": 0, "steps": 33}))
    assert tried is not None
    assert (tried.model.encoder_window, tried.train.steps) == (0, 33)
    assert tried.model.train_encoder_with_flows


def test_without_held_out_frames_latents_are_those_of_pca() -> None:
    fitted = DCF(2, early_stopping=False, **QUICK).fit(draw(6, 3)[0]).fitted_
    assert fitted.encoder == {"trained": False, "why": "nothing was held out that could prefer a trained encoder"}


def test_an_encoder_that_cannot_be_trained_leaves_the_latents_of_pca(monkeypatch: pytest.MonkeyPatch) -> None:
    train = encoder_choice.Candidate.train

    def fail(training: Any, *given: Any) -> Any:
        if training.config.model.train_encoder_with_flows:
            raise TrainingError("the loss is no longer finite", fix="lower the rate")
        return train(training, *given)

    monkeypatch.setattr(encoder_choice.Candidate, "train", fail)
    fitted = DCF(2, **QUICK).fit(draw(0, 1)[0]).fitted_
    assert fitted.encoder == {"trained": False, "why": "the encoder could not be trained: the loss is no longer finite"}


def test_both_trained_side_by_side_are_those_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    recording, _ = draw(smoothing=6, noise=3)
    fits = []
    for beside in (False, True):
        monkeypatch.setattr(encoder_choice, "is_worth_a_thread", lambda *_, beside=beside: beside)
        with use_threads(1):
            fits.append(DCF(2, **QUICK).fit(recording).fitted_)
    after, beside_it = fits
    assert after.encoder == beside_it.encoder
    assert after.encoder["gains"]
    for name, weights in after.model.state_dict().items():
        assert torch.equal(weights, beside_it.model.state_dict()[name]), name


def test_a_fit_with_a_trained_encoder_can_be_started_from(monkeypatch: pytest.MonkeyPatch) -> None:
    recording, _ = draw(smoothing=6, noise=3)
    better = Interval(0.01, 0.005, 0.015, 0.95, 20, "blocks")
    monkeypatch.setattr(encoder_choice, "compare_paired", lambda *_, **__: better)
    first = DCF(2, **QUICK).fit(recording)
    assert first.fitted_.encoder["trained"]
    again = DCF(2, warm_start=first, **QUICK).fit(recording)
    assert again.fitted_.encoder == {}
    assert again.fitted_.config.model.encoder_window == 2


def test_hidden_channels_say_nothing_of_their_own_noise() -> None:
    # white channels with nothing in common: a code that sees them rebuilds them, and predicts none that is hidden
    rng = np.random.default_rng(0)
    recording = make_recording(rng.normal(size=(1200, 8)).astype("f4"), np.arange(1200) / 10.0)
    gains: dict[str, Any] = {}

    def note(training: Any, start: Any, groups: Any, held_out: Any) -> Any:
        own = encoder_choice.Candidate.train(training, start, groups, lambda _name: None)
        test = encoder_choice.HeldOutFrames.of(groups, held_out)
        gains.update(seen=own.score_reconstruction(test).value, hidden=own.score_left_out(test, 0).value)
        return own, {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwb_dcf.estimator.fit.choose_encoder", note)
        DCF(4, **QUICK).fit(recording)
    assert gains["seen"] > 0.3
    assert gains["hidden"] < 0.02


@pytest.mark.parametrize(
    ("provenance", "sentence"),
    [
        ({}, ""),
        ({"learned": {"encoder": True, "axes": False}, "steps": {"u": 40}}, ""),
        (
            {"learned": {"encoder": True, "axes": False}, "steps": {"u": 0}},
            "the latents equal PCA's (no trained encoder did better on held-out data)",
        ),
        (
            {"encoder": {"trained": False, "why": "nothing was held out"}},
            "the latents equal PCA's (nothing was held out); only the decoder is new",
        ),
        (
            {"encoder": {"trained": False, "why": "nothing was held out"}, "steps": {"u": 0}},
            "the latents equal PCA's (nothing was held out); and so does what is decoded from them",
        ),
        (
            {
                "encoder": {
                    "trained": True,
                    "gains": {"left_out": {"value": 0.02, "low": 0.01, "high": 0.03, "n": 20, "over": "blocks"}},
                }
            },
            "the latents are a trained encoder's, better than PCA's on held-out data "
            "(left-out channels R2 +0.020 [+0.010, +0.030], over 20 blocks)",
        ),
    ],
)
def test_the_report_says_whose_latents_they_are(provenance: Any, sentence: str) -> None:
    assert describe_encoder(provenance) == sentence
