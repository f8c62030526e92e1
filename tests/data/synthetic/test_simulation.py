from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.data.recording import make_recording, segment_slices
from nwb_dcf.data.synthetic import Simulation, draw_spike_times, simulate_ball, simulate_lorenz, simulate_reach
from nwb_dcf.errors import DataError, ParameterError

SMALL = [
    lambda seed: simulate_ball(n_videos=3, n_frames=6, seed=seed),
    lambda seed: simulate_lorenz(n_trials=3, n_bins=20, n_units=6, seed=seed),
    lambda seed: simulate_reach(n_trials=9, n_bins=20, n_units=6, seed=seed),
]


def explain_by_axes(x: np.ndarray, n: int) -> float:
    variance = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    return float(variance[:n].sum() / variance.sum())


def fit_linear_r2(x: np.ndarray, y: np.ndarray) -> float:
    design = np.column_stack([x, np.ones(len(x))])
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(1 - residual.var(0).sum() / y.var(0).sum())


@pytest.mark.parametrize("simulate", SMALL)
def test_same_seed_gives_the_same_values_and_another_does_not(simulate: object) -> None:
    one, again, other = simulate(5), simulate(5), simulate(6)  # type: ignore[operator]
    xr.testing.assert_identical(one.recording, again.recording)
    xr.testing.assert_identical(one.truth, again.truth)
    assert not np.array_equal(one.recording["data"], other.recording["data"])


def test_ball_is_where_its_angle_says() -> None:
    simulation = simulate_ball(n_videos=2, n_frames=25, size=28)
    frames, angle = simulation.truth["frames"].values, simulation.truth["angle"].values
    assert frames.dtype == np.float32
    assert frames.min() >= 0
    assert 0.9 < frames.max() <= 1
    mass = frames.sum((1, 2))
    x = (frames.sum(1) * np.arange(28)).sum(1) / mass - 13.5
    y = (frames.sum(2) * np.arange(28)).sum(1) / mass - 13.5
    np.testing.assert_allclose(x, 7 * np.cos(angle), atol=0.05)
    np.testing.assert_allclose(y, 7 * np.sin(angle), atol=0.05)
    np.testing.assert_array_equal(simulation.recording["data"].values, frames.reshape(50, 784))


def test_each_ball_keeps_its_speed_and_speeds_spread_by_a_tenth() -> None:
    angle = simulate_ball(n_videos=200, n_frames=5, size=8).truth["angle"].values.reshape(200, 5)
    step = np.diff(angle, axis=1)
    np.testing.assert_allclose(step, step[:, :1].repeat(4, 1))
    np.testing.assert_allclose(step[:, 0].mean(), 2 * np.pi / 25, rtol=0.03)
    np.testing.assert_allclose(step[:, 0].std() / (2 * np.pi / 25), 0.1, rtol=0.2)


def test_three_axes_hold_half_of_the_ball_and_ten_hold_95_percent() -> None:
    frames = np.concatenate(simulate_ball().videos)
    assert frames.shape == (500, 784)
    assert 0.5 < explain_by_axes(frames, 3) < 0.54
    assert explain_by_axes(frames, 8) < 0.95 < explain_by_axes(frames, 10)


def test_videos_are_segments_with_a_gap_between() -> None:
    simulation = simulate_ball(n_videos=2, n_frames=3, size=8)
    np.testing.assert_array_equal(simulation.recording["time"], [0, 1, 2, 4, 5, 6])
    np.testing.assert_array_equal(simulation.recording["segment_index"], [0, 0, 0, 1, 1, 1])
    assert [video.shape for video in simulation.videos] == [(3, 64), (3, 64)]


def test_trials_share_one_clock_of_bin_centres() -> None:
    recording = simulate_reach(n_trials=2, n_bins=4, n_units=3, bin_width_s=0.1).recording
    np.testing.assert_allclose(recording["segment_start"], [10.0, 10.9])
    np.testing.assert_allclose(recording["segment_stop"], [10.4, 11.3])
    np.testing.assert_allclose(recording["time"], [10.05, 10.15, 10.25, 10.35, 10.95, 11.05, 11.15, 11.25])
    assert recording.attrs["kind"] == "units"
    assert recording.attrs["bin_width_s"] == 0.1
    assert recording["data"].attrs["units"] == "count"


@pytest.mark.parametrize("simulate", [simulate_lorenz, simulate_reach])
def test_counts_are_poisson_about_their_rates(simulate: object) -> None:
    simulation: Simulation = simulate(n_trials=100, n_bins=50, n_units=20)  # type: ignore[operator]
    expected = simulation.truth["rates_hz"].values * simulation.recording.attrs["bin_width_s"]
    counts = simulation.recording["data"].values.astype(float)
    z = (counts - expected) / np.sqrt(expected)
    assert abs(z.mean()) < 0.02
    assert abs(z.var() - 1) < 0.03


