"""Power of voltages (LFP, EEG, any ElectricalSeries) in frequency bands, read in blocks of bounded size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...config import ReadConfig
from ...config.progress import Listener, Progress
from ...data.clock_doubts import find_sample_doubts
from ...data.doubt import Doubt
from ...data.spike_binning import MAX_VALUES
from ...errors import DataError, ParameterError
from ..backends.session import Session
from .clock import GAP_FACTOR, PEEK, SampleClock, peek_clock
from .filter_bank import BandFilters, design_filters
from .missing_values import complete
from .provenance import describe_source
from .runs import CutClock, cut_clock
from .segments import ChosenSegments
from .series_values import channel_ids, check_data, count_channels, read_conversion
from .source_kinds import Source
from .timeseries import make_traces

if TYPE_CHECKING:
    from jaxtyping import Float, Int

BLOCK = 2**22
"""Timestamps that are read at once: a day at 30 kHz has 2.6e9 of them."""

EVEN = 0.01
"""Fraction by which the mean step of an interval may differ from the median step of the signal."""


@dataclass(frozen=True)
class Sampled:
    """An interval of evenly spaced samples, without a gap.

    Attributes
    ----------
    first, n_samples : int
        First sample in the series, and their number.
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


def find_sampled(series: Any, where: str, scale: float | None = None) -> list[Sampled]:
    """Find the intervals of a TimeSeries between its gaps (steps above `GAP_FACTOR` median steps).

    Raises
    ------
    DataError
        If it has no clock, timestamps are not finite or do not increase, or an interval is not sampled evenly.
    """
    n_samples = series.data.shape[0]
    clock = peek_clock(series, n_samples, where, scale)
    if clock.rate_hz is not None:
        return [Sampled(0, n_samples, clock.start_s, clock.rate_hz)]
    ends: list[tuple[int, float]] = []  # of each interval: its last sample and the time of that
    starts: list[tuple[int, float]] = []
    before = -np.inf
    for first in range(0, n_samples, BLOCK):
        times = np.asarray(series.timestamps[first : first + BLOCK], np.float64) * (scale or 1.0)
        # The step into each block counts from the last sample of the block before.
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
    intervals = []
    for (a, start_s), (b, stop_s) in zip(starts, ends, strict=True):
        step_s = (stop_s - start_s) / (b - a) if b > a else clock.median_step_s
        # The filters count samples, not seconds: of a drifting clock they would measure other frequencies.
        if abs(step_s - clock.median_step_s) > EVEN * clock.median_step_s:
            raise DataError(
                f"samples {a} to {b} follow every {step_s:.6g} s and others every {clock.median_step_s:.6g} s",
                where=where,
                fix="power needs even sampling: repair the timestamps, or fit the voltages with --bands none",
            )
        intervals.append(Sampled(a, b - a + 1, start_s, 1 / step_s))
    return intervals


BANDS = ((1.0, 4.0), (4.0, 8.0), (8.0, 12.0), (12.0, 30.0), (30.0, 80.0))
"""Hz: delta, theta, alpha, beta, gamma."""

BLOCK_VALUES = 2**22
"""Values of the input, and of the lower rate, that are in memory at once: 32 MiB as float64, and some ten times that
while they are filtered."""


@dataclass(frozen=True)
class PowerBins:
    """Bins of one interval of a signal, in which its power is averaged.

    Attributes
    ----------
    sampled : Sampled
        The interval.
    edge : array of int, shape (bin + 1,)
        First sample of each bin at the lower rate, and the end of the last.
    centre_s : array of float64, shape (bin,)
        Seconds on the session clock.
    """

    sampled: Sampled
    edge: Int[np.ndarray, " edge"]
    centre_s: Float[np.ndarray, " bin"]


