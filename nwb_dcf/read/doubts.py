"""What is remarkable about a clock (``say_...``), and what looks wrong in it though it can be read (``doubt_...``)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

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
