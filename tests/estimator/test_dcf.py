from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.base import clone

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError, NotFittedError, ParameterError, TrainingError
from nwb_dcf.estimator import fitted as codec
from nwb_dcf.model import parallel

QUICK: dict[str, Any] = {"steps": 20, "width": 16, "depth": 2, "batch_size": 64, "solver_steps": 4}
TRAINED: dict[str, Any] = {**QUICK, "early_stopping": False}  # never the start alone, which is the best of many


def draw_data(n: int = 300, n_channels: int = 6, seed: int = 0) -> np.ndarray:
    """Two oscillations seen through a bent map, with a little noise."""
    rng = np.random.default_rng(seed)
    phase = np.arange(n) / 6
    mixed = np.column_stack([2 * np.cos(phase), np.sin(phase)]) @ rng.normal(size=(2, n_channels))
    return np.asarray(mixed + 0.2 * mixed**2 + 0.1 * rng.normal(size=(n, n_channels)))


def draw_counts(n: int = 300, n_channels: int = 6) -> np.ndarray:
    return np.random.default_rng(1).poisson(np.exp(0.5 * draw_data(n, n_channels)).clip(0, 20))


def make_spikes(n_segments: int = 10, bin_width_s: float = 0.05) -> xr.Dataset:
    n = 30
    return make_recording(
        draw_counts(n * n_segments),
        1e6 + (np.arange(n * n_segments) + 0.5) * bin_width_s + np.repeat(np.arange(n_segments), n),
        channel_dim="unit",
        channel=[11, 12, 15, 16, 20, 21],
        segment_index=np.repeat(np.arange(n_segments), n),
        units="count",
        kind="units",
        bin_width_s=bin_width_s,
    )


def make_dataarray(counts: bool = False) -> xr.DataArray:
    coords = {"time": 50 + np.arange(300) * 0.1, "unit": list("abcdef")}
    data = draw_counts() if counts else draw_data()
    return xr.DataArray(data, dims=("time", "unit"), coords=coords, attrs={"units": "mV"})


@pytest.fixture(scope="module")
def fitted() -> DCF:
    return DCF(2, **TRAINED).fit(draw_data())


@pytest.fixture(scope="module")
def fitted_spikes() -> DCF:
    return DCF(2, **TRAINED).fit(make_spikes())


# -- scikit-learn's manners ---------------------------------------------------------------------------


def test_parameters_are_kept_as_given() -> None:
    estimator = DCF(4, steps=7, settings={"train_encoder_with_flows": True})
    params = estimator.get_params()
    assert (params["dim"], params["steps"], params["settings"]) == (4, 7, {"train_encoder_with_flows": True})
    assert estimator.set_params(dim=2, smooth="auto") is estimator
    assert (estimator.dim, estimator.smooth) == (2, "auto")
    assert repr(DCF()) == "DCF(dim=3)"
    assert repr(DCF(2, seed=1)) == "DCF(dim=2, seed=1)"
    with pytest.raises(ValueError, match=r"Invalid parameter 'dimension'.*'dim'"):
        estimator.set_params(dimension=3)


def test_clone_copies_parameters_and_no_fit(fitted: DCF) -> None:
    copy = clone(fitted.set_params(settings={"train_encoder_with_flows": False}))
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "fitted_")
    assert not hasattr(copy, "dim_")


def test_what_is_fitted_ends_in_an_underscore(fitted: DCF) -> None:
    assert (fitted.dim_, fitted.k_max_, fitted.n_features_in_) == (2, 6, 6)
    assert fitted.loadings_.shape == (6, 6)
    assert fitted.mean_.shape == (6,)
    assert (np.diff(fitted.spectrum_) < 0).all()
    assert 1 <= fitted.k_eff_ <= 6
    assert set(fitted.steps_) == {"u", "v"}
    assert all(0 <= step <= 20 for step in fitted.steps_.values())
    np.testing.assert_allclose(fitted.mean_, fitted.prepare(draw_data()).mean(0), atol=1e-5)


