"""Images (time, y, x) through every room: inputs, preparation, fit, answers, results, weights and the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.config import ModelConfig, PrepareConfig, ReadConfig
from nwb_dcf.config.presets import make_config
from nwb_dcf.data.arrays import as_recording
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.recording import channel_dim, flatten_frames, frame_dims, frame_shape, is_count, make_recording
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import simulate_ball
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.estimator.initialization import MOST_IMAGE_AXES, choose_k_max
from nwb_dcf.evaluation.latent_measures import measure_latents
from nwb_dcf.evaluation.result import build_result
from nwb_dcf.io.results.payload import to_payload, to_result
from nwb_dcf.metrics import r2_score
from nwb_dcf.model.networks import ConditionedMLP
from nwb_dcf.model.unet import ConditionedUNet

QUICK: dict[str, Any] = {
    "device": "cpu",
    "steps": 3,
    "batch_size": 16,
    "history": 1,
    "early_stopping": False,
    "solver_steps": 2,
    "settings": {"channels": (4, 6), "align_steps": 3},
}
Y, X = 9, 12


def draw_images(n: int = 60, dtype: str = "f4") -> np.ndarray:
    """A blob on its way around an image that is not square."""
    angle = np.linspace(0, 15, n)[:, None, None]
    y, x = np.mgrid[:Y, :X]
    images = np.exp(-((x - 6 - 3 * np.cos(angle)) ** 2 + (y - 4 - 2 * np.sin(angle)) ** 2) / 4)
    return (200 * images).astype(dtype)


def name_dims(images: np.ndarray) -> xr.DataArray:
    """Say that they are images: a bare array may be trials."""
    return xr.DataArray(images, dims=("time", "y", "x"))


def make_images() -> xr.Dataset:
    images = draw_images()
    segment = np.repeat(np.arange(3), 20)
    return make_recording(images, np.arange(60) / 30 + segment, segment_index=segment)


@pytest.fixture(scope="module")
def fitted() -> DCF:
    return DCF(2, **QUICK).fit(make_images())


def test_a_recording_of_images() -> None:
    recording = make_images()
    assert frame_dims(recording) == ("y", "x")
    assert frame_shape(recording) == (Y, X)
    np.testing.assert_array_equal(flatten_frames(recording)[7], draw_images()[7].ravel())
    with pytest.raises(DataError, match="no channels"):
        channel_dim(recording)
    with pytest.raises(DataError, match="no ids"):
        make_recording(draw_images(), np.arange(60.0), channel=np.arange(Y))


def test_a_bad_pixel_is_named() -> None:
    images = draw_images()
    images[5, 3, 7] = np.nan
    with pytest.raises(DataError, match=r"1 values are NaN.*y 3, x 7 at 5 s"):
        as_recording(images, images=True)


def test_grey_values_are_no_counts() -> None:
    images = draw_images(dtype="u1")
    for given in (images, xr.DataArray(images, dims=("time", "y", "x")), [images, images]):
        assert not is_count(as_recording(given, images=True).recording)
    assert is_count(as_recording(images.reshape(60, -1)).recording)
    preparation = fit_preprocessor(as_recording(name_dims(images)).recording, PrepareConfig())
    assert (preparation.transform, preparation.smooth_s) == ("none", 0.0)


@pytest.mark.parametrize("dims", [("time", "x", "y"), ("time", "y", "unit"), ("frame", "row", "column")])
def test_images_of_other_dims_are_refused(dims: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"give a DataArray \(time, channel\) or \(time, y, x\)"):
        as_recording(xr.DataArray(draw_images(), dims=dims))


def test_images_of_a_list_must_be_of_one_size() -> None:
    images = draw_images()
    joined = as_recording([images[:20], images[20:]], images=True).recording
    np.testing.assert_array_equal(joined["data"], images)
    assert joined.sizes["segment"] == 2
    with pytest.raises(DataError, match="9 x 12 and 9 x 11"):
        as_recording([images, images[:, :, 1:]], images=True)


def test_one_scale_for_all_pixels_and_back() -> None:
    recording = make_images()
    preparation = fit_preprocessor(recording, PrepareConfig(smooth=0.05))
    assert preparation.factor.shape == (Y, X)
    assert np.ptp(preparation.factor) == 0
    prepared = preparation.apply(recording)
    # Smoothing in time treats a pixel as it treats a channel, on a regular clock and on an irregular one.
    for jitter in (0.0, 0.004):
        clock = recording["time"].values + jitter * np.sin(np.arange(60))
        image = recording.assign_coords(time=clock)
        flat = make_recording(flatten_frames(image), clock, segment_index=recording["segment_index"].values)
        separately = fit_preprocessor(flat, PrepareConfig(smooth=0.05)).apply(flat)
        again = fit_preprocessor(image, PrepareConfig(smooth=0.05)).apply(image)
        np.testing.assert_allclose(flatten_frames(again), separately["data"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(preparation.undo(prepared["data"].values) * preparation.factor, prepared["data"])


def test_held_out_segments_keep_their_images() -> None:
    split = split_recording(make_images(), 0.3, seed=0)
    assert split is not None
    assert split.held_out["data"].dims == ("time", "y", "x")
    assert split.training.sizes["time"] + split.held_out.sizes["time"] <= 60


def test_answers_come_in_the_kind_that_came_in(fitted: DCF) -> None:
    recording, images = make_images(), draw_images()
    codes = fitted.transform(images)
    assert codes.shape == (60, 2)
    back = fitted.inverse_transform(codes)
    assert back.shape == images.shape

    of_recording = fitted.transform(recording)
    np.testing.assert_allclose(of_recording["data"], codes, atol=1e-5)
    rebuilt = fitted.inverse_transform(of_recording)
    assert rebuilt["data"].dims == ("time", "y", "x")
    np.testing.assert_array_equal(rebuilt["segment_index"], recording["segment_index"])
    np.testing.assert_allclose(rebuilt["data"], back, rtol=1e-3, atol=1e-2)

    array = recording["data"]
    latents = fitted.transform(array)
    assert latents.dims == ("time", "latent")
    again = fitted.inverse_transform(latents)
    assert again.dims == ("time", "y", "x")
    np.testing.assert_array_equal(again["time"], array["time"])

    parts = fitted.inverse_transform(fitted.transform([images[:20], images[20:]]))
    assert [part.shape for part in parts] == [(20, Y, X), (40, Y, X)]


def test_rebuilt_images_are_in_the_unit_of_the_data(fitted: DCF) -> None:
    images = draw_images()
    flat, rebuilt = images.reshape(60, -1), fitted.inverse_transform(fitted.transform(images)).reshape(60, -1)
    assert r2_score(flat, rebuilt) > 0.5  # two principal axes of the blob
    assert abs(r2_score(flat, rebuilt) - fitted.score(images)) < 1e-4


@pytest.mark.parametrize("wrong", [draw_images()[:, 1:], draw_images().reshape(60, -1), draw_images().swapaxes(1, 2)])
def test_images_of_another_size_are_refused(fitted: DCF, wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match="9 x 12"):
        fitted.transform(wrong)


def test_images_are_refused_where_channels_were_fitted() -> None:
    model = DCF(2, **QUICK).fit(draw_images().reshape(60, -1))
    with pytest.raises(DataError, match="108"):
        model.transform(name_dims(draw_images()))


def test_a_bare_array_of_trials_is_never_taken_for_images() -> None:
    trials = np.random.default_rng(0).poisson(2, (20, 30, 6))  # (trial, time, unit)
    for given in (trials, trials.astype("u1"), trials.astype(float), [trials, trials]):
        with pytest.raises(DataError, match=r"\(20, 30, 6\).*list\(x\).*dims=\('time', 'y', 'x'\)"):
            DCF(2, **QUICK).fit(given)
    assert as_recording(list(trials)).recording.sizes == {"time": 600, "channel": 6, "segment": 20}
    assert DCF(2, **{**QUICK, "steps": 1}, network="unet").fit(draw_images()).fitted_.pixels is not None


def test_the_network_follows_the_frames() -> None:
    images = draw_images()
    for network, expected in ((None, ConditionedUNet), ("unet", ConditionedUNet), ("mlp", ConditionedMLP)):
        model = DCF(2, **{**QUICK, "steps": 1}, network=network).fit(name_dims(images))
        assert isinstance(model.fitted_.model.u.network, expected)
        assert isinstance(model.fitted_.model.v.network, expected)
    with pytest.raises(ParameterError, match="no images"):
        DCF(2, **QUICK, network="unet").fit(images.reshape(60, -1))


def test_images_have_settings_of_their_own() -> None:
    images, unet = (make_config("default", given, kind="images") for given in ({}, {"network": "unet"}))
    assert (images.model.network, images.model.network_axes, images.model.train_encoder_with_flows) == (
        "mlp",
        256,
        True,
    )
    assert (unet.model.network, unet.model.network_axes, unet.model.channels) == ("unet", 0, (32, 64, 128))
    for given in ({"network": "auto"}, {"network": "mlp"}):
        assert make_config("default", given, kind="images") == images
    # What a U-Net alone has asks for it, rather than being left out in silence.
    assert make_config("default", {"channels": (4, 6)}, kind="images").model.network == "unet"
    assert make_config("default", {"batch_size": 7}, kind="images").train.batch_size == 7
    assert make_config("default", {"dim": 200}, kind="images").model.network_axes == 400
    paper = make_config("paper", {}, kind="images").model
    assert (paper.network, paper.channels, paper.patch, paper.history) == ("unet", (32, 64, 128, 256), 1, 0)
    assert make_config("paper", {"network": "mlp"}, kind="images") == make_config("paper", {"network": "mlp"})


def test_axes_are_for_perceptrons() -> None:
    with pytest.raises(ParameterError, match="U-Net sees pixels"):
        make_config("default", {"network": "unet", "network_axes": 20}, kind="images")
    with pytest.raises(ParameterError, match="network_axes is 2 and dim 3"):
        make_config("default", {"network": "mlp", "network_axes": 2})


def test_by_default_images_are_fitted_in_the_coordinates_of_their_axes() -> None:
    images = draw_images()
    model = DCF(2, device="cpu", batch_size=32, settings={"steps": 8, "history": 1}).fit(name_dims(images))
    inner = model.fitted_.model
    assert inner.basis is not None
    assert isinstance(inner.u.network, ConditionedMLP)
    assert inner.n_inputs == inner.basis.axes.shape[1] < inner.n_channels == Y * X
    assert model.loadings_.shape == (Y * X, model.k_max_)
    np.testing.assert_allclose(model.loadings_.T @ model.loadings_, np.eye(model.k_max_), atol=1e-4)
    x = model.prepare(images)
    np.testing.assert_allclose(model.mean_, x.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(model.spectrum_, np.var((x - model.mean_) @ model.loadings_, axis=0), rtol=1e-3)
    latents = model.transform(images)
    assert latents.shape == (60, 2)
    np.testing.assert_allclose(model.expand(model.compress(images)), x, atol=2e-3)
    assert model.inverse_transform(latents).shape == images.shape
    assert r2_score(x, model.reconstruct(latents)) > 0.5
    assert model.simulate(images, 3, tau=1.0).shape == (3, Y, X)
    assert model.simulate(images, 3).shape == model.velocity(images[:3]).shape == model.flow(images[:3]).shape
    again = DCF.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(again.transform(images), latents)
    np.testing.assert_array_equal(again.compress(images), model.compress(images))


def test_a_fit_of_images_can_begin_with_another() -> None:
    images = draw_images()
    settings = {"steps": 8, "history": 1}
    first = DCF(2, device="cpu", batch_size=32, settings=settings).fit(name_dims(images[:40]))
    second = DCF(2, device="cpu", batch_size=32, settings=settings, warm_start=first).fit(name_dims(images[:40]))
    one, two = (model.fitted_.model.basis for model in (first, second))
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one.axes, two.axes)


def test_no_more_axes_than_a_step_can_bear() -> None:
    paper = make_config("paper", {}, kind="images")
    assert choose_k_max(paper, 4096, 500, images=True) == MOST_IMAGE_AXES
    assert choose_k_max(paper, 100, 60, images=True) == 100
    assert choose_k_max(paper, 4096, 500) == 4096


@pytest.mark.parametrize("preset", ["paper", "authors"])
def test_presets_fit_images_and_say_how_many_axes(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nwb_dcf.estimator.initialization.MOST_IMAGE_AXES", 20)
    model = DCF(2, **{**QUICK, "history": None}, preset=preset, solver="midpoint").fit(name_dims(draw_images()))
    assert model.k_max_ == 20
    assert any("20 axes of 108 pixels" in note for note in model.fitted_.notes)
    assert np.isfinite(model.inverse_transform(model.transform(draw_images()))).all()


def test_weights_bring_the_images_back(fitted: DCF, tmp_path: Path) -> None:
    fitted.save(tmp_path / "images.safetensors")
    loaded = DCF.load(tmp_path / "images.safetensors", device="cpu")
    recording = make_images()
    codes = fitted.transform(recording)
    np.testing.assert_array_equal(loaded.transform(recording)["data"], codes["data"])
    rebuilt = loaded.inverse_transform(codes)
    np.testing.assert_array_equal(rebuilt["data"], fitted.inverse_transform(codes)["data"])
    assert loaded.fitted_.frame_ids == {"y": list(range(Y)), "x": list(range(X))}


def test_a_result_of_images_and_its_payload(fitted: DCF) -> None:
    recording = make_images().assign_coords(y=np.arange(Y) * 2.0, x=np.arange(X) + 5)
    measured = measure_latents(fitted.fitted_, recording, None)
    result = build_result(fitted.fitted_, recording, None, measured=measured, read=ReadConfig(), held_out=0.0)
    data = result.dataset
    assert data["loadings"].dims == ("y", "x", "component")
    assert data["mean"].dims == ("y", "x")
    np.testing.assert_array_equal(data["loadings"].values.reshape(Y * X, -1), fitted.loadings_)
    prepared = fitted.prepare(recording)
    np.testing.assert_allclose(data["mean"].values.ravel(), prepared.mean(0), atol=1e-5)

    payload = to_payload(result, schema_version="1", package_version="0")
    assert payload.arrays["loadings"].shape == (Y * X, fitted.k_max_)  # as the schema has it
    back = to_result(payload, name="video").dataset
    xr.testing.assert_identical(back[["loadings", "mean"]], data[["loadings", "mean"]])
    np.testing.assert_array_equal(back["y"], np.arange(Y) * 2.0)


def test_simulating_images(fitted: DCF) -> None:
    assert fitted.simulate(draw_images(), 4).shape == (4, 2)
    assert fitted.velocity(draw_images()).shape == (60, 2)
    assert fitted.flow(draw_images()).shape == (60, 2)


def test_the_flat_ball_and_the_ball_as_images_start_alike() -> None:
    """At step 0 both networks are silent: the closed form alone, whatever the shape of a frame."""
    ball = simulate_ball(3, 15, 12)
    images = ball.truth["frames"].values
    settings = {**QUICK.get("settings", {}), "encoder_learning_rate": 1e-9}
    config = {**QUICK, "steps": 1, "learning_rate": 1e-9, "settings": settings}
    of_images = DCF(3, **config).fit(name_dims(images))
    of_rows = DCF(3, **config, network="mlp").fit(name_dims(images))
    np.testing.assert_allclose(of_images.transform(images), of_rows.transform(images), atol=1e-5)
    assert abs(of_images.score(images) - of_rows.score(images)) < 1e-4
    assert ModelConfig().network == "auto"


@pytest.mark.slow
def test_the_ball_from_three_numbers() -> None:
    """Ten videos of 28 x 28 pixels, two of them unseen: far more than the 0.52 of three principal axes."""
    ball = simulate_ball(10, 50)
    images, segment = ball.truth["frames"].values, ball.recording["segment_index"].values
    recording = make_recording(images, ball.recording["time"].values, segment_index=segment)
    seen, unseen = recording.isel(time=segment < 8, segment=slice(0, 8)), images[segment >= 8]
    model = DCF(3, device="cpu").fit(seen)
    assert model.score(unseen) > 0.9
