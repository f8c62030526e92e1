"""Stretches of a signal that are sampled evenly, found without holding every timestamp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .clock import GAP_FACTOR, peek_clock

BLOCK = 2**22
"""Timestamps that are read at once."""

EVEN = 0.01
"""Share by which the mean step of a stretch may differ from the median step of the signal."""


@dataclass(frozen=True)
class Sampled:
    """Samples that follow one another evenly.

    Attributes
    ----------
    first, n_samples : int
        Where in the series they start, and how many they are.
    start_s : float
        Time of the first, seconds on the session clock.
    rate_hz : float
        Sampling rate.
    """

    first: int
    n_samples: int
    start_s: float
    rate_hz: float

    @property
    def duration_s(self) -> float:
        """From the first sample to one step after the last."""
        return self.n_samples / self.rate_hz


def find_sampled(series: Any, where: str) -> list[Sampled]:
    """Find the stretches of a TimeSeries between its gaps (steps above `GAP_FACTOR` median steps).

    Raises
    ------
    DataError
        If it has no clock, timestamps are not finite or do not increase, or a stretch is not sampled evenly.
    """
    n_samples = series.data.shape[0]
    clock = peek_clock(series, n_samples, where)
    if clock.rate_hz is not None:
        return [Sampled(0, n_samples, clock.start_s, clock.rate_hz)]
    ends: list[tuple[int, float]] = []  # of each stretch: its last sample and when that was
    starts: list[tuple[int, float]] = []
    before = -np.inf
    for first in range(0, n_samples, BLOCK):
        times = np.asarray(series.timestamps[first : first + BLOCK], np.float64)
        steps = np.diff(times, prepend=before)
        bad = np.flatnonzero(~(steps > 0))  # NaN too
        if len(bad):
            raise DataError(
                f"timestamps are not finite and increasing, first at sample {first + bad[0]}",
                where=where,
                fix="repair them: power needs even sampling",
            )
        for i in np.flatnonzero(steps > GAP_FACTOR * clock.median_step_s):
            if first + i > 0:
                ends.append((first + int(i) - 1, float(times[i] - steps[i])))
            starts.append((first + int(i), float(times[i])))
        before = float(times[-1])
    ends.append((n_samples - 1, before))
    stretches = []
    for (a, start_s), (b, stop_s) in zip(starts, ends, strict=True):
        step_s = (stop_s - start_s) / (b - a) if b > a else clock.median_step_s
        if abs(step_s - clock.median_step_s) > EVEN * clock.median_step_s:
            raise DataError(
                f"samples {a} to {b} follow every {step_s:.6g} s and others every {clock.median_step_s:.6g} s",
                where=where,
                fix="power needs even sampling: repair the timestamps, or fit the voltages with --bands none",
            )
        stretches.append(Sampled(a, b - a + 1, start_s, 1 / step_s))
    return stretches
