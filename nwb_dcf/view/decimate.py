"""Reduce what is drawn to what a screen shows: a million frames on a thousand pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.chunks import frame_blocks, read_frames

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8, UInt32


def thin_lines(
    time: Float[np.ndarray, " time"],
    values: Float[np.ndarray, "time line"],
    segment: Int[np.ndarray, " time"],
    window: tuple[float, float],
    n_buckets: int,
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, "point line"]]:
    """Thin lines to the lowest and the highest value of each bucket of frames: no spike is lost.

    Parameters
    ----------
    time : array, shape (time,)
        Seconds, in order.
    values : array, shape (time, line)
    segment : array of int, shape (time,)
        Lines are broken (by NaN) between segments.
    window : (float, float)
        What is seen, seconds; the frames next to it are kept, so that lines reach its edges.
    n_buckets : int
        Where the window holds no more than twice as many frames, all of them are kept.

    Returns
    -------
    time : array, shape (point,)
    values : array, shape (point, line)

    Examples
    --------
    >>> time = np.arange(8.0)
    >>> thin_lines(time, (time % 4)[:, None], np.zeros(8, int), (0, 7), 2)[1].ravel()
    array([0., 3., 0., 3.])
    """
    first = max(0, int(np.searchsorted(time, window[0])) - 1)
    last = min(len(time), int(np.searchsorted(time, window[1], side="right")) + 1)
    time, values, segment = time[first:last], values[first:last], segment[first:last]
    if len(time) == 0:
        return np.empty(0), np.empty((0, values.shape[1]))
    if len(time) <= 2 * n_buckets:
        at = np.flatnonzero(np.diff(segment)) + 1
        return np.insert(time, at, time[at]), np.insert(values.astype(np.float64), at, np.nan, axis=0)
    step = int(np.ceil(len(time) / n_buckets))
    edges = np.arange(0, len(time), step)
    # fmin and fmax pass over NaN: one unknown frame must not blank its bucket
    low, high = np.fmin.reduceat(values, edges), np.fmax.reduceat(values, edges)
    thin = np.stack([low, high], axis=1).reshape(-1, values.shape[1])
    when = np.repeat(time[edges], 2)
    # a bucket's middle would lie within a gap that it spans, so that lines break where the time of buckets jumps
    gap = np.flatnonzero(np.diff(time[edges]) > 3 * np.median(np.diff(time[edges]))) if len(edges) > 2 else edges[:0]
    at = 2 * (gap + 1)
    return np.insert(when, at, when[at - 1]), np.insert(thin.astype(np.float64), at, np.nan, axis=0)


class Raster:
    """Rows of a recording in time, at any zoom: each row less its mean, in its own standard deviations.

    Parameters
    ----------
    data : xarray.DataArray, dims (time, channel)
        May be a dask array, which is read once, block by block, and then for what is looked at alone.
    time : array, shape (time,)
    """

    COARSE = 32  # frames in a column of the overview, which is made once

    def __init__(self, data: xr.DataArray, time: Float[np.ndarray, " time"]) -> None:
        self._data, self._time = data, time
        n, step = len(time), self.COARSE
        self._overview = np.zeros((-(-n // step), data.shape[1]), np.float32)
        total, square = np.zeros(data.shape[1]), np.zeros(data.shape[1])
        for frames in frame_blocks(data):
            block = read_frames(data, frames).astype(np.float64)
            total += block.sum(axis=0)
            square += np.square(block).sum(axis=0)
            columns = np.arange(frames.start, frames.stop) // step
            cuts = np.flatnonzero(np.diff(columns, prepend=-1))
            self._overview[columns[cuts]] += np.add.reduceat(block, cuts, axis=0).astype(np.float32)
        self._overview /= np.bincount(np.arange(n) // step)[:, None]
        self.mean = total / n
        # in float64 a difference of squares is good to 1e-8 of the mean: enough for a picture, and one pass
        deviation = np.sqrt(np.maximum(square / n - self.mean**2, 0))
        self.deviation = np.where(deviation > 0, deviation, 1.0)

    def take(self, frames: Int[np.ndarray, " frame"]) -> Float[np.ndarray, "channel frame"]:
        """Return single frames, standard deviations from the row's mean, float32, shape (channel, frame)."""
        first = int(frames.min())
        values = read_frames(self._data, slice(first, int(frames.max()) + 1))[frames - first]
        return np.asarray(((values - self.mean) / self.deviation).T, np.float32)

    def cut(
        self, window: tuple[float, float], n_columns: int
    ) -> tuple[Float[np.ndarray, "channel column"], float, float]:
        """Average what is within `window` into at most `n_columns` columns of equal time.

        Returns
        -------
        values : array of float32, shape (channel, column)
            Standard deviations from the row's mean; NaN where no frame is.
        start, stop : float
            Edges of the first and the last column, seconds.
        """
        first, last = np.searchsorted(self._time, window)
        last = min(len(self._time), last + 1)
        first = max(0, first - 1)
        # the raster itself is read only where the overview is too coarse for the pixels that are there
        coarse = (last - first) > 2 * self.COARSE * n_columns
        if coarse:
            first, last = first // self.COARSE, -(-last // self.COARSE)
            values = self._overview[first:last]
            middle = np.arange(first, last) * self.COARSE + self.COARSE // 2
            time = self._time[np.minimum(middle, len(self._time) - 1)]
        else:
            values, time = read_frames(self._data, slice(int(first), int(last))), self._time[first:last]
        step = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
        start, stop = float(time[0]) - step / 2, float(time[-1]) + step / 2
        count = int(np.clip(round((stop - start) / step), 1, n_columns))
        # by time and not by number: a gap stays a gap of its length
        column = np.minimum(((time - start) / (stop - start) * count).astype(int), count - 1)
        cuts = np.flatnonzero(np.diff(column, prepend=-1))
        picture = np.full((count, values.shape[1]), np.nan, np.float32)
        sums = np.add.reduceat(values.astype(np.float64), cuts, axis=0)
        means = sums / np.diff(np.append(cuts, len(column)))[:, None]
        picture[column[cuts]] = ((means - self.mean) / self.deviation).astype(np.float32)
        if not coarse:
            _fill_columns(picture, column[cuts], step * count / (stop - start))
        return picture.T, start, stop


