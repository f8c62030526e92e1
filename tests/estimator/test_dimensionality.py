"""The number of dimensions: right where it is known, refused where the data cannot say."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf import DCF, fit_nwb, plan_fit, read_result
from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.synthetic import simulate_ball, simulate_calcium, simulate_dimensions
from nwb_dcf.errors import ParameterError
from nwb_dcf.estimator.dimensionality import choose_dimension
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.metrics.shared_variance import HalvedRecording
from tests.nwb_files import make_spike_session

QUICK: dict[str, Any] = {"steps": 2, "width": 8, "depth": 1, "early_stopping": False}
SMALL: dict[str, Any] = {"n_trials": 50, "n_units": 40}


@pytest.mark.parametrize("spectrum", ["equal", "unequal"])
@pytest.mark.parametrize("n_dims", [1, 3, 5])
def test_counts_of_known_dimension(n_dims: int, spectrum: Any) -> None:
    choice = choose_dimension(simulate_dimensions(n_dims, spectrum=spectrum, seed=11).recording)
    assert abs(choice.dim - n_dims) <= (n_dims > 3)
    assert choice.chosen
    assert choice.supported


def test_calcium_of_known_dimension() -> None:
    choice = choose_dimension(simulate_calcium(3, n_bins=2_000, n_cells=40, seed=11).recording)
    assert choice.dim == 3
    assert "shifted in time" in choice.rule


@pytest.mark.parametrize("private", [0.0, 0.7])
def test_neither_noise_nor_private_rates_are_dimensions(private: float) -> None:
    choice = choose_dimension(simulate_dimensions(0, private=private, seed=11).recording)
    assert (choice.dim, choice.chosen, choice.supported) == (1, True, False)
    assert "nothing supports it" in choice.rule


def test_slow_private_calcium_is_no_dimension() -> None:
    # Slow traces correlate by chance; sign flips over blocks would find shared dimensions here.
    choice = choose_dimension(simulate_calcium(0, timescale_s=10, seed=11).recording)
    assert (choice.dim, choice.supported) == (1, False)


def test_the_curvature_of_a_rate_is_told_from_a_dimension() -> None:
    curve = choose_dimension(simulate_dimensions(2, seed=11, **SMALL).recording).curve
    assert curve["p_value"][2] < 0.01
    assert curve["dependence"][2] > 0.5
    assert curve["counted"].values.tolist()[:3] == [True, True, False]
    assert (curve["dependence"][:2] < 0.1).all()


def test_a_ring_of_channels_has_two_dimensions() -> None:
    rng = np.random.default_rng(0)
    angle = np.cumsum(0.3 * rng.standard_normal(1_500))
    preferred = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x = np.exp(2 * np.cos(angle[:, None] - preferred)) + 0.3 * rng.standard_normal((1_500, 24))
    choice = choose_dimension(make_recording(x, np.arange(1_500.0)))
    assert choice.dim == 2
    assert (choice.curve["p_value"] < 0.01).sum() >= 4  # harmonics


def test_the_same_seed_chooses_the_same() -> None:
    recording = simulate_dimensions(1, seed=11, **SMALL).recording
    first, second = (choose_dimension(recording, seed=4) for _ in range(2))
    xr.testing.assert_identical(first.curve, second.curve)
    assert first.rule == second.rule


def test_the_choice_does_not_depend_on_unit_or_clock() -> None:
    recording = simulate_calcium(1, n_bins=1_000, n_cells=20, seed=11).recording
    moved = recording.assign(data=8.0 * recording["data"]).assign_coords(time=recording["time"] + 1e6)
    a, b = choose_dimension(recording), choose_dimension(moved)
    assert a.rule == b.rule
    np.testing.assert_allclose(a.curve["shared"], b.curve["shared"], rtol=1e-4)


def test_the_order_of_channels_moves_only_the_halves() -> None:
    recording = simulate_dimensions(2, link="softplus", seed=11).recording
    order = np.random.default_rng(0).permutation(recording.sizes["unit"])
    assert choose_dimension(recording.isel(unit=order)).dim == choose_dimension(recording).dim == 2


def test_silent_channels_change_nothing() -> None:
    recording = simulate_calcium(1, n_bins=1_000, n_cells=20, seed=11).recording
    values = np.hstack([recording["data"].values, np.zeros((1_000, 3))])
    config = PrepareConfig(scale="none")
    padded = make_recording(values, recording["time"].values, channel_dim="roi")
    xr.testing.assert_allclose(choose_dimension(padded, config).curve, choose_dimension(recording, config).curve)


def test_most_caps_the_choice_and_says_so() -> None:
    choice = choose_dimension(simulate_dimensions(5, seed=11).recording, most=2)
    assert choice.dim == 2
    assert "there may be more" in choice.rule
    with pytest.raises(ParameterError, match="most is 0"):
        choose_dimension(simulate_dimensions(1, n_trials=3).recording, most=0)


@pytest.mark.parametrize(
    ("recording", "dim", "why"),
    [
        (make_recording(np.random.default_rng(0).normal(size=(500, 5)), np.arange(500.0)), 3, "5 channels that vary"),
        (make_recording(np.random.default_rng(0).normal(size=(500, 2)), np.arange(500.0)), 2, "2 channels that vary"),
        (make_recording(np.random.default_rng(0).normal(size=(90, 20)), np.arange(90.0)), 3, "90 frames are too few"),
        (make_recording(np.random.default_rng(0).normal(size=(300, 8, 8)), np.arange(300.0)), 3, "pixels"),
    ],
)
def test_what_cannot_choose_takes_three_and_says_why(recording: xr.Dataset, dim: int, why: str) -> None:
    choice = choose_dimension(recording)
    assert (choice.dim, choice.chosen, choice.supported) == (dim, False, False)
    assert choice.rule.startswith("not chosen from the data")
    assert why in choice.rule
    assert choice.curve.sizes["component"] == 0


def test_a_choice_goes_through_json() -> None:
    choice = choose_dimension(simulate_dimensions(1, seed=11, **SMALL).recording)
    stored = json.loads(json.dumps(choice.to_dict(), allow_nan=False))
    assert stored["dim"] == 1
    assert stored["curve"]["component"] == list(range(1, 13))
    assert stored["curve"]["p_value"][-1] is None


@settings(max_examples=10, deadline=None)
@given(n=st.integers(40, 120), d=st.integers(2, 120), blocks=st.integers(5, 20), most=st.integers(1, 15))
def test_halves_of_any_shape(n: int, d: int, blocks: int, most: int) -> None:
    x = np.random.default_rng(n + d).standard_normal((n, d))
    halved = HalvedRecording.divide(x, np.arange(n) * blocks // n, most=most, seed=0)
    k = min(most, d // 2, 48)
    assert halved.gain.shape == (blocks, k)
    assert 0 < halved.flip_signs(k - 1) <= 1
    for halving, found in zip(halved.halvings, halved.directions, strict=True):
        assert halving.first.shape[1] + halving.second.shape[1] <= d
        for left, right in found:
            np.testing.assert_allclose(left.T @ left, np.eye(k), atol=1e-9)
            np.testing.assert_allclose(right.T @ right, np.eye(k), atol=1e-9)


def test_the_gain_is_the_covariance_that_was_put_in() -> None:
    # One signal of variance 1 on every channel: halves of 10 and 10 share sqrt(10) * sqrt(10) of it a frame.
    rng = np.random.default_rng(0)
    x = rng.standard_normal(20_000)[:, None] + 0.5 * rng.standard_normal((20_000, 20))
    halved = HalvedRecording.divide(x, np.arange(20_000) // 500, most=3, seed=0)
    gain = halved.gain.sum(axis=0) / 20_000
    np.testing.assert_allclose(gain[0], 10, rtol=0.05)
    np.testing.assert_allclose(gain[1:], 0, atol=0.05)


def test_sign_flips_are_exact_where_every_block_agrees() -> None:
    halved = HalvedRecording.divide(
        np.random.default_rng(0).normal(size=(100, 8)), np.arange(100) // 10, most=1, seed=0
    )
    object.__setattr__(halved, "gain", np.ones((10, 1)))
    assert halved.flip_signs(0) == pytest.approx(1 / 1000 + 2**-10, abs=4e-3)


def test_simulated_rates_are_what_was_asked() -> None:
    simulation = simulate_dimensions(3, spectrum="unequal", n_trials=400, seed=11)
    latents, rates = simulation.truth["latents"].values, simulation.truth["rates_hz"].values
    np.testing.assert_allclose(latents.var(0), [1, 1 / 2, 1 / 3], rtol=0.1)
    np.testing.assert_allclose(rates.mean(0), 15, rtol=1e-6)
    np.testing.assert_allclose(np.log(rates).std(0).mean(), np.hypot(0.7, 0.3), rtol=0.05)
    lag = 5  # 100 ms: the Gaussian autocorrelation there is exp(-1/2)
    path = latents[:, 0].reshape(400, 50)
    found = np.mean(path[:, lag:] * path[:, :-lag]) / np.mean(path**2)
    assert found == pytest.approx(np.exp(-0.5), abs=0.05)


@pytest.mark.parametrize("wrong", [{"n_dims": -1}, {"spectrum": "flat"}, {"link": "relu"}, {"depth": -1.0}])
def test_simulations_refuse_what_cannot_be_meant(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=str(next(iter(wrong)))):
        simulate_dimensions(**{"n_dims": 2, **wrong})


def test_reaches(real_data: Callable[[str], Path]) -> None:
    choice = choose_dimension(read_recording(real_data("reach_chewie.nwb"), bin_width_s=0.1), most=5)
    assert choice.supported
    assert choice.dim >= 3
    shared = choice.curve["shared"].values
    assert shared[:3].sum() > 0.8 * shared.sum()


def test_three_units_do_not_choose(real_data: Callable[[str], Path]) -> None:
    choice = choose_dimension(read_recording(real_data("three_units.nwb")))
    assert (choice.dim, choice.chosen) == (3, False)
    assert "3 units" in choice.rule


def test_the_estimator_takes_the_choice_and_keeps_its_curve() -> None:
    counts = simulate_dimensions(2, seed=11, **SMALL).recording
    model = DCF(dim="auto", **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        latents = model.fit(counts).transform(counts)
    assert model.dim_ == latents.sizes["latent"] == 2
    assert model.dimension_ is not None
    assert model.dimension_.curve["counted"].values[:2].all()
    assert model.get_params()["dim"] == "auto"
    assert DCF(dim=2, **QUICK).fit(counts).dimension_ is None


def test_the_estimator_warns_where_nothing_is_supported() -> None:
    noise = np.random.default_rng(0).poisson(1.0, size=(600, 12))  # integers are counts
    with pytest.warns(UserWarning, match="nothing supports it"):
        model = DCF(dim="auto", **QUICK).fit(noise)
    assert model.dim_ == 1
    with pytest.warns(UserWarning, match="not chosen from the data"):
        assert DCF(dim="auto", **QUICK).fit(noise[:, :4]).dim_ == 3


def test_auto_stays_below_the_axes_that_were_asked_for() -> None:
    assert DCF(dim="auto", k_max=2, **QUICK).fit(simulate_dimensions(5, seed=11, **SMALL).recording).dim_ == 2


def test_a_word_that_is_not_auto_is_refused() -> None:
    with pytest.raises(ParameterError, match="dim is 'all'"):
        DCF(dim="all").fit(np.zeros((10, 2)))  # type: ignore[arg-type]


def test_a_file_is_fitted_with_the_choice_and_stores_why(tmp_path: Path) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=12)
    plan = plan_fit(path, dim="auto")
    assert (plan.dim, plan.to_dict()["name"]) == (3, "units_dim3")
    with pytest.warns(UserWarning, match="5 units that vary are too few"):
        result = fit_nwb(path, dim="auto", **QUICK)
    stored = read_result(path, result.name)
    assert (stored.name, stored.dim) == ("units_dim3", 3)
    assert stored.provenance["dimension"] == plan.to_dict()["dimension"]
    assert not stored.provenance["dimension"]["chosen"]


def test_a_film_as_plain_channels_is_a_ring() -> None:
    choice = choose_dimension(simulate_ball(n_videos=24, n_frames=25, size=16).recording)
    assert choice.supported
    assert choice.dim <= 4
