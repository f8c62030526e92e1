"""When each sample was taken: float64 seconds on the session clock, and where the clock has gaps.

============ =============== ========= ==========================================================
timestamps   starting_time   rate      time
============ =============== ========= ==========================================================
yes          any             any       the timestamps; a rate beside them is not used
no           finite or none  above 0   (starting_time or 0) + sample / rate
no           any             otherwise refused
no           any             none      refused
============ =============== ========= ==========================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError

GAP_FACTOR = 2.5
"""A step longer than this many median steps is a gap: one missing sample is bridged, two are not."""

PEEK = 2048


@dataclass(frozen=True)
class Clock:
    """The clock of a series, without its samples.

    Attributes
    ----------
    rate_hz : float or None
        None where samples carry their own timestamps.
    median_step_s : float
        Median time between samples; NaN for one sample. From the first samples alone.
    start_s, stop_s : float
        Time of the first and of the last sample.
    """

    rate_hz: float | None
    median_step_s: float
    start_s: float
    stop_s: float


def read_clock(series: Any, n_samples: int, where: str) -> np.ndarray:
    """Return the time of each sample of a TimeSeries.

    Parameters
    ----------
    series : pynwb.TimeSeries
        Its timestamps, starting_time and rate are read.
    n_samples : int
        Length of its data.
    where : str
        Names the series in errors.

    Returns
    -------
    array of float64, shape (n_samples,)
        Seconds on the session clock, strictly increasing.

    Raises
    ------
    DataError
        If rate and timestamps do not make a clock, differ in number from the samples, or do not increase.
    """
    if series.timestamps is None:
        rate, start = _check_rate(series, where)
        return start + np.arange(n_samples, dtype=np.float64) / rate
    _check_number(series, n_samples, where)
    time = np.asarray(series.timestamps[:], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(time))
    if len(bad):
        raise DataError(
            f"{len(bad)} timestamps are NaN or infinite, the first at sample {bad[0]}",
            where=where,
            fix="repair the timestamps, or write them as rate and starting_time",
        )
    back = np.flatnonzero(np.diff(time) <= 0)
    if len(back):
        first = int(back[0])
        raise DataError(
            f"timestamps do not increase: {time[first + 1]:.9g} s follows {time[first]:.9g} s at sample {first + 1} "
            f"({len(back)} such steps)",
            where=where,
            fix="sort the samples or repair the timestamps",
        )
    return time


def peek_clock(series: Any, n_samples: int, where: str) -> Clock:
    """Describe the clock of a TimeSeries from its first samples and its last.

    Raises
    ------
    DataError
        As `read_clock`, as far as can be seen without reading every timestamp.
    """
    if series.timestamps is None:
        rate, start = _check_rate(series, where)
        return Clock(rate, 1 / rate, start, start + max(n_samples - 1, 0) / rate)
    _check_number(series, n_samples, where)
    if n_samples == 0:
        return Clock(None, math.nan, math.nan, math.nan)
    head = np.asarray(series.timestamps[:PEEK], dtype=np.float64)
    step = float(np.median(np.diff(head))) if len(head) > 1 else math.nan
    return Clock(None, step, float(head[0]), float(series.timestamps[n_samples - 1]))


def find_gaps(time: np.ndarray) -> np.ndarray:
    """Return the samples that follow a gap: those more than `GAP_FACTOR` median steps after the one before.

    Examples
    --------
    >>> find_gaps(np.array([0.0, 0.1, 0.2, 0.7, 0.8]))
    array([3])
    """
    steps = np.diff(time)
    if len(steps) == 0:
        return np.empty(0, np.int64)
    return np.flatnonzero(steps > GAP_FACTOR * np.median(steps)) + 1


def _check_rate(series: Any, where: str) -> tuple[float, float]:
    if series.rate is None:
        raise DataError(
            "the series has neither timestamps nor a rate", where=where, fix="write one of the two into the file"
        )
    rate = float(series.rate)
    start = 0.0 if series.starting_time is None else float(series.starting_time)
    if not (math.isfinite(rate) and rate > 0):
        raise DataError(f"the sampling rate is {rate:g} Hz", where=where, fix="write the true rate into the file")
    if not math.isfinite(start):
        raise DataError(f"starting_time is {start:g} s", where=where, fix="write the true time of the first sample")
    return rate, start


def _check_number(series: Any, n_samples: int, where: str) -> None:
    n_times, shape = len(series.timestamps), tuple(series.data.shape)
    if n_times != n_samples:
        turned = len(shape) == 2 and shape[1] == n_times
        raise DataError(
            f"{n_times} timestamps for {n_samples} samples (data of shape {shape})",
            where=where,
            fix="the data look like (channel, time): store them as (time, channel)"
            if turned
            else "count both at the origin and write the file again",
        )