def test_bad_parameters_are_refused_at_fit_not_before() -> None:
    estimator = DCF(0)
    with pytest.raises(ParameterError, match="dim is 0"):
        estimator.fit(draw_data())
    with pytest.raises(ParameterError, match="no setting breadth"):
        DCF(settings={"breadth": 3}).fit(draw_data())
    with pytest.raises(ParameterError, match="preset"):
        DCF(preset="mine").fit(draw_data())
    with pytest.raises(ParameterError, match="device is 'cuda:9'"):
        DCF(device="cuda:9").fit(draw_data())


@pytest.mark.parametrize(
    "use",
    [
        lambda dcf: dcf.transform(draw_data()),
        lambda dcf: dcf.inverse_transform(np.zeros((3, 2))),
        lambda dcf: dcf.simulate(draw_data()),
        lambda dcf: dcf.velocity(draw_data()),
        lambda dcf: dcf.score(draw_data()),
        lambda dcf: dcf.expand(draw_data()),
        lambda dcf: dcf.to_bytes(),
    ],
)
def test_nothing_works_before_fit(use: Any) -> None:
    with pytest.raises(NotFittedError, match="call fit first"):
        use(DCF())


# -- kinds in, kinds out -----------------------------------------------------------------------------


def test_arrays_give_arrays(fitted: DCF) -> None:
    x = draw_data()
    z = fitted.transform(x)
    assert isinstance(z, np.ndarray)
    assert z.shape == (300, 2)
    assert fitted.flow(x).shape == fitted.velocity(x).shape == (300, 2)
    rebuilt = fitted.inverse_transform(z)
    assert rebuilt.shape == x.shape
    assert np.isfinite(rebuilt).all()
    np.testing.assert_allclose(fitted.transform(x, dim=4)[:, :2], z, atol=1e-6)


def test_latents_have_zero_mean_unit_variance_and_are_ordered(fitted: DCF) -> None:
    z = fitted.transform(draw_data(), dim=6)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(6), atol=1e-2)


def test_lists_give_lists_of_the_same_lengths(fitted: DCF) -> None:
    x = draw_data()
    parts = fitted.transform([x[:100], x[100:]])
    assert [part.shape for part in parts] == [(100, 2), (200, 2)]
    np.testing.assert_allclose(np.concatenate(parts), fitted.transform(x), atol=1e-6)
    rebuilt = fitted.inverse_transform(parts)
    assert [part.shape for part in rebuilt] == [(100, 6), (200, 6)]


def test_dataarrays_give_dataarrays() -> None:
    x = make_dataarray()
    dcf = DCF(2, **QUICK).fit(x)
    z = dcf.transform(x)
    assert z.dims == ("time", "latent")
    np.testing.assert_array_equal(z["time"], x["time"])
    np.testing.assert_array_equal(z["latent"], [1, 2])
    rebuilt = dcf.inverse_transform(z)
    assert rebuilt.dims == x.dims
    assert rebuilt.attrs["units"] == "mV"
    np.testing.assert_array_equal(rebuilt["unit"], x["unit"])
    assert isinstance(dcf.transform(x.values), np.ndarray)


def test_recordings_give_recordings(fitted_spikes: DCF) -> None:
    x = make_spikes()
    z = fitted_spikes.transform(x)
    assert dict(z.sizes) == {"time": 300, "latent": 2, "segment": 10}
    xr.testing.assert_identical(z["segment_index"].reset_coords(drop=True), x["segment_index"].reset_coords(drop=True))
    velocity = fitted_spikes.velocity(x)
    assert velocity["data"].attrs["units"] == "1/s"
    rebuilt = fitted_spikes.inverse_transform(z)
    assert rebuilt["data"].dims == ("time", "unit")
    assert rebuilt["data"].attrs["units"] == "count"
    np.testing.assert_array_equal(rebuilt["unit"], x["unit"])
    assert (rebuilt["data"].values >= 0).all()


