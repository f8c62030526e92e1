"""Spike trains and their counts: each unit only where it was observed, whatever the trains came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bins import MIN_SHARE, Bins, count_spikes, make_bins, observed_share
from .errors import DataError


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

    unit_id: np.ndarray
    row: np.ndarray
    times: list[np.ndarray]
    observed: list[np.ndarray] | None

    def take(self, keep: np.ndarray) -> SpikeTrains:
        """Return the units for which `keep` is true."""
        rows = np.flatnonzero(keep)
        observed = None if self.observed is None else [self.observed[i] for i in rows]
        return SpikeTrains(self.unit_id[rows], self.row[rows], [self.times[i] for i in rows], observed)


@dataclass(frozen=True)
class Counts:
    """Spikes of each unit in each bin.

    Attributes
    ----------
    values : array of float32, shape (time, unit)
        Spikes; of partly observed bins divided by the observed share.
    bins : Bins
        Their bins.
    notes : list of str
        What was corrected or dropped, in sentences.
    """

    values: np.ndarray
    bins: Bins
    notes: list[str]


def count_trains(
    trains: SpikeTrains,
    start: np.ndarray,
    stop: np.ndarray,
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
    bins = make_bins(start, stop, bin_width_s, n_units=len(trains.row), where=where)
    counts = count_spikes(trains.times, bins)
    if trains.observed is None:
        return Counts(counts, bins, [])
    share = observed_share(trains.observed, bins)
    corrected = (share < 1) & (share >= MIN_SHARE)
    counts /= np.where(corrected, share, 1)
    bins, kept = bins.keep(share.min(axis=1) >= MIN_SHARE, min_length_s)
    if len(kept) == 0:
        raise DataError(
            "no two successive bins in which every unit was observed for half of the bin",
            where=where,
            fix="leave out those that were observed for a short time (--units)",
        )
    return Counts(counts[kept], bins, _say_corrections(trains, share, corrected[kept], len(kept), observed))


def find_constant(counts: np.ndarray, unit_id: np.ndarray, *, where: str) -> tuple[np.ndarray, list[dict[str, object]]]:
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
    varies: np.ndarray = counts.max(axis=0) > counts.min(axis=0)
    if not varies.any():
        raise DataError("no unit varies from bin to bin", where=where, fix="read other trials or use another --bin")
    left_out: list[dict[str, object]] = []
    for i in np.flatnonzero(~varies):
        why = "no spike in the bins read" if counts[0, i] == 0 else f"{counts[0, i]:g} spikes in every bin"
        left_out.append({"what": "unit", "id": unit_id[i].item(), "why": why, "value": float(counts[0, i])})
    return varies, left_out


def say_left_out(left_out: list[dict[str, object]]) -> list[str]:
    """Say in a sentence which units are not in the recording."""
    ids = ", ".join(str(item["id"]) for item in left_out)
    return [f"{len(left_out)} units left out as silent, constant or never observed: {ids}"] if left_out else []


def _say_corrections(
    trains: SpikeTrains, share: np.ndarray, corrected: np.ndarray, n_kept: int, observed: str
) -> list[str]:
    notes = []
    if corrected.any():
        n = int(corrected.any(axis=1).sum())
        notes.append(f"{n} bins were partly observed ({observed}): counts divided by the observed share")
    dropped = len(share) - n_kept
    if dropped:
        worst = int((share < MIN_SHARE).sum(axis=0).argmax())
        notes.append(
            f"{dropped} of {len(share)} bins dropped, in which a unit was observed for less than half "
            f"(most often unit {trains.unit_id[worst]}) or which stood alone"
        )
    return notes
