"""Bins of equal width that start with their segment: spikes in each, and the fraction of each that was observed.

Bin i of a segment holds ``start + i * width <= t < start + (i + 1) * width``. A last bin that does not fit
wholly is not made. Times that lie at an edge but for the rounding of floating point numbers count as
lying at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .frame_runs import find_runs
from .memory import find_free_memory

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Int, Num, Real

MIN_FRACTION = 0.5
"""A bin of which a unit was observed for less than this fraction is dropped; above, its count is corrected."""

SPARSE = 4
"""At so many bins per spike or more, spikes are counted one by one, and empty bins are not touched."""

MIN_BINS = 2  # flows are between successive frames
MAX_VALUES = 2**31  # 8 GiB as float32


@dataclass(frozen=True)
class Bins:
    """Bins in blocks; each block is a run of successive bins within one segment.

    Attributes
    ----------
    start : array of float64, shape (block,)
        Start of the first bin of each block, seconds.
    n_bins : array of int, shape (block,)
        Bins in each block.
    segment : array of int, shape (block,)
        The segment that each block is cut from.
    width_s : float
        Width of every bin.
    """

    start: Real[np.ndarray, " block"]
    n_bins: Int[np.ndarray, " block"]
    segment: Int[np.ndarray, " block"]
    width_s: float

    @property
    def stop(self) -> Float[np.ndarray, " block"]:
        """End of the last bin of each block, seconds."""
        return np.asarray(self.start + self.n_bins * self.width_s)

    @property
    def frame_block(self) -> Int[np.ndarray, " time"]:
        """Block of each bin, shape (time,)."""
        return np.repeat(np.arange(len(self.n_bins)), self.n_bins)

    @property
    def left(self) -> Float[np.ndarray, " time"]:
        """Left edge of each bin in seconds, shape (time,)."""
        first = np.cumsum(self.n_bins) - self.n_bins
        number = np.arange(self.n_bins.sum()) - np.repeat(first, self.n_bins)
        # a product, not a sum of widths, whose rounding errors would add up
        return np.asarray(np.repeat(self.start, self.n_bins) + number * self.width_s)

    @property
    def centre(self) -> Float[np.ndarray, " time"]:
        """Centre of each bin in seconds, shape (time,)."""
        return self.left + self.width_s / 2

    def keep(self, good: Bool[np.ndarray, " time"], min_length_s: float = 0.0) -> tuple[Bins, Int[np.ndarray, " kept"]]:
        """Keep runs of two or more successive `good` bins, `min_length_s` or longer, each as a block of its own.

        Returns
        -------
        Bins
            The runs.
        array of int, shape (kept,)
            Which bins they hold.
        """
        left, block = self.left, self.frame_block
        runs = find_runs(good, left, left + self.width_s, block, self.start, self.stop, min_length_s=min_length_s)
        return Bins(left[runs.first], runs.lengths, self.segment[runs.segment], self.width_s), runs.frames


def make_bins(
    start: Real[np.ndarray, " segment"], stop: Real[np.ndarray, " segment"], width_s: float, *, n_units: int, where: str
) -> Bins:
    """Divide each segment into bins from its start; segments shorter than two bins have none.

    Raises
    ------
    DataError
        If no segment holds two bins, or the counts would not fit into memory.

    Examples
    --------
    >>> make_bins(np.array([2.1]), np.array([3.2]), 0.1, n_units=1, where="").n_bins
    array([11])
    """
    length = (stop - start) / width_s
    total = float(length.sum())
    # before they are counted: a machine that runs out of memory says nothing
    needed, free = total * n_units * np.dtype(np.float32).itemsize, find_free_memory()
    if total * n_units > MAX_VALUES or needed > free:
        raise DataError(
            f"{total:.3g} bins of {width_s:g} s for {n_units} units do not fit into memory: their counts take "
            f"{needed / 2**30:.3g} GiB, and {min(free, 4 * MAX_VALUES) / 2**30:.3g} GiB can be had",
            where=where,
            fix="use a wider --bin, or read less with --trials or --units",
        )
    n_bins = np.floor(length + _tolerance(stop, width_s)).astype(np.int64)
    kept = np.flatnonzero(n_bins >= MIN_BINS)
    if len(kept) == 0:
        raise DataError(
            f"no segment is as long as two bins of {width_s:g} s: the longest has {float((stop - start).max()):.4g} s",
            where=where,
            fix="use a narrower --bin",
        )
    return Bins(start[kept], n_bins[kept], kept, width_s)


def count_spikes(
    times: list[Real[np.ndarray, " _spike"]], bins: Bins, frames: tuple[int, int] | None = None
) -> Float32[np.ndarray, "time unit"]:
    """Count the spikes of each unit in each bin.

    Parameters
    ----------
    times : list of array of float64, shape (spike,)
        Spike times of each unit in seconds, in order.
    bins : Bins
        Blocks in order of time.
    frames : (int, int), optional
        First and end of the bins that are counted; all by default. Spikes far from them are not looked at.

    Returns
    -------
    array of float32, shape (time, unit)

    Notes
    -----
    Sorted spikes are divided among the blocks by one binary search per block, so the cost of a spike does
    not grow with the number of trials; np.histogram takes some fifty times as long.
    """
    low, high = (0, int(bins.n_bins.sum())) if frames is None else frames
    first, end = np.cumsum(bins.n_bins) - bins.n_bins, bins.stop[-1] + bins.width_s
    # blocks around the bins that are counted are left out, and so is all but a bin more to either side
    some = slice(*np.searchsorted(first, (low, max(high, low + 1) - 1), side="right") - (1, 0))
    bins, first = Bins(bins.start[some], bins.n_bins[some], bins.segment[some], bins.width_s), first[some]
    near = bins.start[0] + (low - first[0] - 1) * bins.width_s
    far = min(end, bins.start[-1] + (high - first[-1] + 1) * bins.width_s)
    # a row for each unit, so that its spikes are written close together; the transpose at the end copies nothing
    counts = np.zeros((len(times), high - low), dtype=np.float32)
    for row, spikes in enumerate(times):
        tolerance = _tolerance(spikes, bins.width_s)
        # those far beyond the last bin are not looked at: a part of a session may be counted alone
        spikes = spikes[slice(*np.searchsorted(spikes, (near, far)))]
        # a spike that lies at an edge but for rounding belongs to the bin that begins there
        edges = np.searchsorted(spikes, bins.start - tolerance * bins.width_s)
        spikes, edges = spikes[edges[0] :], edges - edges[0]
        if len(edges) == 1:  # a session in one piece, where nothing has to be looked up
            number = first[0] + _number_bins(spikes, bins.start[:1], bins.width_s, tolerance)
            _count_into(counts[row], number[slice(*np.searchsorted(number, (low, high)))] - low)
            continue
        block = np.repeat(np.arange(len(edges)), np.diff(np.append(edges, len(spikes))))
        number = _number_bins(spikes, bins.start[block], bins.width_s, tolerance)
        # spikes of the pause after a block have numbers beyond its last bin
        inside = number < bins.n_bins[block]
        number = first[block[inside]] + number[inside]
        _count_into(counts[row], number[slice(*np.searchsorted(number, (low, high)))] - low)
    return counts.T


def _count_into(counts: Float32[np.ndarray, " time"], number: Int[np.ndarray, " spike"]) -> None:
    """Write into `counts`, which are all 0, how often each bin number occurs; numbers are in order."""
    if len(counts) < SPARSE * len(number):
        counts[:] = np.bincount(number, minlength=len(counts))
        return
    counts[number] = 1  # most bins are empty, and those are not touched
    # np.add.at, since indexing with repeats would add each bin once
    again = number[1:][number[1:] == number[:-1]]
    np.add.at(counts, again, np.float32(1))


def _number_bins(
    spikes: Real[np.ndarray, " spike"], start: Real[np.ndarray, " #spike"], width_s: float, tolerance: float
) -> Int[np.ndarray, " spike"]:
    """Return the bin of each spike, counted from `start`: one for all spikes, or one for each."""
    # in place: there may be tens of millions of spikes
    place = spikes - start
    place /= width_s
    place += tolerance
    # truncation is the floor here: no spike lies before its start
    return np.asarray(place.astype(np.int64))


def compute_observed_fraction(
    observed: list[Real[np.ndarray, "_interval 2"]], bins: Bins
) -> Float32[np.ndarray, "time unit"]:
    """Compute the fraction of each bin during which each unit was observed.

    Parameters
    ----------
    observed : list of array of float64, shape (interval, 2)
        Intervals of each unit in seconds, in order and apart.
    bins : Bins
        The bins.

    Returns
    -------
    array of float32, shape (time, unit)
        0 to 1; within rounding of 1 exactly 1.
    """
    fraction = np.empty((int(bins.n_bins.sum()), len(observed)), dtype=np.float32)
    for unit, part in enumerate(iterate_fractions(observed, bins)):
        fraction[:, unit] = part
    return fraction


def iterate_fractions(
    observed: Sequence[Real[np.ndarray, "_interval 2"]], bins: Bins, frames: tuple[int, int] | None = None
) -> Iterator[Float32[np.ndarray, " time"]]:
    """Compute the fraction of each bin, unit by unit: all of them may be more than memory holds.

    Of the bins from the first to the end of `frames` alone, where these are given.
    """
    left, last, part = bins.left[slice(*(frames or (None,)))], None, np.empty(0, np.float32)
    for intervals in observed:
        # most often all units have the same intervals
        if last is None or not np.array_equal(intervals, last):
            # seconds observed until each time, rising inside intervals and flat between them: differences are exact
            length = intervals[:, 1] - intervals[:, 0]
            seconds = np.column_stack([np.cumsum(length) - length, np.cumsum(length)]).ravel()
            knots, last = intervals.ravel(), intervals
            seen = np.interp(left + bins.width_s, knots, seconds) - np.interp(left, knots, seconds)
            seen = np.clip(seen / bins.width_s, 0, 1)
            # so that rounding at the ends of intervals corrects no count by a factor of 0.99999
            part = np.where(seen > 1 - 1e-4, 1, seen).astype(np.float32)
        yield part


def intersect_intervals(intervals: list[Real[np.ndarray, "_interval 2"]]) -> Real[np.ndarray, "interval 2"]:
    """Return the intervals, shape (interval, 2), during which all of `intervals` hold.

    Examples
    --------
    >>> intersect_intervals([np.array([[0.0, 5.0], [6.0, 9.0]]), np.array([[4.0, 7.0]])])
    array([[4., 5.],
           [6., 7.]])
    """
    unique = list({item.tobytes(): item for item in intervals}.values())
    shared = unique[0]
    for other in unique[1:]:
        # Each interval of `shared` is cut by those of `other` that reach into it.
        first = np.searchsorted(other[:, 1], shared[:, 0], side="right")
        last = np.searchsorted(other[:, 0], shared[:, 1], side="left")
        pieces = [
            (max(start, other[i, 0]), min(stop, other[i, 1]))
            for (start, stop), a, b in zip(shared, first, last, strict=True)
            for i in range(a, b)
        ]
        shared = np.array(pieces, dtype=np.float64).reshape(-1, 2)
    return shared


def join_intervals(intervals: Real[np.ndarray, "_interval 2"]) -> Real[np.ndarray, "joined 2"]:
    """Sort intervals, shape (interval, 2), and join those that touch or overlap; empty ones go.

    Examples
    --------
    >>> join_intervals(np.array([[6.0, 9.0], [0.0, 3.0], [3.0, 5.0], [2.0, 2.0]]))
    array([[0., 5.],
           [6., 9.]])
    """
    joined: list[list[float]] = []
    for start, stop in intervals[np.argsort(intervals[:, 0], kind="stable")].tolist():
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop)
        elif stop > start:
            joined.append([start, stop])
    return np.array(joined, np.float64).reshape(-1, 2)


def _tolerance(times: Real[np.ndarray, " spike"], width_s: float) -> float:
    """Return the rounding of ordered `times` as a fraction of a bin: a millionth, or more for late clocks."""
    # float64 leaves less and less of late clocks: 1e9 s are known to 1e-7 s
    latest = max(abs(float(times[0])), abs(float(times[-1]))) if len(times) else 0.0
    return 1e-6 + 4 * float(np.spacing(latest)) / width_s


def merge_bins(
    values: Num[np.ndarray, "time unit"], segment: Int[np.ndarray, " time"], n: int
) -> tuple[Num[np.ndarray, "merged unit"], Int[np.ndarray, " merged"], Int[np.ndarray, " merged"]]:
    """Sum the counts of `n` bins, one after another within each segment.

    Parameters
    ----------
    values : array, shape (time, unit)
    segment : array of int, shape (time,)
        Segment of each bin, 0, 1, 2, ...; those of a segment are contiguous.
    n : int
        Bins that become one; a rest at the end of a segment is left out.

    Returns
    -------
    values, segment : array, shapes (merged, unit), (merged,)
        Segments shorter than `n` bins are gone, the others are numbered anew.
    start : array of int, shape (merged,)
        First of the bins that were merged.

    Examples
    --------
    >>> merged, segment, start = merge_bins(np.ones((5, 1)), np.array([0, 0, 0, 1, 1]), 2)
    >>> merged.ravel().tolist(), segment.tolist(), start.tolist()
    ([2.0, 2.0], [0, 1], [0, 3])
    """
    edges = np.searchsorted(segment, np.arange(segment[-1] + 2 if len(segment) else 1))
    starts = [np.arange(a, b - n + 1, n) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    start = np.concatenate(starts) if starts else np.empty(0, np.int64)
    merged = values[start].copy()
    for i in range(1, n):
        merged += values[start + i]
    return merged, np.unique(segment[start], return_inverse=True)[1].reshape(-1), start
