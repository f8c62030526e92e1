"""When each sample was taken: float64 seconds on the session clock, and where the clock has gaps.

What is done with every clock that files were seen to have. No time is guessed: a sample without one is left
out, a clock that could mean two things is refused, and one that looks wrong is read as stored, with a warning.

============================================== ================================================================
the file has                                   decision
============================================== ================================================================
timestamps                                     those are the times, float64
a rate above 0                                 (starting_time or 0) + sample / rate
timestamps and a rate                          the timestamps; said, and whether the two disagree
neither                                        refused
a rate of 0, below 0, NaN or infinite;         refused
a starting_time that is not finite
more or fewer timestamps than samples          refused, with both numbers; (channel, time) data are recognised
steps that vary by more than 1 %               every sample keeps its own time, every pair its own dt; said
a step above 2.5 median steps                  a gap: no segment crosses it; said
NaN or infinite timestamps                     samples dropped and said, if they are at most 1 %; else refused
equal timestamps                               the first sample of each is kept, as above; else refused
timestamps that go back, but for the last      refused
last timestamps that go back (at most 1 %, or  samples dropped, said
one)
a first or last sample far from all others     said; as a single sample beside a gap it is in no segment
times of the size of Unix seconds              read as stored, with a warning that gives the date
timestamps n, n + 1, n + 2, ...; images or     read as stored, with a warning: frame numbers or a placeholder, not
poses at 1 Hz                                  seconds
timestamps too coarse for their steps          read as stored, with a warning (single precision late in a session)
============================================== ================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ...errors import DataError

GAP_FACTOR = 2.5
"""A step longer than this many median steps is a gap: one missing sample is bridged, two are not."""

REGULAR = 0.01
"""Steps that vary by no more than this share of the median are those of a regular clock."""

EPOCH_S = 1e8
"""Times above this (three years) count from 1970, not from the start of a session."""

FEW = 10  # samples, below which whole seconds are no sign of frame numbers


def say_rate(series: Any, time: np.ndarray) -> list[str]:
    """Say that a rate beside timestamps is not used, and whether it disagrees with them."""
    if series.rate is None:
        return []
    note = f"the timestamps are the clock; the rate of {float(series.rate):g} Hz beside them is not used"
    step = float(np.median(np.diff(time))) if len(time) > 1 else math.nan
    if abs(step * float(series.rate) - 1) > REGULAR:
        note += f", and disagrees: their median step is {step:.4g} s"
    return [note]


def say_irregular(time: np.ndarray) -> list[str]:
    """Say between which steps an irregular clock goes, its gaps aside."""
    steps = np.diff(time)
    steps = steps[steps <= GAP_FACTOR * np.median(steps)] if len(steps) else steps
    if len(steps) < 2:
        return []
    low, median, high = (float(step) for step in np.quantile(steps, [0.05, 0.5, 0.95]))
    if high - low <= REGULAR * median:
        return []
    return [
        f"the clock is irregular, with steps of {low:.4g} to {high:.4g} s (5 to 95 %) around {median:.4g} s: "
        "every sample keeps its own time"
    ]


def say_far(time: np.ndarray) -> list[str]:
    """A lone sample that is further from the others than they span is a fault of its clock, not a session's start."""
    if len(time) < FEW:
        return []
    ends = (
        ("first", time[0], time[1] - time[0], time[-1] - time[1]),
        ("last", time[-1], time[-1] - time[-2], time[-2] - time[0]),
    )
    return [
        f"the {which} sample lies at {at:.6g} s, {far:.4g} s from all others: it is in no segment"
        for which, at, far, span in ends
        if far > span
    ]


def doubt_rate(series: Any, rate: float) -> list[str]:
    """A rate of 1 Hz is what converters write where they know none."""
    is_moving = hasattr(series, "external_file") or "Pose" in str(getattr(series, "neurodata_type", ""))
    if rate == 1 and is_moving:
        return ["the rate is 1 Hz, one second a frame, as if it had not been known: times in seconds would be wrong"]
    return []


def doubt_numbers(time: np.ndarray) -> list[str]:
    """Frame numbers in place of seconds, as converters write them."""
    if len(time) < FEW or not (np.diff(time) == 1).all() or time[0] != round(time[0]):
        return []
    return [
        f"timestamps are {time[0]:.0f}, {time[1]:.0f}, {time[2]:.0f}, ...: one second a sample, as frame numbers would "
        "be; if that is what they are, all that is in seconds (bins, smoothing, velocity) is wrong"
    ]


def doubt_epoch(time: np.ndarray) -> list[str]:
    """Times since 1970 in place of times since the session began."""
    middle = float(np.median(time)) if len(time) else 0.0
    for unit, factor in (("seconds", 1.0), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)):
        if EPOCH_S < middle / factor < 50 * EPOCH_S:
            day = datetime.fromtimestamp(middle / factor, UTC).strftime("%Y-%m-%d")
            wrong = "" if factor == 1 else ", so that none of them is in seconds"
            return [
                f"times look like Unix {unit} ({day}) and not seconds of this session{wrong}; they are kept as stored"
            ]
    return []


