"""Doubts about times: what looks wrong, its likely cause and what to do about it, in one table for every source.

Times in NWB are seconds on the clock of the session. Some files hold other units, and are valid all the same: a fit of
them would be wrong without a warning. Each row is a doubt: it is reported before all other notes, with its likely cause
and the ``--time-scale`` that corrects it, and it refuses where hardly anything would be fitted. A time scale that is
given for an object, 1 included, vouches for its unit: only what is still wrong afterwards is reported.

=================================================== ============================= ====================================
observation                                         likely cause                  refuses
=================================================== ============================= ====================================
spike times that are all whole numbers              sample numbers, nano-, micro- where 99.99 % of bins would be empty
                                                    or milliseconds
times of the size of 1970 in s, ms, us or ns        the computer's clock          spikes that are not in seconds
a float type coarser than a tenth of a bin or step, single precision late in a    where it is coarser than a step, or
in the file or before it was written                session, or beside 1970       a bin and most intervals of spikes
a median unit below 0.03 spikes/s over six hours    milliseconds                  where 99.99 % of bins would be empty,
                                                                                  or the trials say the same
a median unit above 300 spikes/s                    minutes, hours, ks            above 3000 spikes/s
timestamps n, n + 1, n + 2, ...                     frame numbers                 no
whole numbers over a week or more                   sample numbers, nano-, micro- no
                                                    or milliseconds
a step of ROIs, pose, video or voltage above 5 s    milliseconds; the step that   no
                                                    stands in place of the rate
a rate of them that no such device has              the rate of another device    no
1 Hz of a video or a pose                           no rate was known             no
two spans of which one, times 1e3, 1e6, 1e9 or a    the one is in ms, us, ns or   joined sources; behaviour that is
sampling rate, would be the other                   sample numbers                decoded; trials, beside another doubt
two spans with less than a tenth in common          clocks that begin apart       no overlap at all
whole numbers, a tenth of which at most lie within  frame numbers                 no
what is fitted, and the others behind it
=================================================== ============================= ====================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from .doubt import COARSER, FINER, Doubt, Unit
from .stray_times import describe_stray_times

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Num

EPOCH_S = 1e8
"""Times above this (three years) count from 1970, not from the start of a session."""

FEW = 10
"""Times, of which fewer may be whole numbers by chance."""

FEW_SPIKES = 50
"""Spikes, of which fewer have no rate to judge by."""

WEEK_S = 7 * 86400.0
SLOWEST_HZ = 0.03  # of a median unit; in real sessions above 0.1
SLOW_SPAN_S = 6 * 3600.0
FASTEST_HZ = 300.0  # of a median unit; in real sessions below 100
REFRACTORY_HZ = 3000.0  # above the inverse of any refractory period
EMPTY = 1e-4  # mean spikes of all units in a bin, below which nothing is left to fit
COARSE = 0.1  # of a step
USUAL_HZ = 5.0  # of a median unit: what a likely unit of time brings the rate near to
ALIKE = 4.0  # factor within which two units of time make a rate about as usual
USUAL_STEP_S = 1 / 30  # of a camera, between imaging and voltage
LONGEST_STEP_S = 5.0  # hardly any camera, microscope or amplifier is slower
FASTEST_OF = {"lfp": 2e5, "video": 1e5, "imaging": 1e5, "dff": 1e4, "fluorescence": 1e4, "roi": 1e4, "pose": 5e3}
"""Highest sampling rate of kinds of sources; only kinds in it are checked for long steps."""

LITTLE = 0.1  # fraction of the shorter of two spans
SAME = 0.5  # fraction of the union of two spans that differ in their unit alone
APART = 0.05  # fraction of that union as stored


COMMON_HZ = 30000.0  # of Neuropixels and Intan, where the file names no rate


def scale_option(name: str, scale: str) -> str:
    """Return the option that corrects the times of `name`, or of the source where that is empty."""
    return f"--time-scale {name}={scale}" if name else f"--time-scale {scale}"


def find_spike_doubts(
    times: Sequence[Float[np.ndarray, " _spike"]],
    *,
    bin_width_s: float,
    dtype: np.dtype[Any] | None = None,
    scale: float | None = None,
    sampling_hz: Sequence[float] = (),
) -> list[Doubt]:
    """Check the spike times of units, which should be seconds.

    Parameters
    ----------
    times : sequence of array of float64, shape (spike,)
        Spike times of each unit, in order.
    bin_width_s : float
        Width of the bins in which they are counted, seconds.
    dtype : numpy.dtype, optional
        Type in which they are stored.
    scale : float, optional
        Factor by which they have been multiplied, as asked.
    sampling_hz : sequence of float
        Sampling rates of voltages in the file, Hz.
    """
    # All units, since one may have few spikes, and the unit of time is that of the table; not joined into one array,
    # since there may be hundreds of millions.
    trains = [train for train in times if len(train)]
    n_spikes = sum(map(len, trains))
    if n_spikes < FEW_SPIKES:
        return []
    span = max(float(train.max()) for train in trains) - min(float(train.min()) for train in trains)
    if span <= 0:
        return []
    # The median unit: noise clusters fire at rates of their own.
    rate = float(np.median([len(train) for train in trains])) / span
    doubts = _find_spike_scale_doubts(trains, span, rate, n_spikes * bin_width_s / span, sampling_hz)

    def find_worst() -> float:
        intervals = np.concatenate([np.diff(train) for train in trains])
        return max(bin_width_s, float(np.median(intervals)) if len(intervals) else 0.0)

    coarse = find_resolution_doubts(trains, dtype, bin_width_s, "bins", find_worst, scale or 1.0)
    return [*([] if scale == 1 else doubts), *coarse]


def _find_spike_scale_doubts(
    trains: Sequence[Float[np.ndarray, " _spike"]],
    span: float,
    rate: float,
    filled: float,
    sampling_hz: Sequence[float],
) -> list[Doubt]:
    """Check the unit of spike times: one doubt at most, the most specific."""
    empty = filled < EMPTY
    since = _find_epoch(trains)
    # seconds since 1970 only shift the clock and can be fitted; in other units bins would be of another length as well
    if since is not None and since[0].seconds != 1:
        return [_describe_epoch(since, refuses=True)]
    # A sorter counts samples, so that whole numbers are the sign of an export without its division by the rate.
    whole = _are_whole(trains)
    if whole or (rate < SLOWEST_HZ and span > SLOW_SPAN_S):
        units = [*FINER, *(_samples(sampling_hz) if whole else ())]
        # The unit that would make the rate of a median unit most usual.
        unit = min(units, key=lambda one: abs(math.log(rate / one.seconds / USUAL_HZ)))
        what = (
            f"all {sum(map(len, trains))} spike times are whole numbers, over {span:.3g} s"
            if whole
            else f"the median unit fires {rate:.2g} spikes/s over {span:.3g} s"
        )
        # rate and span are those of seconds: rounding explains whole numbers better than another unit
        if whole and rate > SLOWEST_HZ and span < SLOW_SPAN_S:
            unit = Unit("times that were rounded to seconds", "1", 1.0)
        fix = (
            f"give {scale_option('', unit.scale)}"
            + (", or 1 / the sampling rate" if "sample" in unit.words else "")
            + (" if they are right" if unit.seconds == 1 else "; --time-scale 1 takes them for seconds")
        )
        # units that hardly fire leave bins empty too: refused only where hardly a session is as long
        return [Doubt(what, unit.words, fix, refuses=empty and span > 2 * 86400)]
    # Too fast: the unit of the file is longer than a second.
    if rate > FASTEST_HZ:
        divided = [Unit("seconds divided by the sampling rate", f"{hz:.9g}", hz) for hz in (*sampling_hz, COMMON_HZ)]
        nearest = sorted([*COARSER, *divided], key=lambda one: abs(math.log(rate / one.seconds / USUAL_HZ)))
        unit, other = nearest[0], next(one for one in nearest if one.words != nearest[0].words)
        # days and 30 kHz differ by a factor of 3, so that rates cannot tell them apart
        known = abs(math.log(other.seconds / unit.seconds)) > math.log(ALIKE)
        more = "" if known else f", or {scale_option('', other.scale)}"
        return [
            Doubt(
                f"the median unit fires {rate:.3g} spikes/s over {span:.3g} s",
                unit.words if known else f"{unit.words} or {other.words}",
                f"give {scale_option('', unit.scale)}{more}; --time-scale 1 takes them for seconds",
                refuses=rate > REFRACTORY_HZ,
            )
        ]
    return [] if since is None else [_describe_epoch(since)]


def find_sample_doubts(
    time: Float[np.ndarray, " sample"],
    *,
    kind: str = "series",
    dtype: np.dtype[Any] | None = None,
    rate_hz: float | None = None,
    scale: float | None = None,
    name: str = "",
) -> list[Doubt]:
    """Check the times of the samples of a series, which should be seconds.

    Parameters
    ----------
    time : array of float64, shape (sample,)
        Finite, increasing.
    kind : str
        Kind of the source, on which usual steps depend.
    dtype : numpy.dtype, optional
        Type in which timestamps are stored; None where there are none.
    rate_hz : float, optional
        The rate, where the clock is a rate.
    scale : float, optional
        Factor by which the times have been multiplied, as asked.
    name : str
        Name for which a time scale would be given; empty for the source.
    """
    if len(time) < 2:
        return []
    if stray := describe_stray_times(time):
        return [Doubt(stray, "a clock that was not set", "mend or remove them in the file; they are kept as stored")]
    step, span = float(np.median(np.diff(time))), float(time[-1] - time[0])
    coarse = [] if dtype is None else find_resolution_doubts([time], dtype, step, "steps", lambda: step, scale or 1.0)
    doubts = [] if scale == 1 else _find_sample_scale_doubts(time, step, span, kind, rate_hz, name)
    return [*doubts, *coarse]


def _find_sample_scale_doubts(
    time: Float[np.ndarray, " sample"], step: float, span: float, kind: str, rate_hz: float | None, name: str
) -> list[Doubt]:
    """Check the unit of the times of samples: one doubt at most."""
    # Times since 1970 come first: they would also look like long spans.
    since = _find_epoch([time])
    if since is not None:
        return [_describe_epoch(since, name=name)]
    if rate_hz is None and len(time) >= FEW and (np.diff(time) == 1).all() and time[0] == round(time[0]):
        return [
            Doubt(
                f"timestamps are {time[0]:.0f}, {time[1]:.0f}, {time[2]:.0f}, ...: one second a sample",
                "frame numbers",
                f"give {scale_option(name, '1/RATE')}, RATE being frames a second; {scale_option(name, '1')} takes "
                "them for seconds",
            )
        ]
    fastest = FASTEST_OF.get(kind)
    if rate_hz is None and len(time) >= FEW and span > WEEK_S and _are_whole([time]):
        return [_describe_long_step(f"all {len(time)} timestamps are whole numbers, over {span:.3g} s", step, name)]
    if fastest is None:
        return []
    if rate_hz == 1 and kind in ("video", "pose"):
        return [
            Doubt(
                "the rate is 1 Hz, one second a frame",
                "a rate that was not known when the file was written",
                f"give {scale_option(name, '1/RATE')}, RATE being frames a second",
            )
        ]
    if step > LONGEST_STEP_S and rate_hz is not None and rate_hz >= 1e-3:
        # times were read as i / rate, and are i * rate where that field holds the step: the factor is rate squared
        likely_hz = 1 / rate_hz
        return [
            Doubt(
                f"the rate is {rate_hz:.3g} Hz, a sample every {step:.4g} s",
                f"the step in place of the rate, {likely_hz:.4g} Hz",
                f"give {scale_option(name, f'1/{likely_hz * likely_hz:.6g}')}",
                scale=1 / likely_hz**2,
            )
        ]
    if step > LONGEST_STEP_S:
        return [_describe_long_step(f"samples are {step:.4g} s apart, over {span:.3g} s", step, name)]
    if 1 / step > fastest:
        return [
            Doubt(
                f"there are {1 / step:.6g} samples a second ({1 / step:.0f} Hz)",
                "the rate of another device",
                f"give {scale_option(name, 'STORED/TRUE')} by the two rates, or write the true one",
            )
        ]
    return []


def _describe_long_step(what: str, step: float, name: str) -> Doubt:
    """Make the doubt about steps that are too long: their unit would make them most usual."""
    unit = min([*FINER, *_samples(())], key=lambda one: abs(math.log(step * one.seconds / USUAL_STEP_S)))
    return Doubt(
        what, unit.words, f"give {scale_option(name, unit.scale)}; {scale_option(name, '1')} takes them for seconds"
    )


def compare_spans(
    ours: tuple[float, float],
    theirs: tuple[float, float],
    *,
    path: str,
    name: str,
    own_name: str = "",
    sampling_hz: Sequence[float] = (),
) -> Doubt | None:
    """Compare two spans of one session, which should overlap.

    Parameters
    ----------
    ours : (float, float)
        First and last time of the source, seconds.
    theirs : (float, float)
        Those of the object at `path`: a table of intervals, another source, behaviour.
    path, name : str
        Path of that object, and the name for which a time scale would be given.
    own_name : str
        Name for which a time scale would be given to correct `ours`.
    sampling_hz : sequence of float
        Sampling rates of voltages in the file, Hz.
    """
    own, other = ours[1] - ours[0], theirs[1] - theirs[0]
    if not (own > 0 and other > 0):
        return None
    both = f"what is fitted goes from {ours[0]:.6g} to {ours[1]:.6g} s, "
    both += f"and {path} from {theirs[0]:.6g} to {theirs[1]:.6g} s"
    # A time scale is proposed only where it makes two spans that are apart nearly equal.
    if _jaccard(ours, theirs) < APART:
        for small, large, key in ((ours, theirs, name), (theirs, ours, own_name)):
            units = [*FINER, *_samples(sampling_hz)]
            alike = [_jaccard(small, (large[0] * unit.seconds, large[1] * unit.seconds)) for unit in units]
            best = int(np.argmax(alike))
            if alike[best] >= SAME:
                unit = units[best]
                which = path if key == name else "what is fitted"
                return Doubt(
                    f"{both}: {large[1] / small[1]:.4g} times as far",
                    f"{which} is in {unit.words}",
                    f"give {scale_option(key, unit.scale)}"
                    + (", or 1 / the sampling rate" if "sample" in unit.words else ""),
                )
    # of the shorter: trials or a video may cover a part of the session and be right
    overlap = max(0.0, min(ours[1], theirs[1]) - max(ours[0], theirs[0])) / min(own, other)
    if overlap < LITTLE:
        since = max(abs(ours[0]), abs(theirs[0])) > EPOCH_S
        return Doubt(
            f"{both}: they have {100 * overlap:.3g} % of the shorter in common",
            "times since 1970 on one side"
            if since
            else "clocks that begin apart, as of a spike sorting without the clock of its recording",
            "compare the two clocks, and write one of them on that of the other",
            of_scale=False,
        )
    return None


def find_row_doubt(
    start: Float[np.ndarray, " row"], span: tuple[float, float], *, path: str, name: str
) -> Doubt | None:
    """Check the times of events or of intervals, which should lie within what is fitted, for numbers of frames.

    Parameters
    ----------
    start : array of float64, shape (row,)
        Begin of each row, seconds.
    span : (float, float)
        First and last time of what is fitted, seconds.
    path, name : str
        Path of the table, and the name for which a time scale would be given.
    """
    known = start[np.isfinite(start)]
    if len(known) < FEW or not _are_whole([known]):
        return None
    behind = known > span[1]
    if behind.mean() < 1 - LITTLE:
        return None
    return Doubt(
        f"all {len(known)} times of {path} are whole numbers up to {known.max():.0f}, and {int(behind.sum())} lie "
        f"behind the end of what is fitted ({span[1]:.6g} s)",
        f"{path} holds frame numbers",
        f"give {scale_option(name, '1/RATE')}, RATE being frames a second",
    )


def find_span(
    start: Float[np.ndarray, " interval"], stop: Float[np.ndarray, " interval"]
) -> tuple[float, float] | None:
    """Return the span of all intervals but the outermost 2 %, seconds; None for fewer than three."""
    known = np.isfinite(start) & np.isfinite(stop)
    if known.sum() < 3:
        return None
    # a start that is there: an interpolated quantile lies between a faulty row and the rest
    low, high = np.quantile(start[known], [0.02, 0.98], method="inverted_cdf")
    # One faulty row, 0 or 1e9, would otherwise be the span.
    ends = stop[known & (start >= low) & (start <= high)]
    return float(low), float(np.quantile(ends, 0.98, method="inverted_cdf")) if len(ends) else float(high)


def guess_column_scale(values: Num[np.ndarray, " row"], low: float, high: float) -> Unit | None:
    """Return the unit in which the times of a column would lie between `low` and `high`, if there is one."""
    known = values[np.isfinite(values)]
    if len(known) < 3:
        return None
    for unit in (*FINER, *_samples(())):
        inside = (known * unit.seconds >= low) & (known * unit.seconds <= high)
        if (
            # a tenth may be faulty; as far as the trials, so that short values in seconds are not taken for times
            inside.mean() >= 0.9
            and _jaccard((low, high), (float(known.min() * unit.seconds), float(known.max() * unit.seconds))) >= SAME
        ):
            return unit
    return None


def _samples(sampling_hz: Sequence[float]) -> list[Unit]:
    """Return the units of times that are sample numbers."""
    return [Unit(f"sample numbers at {hz:.9g} Hz", f"1/{hz:.9g}", 1 / hz) for hz in (*sampling_hz, COMMON_HZ)]


def _jaccard(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the intersection of two spans over their union, 0 to 1."""
    common = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return common / max(max(a[1], b[1]) - min(a[0], b[0]), 1e-300)  # two spans of one moment


