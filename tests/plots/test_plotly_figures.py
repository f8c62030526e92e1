"""Pictures by plotly hold the numbers that matplotlib's hold: read back from both."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="could not import matplotlib")
pytest.importorskip("plotly", reason="could not import plotly")

from matplotlib.figure import Figure

from nwb_dcf import DCFResult
from nwb_dcf.data.predicted_paths import PredictedPaths
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError
from nwb_dcf.plots import draw_curve, draw_paths, draw_smoothing, draw_spectrum, plotly_figures
from nwb_dcf.plots.velocity_field import compute_longest, find_planes, project_field
from tests.io.results.synthetic import make_result

from .test_plots import with_grid

DECIMALS = plotly_figures.DECIMALS


@pytest.fixture
def result() -> DCFResult:
    return make_result(np.arange(8))


def find_trace(figure: Any, name: str) -> Any:
    return next(trace for trace in figure.data if trace.name == name)


def test_the_curve_has_the_paired_interval_in_both(result: DCFResult) -> None:
    scores = {"on": "held-out data", "difference_r2": 0.1, "intervals": {"difference_r2": [0.06, 0.13], "level": 0.9}}
    scored = dataclasses.replace(result, dataset=result.dataset.assign_attrs(scores=scores))
    still, moving = Figure(), plotly_figures.build_curve(scored)
    draw_curve(still, scored)
    lower = still.axes[1]
    np.testing.assert_allclose(lower.containers[0].lines[2][0].get_segments()[0][:, 1], [0.06, 0.13])
    mark = find_trace(moving, "90% interval of the paired difference")
    np.testing.assert_allclose(mark.y, 0.1)
    np.testing.assert_allclose([mark.error_y.arrayminus[0], mark.error_y.array[0]], [0.04, 0.03])
    np.testing.assert_allclose(find_trace(moving, "PCA").y, still.axes[0].lines[1].get_ydata(), atol=10**-DECIMALS)
    ours, theirs = find_trace(moving, "DCF").y, find_trace(moving, "PCA").y
    np.testing.assert_allclose(lower.lines[1].get_ydata(), np.array(ours) - theirs, atol=2 * 10**-DECIMALS)


def test_a_difference_that_nobody_sees_does_not_fill_its_panel(result: DCFResult) -> None:
    alike = result.dataset.assign(pca_r2=result.dataset["bottleneck_r2"] - 1e-9)
    scores = {"on": "held-out data", "difference_r2": 1e-9, "intervals": {"difference_r2": [1e-9, 2e-9], "level": 0.9}}
    same = dataclasses.replace(result, dataset=alike.assign_attrs(scores=scores))
    still, moving = Figure(), plotly_figures.build_curve(same)
    draw_curve(still, same)
    for low, high in (still.axes[1].get_ylim(), moving.layout.yaxis2.range):
        assert low <= -0.01
        assert high >= 0.01


def test_the_spectrum_is_in_percent_of_the_variance(result: DCFResult) -> None:
    variance = result.dataset["spectrum"].values
    known = dataclasses.replace(result, dataset=result.dataset.assign_attrs(total_variance=2 * variance.sum()))
    moving = plotly_figures.build_spectrum(known)
    np.testing.assert_allclose(moving.data[0].y.sum(), 50, atol=0.01)
    still = Figure()
    draw_spectrum(still, known)
    heights = [bar.get_height() for bar in still.axes[0].containers[0]]
    np.testing.assert_allclose(moving.data[0].y, heights, atol=10**-DECIMALS)


def test_smoothing_marks_what_was_chosen() -> None:
    table = {"smooth_s": [0.0, 0.1, 0.0, 0.1], "scale": ["soft", "soft", "zscore", "zscore"], "score": [1, 3, 0, 2]}
    choice = {"table": table, "smooth_s": 0.1, "scale": "soft", "chosen": True}
    moving, still = plotly_figures.build_smoothing(choice), Figure()
    draw_smoothing(still, choice)
    chosen = find_trace(moving, "chosen")
    assert (chosen.x[0], chosen.y[0]) == (1, 3.0) == tuple(np.ravel(still.axes[0].lines[-1].get_data()))
    assert list(moving.layout.xaxis.ticktext) == ["none", "0.1"]


def test_loadings_mark_the_largest(result: DCFResult) -> None:
    figure = plotly_figures.build_loadings(result)
    loadings = result.dataset["loadings"].values
    for k in range(result.dim):
        bar = figure.data[k]
        np.testing.assert_allclose(bar.y, loadings[:, k], atol=10**-DECIMALS)
        largest = int(np.abs(loadings[:, k]).argmax())
        assert bar.marker.color[largest] == plotly_figures.MARKED
        assert (np.asarray(bar.marker.color) == plotly_figures.MARKED).sum() == plotly_figures.NAMED
    images = result.dataset.drop_vars("mean").assign(mean=(("y", "x"), np.zeros((4, 4))))
    of_images = dataclasses.replace(result, dataset=images)
    with pytest.raises(DataError, match="pictures themselves"):
        plotly_figures.build_loadings(of_images)


def test_arrows_of_the_field_point_along_the_velocity(result: DCFResult) -> None:
    turning = with_grid(result)
    data = turning.dataset
    figure = plotly_figures.build_field(turning)
    plane = find_planes(data)[0]
    velocity, _ = project_field(data, "field_mean_velocity", plane)
    arrows = next(trace for trace in figure.data if trace.type == "scatter")
    path = np.stack([arrows.x, arrows.y], axis=1).reshape(-1, 6, 2)
    there = np.isfinite(velocity).all(axis=-1)
    reach = path[:, 1] - path[:, 0]
    longest = compute_longest(data, ["field_mean_velocity", "field_velocity"], find_planes(data))
    ratio = np.linalg.norm(reach, axis=1) / np.linalg.norm(velocity[there], axis=1).clip(1e-9)
    moving = np.linalg.norm(velocity[there], axis=1) > 1e-3 * longest
    np.testing.assert_allclose(ratio[moving], ratio[moving][0], rtol=0.02)
    across = reach[:, 0] * velocity[there][:, 1] - reach[:, 1] * velocity[there][:, 0]
    np.testing.assert_allclose(across[moving], 0, atol=1e-3)
    # both barbs lie behind the tip
    for barb in (3, 2, 4):
        back = ((path[:, barb] - path[:, 1]) * reach).sum(axis=1)
        assert (back[moving] <= 1e-9).all()


def test_paths_have_what_came_and_what_was_predicted() -> None:
    ahead = np.array([-0.1, 0.0, 0.1])
    came, predicted = np.arange(6.0).reshape(1, 3, 2), np.arange(6.0).reshape(1, 3, 2) + 1
    predicted[:, 0] = np.nan
    paths = PredictedPaths(np.array([3.0]), ahead, came, predicted, np.array([True]), 0.05)
    moving, still = plotly_figures.build_paths(paths), Figure()
    draw_paths(still, paths)
    np.testing.assert_allclose(find_trace(moving, "what came").y, still.axes[0].lines[1].get_ydata())
    np.testing.assert_allclose(find_trace(moving, "predicted").y, predicted[0, :, 0])
    assert moving.layout.annotations[0].text == "from 3.00 s, held out"


def test_examples_and_clusters_are_of_the_same_frames(result: DCFResult) -> None:
    data = result.dataset
    values = np.random.default_rng(0).normal(size=(data.sizes["time"], 8))
    prepared = make_recording(values, data["time"].values)
    figure = plotly_figures.build_examples(result, prepared, 0 * values)
    above, below = (trace for trace in figure.data if trace.type == "heatmap")
    assert np.shape(above.z) == np.shape(below.z)
    assert np.std(above.z) > 0.5
    assert np.unique(np.asarray(below.z), axis=1).shape[1] == 1
    clusters = plotly_figures.build_clusters(result, n_clusters=2)
    drawn = [trace for trace in clusters.data if str(trace.name).startswith("cluster")]
    assert sum(len(trace.x) for trace in drawn) == data.sizes["time"]
