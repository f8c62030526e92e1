"""The time of each sample, float64 seconds on the session clock, and the gaps of the clock.

The table has every clock that was found in files. No time is guessed: a sample without one is left out, an ambiguous
clock is refused, and one that looks wrong is read as stored, with a
doubt (`data.clock_doubts`). Times are first multiplied by the time scale
that was asked for, if any.

============================================== ================================================================
the file has                                   decision
============================================== ================================================================
timestamps                                     those are the times, float64
a rate above 0                                 (starting_time or 0) + sample / rate
timestamps and a rate                          the timestamps; noted, with whether the two disagree
neither                                        refused
a rate of 0, below 0, NaN or infinite;         refused
a starting_time that is not finite
more or fewer timestamps than samples          refused, with both numbers; (channel, time) data are recognised
steps that vary by more than 1 %               every sample keeps its own time, every pair its own dt; noted
a step above 2.5 median steps                  a gap: no segment crosses it; noted
NaN or infinite timestamps                     samples dropped with a note, if at most 1 %; else refused
equal timestamps                               the first sample of each is kept, as above; else refused
timestamps that go back, but for the last      refused
last timestamps that go back (at most 1 %, or  samples dropped with a note
one)
a first or last sample far from all others     noted; as a single sample beside a gap it is in no segment
times that can hardly be seconds               read as stored, with a doubt and advice; some are refused, see the
                                               table in `clock_doubts`
============================================== ================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb.ecephys import ElectricalSeries
from pynwb.misc import Units

from ...data.clock_doubts import find_resolution_doubts, find_sample_doubts
from ...data.doubt import Doubt, report_doubts
from ...errors import DataError
from ..backends.session import Session

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num

GAP_FACTOR = 2.5
"""A step longer than this many median steps is a gap: one missing sample is no gap, two are."""

REGULAR = 0.01
"""Steps that vary by no more than this fraction of the median are those of a regular clock."""

MIN_SPIKE_BAND_HZ = 5000.0
"""Lowest sampling rate of voltages from which spikes are sorted."""

FEW = 10
"""Samples, of which fewer have no usual span from which a lone one could lie far."""


def note_rate(series: Any, time: Float[np.ndarray, " sample"], scale: float = 1.0) -> list[str]:
    """Note that a rate beside timestamps is not used, and whether it disagrees with them."""
    if series.rate is None:
        return []
    # The schema forbids both, and files have both: timestamps carry the gaps that a rate cannot.
    note = f"the timestamps are the clock; the rate of {float(series.rate):g} Hz beside them is not used"
    step = float(np.median(np.diff(time))) if len(time) > 1 else math.nan
    if abs(step * float(series.rate) / scale - 1) > REGULAR:
        note += f", and disagrees: their median step is {step:.4g} s"
    return [note]


def note_irregular(time: Float[np.ndarray, " sample"]) -> list[str]:
    """Note the range of the steps of an irregular clock, without its gaps."""
    steps = np.diff(time)
    # Gaps are reported as such, and would hide the jitter of all other steps.
    steps = steps[steps <= GAP_FACTOR * np.median(steps)] if len(steps) else steps
    if len(steps) < 2:
        return []
    # Quantiles, since a camera drops a frame here and there.
    low, median, high = (float(step) for step in np.quantile(steps, [0.05, 0.5, 0.95]))
    if high - low <= REGULAR * median:
        return []
    return [
        f"the clock is irregular, with steps of {low:.4g} to {high:.4g} s (5 to 95 %) around {median:.4g} s: "
        "every sample keeps its own time"
    ]


def note_far(time: Float[np.ndarray, " sample"]) -> list[str]:
    """Note a first or last sample that is further from the others than their span: its time is wrong."""
    if len(time) < FEW:
        return []
    ends = (
        ("first", time[0], time[1] - time[0], time[-1] - time[1]),
        ("last", time[-1], time[-1] - time[-2], time[-2] - time[0]),
    )
    return [
        f"the {which} sample lies at {at:.6g} s, {far:.4g} s from all others: it is in no segment"
        # Further away than the span of all others, since sessions do have long gaps.
        for which, at, far, span in ends
        if far > span
    ]


MIN_SAMPLES = 2
"""Samples of a run at least: flows are between successive samples."""

__all__ = ["GAP_FACTOR", "Clock", "SampleClock", "find_gaps", "peek_clock", "read_clock"]

MOST_BAD = 0.01
"""Largest fraction of the samples that may be left out as they have no usable time."""

PEEK = 2048
"""Timestamps that are read to describe a clock: reading all takes minutes over a network."""


@dataclass(frozen=True)
class SampleClock:
    """The time of each sample of a series.

    Attributes
    ----------
    time : array of float64, shape (sample,)
        Seconds on the session clock, increasing; NaN for samples that have no usable time.
    notes : tuple of str
        Findings and decisions.
    doubts : tuple of Doubt
        What looks wrong and is read as stored (`clock_doubts`).
    """

    time: Float[np.ndarray, " sample"]
    notes: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()


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


def read_clock(
    series: Any, n_samples: int, where: str, *, scale: float | None = None, kind: str = "series", name: str = ""
) -> SampleClock:
    """Return the time of each sample of a TimeSeries, by the table of this module.

    Parameters
    ----------
    series : pynwb.TimeSeries
        Its timestamps, starting_time and rate are read.
    n_samples : int
        Length of its data.
    where : str
        Names the series in errors.
    scale : float, optional
        Factor for its times, as asked.
    kind : str
        Kind of the source, on which usual steps depend.
    name : str
        Name for which a time scale would be given; empty for the source.

    Raises
    ------
    DataError
        If rate and timestamps do not make a clock, differ in number from the samples, or do not increase.
    """
    # A plain series may have any step; only devices have steps that are impossible.
    kind = _find_device(series, kind)
    if series.timestamps is None:
        rate, start = _check_rate(series, where, scale)
        time = start + np.arange(n_samples, dtype=np.float64) / rate
        return SampleClock(time, (), tuple(find_sample_doubts(time, kind=kind, rate_hz=rate, scale=scale, name=name)))
    _check_number(series, n_samples, where)
    stored = np.asarray(series.timestamps[:])
    if stored.dtype.kind not in "iuf":
        raise DataError(f"timestamps are of type {stored.dtype}", where=where, fix="write them as seconds")
    # float64 first: a product in single precision would lose the digits of late times.
    given = stored.astype(np.float64) * (scale or 1.0)
    # Before equal timestamps are dropped, which a coarse type would cause and hide.
    _refuse_coarse(given, stored.dtype, where, scale)
    time, notes = _drop_unusable(given, where)
    usable = time[np.isfinite(time)]
    notes += [*note_rate(series, usable, scale or 1.0), *note_irregular(usable), *note_far(usable)]
    doubts = find_sample_doubts(usable, kind=kind, dtype=stored.dtype, scale=scale, name=name)
    return SampleClock(time, tuple(notes), tuple(doubts))


def _find_device(series: Any, kind: str) -> str:
    """Return the kind of device of a series of no special kind, by its type: steps of cameras are known."""
    if kind != "series":
        return kind
    is_pose = "Pose" in str(getattr(series, "neurodata_type", ""))
    return "video" if hasattr(series, "external_file") else "pose" if is_pose else kind


def _refuse_coarse(time: Float[np.ndarray, " sample"], dtype: np.dtype[Any], where: str, scale: float | None) -> None:
    """Refuse timestamps of a type coarser than their steps: many would be equal, which is not the cause."""
    known = time[np.isfinite(time)]
    if len(known) < FEW or dtype.kind != "f":
        return
    step = float(np.ptp(known)) / (len(known) - 1)
    doubts = find_resolution_doubts([known], dtype, step, "steps", lambda: step, scale or 1.0)
    report_doubts([one for one in doubts if one.refuses], "", where)


def peek_clock(series: Any, n_samples: int, where: str, scale: float | None = None) -> Clock:
    """Describe the clock of a TimeSeries from its first samples and its last.

    Raises
    ------
    DataError
        As `read_clock`, as far as it shows without reading every timestamp.
    """
    if series.timestamps is None:
        rate, start = _check_rate(series, where, scale)
        return Clock(rate, 1 / rate, start, start + max(n_samples - 1, 0) / rate)
    _check_number(series, n_samples, where)
    if n_samples == 0:
        return Clock(None, math.nan, math.nan, math.nan)
    factor = scale or 1.0
    # The first samples tell the step; a later change of it shows when the series is read.
    head = np.asarray(series.timestamps[:PEEK], dtype=np.float64) * factor
    step = float(np.median(np.diff(head))) if len(head) > 1 else math.nan
    return Clock(None, step, float(head[0]), float(series.timestamps[n_samples - 1]) * factor)


def glance_at_clock(series: Any, n_samples: int, kind: str, name: str) -> list[Doubt]:
    """Check the clock of a TimeSeries by its first samples and its last.

    Raises
    ------
    DataError
        As `peek_clock`.
    """
    clock = peek_clock(series, n_samples, name)
    if clock.rate_hz is not None:
        time = clock.start_s + np.arange(min(n_samples, PEEK)) / clock.rate_hz
        return find_sample_doubts(time, kind=kind, rate_hz=clock.rate_hz, name=name)
    head = np.asarray(series.timestamps[: min(n_samples, PEEK)])
    time = head.astype(np.float64)
    known = np.sort(time[np.isfinite(time)])
    time = np.unique(known)
    # many samples at one time are a clock that is too coarse for them, which shows in steps of 0
    time = known if 2 * len(time) < len(known) else time
    doubts = find_sample_doubts(time, kind=kind, dtype=head.dtype, name=name)
    # The last sample gives the span, without which whole numbers or long sessions are not seen; but 0, 1, 2, ..., 999
    # count frames, and 0, 1, 2, ..., 99, 999 do not.
    if not doubts and n_samples > PEEK and len(time) and clock.stop_s > time[-1]:
        doubts = find_sample_doubts(np.append(time, clock.stop_s), kind=kind, dtype=head.dtype, name=name)
    return doubts


def list_sampling_rates(session: Session) -> list[float]:
    """List the sampling rates of voltages in the file, each once: times may be sample numbers at one of them."""
    rates = [float(series.rate) for _, series in session.find_objects(ElectricalSeries) if series.rate]
    for _, units in session.find_objects(Units):
        # `resolution` is the step of the spike times, one sample.
        resolution = getattr(units, "resolution", None)
        rates += [1 / float(resolution)] if resolution and 0 < float(resolution) < 1 else []
    return list(dict.fromkeys(rate for rate in rates if rate > MIN_SPIKE_BAND_HZ))


def find_gaps(time: Num[np.ndarray, " sample"]) -> Int[np.ndarray, " gap"]:
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


def _drop_unusable(time: Float[np.ndarray, " sample"], where: str) -> tuple[Float[np.ndarray, " sample"], list[str]]:
    """Set times that cannot be used to NaN, with notes; refuse a clock with more than a few of them."""
    # A few faults are the file's, many make the whole clock doubtful.
    n, few = len(time), int(MOST_BAD * len(time))
    known = np.flatnonzero(np.isfinite(time))
    n_unknown = n - len(known)
    back = np.flatnonzero(np.diff(time[known]) < 0)
    # A few at the end can be left out; a jump back in the middle leaves the order of all samples open.
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
    # NaN keeps the numbers of the samples, by which the data are read.
    usable = np.full(n, np.nan)
    kept = known[np.append(True, steps > 0)] if len(known) else known
    usable[kept] = time[kept]
    return usable, notes


def _check_rate(series: Any, where: str, scale: float | None = None) -> tuple[float, float]:
    """Return the rate, Hz, and the starting time, seconds, of a series without timestamps."""
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
    return rate / (scale or 1.0), start * (scale or 1.0)


def _check_number(series: Any, n_samples: int, where: str) -> None:
    # Either end could be the missing one: no rule of alignment is safe, so that both numbers are reported.
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
