"""Spike trains of the units that are read, and their counts: all at once, or of a part when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .spike_binning import MIN_FRACTION, Bins, count_spikes, iterate_fractions, make_bins

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Int, Num, Real, Shaped

MOST_COUNTED = 2**24  # counts that are made at a time where some bins are asked for


@dataclass(frozen=True)
class SpikeTrains:
    """Spike times of the units that are read.

    Attributes
    ----------
    unit_id : array of int or str, shape (unit,)
        Ids as stored.
    row : array of int, shape (unit,)
        Rows of the units in their table.
    times : list of array of float64, shape (spike,)
        Seconds, in order.
    observed : list of array of float64, shape (interval, 2), or None
        When each unit was observed, seconds; None where nothing says so.
    """

    unit_id: Shaped[np.ndarray, " unit"]
    row: Int[np.ndarray, " unit"]
    times: list[Real[np.ndarray, " _spike"]]
    observed: list[Real[np.ndarray, "_interval 2"]] | None

    def take(self, keep: Bool[np.ndarray, " unit"] | Int[np.ndarray, " kept"]) -> SpikeTrains:
        """Return the units for which `keep` is true, or those at the places that it holds."""
        rows = np.flatnonzero(keep) if keep.dtype == bool else keep
        observed = None if self.observed is None else [self.observed[i] for i in rows]
        return SpikeTrains(self.unit_id[rows], self.row[rows], [self.times[i] for i in rows], observed)


@dataclass(frozen=True)
class Counts:
    """Spikes of each unit in each bin.

    Attributes
    ----------
    values : array of float32, shape (time, unit)
        Spikes; of partly observed bins divided by the observed fraction.
    bins : Bins
        Their bins.
    notes : list of str
        What was corrected or dropped, in sentences.
    """

    values: Float32[np.ndarray, "time unit"]
    bins: Bins
    notes: list[str]


def count_trains(
    trains: SpikeTrains,
    start: Real[np.ndarray, " segment"],
    stop: Real[np.ndarray, " segment"],
    bin_width_s: float,
    *,
    where: str,
    observed: str,
    min_length_s: float = 0.0,
) -> Counts:
    """Count spikes in bins that start with their segment, where all units were observed.

    Parameters
    ----------
    trains : SpikeTrains
        The units.
    start, stop : array of float64, shape (segment,)
        Segments in order of time, seconds.
    bin_width_s : float
        Width of a bin.
    where : str
        Names the source in errors.
    observed : str
        Names what says when units were observed, for notes.
    min_length_s : float
        Where unobserved bins are dropped, runs between them that are shorter are dropped too.

    Raises
    ------
    DataError
        If no segment holds two bins, or no two successive bins in which every unit was observed for half of the bin.

    Notes
    -----
    Counts are float32 because the square root of numpy's uint8 is float16.
    """
    binned = BinnedTrains.divide(
        trains, start, stop, bin_width_s, where=where, observed=observed, min_length_s=min_length_s
    )
    return Counts(binned.count(), binned.bins, binned.notes)


@dataclass(frozen=True)
class BinnedTrains:
    """Spike trains and their bins: counts are made when they are asked for, of some units and some bins.

    Attributes
    ----------
    trains : SpikeTrains
    whole : Bins
        Of the segments.
    bins : Bins
        Those of them in which all units were observed.
    kept : array of int, shape (time,), or None
        Their places among `whole`; None where they are the same.
    notes : list of str
        What is corrected or dropped, in sentences.
    """

    trains: SpikeTrains
    whole: Bins
    bins: Bins
    kept: Int[np.ndarray, " time"] | None
    notes: list[str]

    @classmethod
    def divide(
        cls,
        trains: SpikeTrains,
        start: Real[np.ndarray, " segment"],
        stop: Real[np.ndarray, " segment"],
        bin_width_s: float,
        *,
        where: str,
        observed: str,
        min_length_s: float = 0.0,
        at_once: bool = True,
    ) -> BinnedTrains:
        """Divide segments into bins, as `count_trains` does; where not `at_once`, memory need not hold all counts."""
        whole = make_bins(start, stop, bin_width_s, n_units=len(trains.row) if at_once else 1, where=where)
        if trains.observed is None:
            return cls(trains, whole, whole, None, [])
        n_bins = int(whole.n_bins.sum())
        least, corrected, lacking = np.ones(n_bins, np.float32), np.zeros(n_bins, bool), []
        for fraction in iterate_fractions(trains.observed, whole):
            np.minimum(least, fraction, out=least)
            corrected |= (fraction < 1) & (fraction >= MIN_FRACTION)
            lacking.append(int((fraction < MIN_FRACTION).sum()))
        # a frame needs all units, so one that is off drops it
        bins, kept = whole.keep(least >= MIN_FRACTION, min_length_s)
        if len(kept) == 0:
            raise DataError(
                "no two successive bins in which every unit was observed for half of the bin",
                where=where,
                fix="leave out those that were observed for a short time (--units)",
            )
        worst = trains.unit_id[int(np.argmax(lacking))]
        notes = _note_corrections(int(corrected[kept].sum()), n_bins - len(kept), n_bins, worst, observed)
        return cls(trains, whole, bins, kept, notes)

    def count(
        self, units: Int[np.ndarray, " unit"] | None = None, frames: Int[np.ndarray, " frame"] | None = None
    ) -> Float32[np.ndarray, "frame unit"]:
        """Count the spikes of some units in some bins; all by default."""
        trains = self.trains if units is None else self.trains.take(units)
        if frames is None:
            counts = self._count_range(trains, (0, int(self.whole.n_bins.sum())))
            return counts if self.kept is None else counts[self.kept]
        at = frames if self.kept is None else self.kept[frames]
        found = np.empty((len(at), len(trains.times)), np.float32)
        order, most = np.argsort(at, kind="stable"), max(1, MOST_COUNTED // max(1, len(trains.times)))
        # in parts: of bins that lie far apart, all those between them may be more than memory holds
        for some in np.split(order, np.flatnonzero(np.diff(at[order] // most)) + 1):
            if len(some):
                low, high = int(at[some[0]]), int(at[some[-1]]) + 1
                found[some] = self._count_range(trains, (low, high))[at[some] - low]
        return found

    def _count_range(self, trains: SpikeTrains, frames: tuple[int, int]) -> Float32[np.ndarray, "frame unit"]:
        """Count the spikes of trains in successive bins of `whole`."""
        counts = count_spikes(trains.times, self.whole, frames)
        if trains.observed is not None:
            # as if the unit had gone on at that rate while unseen
            for unit, fraction in enumerate(iterate_fractions(trains.observed, self.whole, frames)):
                counts[:, unit] /= np.where((fraction < 1) & (fraction >= MIN_FRACTION), fraction, 1)
        return counts

    def find_constant(self, *, where: str) -> tuple[Bool[np.ndarray, " unit"], list[dict[str, object]]]:
        """Find the units whose count never changes, as `find_constant` does, without counting most of them."""
        n_units, n_bins = len(self.trains.times), int(self.bins.n_bins.sum())
        low, high = np.zeros(n_units), np.ones(n_units)
        for unit, spikes in enumerate(self.trains.times):
            # fewer spikes than bins leave one empty: a spike in another is all that is left to show
            if self.kept is None and len(spikes) < n_bins and self._holds_some(spikes):
                continue
            counts = self.count(np.array([unit]))
            low[unit], high[unit] = counts.min(), counts.max()
        return _report_constant(low, high, self.trains.unit_id, where)

    def _holds_some(self, spikes: Real[np.ndarray, " _spike"]) -> bool:
        """Whether one of some spikes lies well inside a bin; False where none of those looked at does."""
        some = spikes[:: max(1, len(spikes) // 64)]
        block = np.searchsorted(self.bins.start, some, side="right") - 1
        place = (some - self.bins.start[block]) / self.bins.width_s
        return bool(((block >= 0) & (place < self.bins.n_bins[block] - 0.5)).any())


def find_constant(
    counts: Num[np.ndarray, "time unit"], unit_id: Shaped[np.ndarray, " unit"], *, where: str
) -> tuple[Bool[np.ndarray, " unit"], list[dict[str, object]]]:
    """Find the units whose count never changes.

    Returns
    -------
    array of bool, shape (unit,)
        Which units vary.
    list of dict
        The others, for ``recording.attrs["left_out"]``.

    Raises
    ------
    DataError
        If no unit varies.
    """
    # the value is kept: to a model of another session a silent unit is there and counts 0 (`channel_matching`)
    return _report_constant(counts.min(axis=0), counts.max(axis=0), unit_id, where)


def _report_constant(
    low: Num[np.ndarray, " unit"], high: Num[np.ndarray, " unit"], unit_id: Shaped[np.ndarray, " unit"], where: str
) -> tuple[Bool[np.ndarray, " unit"], list[dict[str, object]]]:
    """Return which units vary between their least and their highest count, and what to report of the others."""
    varies = np.asarray(high > low)
    if not varies.any():
        raise DataError("no unit varies from bin to bin", where=where, fix="read other trials or use another --bin")
    left_out: list[dict[str, object]] = []
    for i in np.flatnonzero(~varies):
        why = "no spike in the bins read" if low[i] == 0 else f"{low[i]:g} spikes in every bin"
        left_out.append({"what": "unit", "id": unit_id[i].item(), "why": why, "value": float(low[i])})
    return varies, left_out


def note_left_out(left_out: list[dict[str, object]]) -> list[str]:
    """Return a sentence on the units that are not in the recording, if any."""
    # `order_channels` knows this note by its words "units left out", and takes it away again
    ids = ", ".join(str(item["id"]) for item in left_out)
    return [f"{len(left_out)} units left out as silent, constant or never observed: {ids}"] if left_out else []


def _note_corrections(n_corrected: int, n_dropped: int, n_bins: int, worst: Any, observed: str) -> list[str]:
    notes = []
    if n_corrected:
        notes.append(f"{n_corrected} bins were partly observed ({observed}): counts divided by the observed fraction")
    if n_dropped:
        notes.append(
            f"{n_dropped} of {n_bins} bins dropped, in which a unit was observed for less than half "
            f"(most often unit {worst}) or which stood alone"
        )
    return notes
