"""Figures hold what they say: read back from matplotlib's own objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("matplotlib", reason="could not import matplotlib")

from matplotlib.figure import Figure

from nwb_dcf import DCFResult
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics.clusters import pick_outliers
from nwb_dcf.plots import (
    choose_coloring,
    draw_clusters,
    draw_curve,
    draw_examples,
    draw_field,
    draw_spectrum,
    draw_trajectories,
    list_colorings,
)
from nwb_dcf.plots.examples import choose_intervals
from nwb_dcf.plots.trajectories import MOST_FRAMES
from nwb_dcf.plots.velocity_field import project_field
from tests.io.results.synthetic import make_result


@pytest.fixture
def result() -> DCFResult:
    return make_result(np.arange(8))


@pytest.fixture
def figure() -> Figure:
    return Figure(figsize=(8, 6), layout="constrained")


def with_grid(result: DCFResult) -> DCFResult:
    """Give `result` the field of a turn in the plane of the first two latents, on a grid of three axes."""
    axis = np.linspace(-1, 1, 5)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    velocity = np.stack([-y, x, 0 * z], axis=-1)
    frames = np.ones((5, 5, 5), np.int32)
    frames[0, 0] = 0
    dims = ("grid_1", "grid_2", "grid_3")
    mean = np.where(frames[..., None] > 0, velocity, np.nan)
    dataset = result.dataset.drop_vars(
        [n for n in result.dataset.variables if str(n).startswith(("grid_", "field_"))]
    ).assign(
        field_velocity=((*dims, "latent"), velocity),
        field_mean_velocity=((*dims, "latent"), mean),
        field_frames=(dims, frames),
    )
    return DCFResult(
        dataset.assign_coords({dim: (dim, axis) for dim in dims}), result.config, result.provenance, result.weights
    )


def test_every_column_can_colour(result: DCFResult) -> None:
    data = result.dataset
    assert list_colorings(data) == ["time", "trial", "held_out", "direction", "outcome"]
    np.testing.assert_array_equal(choose_coloring(data, "time").values, data["time"])
    np.testing.assert_array_equal(choose_coloring(data, "trial").values, data["segment_index"])
    outcome = choose_coloring(data, "outcome")
    assert outcome.groups == ["früh", "hit", "miss"]
    names = np.array(outcome.groups)[outcome.values]
    np.testing.assert_array_equal(names, data["trial_outcome"].values[data["segment_index"].values])
    assert choose_coloring(data, "held_out").groups == ["False", "True"]
    with pytest.raises(ParameterError, match=r"no column 'colour'.*; choose one of time, trial, held_out, direction"):
        choose_coloring(data, "colour")


def test_many_numbers_become_a_scale() -> None:
    many = xr.Dataset(
        {"trial_speed": ("segment", np.arange(30.0), {"units": "cm/s"})},
        coords={"segment_index": ("time", np.repeat(np.arange(30), 2))},
    )
    coloring = choose_coloring(many, "speed")
    assert coloring.groups == []
    assert coloring.label == "speed (cm/s)"
    np.testing.assert_array_equal(coloring.values, np.repeat(np.arange(30.0), 2))


@pytest.mark.parametrize(("dim", "labels"), [(3, 3), (2, 2), (1, 2)])
def test_paths_stay_within_their_segments(dim: int, labels: int, figure: Figure) -> None:
    result = make_result(np.arange(8), dim=dim)
    draw_trajectories(figure, result, "time")
    axes: Any = figure.axes[0]
    assert axes.get_xlabel() == ("latent 1" if dim > 1 else "time (s)")
    lines = axes.collections[0]
    n_steps = result.dataset.sizes["time"] - result.dataset.sizes["segment"]
    assert len(lines.get_array()) == n_steps
    assert figure.axes[1].get_ylabel() == "time (s)"  # the scale
    figure.canvas.draw_idle()


def test_groups_have_a_legend(result: DCFResult, figure: Figure) -> None:
    draw_trajectories(figure, result, "outcome")
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["früh", "hit", "miss"]


def test_long_recordings_are_thinned_to_dots_and_say_so(figure: Figure) -> None:
    n = 2 * MOST_FRAMES
    z = np.random.default_rng(0).normal(size=(n, 3))
    data = xr.Dataset(
        {"latents": (("time", "latent"), z), "segment_start": ("segment", [0.0])},
        coords={"time": np.arange(n) * 0.1, "segment_index": ("time", np.zeros(n, int)), "segment": [0]},
    )
    draw_trajectories(figure, DCFResult(data, {}, {}, b""), "time")
    assert figure.axes[0].get_title() == "Latents of one segment, one frame in 2"
    assert len(figure.axes[0].collections[0].get_array()) == MOST_FRAMES


def test_spectrum_and_curve_show_the_stored_numbers(result: DCFResult, figure: Figure) -> None:
    upper, lower = figure.subfigures(2, 1)
    draw_spectrum(upper, result)
    draw_curve(lower, result)
    spectrum, curve = upper.axes[0], lower.axes[0]
    heights = [bar.get_height() for bar in spectrum.containers[0]]
    np.testing.assert_allclose(heights, 100 * result.dataset["spectrum"] / 12.5)
    held = result.dataset["spectrum"].values[:3].sum() / 12.5
    assert spectrum.get_title() == f"3 axes hold {held:.0%} of the variance; 95% takes 4, noise included"
    labels = {line.get_label(): line for line in curve.lines}
    np.testing.assert_array_equal(labels["DCF"].get_ydata(), result.dataset["bottleneck_r2"])
    np.testing.assert_array_equal(labels["PCA"].get_ydata(), result.dataset["pca_r2"])
    np.testing.assert_array_equal(labels["channels shifted apart"].get_ydata(), [0.1, 0.2])


def test_a_field_is_averaged_by_the_frames_of_each_cell(result: DCFResult) -> None:
    data = with_grid(result).dataset
    frames = data["field_frames"].values.copy()
    frames[1, 2] = [3, 1, 0, 0, 0]
    data = data.assign(field_frames=(data["field_frames"].dims, frames))
    velocity, count = project_field(data, "field_mean_velocity", (0, 1))
    np.testing.assert_allclose(velocity[3, 1], [0.5, 0.5])  # a turn: (-y, x)
    assert np.isnan(velocity[0, 0]).all()
    assert count[1, 2] == 4
    across, _ = project_field(data, "field_mean_velocity", (0, 2))
    weights = frames[1, :, 0].astype(float)
    np.testing.assert_allclose(across[1, 0, 0], -(weights * np.linspace(-1, 1, 5)).sum() / weights.sum())


def test_both_fields_are_drawn_in_every_plane(result: DCFResult, figure: Figure) -> None:
    draw_field(figure, with_grid(result))
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] == 2 * [
        ("latent 1", "latent 2"), ("latent 1", "latent 3"), ("latent 2", "latent 3")
    ]  # fmt: skip
    arrows = next(c for c in figure.axes[0].collections if hasattr(c, "U"))
    assert len(arrows.U) == 24  # one of 25 cells saw no frame


def test_a_fit_without_a_grid_says_so(result: DCFResult, figure: Figure) -> None:
    bare = DCFResult(
        result.dataset.drop_vars([n for n in result.dataset.variables if str(n).startswith(("field_", "grid_"))]),
        {}, {}, b"",
    )  # fmt: skip
    with pytest.raises(DataError, match="has no flow field on a grid"):
        draw_field(figure, bare)


def test_examples_are_of_what_was_held_out(result: DCFResult, figure: Figure) -> None:
    data = result.dataset
    held_out = data["segment_held_out"].values[data["segment_index"].values]
    intervals = choose_intervals(result)
    frames = np.concatenate(intervals)
    assert held_out[frames].all()
    x = np.random.default_rng(0).normal(size=(data.sizes["time"], 8))
    prepared = make_recording(x, data["time"].values, segment_index=data["segment_index"].values, channel_dim="unit")
    draw_examples(figure, result, prepared, np.tile(x.mean(axis=0), (len(x), 1)))
    above, below = figure.axes[:2]
    assert "R² 0.00" in above.get_title() or "R² -0.00" in above.get_title()
    order = np.argsort(data["loadings"].values[:, 0])
    shown = np.asarray(above.images[0].get_array())
    np.testing.assert_allclose(shown, ((x[frames] - x.mean(0)) / x.std(0))[:, order].T, atol=1e-6)
    assert np.abs(np.asarray(below.images[0].get_array())).max() < 1e-6
    # rows by the names of the units, and places along it by the clock of the session
    assert [label.get_text() for label in above.get_yticklabels()] == [str(data["unit"].values[k]) for k in order]
    ticks = dict(zip(below.get_xticks(), (label.get_text() for label in below.get_xticklabels()), strict=True))
    assert all(f"{data['time'].values[frames[int(at)]]:.2f}" == text for at, text in ticks.items())


def test_some_of_many_rows_are_named(figure: Figure) -> None:
    result = make_result(np.arange(100))
    data = result.dataset
    x = np.random.default_rng(0).normal(size=(data.sizes["time"], 100))
    prepared = make_recording(x, data["time"].values, segment_index=data["segment_index"].values, channel_dim="unit")
    draw_examples(figure, result, prepared, x)
    order = np.argsort(data["loadings"].values[:, 0])
    rows, labels = figure.axes[0].get_yticks(), [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert 10 < len(labels) <= 30
    assert labels == [str(data["unit"].values[order[int(row)]]) for row in rows]


def make_images(result: DCFResult) -> xr.Dataset:
    data = result.dataset
    images = np.random.default_rng(0).uniform(size=(data.sizes["time"], 6, 5))
    return make_recording(images, data["time"].values, segment_index=data["segment_index"].values)


def test_frames_stand_along_clusters_and_at_outliers_where_the_source_is_video(
    result: DCFResult, figure: Figure
) -> None:
    recording = make_images(result)
    draw_clusters(figure, result, recording, n_clusters=3)
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    time = result.dataset["time"].values
    n_fast = len(pick_outliers(np.linalg.norm(result.dataset["velocity"].values, axis=1), time, 6, apart_s=1.0))
    assert len(shown) >= 3 * 6 + 2 * n_fast - 6
    assert n_fast > 2
    frames = recording["data"].values
    assert all(any(np.array_equal(image, frame) for frame in frames) for image in shown)
    speed = np.linalg.norm(result.dataset["velocity"].values, axis=1)
    np.testing.assert_array_equal(shown[-n_fast], frames[speed.argmax()])
    rows = [axes.get_ylabel() for axes in figure.axes if axes.images and axes.get_ylabel()]
    assert rows == ["cluster 1", "cluster 2", "cluster 3", "largest\ndistance", "largest\nspeed"]


def test_without_video_clusters_come_without_frames(result: DCFResult, figure: Figure) -> None:
    draw_clusters(figure, result, n_clusters=2)
    assert not any(axes.images for axes in figure.axes)
    assert {"latent speed (1/s)", "latent distance\n(SD of its cluster)"} <= {a.get_ylabel() for a in figure.axes}


def test_images_and_their_reconstruction_stand_side_by_side(result: DCFResult, figure: Figure) -> None:
    recording = make_images(result)
    reconstruction = np.zeros((result.dataset.sizes["time"], 30))
    draw_examples(figure, result, recording, reconstruction)
    above = [axes for axes in figure.axes if axes.get_title()]
    assert len(above) == 6
    assert figure.axes[0].get_ylabel() == "data"
    assert (np.asarray(figure.axes[len(above)].images[0].get_array()) == 0).all()