def test_integers_are_smoothed_square_roots_of_counts() -> None:
    counts = draw_counts()
    dcf = DCF(2, **QUICK).fit(counts)
    assert (dcf.preparation_.transform, dcf.preparation_.smooth_s) == ("sqrt", 2.0)
    plain = DCF(2, transformation="none", smooth=0, scale="zscore", **QUICK).fit(counts)
    assert (plain.preparation_.transform, plain.preparation_.smooth_s, plain.preparation_.scale) == (
        "none",
        0,
        "zscore",
    )
    np.testing.assert_allclose(plain.prepare(counts), (counts - counts.mean(0)) / counts.std(0), atol=1e-5)


def test_rebuilding_is_undone_to_the_unit_of_the_data() -> None:
    x = 1e4 * draw_data() + 5e5
    dcf = DCF(5, **QUICK).fit(x)
    error = np.square(dcf.inverse_transform(dcf.transform(x)) - x).sum() / np.square(x - x.mean(0)).sum()
    assert error < 0.02


# -- refusals -------------------------------------------------------------------------------------------


def test_more_latents_than_axes_are_refused(fitted: DCF) -> None:
    with pytest.raises(DataError, match=r"\(4, 7\).*give \(time, K\), K at most 6"):
        fitted.inverse_transform(np.zeros((4, 7)))


def test_every_prefix_rebuilds_and_no_further_number_is_made_up(fitted: DCF) -> None:
    x = draw_data()
    rebuilt = [fitted.inverse_transform(fitted.transform(x, dim=k)) for k in range(1, fitted.k_max_ + 1)]
    assert all(frames.shape == x.shape for frames in rebuilt)
    for k, frames in enumerate(rebuilt, start=1):
        direct = fitted.preparation_.undo(fitted.reconstruct(fitted.transform(x, dim=k)))
        np.testing.assert_array_equal(frames, direct)
    errors = [np.square(frames - x).sum() for frames in rebuilt]
    assert errors[-1] < errors[1] < errors[0]


def test_a_prefix_outside_the_axes_is_refused(fitted: DCF) -> None:
    for dim in (0, 7):
        with pytest.raises(ParameterError, match=r"from 1 to 6"):
            fitted.transform(draw_data(), dim=dim)


def test_data_that_cannot_be_fitted_are_refused() -> None:
    x = draw_data()
    with pytest.raises(ParameterError, match="dim is 7, above the 6 usable"):
        DCF(7, **QUICK).fit(x)
    with pytest.raises(DataError, match="2 dimensions"):
        DCF(3, **QUICK).fit(x[:, :2] @ np.random.default_rng(0).normal(size=(2, 6)))
    with pytest.raises(DataError, match="1 usable channel"):
        DCF(1, **QUICK).fit(x[:, :1])
    with pytest.raises(DataError, match="usable"):
        DCF(2, **QUICK).fit(np.ones((50, 4)))
    x[20, 3] = np.nan
    with pytest.raises(DataError, match=r"1 values are NaN.*channel 3 at 20 s"):
        DCF(2, **QUICK).fit(x)
    with pytest.raises(DataError, match="two frames"):
        DCF(1, **QUICK).fit([draw_data()[:1], draw_data()[1:2]])


def test_a_constant_channel_and_a_short_segment_do_no_harm() -> None:
    x = draw_data()
    x[:, 2] = 7
    dcf = DCF(2, **QUICK).fit([x[:100], x[100:101], x[101:]])
    assert dcf.k_max_ == 5
    assert np.isfinite(dcf.transform(x)).all()
    np.testing.assert_allclose(dcf.inverse_transform(dcf.transform(x))[:, 2], 7, atol=0.3)


