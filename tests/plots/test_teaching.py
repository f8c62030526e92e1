"""Latents against time, by condition, loadings and captions: what they show is what is there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="could not import matplotlib")

from matplotlib.figure import Figure

from nwb_dcf import DCFResult
from nwb_dcf.errors import DataError
from nwb_dcf.plots import average_conditions, draw_conditions, draw_latents, find_condition
from nwb_dcf.plots.latents import choose_window, find_held_out
from tests.io.results.synthetic import make_result

N_TRIALS, N_FRAMES, STEP_S = 40, 20, 0.1


@pytest.fixture
def result() -> DCFResult:
    return make_result(np.arange(8))


@pytest.fixture
def trials(result: DCFResult) -> DCFResult:
    """Forty trials of two conditions that part in the first latent by 2 from the second half of a trial on."""
    rng = np.random.default_rng(0)
    index = np.repeat(np.arange(N_TRIALS), N_FRAMES)
    within = np.tile(np.arange(N_FRAMES), N_TRIALS) * STEP_S
    side = np.arange(N_TRIALS) % 2
    dim = result.dim
    latents = rng.normal(size=(len(index), dim))
    latents[:, 0] += 2.0 * (side[index] == 1) * (within > 0.95)
    old = result.dataset
    kept = old[[name for name, v in old.data_vars.items() if not {"time", "segment"} & set(v.dims)]]
    kept = kept.drop_vars([name for name in ("time", "segment", "segment_index") if name in kept.coords])
    dataset = kept.assign(
        latents=(("time", "latent"), latents),
        velocity=(("time", "latent"), latents),
        segment_start=("segment", np.arange(N_TRIALS) * 3.0),
        segment_stop=("segment", np.arange(N_TRIALS) * 3.0 + N_FRAMES * STEP_S),
        segment_held_out=("segment", np.arange(N_TRIALS) == 30),
        trial_side=("segment", np.where(side, "right", "left")),
        trial_number=("segment", np.arange(N_TRIALS)),
    ).assign_coords(time=index * 3.0 + within, segment_index=("time", index))
    return dataclasses.replace(result, dataset=dataset)


def test_conditions_part_where_they_do_and_intervals_hold_the_truth(trials: DCFResult) -> None:
    means = average_conditions(trials, "side")
    time, mean, half, coloring = means.time, means.mean, means.half_width, means.coloring
    assert coloring.groups == ["left", "right"]
    np.testing.assert_allclose(time[:N_FRAMES], np.arange(N_FRAMES) * STEP_S, atol=1e-9)
    truth = np.zeros_like(mean[:, :N_FRAMES])
    truth[1, 10:, 0] = 2.0
    inside = np.abs(mean[:, :N_FRAMES] - truth) <= half[:, :N_FRAMES]
    assert 0.88 < inside.mean() < 0.995
    assert (mean[1, 10:N_FRAMES, 0] - half[1, 10:N_FRAMES, 0] > mean[0, 10:N_FRAMES, 0]).mean() > 0.9


def test_a_condition_is_a_column_with_few_values_and_trials_enough(trials: DCFResult, result: DCFResult) -> None:
    assert find_condition(trials.dataset) == "side"
    assert find_condition(trials.dataset, "number") == "side"
    with pytest.raises(DataError, match="does not sort trials"):
        average_conditions(trials, "number")
    few = trials.dataset.drop_vars("trial_side")
    assert find_condition(few) is None


def test_latents_are_drawn_around_what_was_held_out(trials: DCFResult) -> None:
    figure = Figure()
    draw_latents(figure, trials, "side")
    rows = figure.axes[: trials.dim]
    low, high = rows[0].get_xlim()
    held_out = trials.dataset["time"].values[find_held_out(trials)]
    assert low <= held_out[0] < held_out[-1] <= high
    (line,) = rows[0].lines
    x, y = line.get_xdata(), line.get_ydata()
    there = np.isfinite(x)
    time = trials.dataset["time"].values
    seen = (time >= low) & (time <= high)
    np.testing.assert_allclose(y[there], trials.dataset["latents"].values[seen, 0])
    assert (~there).sum() == len(np.unique(trials.dataset["segment_index"].values[seen])) - 1


@pytest.mark.parametrize(("n", "held_out_at"), [(50, None), (100_000, None), (100_000, 70_000), (100_000, 99_990)])
def test_the_window_lies_in_the_session(n: int, held_out_at: int | None) -> None:
    time, held_out = np.arange(n) * 0.1, np.zeros(n, bool)
    if held_out_at is not None:
        held_out[held_out_at:] = True
    start, stop = choose_window(time, held_out)
    assert time[0] <= start < stop <= time[-1]
    if held_out_at is not None:
        assert start <= time[held_out_at] <= stop


def test_every_condition_has_its_line_and_band(trials: DCFResult) -> None:
    figure = Figure()
    draw_conditions(figure, trials, "side")
    for axes in figure.axes:
        assert len(axes.lines) == 2
        assert len(axes.collections) == 2


@pytest.mark.parametrize(
    ("difference", "interval", "verdict"),
    [
        (0.1, [0.05, 0.15], "DCF leads PCA"),
        (-0.1, [-0.15, -0.05], "PCA leads DCF"),
        (0.02, [-0.05, 0.09], "do not distinguish the two"),
        (-0.001, [-0.002, -0.0005], "alike in practice"),
        (0.1, None, "is not known here"),
    ],
)
def test_the_curve_says_who_leads_only_where_that_is_known(
    result: DCFResult, difference: float, interval: list[float] | None, verdict: str
) -> None:
    scores = {"difference_r2": difference, "intervals": {"difference_r2": interval} if interval else {}}
    dataset = result.dataset.assign_attrs(scores=scores)
    captions = dataclasses.replace(result, dataset=dataset).captions
    assert verdict in captions["curve"]
    assert all(60 < len(caption) < 330 for caption in captions.values())