def test_lorenz_latents_follow_the_equations() -> None:
    simulation = simulate_lorenz(n_trials=5, n_bins=400, n_units=10, bin_width_s=0.001, speed=1.0)
    path = simulation.truth["latents"].values.reshape(5, 400, 3)
    np.testing.assert_allclose(path.reshape(-1, 3).mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(path.reshape(-1, 3).std(0), 1)
    # dx/dt = 10 (y - x) stays linear in the standardised coordinates
    rate = np.gradient(path, 0.001, axis=1)[:, 1:-1, 0].ravel()
    assert fit_linear_r2(path[:, 1:-1, :2].reshape(-1, 2), rate[:, None]) > 0.9999


def test_lorenz_rates_have_one_mean_and_need_more_than_three_axes() -> None:
    rates_hz = simulate_lorenz(mean_rate_hz=15).truth["rates_hz"].values
    np.testing.assert_allclose(rates_hz.mean(0), 15)
    assert 0.4 < explain_by_axes(rates_hz, 3) < 0.95
    assert rates_hz.max() < 500


@pytest.mark.parametrize("n_latents", [1, 3, 5])
def test_reach_rates_are_a_function_of_that_many_latents(n_latents: int) -> None:
    simulation = simulate_reach(n_trials=64, n_latents=n_latents)
    latents, rates_hz = simulation.truth["latents"].values, simulation.truth["rates_hz"].values
    assert latents.shape == (6400, n_latents)
    assert np.linalg.matrix_rank(latents) == n_latents
    # softplus bends little, and many units bend in many ways: a linear map goes nearly all the way back
    assert fit_linear_r2(rates_hz, latents) > 0.98
    assert 1 < np.median(rates_hz.mean(0)) < 30
    np.testing.assert_allclose(rates_hz.mean(), 12)


def test_reach_directions_are_balanced_and_told_by_the_latents() -> None:
    simulation = simulate_reach(n_trials=80)
    direction = simulation.recording["trial_direction"].values
    angles, count = np.unique(direction, return_counts=True)
    np.testing.assert_allclose(angles, np.arange(8) * 45)
    assert (count == 10).all()
    middle = simulation.truth["latents"].values.reshape(80, 100, 3)[:, 55]
    goal = np.column_stack([np.cos(np.radians(direction)), np.sin(np.radians(direction))])
    assert fit_linear_r2(middle, goal) > 0.8


def test_reach_latents_are_smooth() -> None:
    latents = simulate_reach(n_trials=16).truth["latents"].values.reshape(16, 100, 3)
    assert np.diff(latents, axis=1).std() < 0.1 * latents.std()


def test_spike_times_binned_again_give_the_counts() -> None:
    recording = simulate_reach(n_trials=5, n_bins=30, n_units=7, bin_width_s=0.02).recording
    spike_times = draw_spike_times(recording, seed=3)
    assert len(spike_times) == 7
    for unit, times in enumerate(spike_times):
        assert (np.diff(times) >= 0).all()
        for trial, frames in enumerate(segment_slices(recording)):
            edges = recording["segment_start"].values[trial] + np.arange(31) * 0.02
            np.testing.assert_array_equal(np.histogram(times, edges)[0], recording["data"].values[frames, unit])
        assert len(times) == recording["data"].values[:, unit].sum()


def test_spike_times_want_counts() -> None:
    with pytest.raises(DataError, match="no spike counts"):
        draw_spike_times(simulate_ball(2, 3, 8).recording)
    halves = make_recording(np.full((3, 1), 0.5), np.arange(3.0), channel_dim="unit", bin_width_s=1.0)
    with pytest.raises(DataError, match="no spike counts"):
        draw_spike_times(halves)


@pytest.mark.parametrize(
    ("simulate", "wrong"),
    [
        (simulate_ball, {"n_videos": 0}),
        (simulate_ball, {"size": 3}),
        (simulate_lorenz, {"n_units": 1.5}),
        (simulate_lorenz, {"speed": float("nan")}),
        (simulate_reach, {"n_latents": 0}),
        (simulate_reach, {"bin_width_s": 0.0}),
    ],
)
def test_nonsense_is_refused(simulate: object, wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        simulate(**wrong)  # type: ignore[operator]


def test_balls_of_several_radii_keep_theirs_and_a_lone_radius_is_a_quarter_of_the_frame() -> None:
    def measure(**given: float) -> np.ndarray:
        frames = simulate_ball(4, 20, 28, seed=2, **given).truth["frames"].values.reshape(4, 20, 28, 28)  # type: ignore[arg-type]
        y, x = np.mgrid[:28, :28] - 13.5
        weight = frames.sum(axis=(2, 3))
        return np.hypot((frames * x).sum(axis=(2, 3)) / weight, (frames * y).sum(axis=(2, 3)) / weight)

    np.testing.assert_allclose(measure(), 7, atol=0.01)
    several = measure(orbit=8.0, orbit_sd=0.5, jitter=0.1)
    np.testing.assert_allclose(several.std(axis=1), 0, atol=0.02)
    assert 0.1 < several.mean(axis=1).std() < 1.5
    assert abs(several.mean() - 8) < 1
