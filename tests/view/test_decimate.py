"""Fewer numbers that look the same."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("panel", reason="could not import panel")

from nwb_dcf.view.decimate import Raster, paint_points, thin_lines


def test_a_single_spike_among_a_million_frames_is_drawn() -> None:
    time = np.arange(1_000_000) / 100.0
    values = np.zeros((len(time), 2))
    values[654_321, 1] = 7.0
    when, lines = thin_lines(time, values, np.zeros(len(time), int), (0, 1e4), 1000)
    assert len(when) <= 2001
    assert lines[:, 1].max() == 7.0
    assert abs(when[np.argmax(lines[:, 1])] - 6543.21) < 10.0
    assert lines[:, 0].max() == 0.0


def test_lines_break_between_segments_and_at_gaps() -> None:
    time = np.concatenate([np.arange(100.0), 500 + np.arange(100.0)])
    values, segment = np.ones((200, 1)), np.repeat([0, 1], 100)
    for buckets in (1000, 20):
        when, lines = thin_lines(time, values, segment, (-1, 1000), buckets)
        breaks = when[np.isnan(lines[:, 0])]
        assert len(breaks) == 1
        assert 90 <= breaks[0] <= 500


def test_a_window_keeps_the_frames_next_to_it_and_may_hold_none() -> None:
    time, values = np.arange(10.0), np.arange(10.0)[:, None]
    when, _ = thin_lines(time, values, np.zeros(10, int), (3.5, 4.5), 100)
    assert when.tolist() == [3, 4, 5]
    assert thin_lines(time[:0], values[:0], np.zeros(0, int), (0, 1), 10)[0].shape == (0,)


@pytest.mark.parametrize("n", [500, 40_000])
def test_a_raster_averages_frames_and_leaves_gaps_empty(n: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, (n, 3)).astype(np.float32)
    time = np.arange(n) * 0.1
    time[n // 2 :] += n * 0.05
    raster = Raster(xr.DataArray(values, dims=("time", "channel")), time)
    np.testing.assert_allclose(raster.mean, values.mean(axis=0), rtol=1e-5)
    picture, start, stop = raster.cut((-1, 1e9), 300)
    assert picture.shape[0] == 3
    assert picture.shape[1] <= 300
    assert start <= time[0] < time[-1] <= stop
    assert np.isnan(picture[0]).mean() == pytest.approx(1 / 3, abs=0.05)
    exact, start, stop = raster.cut((time[10], time[12]), 300)
    expected = (values[9:13].T - raster.mean[:, None]) / raster.deviation[:, None]
    np.testing.assert_allclose(exact, expected, atol=1e-4)


def test_a_constant_row_is_no_fault() -> None:
    raster = Raster(xr.DataArray(np.ones((20, 2)), dims=("time", "channel")), np.arange(20.0))
    assert (raster.cut((0, 20), 10)[0] == 0).all()


def test_points_are_painted_where_they_are_in_their_mean_colour() -> None:
    points = np.array([[0.5, 0.5], [0.5, 0.5], [9.5, 3.5], [np.nan, 0], [50, 50]])
    colors = np.array([[200, 0, 0], [100, 0, 0], [0, 0, 90], [9, 9, 9], [9, 9, 9]], np.uint8)
    image = paint_points(points, colors, (0, 10), (0, 4), (10, 4)).view(np.uint8).reshape(4, 10, 4)
    assert image[0, 0, :3].tolist() == [150, 0, 0]
    assert image[3, 9, :3].tolist() == [0, 0, 90]
    assert (image[..., 3] > 0).sum() == 2
    assert image[0, 0, 3] > image[3, 9, 3]