def test_other_channels_than_those_fitted_are_refused(fitted_spikes: DCF) -> None:
    x = make_spikes()
    with pytest.raises(DataError, match=r"units differ.*another order"):
        fitted_spikes.transform(x.isel(unit=[1, 0, 2, 3, 4, 5]))
    with pytest.raises(DataError, match=r"units differ.*missing \[21\]"):
        fitted_spikes.transform(x.isel(unit=slice(0, 5)))
    with pytest.raises(DataError, match="5 channels and the model 6"):
        fitted_spikes.transform(x["data"].values[:, :5])


def test_dataarrays_of_another_order_are_refused() -> None:
    x = make_dataarray()
    dcf = DCF(2, **QUICK).fit(x)
    with pytest.raises(DataError, match=r"units differ.*another order"):
        dcf.transform(x[:, ::-1])


def test_values_too_large_for_the_loss_end_in_one_line() -> None:
    x = draw_data()
    x[150:] += 1e30 * np.random.default_rng(0).normal(size=(150, 6))
    with pytest.raises(TrainingError, match="no longer finite at step 1 "):
        DCF(2, scale="none", **QUICK).fit(x)


# -- time -----------------------------------------------------------------------------------------------


def test_simulations_come_in_the_kind_that_went_in(fitted: DCF, fitted_spikes: DCF) -> None:
    x = draw_data()
    one = fitted.simulate(x, n_frames=7)
    assert one.shape == (7, 2)
    many = fitted.simulate([x[:100], x], n_frames=7)
    assert [part.shape for part in many] == [(7, 2), (7, 2)]
    np.testing.assert_allclose(many[1], one, atol=1e-6)
    spikes = make_spikes()
    recording = fitted_spikes.simulate(spikes, n_frames=4)
    assert dict(recording.sizes) == {"time": 40, "latent": 2, "segment": 10}
    last = spikes["time"].values[29::30]
    np.testing.assert_allclose(recording["time"].values.reshape(10, 4) - last[:, None], [[0.05, 0.1, 0.15, 0.2]] * 10)
    with pytest.raises(ParameterError, match="n_frames"):
        fitted.simulate(x, n_frames=0)


def test_a_start_shorter_than_the_history_can_be_simulated(fitted: DCF) -> None:
    assert fitted.simulate(draw_data()[:1], n_frames=3).shape == (3, 2)


# -- the same again -------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_latents_to_the_bit() -> None:
    x = draw_data()
    one, again, other = (
        DCF(2, seed=seed, settings={"train_encoder_with_flows": True}, **TRAINED).fit(x) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.transform(x), again.transform(x))
    np.testing.assert_array_equal(one.velocity(x), again.velocity(x))
    assert one.to_bytes()[-1000:] == again.to_bytes()[-1000:]
    assert not np.array_equal(one.reconstruct(one.transform(x)), other.reconstruct(other.transform(x)))


def test_global_randomness_is_neither_used_nor_changed(tmp_path: Path) -> None:
    x = draw_data()
    bits = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global state is what is watched
        before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        dcf = DCF(2, **TRAINED).fit(x)
        bits.append(dcf.reconstruct(dcf.transform(x)))
        dcf.save(tmp_path / "m.safetensors")
        DCF.load(tmp_path / "m.safetensors")
        assert torch.equal(torch.random.get_rng_state(), before[0])
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    np.testing.assert_array_equal(bits[0], bits[1])


def test_data_are_left_alone() -> None:
    x, spikes = draw_data(), make_spikes()
    before, spikes_before = x.copy(), spikes.copy(deep=True)
    DCF(2, **QUICK).fit(x).transform(x)
    DCF(2, **QUICK).fit(spikes).transform(spikes)
    np.testing.assert_array_equal(x, before)
    xr.testing.assert_identical(spikes, spikes_before)