def _are_whole(parts: Sequence[Float[np.ndarray, " _time"]]) -> bool:
    """Return whether all times are whole numbers."""
    return _hold_for_all(parts, lambda times: times == np.round(times))


def _hold_for_all(
    parts: Sequence[Float[np.ndarray, " _time"]],
    hold: Callable[[Float[np.ndarray, " _time"]], Bool[np.ndarray, " _time"]],
) -> bool:
    """Return whether a condition holds for all times."""
    # In nearly every file one of the first few does not, and the millions after them need not be looked at.
    return all(bool(hold(times[:FEW]).all()) for times in parts) and all(bool(hold(times).all()) for times in parts)


def _find_epoch(parts: Sequence[Float[np.ndarray, " _time"]]) -> tuple[Unit, str] | None:
    """Return the unit in which times would count from 1970, and the day; None where they would in none."""
    # the median is not above what no time is above, and that needs no pool of all times
    if max((float(times.max()) for times in parts if len(times)), default=0.0) <= EPOCH_S:
        return None
    middle = float(np.median(np.concatenate(parts)))
    for unit in (Unit("seconds", "1", 1.0), *FINER):
        # between 1973 and 2128: longer numbers are of a finer unit
        if EPOCH_S < middle * unit.seconds < 50 * EPOCH_S:
            return unit, datetime.fromtimestamp(middle * unit.seconds, UTC).strftime("%Y-%m-%d")
    return None