def doubt_resolution(time: np.ndarray, resolution: float, dtype: np.dtype) -> list[str]:
    """Times in a type too coarse for their steps, as single precision is late in a session."""
    step = float(np.median(np.diff(time))) if len(time) > 1 else math.inf
    if resolution <= 0.1 * step:
        return []
    return [
        f"timestamps are stored as {dtype}, which resolves {resolution:.2g} s at {np.abs(time).max():.6g} s, coarse "
        f"for steps of {step:.4g} s"
    ]


MIN_SAMPLES = 2


__all__ = ["GAP_FACTOR", "Clock", "SampleClock", "find_gaps", "peek_clock", "read_clock"]

MOST_BAD = 0.01
"""Largest share of the samples that may be left out for want of a usable time."""

PEEK = 2048


@dataclass(frozen=True)
class SampleClock:
    """When each sample of a series was taken.

    Attributes
    ----------
    time : array of float64, shape (sample,)
        Seconds on the session clock, increasing; NaN for samples that have no usable time.
    notes : tuple of str
        What was found and decided.
    doubts : tuple of str
        What looks wrong, and is taken as stored all the same.
    """

    time: np.ndarray
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


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


def read_clock(series: Any, n_samples: int, where: str) -> SampleClock:
    """Return the time of each sample of a TimeSeries, by the table of this module.

    Parameters
    ----------
    series : pynwb.TimeSeries
        Its timestamps, starting_time and rate are read.
    n_samples : int
        Length of its data.
    where : str
        Names the series in errors.

    Raises
    ------
    DataError
        If rate and timestamps do not make a clock, differ in number from the samples, or do not increase.
    """
    if series.timestamps is None:
        rate, start = _check_rate(series, where)
        time = start + np.arange(n_samples, dtype=np.float64) / rate
        return SampleClock(time, (), tuple(doubt_rate(series, rate) + doubt_epoch(time)))
    _check_number(series, n_samples, where)
    stored = np.asarray(series.timestamps[:])
    if stored.dtype.kind not in "iuf":
        raise DataError(f"timestamps are of type {stored.dtype}", where=where, fix="write them as seconds")
    time, notes = _drop_unusable(stored.astype(np.float64), where)
    usable = time[np.isfinite(time)]
    notes += [*say_rate(series, usable), *say_irregular(usable), *say_far(usable)]
    resolution = float(np.spacing(np.abs(stored).max(initial=0))) if stored.dtype.kind == "f" else 0.0
    doubts = [*doubt_numbers(usable), *doubt_epoch(usable), *doubt_resolution(usable, resolution, stored.dtype)]
    return SampleClock(time, tuple(notes), tuple(doubts))


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


def _drop_unusable(time: np.ndarray, where: str) -> tuple[np.ndarray, list[str]]:
    """Set to NaN the times that cannot be used, and say which; refuse a clock of which that is more than a few."""
    n, few = len(time), int(MOST_BAD * len(time))
    known = np.flatnonzero(np.isfinite(time))
    n_unknown = n - len(known)
    back = np.flatnonzero(np.diff(time[known]) < 0)
    tail = np.empty(0, np.int64)
    if len(back) and len(known) - back[0] - 1 <= max(1, few):
        tail, known = known[back[0] + 1 :], known[: back[0] + 1]
    steps = np.diff(time[known])
    if (steps < 0).any() or (steps == 0).sum() > few:
        bad = np.flatnonzero(steps <= 0)
        first = int(known[bad[0] + 1])
        raise DataError(
            f"timestamps do not increase: {time[first]:.9g} s follows {time[known[bad[0]]]:.9g} s at sample {first} "
            f"({len(bad)} such steps)",
            where=where,
            fix="sort the samples or repair the timestamps",
        )
    if n_unknown > few:
        raise DataError(
            f"{n_unknown} timestamps are NaN or infinite, the first at sample {int(np.argmin(np.isfinite(time)))}",
            where=where,
            fix="repair the timestamps, or write them as rate and starting_time",
        )
    notes = []
    if n_unknown:
        notes.append(f"{n_unknown} samples dropped, whose timestamp is NaN or infinite")
    if len(tail):
        notes.append(
            f"the last {len(tail)} samples dropped, whose timestamps go back: {time[tail[0]]:.9g} s "
            f"follows {time[known[-1]]:.9g} s"
        )
    if (steps == 0).any():
        notes.append(f"{int((steps == 0).sum())} samples dropped, whose timestamp is that of the sample before")
    usable = np.full(n, np.nan)
    kept = known[np.append(True, steps > 0)] if len(known) else known
    usable[kept] = time[kept]
    return usable, notes


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