def test_long_recordings_in_pieces_equal_the_whole(fitted: DCF, monkeypatch: pytest.MonkeyPatch) -> None:
    x = [draw_data()[:130], draw_data()]

    def use() -> list[np.ndarray]:
        z = fitted.transform(x)
        return [*z, *fitted.velocity(x), *fitted.flow(x), *fitted.inverse_transform(z), *fitted.simulate(x, 4)]

    whole = use()
    monkeypatch.setattr(parallel, "FRAMES_AT_ONCE", 37)
    monkeypatch.setattr(codec, "PATHS_AT_ONCE", 1)
    for one, other in zip(use(), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_there_and_back_through_tau(fitted: DCF) -> None:
    x = draw_data()
    states = fitted.compress(x)
    np.testing.assert_allclose(fitted.expand(states), fitted.prepare(x), atol=0.05)
    centred = states - fitted.mean_
    outside = centred - centred @ fitted.loadings_[:, :2] @ fitted.loadings_[:, :2].T
    assert np.square(outside).sum() < 0.01 * np.square(centred).sum()


def test_score_is_the_r2_of_the_bottleneck(fitted: DCF) -> None:
    x = draw_data()
    prepared, rebuilt = fitted.prepare(x), fitted.reconstruct(fitted.transform(x))
    expected = 1 - np.square(prepared - rebuilt).sum() / np.square(prepared - prepared.mean(0)).sum()
    assert fitted.score(x) == pytest.approx(expected, rel=1e-6)
    assert 0.8 < fitted.score(x) < 1


def test_more_numbers_rebuild_better(fitted: DCF) -> None:
    x = draw_data()
    codes, prepared = fitted.transform(x, dim=6), fitted.prepare(x)
    errors = [np.square(fitted.reconstruct(codes[:, :k]) - prepared).sum() for k in range(1, 7)]
    assert (np.diff(errors) < 0).all()
    assert errors[-1] < 1e-3 * errors[0]


# -- presets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["paper", "authors"])
def test_presets_run(preset: str) -> None:
    x = draw_data(150)
    dcf = DCF(2, preset=preset, steps=3, width=8, history=2, batch_size=32, settings={"encoder_width": 8}).fit(x)
    assert dcf.config_.preset == preset
    assert (dcf.config_.model.start, dcf.config_.model.solver) == ("random", "dopri5")
    assert not dcf.config_.model.condition_on_k
    assert dcf.k_max_ == 6
    assert dcf.steps_ == {"u": 3, "v": 3}
    for answer in (dcf.transform(x), dcf.flow(x), dcf.velocity(x)):
        assert answer.shape == (150, 2)
        assert np.isfinite(answer).all()
    assert np.isfinite(dcf.inverse_transform(dcf.transform(x))).all()
    gram = dcf.loadings_.T @ dcf.loadings_
    np.testing.assert_allclose(gram, np.eye(6), atol=2e-4)


def test_the_default_starts_at_the_principal_axes() -> None:
    x = draw_data()
    one, two = (DCF(2, seed=seed, **QUICK).fit(x) for seed in (0, 1))
    np.testing.assert_array_equal(one.loadings_, two.loadings_)
    prepared = one.prepare(x)
    values, vectors = np.linalg.eigh(np.cov(prepared.T, bias=True))
    np.testing.assert_allclose(one.spectrum_, values[::-1], rtol=1e-3)
    np.testing.assert_allclose(np.abs(np.diag(vectors[:, ::-1].T @ one.loadings_)), 1, atol=1e-3)


@pytest.mark.parametrize(("asked", "k_max"), [(None, 6), (0, 6), (3, 3), (100, 6)])
def test_number_of_axes(asked: int | None, k_max: int) -> None:
    assert DCF(2, k_max=asked, **{**QUICK, "steps": 1}).fit(draw_data()).k_max_ == k_max


def test_progress_tells_both_stages() -> None:
    events: list[Any] = []
    DCF(2, progress=events.append, **QUICK).fit(draw_data())
    stages = list(dict.fromkeys(event.stage for event in events))
    search = [f"choosing steps ({part})" for part in ("compression", "encoder and compression", "dynamics")]
    assert [stage for stage in stages if stage in search] == search
    # a flow that is best at its start trains no more
    others = {stage.replace("training", "choosing steps") for stage in stages if stage not in search}
    assert others <= set(search)


def interrupt(event: Any) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_ends_a_fit_and_keeps_what_was_learned_where_asked() -> None:
    x = draw_data()
    with pytest.raises(KeyboardInterrupt):
        DCF(2, progress=interrupt, **QUICK).fit(x)
    kept = DCF(2, progress=interrupt, keep_partial=True, **QUICK).fit(x)
    assert any("partial" in note for note in kept.fitted_.notes)
    assert np.isfinite(kept.transform(x)).all()


def test_without_early_stopping_all_steps_are_taken() -> None:
    dcf = DCF(2, **TRAINED).fit(draw_data())
    assert dcf.steps_ == {"u": 20, "v": 10}  # v of values takes half of the steps
    assert dcf.fitted_.search.held_out_step == []


def test_steps_are_chosen_on_what_is_held_out_and_all_is_used_then() -> None:
    x = draw_data()
    # of PCA's latents: a trained encoder and u have one step, by the sum of their losses
    dcf = DCF(2, settings={"train_encoder_with_flows": False}, **QUICK).fit(x)
    search = dcf.fitted_.search
    assert search.held_out_step[0] == 0
    for flow, losses in (("u", search.held_out_cf), ("v", search.held_out_df)):
        assert dcf.steps_[flow] == search.held_out_step[int(np.nanargmin(losses))]
    np.testing.assert_allclose(dcf.mean_, dcf.prepare(x).mean(0), atol=1e-5)


# -- keeping --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"preset": "paper"}, {"settings": {"train_encoder_with_flows": True}}])
def test_a_saved_model_answers_as_before(tmp_path: Path, settings: dict[str, Any]) -> None:
    x = make_spikes(4)
    dcf = DCF(2, seed=5, **settings, **{**TRAINED, "steps": 5}).fit(x)
    dcf.save(tmp_path / "model.safetensors")
    again = DCF.load(tmp_path / "model.safetensors")
    z = dcf.transform(x)
    np.testing.assert_allclose(again.transform(x)["data"], z["data"], atol=1e-6)
    for use in ("flow", "velocity"):
        np.testing.assert_allclose(getattr(again, use)(x)["data"], getattr(dcf, use)(x)["data"], atol=1e-6)
    np.testing.assert_allclose(again.inverse_transform(z)["data"], dcf.inverse_transform(z)["data"], atol=1e-6)
    np.testing.assert_allclose(again.simulate(x, 3)["data"], dcf.simulate(x, 3)["data"], atol=1e-6)
    assert (again.dim, again.seed, again.preset) == (2, 5, dcf.preset)
    assert (again.config_, again.k_eff_, again.steps_) == (dcf.config_, dcf.k_eff_, dcf.steps_)
    assert again.to_bytes() == dcf.to_bytes()
    with pytest.raises(DataError, match="another order"):
        again.transform(x.isel(unit=[1, 0, 2, 3, 4, 5]))


def test_a_loaded_model_fits_again_with_its_own_settings(fitted: DCF) -> None:
    loaded = DCF.from_bytes(fitted.to_bytes())
    assert loaded.make_config() == fitted.config_  # with what the data chose in place of auto
    assert loaded.set_params(steps=7).make_config().train.steps == 7


def test_numpy_numbers_are_numbers() -> None:
    config = DCF(dim=np.int64(2), seed=np.int64(3), smooth=np.float32(2)).make_config()  # type: ignore[arg-type]
    assert (config.model.dim, config.train.seed, config.prepare.smooth) == (2, 3, 2.0)
    json.dumps(config.to_dict())
    with pytest.raises(ParameterError, match="seed"):
        DCF(seed=2**70).make_config()


def test_a_fitted_model_shows_no_weights(fitted: DCF) -> None:
    model = fitted.fitted_
    shown = (
        f"<FittedModel {model.config.model.dim} latents of {len(model.channels)} {model.channel_dim}s, {model.kind}>"
    )
    assert repr(model) == shown