def _describe_epoch(since: tuple[Unit, str], *, name: str = "", refuses: bool = False) -> Doubt:
    """Make the doubt about times since 1970."""
    unit, day = since
    return Doubt(
        f"times look like {unit.words} since 1970 ({day})",
        "a computer's clock in place of the session's",
        f"give {scale_option(name, unit.scale)}"
        if unit.seconds != 1
        else "write them as seconds of the session; they are kept as stored "
        f"({scale_option(name, '1')} vouches for that)",
        refuses=refuses,
    )


def find_resolution_doubts(
    parts: Sequence[Float[np.ndarray, " _time"]],
    dtype: np.dtype[Any] | None,
    step: float,
    of: str,
    find_worst: Callable[[], float],
    scale: float,
) -> list[Doubt]:
    """Check a float type for a resolution that is coarse beside `step`, seconds; coarser than the worst refuses.

    Times are seconds, in one array or several, and have been multiplied by `scale` since they were stored.
    """
    stored = np.dtype(np.float64) if dtype is None else np.dtype(dtype)
    largest = max((float(np.abs(times).max()) for times in parts if len(times)), default=np.nan) / scale
    if stored.kind != "f" or np.isnan(largest):
        return []
    before = ""

    def could_be() -> bool:
        # float32 holds every whole number up to 2**24
        return largest > 2**24 or not _hold_for_all(parts, lambda times: times / scale == np.round(times / scale))

    def passed(times: Float[np.ndarray, " _time"]) -> Bool[np.ndarray, " _time"]:
        kept = times if scale == 1 else times / scale
        return np.asarray(kept == kept.astype(np.float32))

    if stored.itemsize > 4 and _hold_for_all(parts, passed) and could_be():
        # Times that float32 holds to the last have passed through it: of other float64 hardly one is such a number.
        stored, before = np.dtype(np.float32), " before they were written"
    # at the largest time, where floats lie farthest apart
    resolution = float(np.spacing(stored.type(largest))) * scale
    if resolution <= COARSE * step:
        return []
    shown = f"{resolution:.3g} s" if resolution >= 1 else f"{1e3 * resolution:.3g} ms"
    return [
        Doubt(
            f"times were {stored}{before}, which resolves {shown} at {largest * scale:.6g} s, "
            f"beside {of} of {step:.4g} s",
            "single precision, which has seven digits",
            "write them again in float64 from where they came",
            refuses=resolution > find_worst(),
            of_scale=False,
        )
    ]