def _fill_columns(
    picture: Float[np.ndarray, "column channel"], filled: Int[np.ndarray, " filled"], frames_per_column: float
) -> None:
    """Carry a frame over the columns that its own width covers, where columns are narrower than frames."""
    missing = np.setdiff1d(np.arange(len(picture)), filled)
    before = filled[np.maximum(np.searchsorted(filled, missing) - 1, 0)]
    near = (missing - before > 0) & (missing - before <= 1.5 * max(1.0, frames_per_column))
    picture[missing[near]] = picture[before[near]]


def paint_points(
    points: Float[np.ndarray, "point 2"],
    colors: UInt8[np.ndarray, "point 3"],
    x: tuple[float, float],
    y: tuple[float, float],
    size: tuple[int, int],
) -> UInt32[np.ndarray, "height width"]:
    """Paint points as a picture: the mean colour of those in a pixel, the more opaque the more they are.

    Parameters
    ----------
    points : array, shape (point, 2)
        NaN is nowhere.
    colors : array of uint8, shape (point, 3)
    x, y : (float, float)
        What the picture shows, from left to right and from its bottom to its top.
    size : (int, int)
        Width and height, pixels.

    Returns
    -------
    array of uint32, shape (height, width)
        RGBA in the order of bytes that bokeh's ``image_rgba`` takes; the first row is the lowest.

    Examples
    --------
    >>> picture = paint_points(np.zeros((3, 2)), np.full((3, 3), 255, np.uint8), (-1, 1), (-1, 1), (2, 2))
    >>> hex(picture[1, 1]), int(picture[0, 0])
    ('0xffffffff', 0)
    """
    width, height = size
    with np.errstate(invalid="ignore"):
        column = np.floor((points[:, 0] - x[0]) / (x[1] - x[0]) * width)
        row = np.floor((points[:, 1] - y[0]) / (y[1] - y[0]) * height)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    pixel = row[inside].astype(np.int64) * width + column[inside].astype(np.int64)
    count = np.bincount(pixel, minlength=width * height)
    full = np.maximum(count, 1)
    picture = np.zeros((height * width, 4), np.uint8)
    for k in range(3):
        picture[:, k] = np.bincount(pixel, weights=colors[inside, k], minlength=width * height) / full
    # the density of most pixels differs by orders of magnitude: logarithm, and the densest twentieth is full
    most = np.log1p(max(1, np.percentile(count[count > 0], 95))) if len(pixel) else 1.0
    picture[:, 3] = np.where(count > 0, 110 + 145 * np.minimum(np.log1p(count) / most, 1), 0)
    # four bytes as one number, in bokeh's order on little-endian machines
    return picture.view(np.uint32).reshape(height, width)
