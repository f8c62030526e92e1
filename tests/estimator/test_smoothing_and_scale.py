"""What `auto` means for smoothing and scale: chosen from counts alone, with reasons, and never in silence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.synthetic import simulate_calcium, simulate_lorenz, simulate_navigation, simulate_reach
from nwb_dcf.errors import DataError
from nwb_dcf.estimator.smoothing_and_scale import (
    choose_smoothing_and_scale,
    find_competing_timescale,
    scan_settings,
    suggest_bin_width,
)
from nwb_dcf.metrics.cross_prediction import SettingScores


def make_counts(counts, bin_width_s=0.05, kind="units"):
    return make_recording(
        counts.astype(np.float32),
        np.arange(len(counts)) * bin_width_s,
        channel_dim="unit",
        units="count",
        kind=kind,
        bin_width_s=bin_width_s,
    )


@pytest.fixture(scope="module")
def track():
    return simulate_navigation("track", 30, duration_s=400.0, bin_width_s=0.05, seed=1).recording


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    return make_counts(rng.poisson(rng.uniform(0.05, 1.0, 30), (12_000, 30)))


def test_place_cells_are_smoothed_long_and_said_so(track):
    choice = choose_smoothing_and_scale(track)
    assert choice.chosen
    assert choice.smooth_s >= 0.4
    assert choice.scale in ("soft", "zscore")
    assert choice.bin_width_s == 0.1
    assert "half of the units predicts the other half" in choice.rule
    assert "0, 0.5, 2 s later" in choice.rule
    assert any("to either side" in note for note in choice.notes)
    assert choice.runner_up["score"] <= choice.table["score"].max()


def test_the_best_of_the_table_is_taken(track):
    choice = choose_smoothing_and_scale(track)
    best = choice.table.isel(point=int(choice.table["score"].values.argmax()))
    assert (float(best["smooth_s"]), str(best["scale"].values)) == (choice.smooth_s, choice.scale)


def test_independent_units_keep_the_standard(noise):
    choice = choose_smoothing_and_scale(noise)
    assert (choice.chosen, choice.smooth_s, choice.scale) == (False, 0.04, "global")
    assert "nothing is shared" in choice.rule


def test_what_is_given_is_left_as_it_is(track):
    by_scale = choose_smoothing_and_scale(track, PrepareConfig(scale="global"))
    assert by_scale.scale == "global"
    assert set(by_scale.table["scale"].values) == {"global"}
    by_width = choose_smoothing_and_scale(track, PrepareConfig(smooth=0.3))
    assert by_width.smooth_s == 0.3
    assert set(by_width.table["smooth_s"].values) == {0.3}


def test_finer_bins_of_the_same_spikes_choose_the_same():
    fine = simulate_navigation("track", 30, duration_s=400.0, bin_width_s=0.01, seed=1).recording
    assert choose_smoothing_and_scale(fine).smooth_s >= 0.4


def test_a_fast_system_is_smoothed_short_with_narrow_bins():
    choice = choose_smoothing_and_scale(simulate_lorenz(40, 100, 40, speed=4.0, seed=1).recording)
    assert choice.smooth_s <= 0.1
    assert choice.bin_width_s <= 0.025


def test_reaches_are_not_smoothed_over():
    """Lags of half a reach ask for the mean of the trial: .2 s was chosen for them, where .05 to .1 s is best."""
    for seed in range(3):
        recording = simulate_reach(150, 50, 80, bin_width_s=0.02, mean_rate_hz=12, seed=seed).recording
        assert choose_smoothing_and_scale(recording).smooth_s <= 0.1


def test_a_very_fast_system_is_hardly_smoothed():
    recording = simulate_lorenz(40, 150, 80, speed=4.0, mean_rate_hz=30, bin_width_s=0.01, seed=1).recording
    choice = choose_smoothing_and_scale(recording)
    assert (choice.smooth_s, choice.bin_width_s) == (0.025, 0.02)


def test_short_trials_are_predicted_at_once_alone():
    choice = choose_smoothing_and_scale(simulate_reach(100, 40, 30, seed=0).recording)
    assert choice.lags_s == (0.0,)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda r: r.assign_attrs(kind="array"), "no unit of time"),
        (lambda r: r.isel(time=slice(0, 100)), "too short"),
        (
            lambda r: r.assign_coords(time=("time", np.sort(np.random.default_rng(0).uniform(0, 400, 8_000)))),
            "irregular",
        ),
        (lambda r: r.assign(data=r["data"].assign_attrs(units="a.u.")), "no counts"),
    ],
)
def test_what_cannot_choose_says_why(track, change, why):
    choice = choose_smoothing_and_scale(change(track))
    assert not choice.chosen
    assert why in choice.rule


def test_values_keep_their_samples():
    choice = choose_smoothing_and_scale(simulate_calcium(2, n_bins=500).recording)
    assert (choice.chosen, choice.smooth_s, choice.scale) == (False, 0.0, "global")


def test_few_units_and_silent_ones_are_no_error():
    counts = np.zeros((4_000, 3))
    counts[::40] = 1
    assert not choose_smoothing_and_scale(make_counts(counts)).chosen


def test_a_choice_is_json(track, noise):
    for recording in (track, noise):
        text = json.dumps(choose_smoothing_and_scale(recording).to_dict(), allow_nan=False)
        assert json.loads(text)["table"]["scale"][0] in ("soft", "zscore")


def test_images_are_refused_by_the_scan():
    images = make_recording(np.random.default_rng(0).random((50, 8, 8)), np.arange(50.0))
    with pytest.raises(DataError, match="noise is common to neighbouring pixels"):
        scan_settings(images)


def scores_of(profile, spread=0.01):
    """A table of one scale whose channels all follow `profile`, up to some noise."""
    rng = np.random.default_rng(0)
    sigma = np.array([0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
    r2 = np.array(profile)[:, None] * 0.1 + spread * 0.1 * rng.standard_normal((6, 40))
    relative = r2 / r2.max(axis=0)
    return SettingScores(sigma, ("soft",) * 6, relative.mean(axis=1), r2, np.ones(40, bool), (0.0,), 20)


def test_two_timescales_compete_only_with_a_valley_between():
    assert find_competing_timescale(scores_of([0.9, 0.5, 0.3, 0.5, 0.9, 0.6], 0.05)) is not None
    assert find_competing_timescale(scores_of([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])) is None
    assert find_competing_timescale(scores_of([0.9, 0.5, 0.3, 0.5, 0.7, 0.6])) is None


def test_bins_are_wide_enough_and_no_wider():
    assert [suggest_bin_width(sigma) for sigma in (0.02, 0.05, 0.1, 0.2, 0.4, 1.6)] == [
        0.02,
        0.02,
        0.025,
        0.05,
        0.1,
        0.1,
    ]