def _check_sampling(series: Any, intervals: Sequence[Sampled], scale: float | None, name: str) -> tuple[Doubt, ...]:
    """Check the clock by a few samples of the first interval: there may be hundreds of millions."""
    rate, first = intervals[0].rate_hz, intervals[0].start_s
    n_looked = min(sum(part.n_samples for part in intervals), PEEK)
    time = np.append(first + np.arange(n_looked) / rate, intervals[-1].start_s + intervals[-1].duration_s)
    stored = None if series.timestamps is None else np.asarray(series.timestamps[:1]).dtype
    given = rate if stored is None else None
    return tuple(find_sample_doubts(time, kind="lfp", dtype=stored, rate_hz=given, scale=scale, name=name))


def read_band_power(
    session: Session,
    source: Source,
    config: ReadConfig,
    notes: list[str],
    chosen: ChosenSegments | None = None,
    progress: Listener | None = None,
) -> xr.Dataset:
    """Read the power of each electrode in each band as a recording.

    Parameters
    ----------
    session : Session
        The open file.
    source : Source
        An ElectricalSeries.
    config : ReadConfig
        Segments, ``bands`` and ``power_rate_hz``.
    notes : list of str
        Notes made so far; they come first among the recording's notes.
    chosen : ChosenSegments, optional
        Segments in place of those that `config` asks for.
    progress : callable, optional
        Called with the number of bins read so far.

    Returns
    -------
    xarray.Dataset
        ``data`` (time, channel), channels ``ELECTRODE:LOW-HIGH``, in dB; ``time`` holds the centres of bins of
        ``1 / power_rate_hz`` seconds, in each of which the power is averaged.

    Raises
    ------
    DataError, ParameterError, SourceError
        If bands or rate do not suit the sampling rate, the signal is shorter than the filters, or there is no usable
        clock or segment.
    """
    where = session.where(source.path)
    ((path, series),) = session.find_members((source.path,))
    problem = check_data(series)
    if problem:
        raise DataError(problem, where=where, fix="choose another source with --source")
    scale = session.scale_of(path)
    intervals = find_sampled(series, where, scale)
    filters, unheard = choose_filters(config, intervals[0].rate_hz, where)
    bins = [made for part in intervals if len((made := make_power_bins(part, filters, config.power_rate_hz)).centre_s)]
    # Bins nearer than this to a gap would contain samples from beyond it.
    reach_s = filters.reach / filters.rate_hz
    if not bins:
        raise DataError(
            f"the signal is too short: the filters reach {reach_s:.3g} s to both sides, and its longest interval "
            f"without a gap is {max(part.duration_s for part in intervals):.4g} s",
            where=where,
            fix="choose bands of higher frequencies with --bands",
        )
    time = np.concatenate([part.centre_s for part in bins])
    doubts = _check_sampling(series, intervals, scale, session.name_scale(path))
    cut = cut_clock(session, config, SampleClock(time, doubts=doubts), where, chosen)
    electrodes = channel_ids(series, where)
    ids = [f"{electrode}:{low:g}-{high:g}" for electrode in electrodes for low, high in filters.bands]
    if len(cut.time) * len(ids) > MAX_VALUES:
        raise DataError(
            f"{len(cut.time)} bins of {len(ids)} powers do not fit into memory",
            where=where,
            fix="use a lower --power-rate, fewer --bands, or read less with --trials",
        )
    factor, _ = read_conversion(series, where)
    power = _measure_runs(series, bins, filters, cut, _Counter(progress, path))
    with np.errstate(divide="ignore"):  # the logarithm of no power is minus infinity, which counts as missing
        values = 10 * np.log10(power * (np.broadcast_to(factor, len(electrodes)) ** 2)[None, :, None])
    # Channel by channel, the bands of each in a row: the order of `ids`.
    values = values.reshape(len(cut.time), -1).astype(np.float32)
    done = complete(values, cut, ids, "channel", 0.0, where, min_length_s=config.min_length_s)
    named = ", ".join(f"{low:g}-{high:g}" for low, high in filters.bands)
    notes = [
        *notes,
        f"power in {len(filters.bands)} bands ({named} Hz) of {len(electrodes)} electrodes in dB, averaged in bins of "
        f"{1000 / config.power_rate_hz:g} ms; filters reach {reach_s:.3g} s to both sides",
        *unheard,
    ]
    return make_traces(
        done.values,
        done.cut,
        dim="channel",
        ids=[ids[i] for i in done.kept],
        unit=f"dB re 1 {str(series.unit).strip()}^2",
        kind=source.recording_kind,
        about=describe_source(session, path, series, done.kept // len(filters.bands)),
        left_out=done.left_out,
        notes=[*notes, *done.notes],
        where=where,
    )


def choose_filters(config: ReadConfig, rate_hz: float, where: str) -> tuple[BandFilters, list[str]]:
    """Design the filters that `config` asks for; default bands too high for the sampling rate are left out with a note.

    Raises
    ------
    ParameterError
        If a band that was asked for, or ``power_rate_hz``, is too high for the sampling rate.
    """
    nyquist_hz = rate_hz / 2
    asked = parse_bands(config.bands) if config.bands else BANDS
    heard = tuple((low, high) for low, high in asked if high < 0.95 * nyquist_hz)
    # Default bands may be left out, bands that were asked for may not.
    if len(heard) < len(asked) and (config.bands or not heard):
        low, high = next(band for band in asked if band not in heard)
        raise ParameterError(
            f"the band {low:g}-{high:g} Hz does not fit a signal sampled at {rate_hz:g} Hz",
            where=where,
            fix=f"give --bands below {0.95 * nyquist_hz:.3g} Hz, or --bands none to fit the voltages themselves",
        )
    filters = design_filters(rate_hz, heard)
    lower_hz = rate_hz / filters.factor
    if config.power_rate_hz > lower_hz:
        raise ParameterError(
            f"power {config.power_rate_hz:g} times a second is more than bands up to {heard[-1][1]:g} Hz hold",
            where=where,
            fix=f"give a --power-rate of at most {lower_hz:.4g} Hz",
        )
    names = ", ".join(f"{low:g}-{high:g}" for low, high in asked if (low, high) not in heard)
    return filters, [f"bands too high for {rate_hz:g} Hz are not read: {names} Hz"] if names else []


def parse_bands(text: str) -> tuple[tuple[float, float], ...]:
    """Parse ``"4-8,30-80"``.

    Raises
    ------
    ParameterError
        If it is not of that form, or a band is empty.

    Examples
    --------
    >>> parse_bands("4-8, 30-80")
    ((4.0, 8.0), (30.0, 80.0))
    """
    bands = []
    for item in text.split(","):
        low, _, high = item.partition("-")
        try:
            band = float(low), float(high)
        except ValueError:
            band = math.nan, math.nan
        if not 0 < band[0] < band[1] < math.inf:
            raise ParameterError(
                f"bands is {text!r}: {item.strip()!r} is no band", fix="write frequencies in Hz, like 4-8,8-12,30-80"
            )
        bands.append(band)
    return tuple(bands)


def make_power_bins(sampled: Sampled, filters: BandFilters, power_rate_hz: float) -> PowerBins:
    """Make the bins of an interval in which the power is known throughout: no filter reaches beyond its ends."""
    reach, factor = filters.reach, filters.factor
    first = -(-reach // factor)  # rounded up
    last = (sampled.n_samples - 1 - reach) // factor  # of the lower rate
    per_bin = sampled.rate_hz / factor / power_rate_hz
    # Bin i holds i <= k / per_bin < i + 1, whole bins only: a mean of fewer samples has another variance.
    low, high = math.ceil(first / per_bin - 1e-9), math.floor((last + 1) / per_bin + 1e-9)
    number = np.arange(low, max(low, high) + 1)
    edge = np.ceil(number * per_bin - 1e-9).astype(np.int64)
    # The mean time of the samples in a bin: each is the middle of one step of the lower rate.
    centre_s = sampled.start_s + (number[:-1] + 0.5) / power_rate_hz - 0.5 * factor / sampled.rate_hz
    return PowerBins(sampled, edge, centre_s)


def measure_bins(
    series: Any, bins: PowerBins, filters: BandFilters, first: int, stop: int
) -> Float[np.ndarray, "bin channel band"]:
    """Mean power of stored values in bins `first` to `stop`, squared units; NaN where samples are NaN."""
    n_channels = count_channels(series)
    shift, missing = bins.sampled.first, []

    def read(a: int, b: int) -> Float[np.ndarray, "channel _sample"]:
        stored = np.asarray(series.data[shift + a : shift + b]).reshape(b - a, n_channels)
        # Transposed before it is widened, which moves a quarter of the bytes: most voltages are stored in int16.
        values = np.ascontiguousarray(stored.T).astype(np.float64)
        if stored.dtype.kind == "f" and not np.isfinite(values).all():
            missing.append((a, ~np.isfinite(stored)))
            # A convolution would carry NaN over the whole block; bins that a NaN reaches are set to NaN below.
            values[~np.isfinite(values)] = 0
        return values

    edge = bins.edge[first : stop + 1]
    block = max(1, BLOCK_VALUES // (n_channels * filters.factor))
    power = filters.measure_power(read, int(edge[0]), int(edge[-1]), block)
    summed = np.add.reduceat(power, edge[:-1] - edge[0], axis=-1)
    mean = np.moveaxis(summed / np.diff(edge), -1, 0).swapaxes(1, 2)
    for a, nan in missing:
        before = np.concatenate([np.zeros((1, n_channels)), np.cumsum(nan, axis=0)])
        low = np.clip(edge[:-1] * filters.factor - filters.reach - a, 0, len(nan))
        high = np.clip((edge[1:] - 1) * filters.factor + filters.reach + 1 - a, 0, len(nan))
        mean[before[high] > before[low]] = np.nan
    return mean


class _Counter:
    """Counts the bins that have been read, for a listener."""

    def __init__(self, listener: Listener | None, path: str) -> None:
        self.listener, self.path, self.done = listener, path, 0

    def add(self, n: int, planned: int) -> None:
        self.done += n
        if self.listener is not None:
            self.listener(Progress(f"reading {self.path}", self.done, planned, unit="bin"))


def _measure_runs(
    series: Any, bins: list[PowerBins], filters: BandFilters, cut: CutClock, counter: _Counter
) -> Float[np.ndarray, "time channel band"]:
    """Mean power in the bins of all runs, squared units, read block by block."""
    samples = cut.runs.samples
    power = np.empty((len(samples), count_channels(series), len(filters.bands)))
    offset = 0
    for part in bins:
        inside = np.flatnonzero((samples >= offset) & (samples < offset + len(part.centre_s)))
        wanted = samples[inside] - offset
        offset += len(part.centre_s)
        for first, stop in _cut_blocks(wanted, part, filters, count_channels(series)):
            chosen = (wanted >= first) & (wanted < stop)
            # Runs of several segments may lie in one block, which is read once.
            power[inside[chosen]] = measure_bins(series, part, filters, first, stop)[wanted[chosen] - first]
            counter.add(int(chosen.sum()), len(samples))
    return power


def _cut_blocks(
    wanted: Int[np.ndarray, " wanted"], bins: PowerBins, filters: BandFilters, n_channels: int
) -> list[tuple[int, int]]:
    """Blocks of bins that hold all of `wanted`; pieces closer than the filters reach are read together."""
    if len(wanted) == 0:
        return []
    per_bin = (bins.edge[-1] - bins.edge[0]) / len(bins.centre_s)
    # Each block reads what its filters reach on both sides; nearby pieces would read the same samples twice.
    apart = np.flatnonzero(np.diff(wanted) * per_bin * filters.factor > 2 * filters.reach) + 1
    longest = max(1, int(BLOCK_VALUES / n_channels / per_bin))
    blocks = []
    for piece in np.split(wanted, apart):
        edges = [*range(int(piece[0]), int(piece[-1]) + 1, longest), int(piece[-1]) + 1]
        blocks += list(zip(edges[:-1], edges[1:], strict=True))
    return blocks
