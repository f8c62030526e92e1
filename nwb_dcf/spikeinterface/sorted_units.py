"""Bins of a sorting: its segments one by one, each on its own clock, joined to one recording."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import spikeinterface
import xarray as xr

from ..data.clock_doubts import find_spike_doubts
from ..data.doubt import report_doubts
from ..data.recording import make_recording
from ..data.spike_binning import Bins, intersect_intervals, join_intervals
from ..data.spike_trains import Counts, SpikeTrains, count_trains, find_constant, note_left_out
from ..errors import DataError
from .clocks import SegmentClock

if TYPE_CHECKING:
    from jaxtyping import Float64, Int, Shaped

Extent = Literal["recording", "spikes"]
PERIODS = "valid_unit_periods"


@dataclass(frozen=True)
class SortedUnits:
    """Units of a sorting, with their clocks and the periods in which they are valid.

    Attributes
    ----------
    sorting : spikeinterface.BaseSorting
    unit_ids : array of int or str, shape (unit,)
        Those that are binned, in order.
    clocks : list of SegmentClock
        One for each segment.
    periods : structured array or None
        SpikeInterface's ``valid_unit_periods``; None where they are not computed or not wanted.
    where, folder : str
        Name it in errors, and in the recording's source.
    """

    sorting: Any
    unit_ids: Shaped[np.ndarray, " unit"]
    clocks: list[SegmentClock]
    periods: Shaped[np.ndarray, " period"] | None
    where: str
    folder: str

    def read_trains(self, segment: int) -> SpikeTrains:
        """Read the spike trains of one segment; `observed` are the recorded intervals in which units are valid."""
        clock, sorting = self.clocks[segment], self.sorting
        times = []
        trains = None if clock.n_samples is None else self._divide_spikes(segment)
        for i, unit in enumerate(self.unit_ids):
            if trains is None:  # native times of the format are not rounded to samples
                spikes = sorting.get_unit_spike_train_in_seconds(unit, segment_index=segment)
            else:
                samples = trains[i]
                if len(samples) and (samples.min() < 0 or samples.max() >= clock.n_samples):
                    raise DataError(
                        f"unit {unit} has spikes outside the {clock.n_samples} samples of segment {segment}",
                        where=self.where,
                        fix="remove them with spikeinterface.curation.remove_excess_spikes",
                    )
                spikes = clock.compute_times(samples)
            # counting goes by binary search: order is not left to the extractor
            times.append(np.sort(np.asarray(spikes, np.float64)))
        periods = self.periods
        observed = None if periods is None else [self.read_periods(periods, segment, unit) for unit in self.unit_ids]
        return SpikeTrains(self.unit_ids, np.arange(len(self.unit_ids)), times, observed)

    def _divide_spikes(self, segment: int) -> list[Int[np.ndarray, " spike"]]:
        """Return the samples of every unit's spikes in one segment.

        `get_unit_spike_train` sorts all segments by a function that numba compiles first, in most of a second.
        """
        vector = self.sorting.to_spike_vector(concatenated=False)[segment]
        n_units = self.sorting.get_num_units()
        # small integers are sorted by their digits
        unit = vector["unit_index"].astype(np.min_scalar_type(n_units))
        samples = vector["sample_index"][np.argsort(unit, kind="stable")]
        ends = np.cumsum(np.bincount(unit, minlength=n_units))
        trains = np.split(samples, ends[:-1])
        return [trains[i] for i in self.sorting.ids_to_indices(self.unit_ids)]

    def read_periods(
        self, periods: Shaped[np.ndarray, " period"], segment: int, unit: Any
    ) -> Float64[np.ndarray, "interval 2"]:
        """Return the intervals, seconds, in which `unit` is valid and was recorded."""
        index = self.sorting.id_to_index(unit)
        own = periods[(periods["segment_index"] == segment) & (periods["unit_index"] == index)]
        clock = self.clocks[segment]
        ends = np.column_stack([clock.compute_times(own[f"{end}_sample_index"]) for end in ("start", "end")])
        valid = join_intervals(ends)
        recorded = clock.compute_recorded_intervals()
        return valid if recorded is None or not len(valid) else intersect_intervals([recorded, valid])

    def describe(self, trains: list[SpikeTrains], extent: Extent, row: Int[np.ndarray, " unit"]) -> dict[str, object]:
        """Describe the source for ``recording.attrs["source"]``: no folder but its name, since archives publish it."""
        digest = hashlib.sha256()
        for part in trains:
            # shapes too: without them a spike that moves from one unit to the next would leave the bytes as they are
            for spikes in (*part.times, *(part.observed or [])):
                digest.update(f"{spikes.shape} ".encode())
                digest.update(np.ascontiguousarray(spikes).tobytes())
        return {
            "file": self.folder,
            "path": "",
            "type": "SortingAnalyzer" if self.where == "SortingAnalyzer" or self.folder else self.where,
            "sha256": digest.hexdigest(),
            "channel_rows": row.tolist(),
            "sampling_frequency_hz": float(self.sorting.sampling_frequency),
            "segments": [clock.to_dict() for clock in self.clocks],
            "extent": extent,
            PERIODS: None if self.periods is None else hash_periods(self.periods, self.sorting, self.unit_ids),
            "spikeinterface": spikeinterface.__version__,
        }


def hash_periods(periods: Shaped[np.ndarray, " period"], sorting: Any, unit_ids: Shaped[np.ndarray, " unit"]) -> str:
    """Return the SHA-256 of the valid periods of `unit_ids`, in any order, so that a later change is noticed."""
    # by place among the fitted units, so that a selection of others in the analyzer changes nothing
    place = np.full(sorting.get_num_units(), -1)
    place[sorting.ids_to_indices(unit_ids)] = np.arange(len(unit_ids))
    unit = place[periods["unit_index"]]
    rows = np.column_stack(
        [unit, *(periods[name] for name in ("segment_index", "start_sample_index", "end_sample_index"))]
    )
    rows = np.unique(rows[unit >= 0].astype(np.int64), axis=0)
    return hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()


def bin_units(source: SortedUnits, bin_width_s: float, extent: Extent) -> xr.Dataset:
    """Bin every segment of `source`; units that never vary or are never valid are left out.

    Raises
    ------
    DataError
        If there are no units, a segment is empty, or no bin is left in which all units are valid.
    """
    if len(source.unit_ids) == 0:
        raise DataError("the sorting has no units", where=source.where, fix="sort again, or keep some units")
    trains = [source.read_trains(i) for i in range(len(source.clocks))]
    left_out: list[dict[str, object]] = []
    if source.periods is not None:
        seen = np.array([any(len(p.observed[u]) for p in trains if p.observed) for u in range(len(source.unit_ids))])
        left_out = [{"what": "unit", "id": i.item(), "why": "it has no valid period"} for i in source.unit_ids[~seen]]
        if not seen.any():
            raise DataError(
                f"no unit has a valid period ({PERIODS})", where=source.where, fix="give valid_unit_periods=False"
            )
        # a unit that is valid nowhere would leave no bin in which all units are
        trains = [part.take(seen) for part in trains]
    doubts = [note for i, part in enumerate(trains) for note in _find_doubts(source, i, part, bin_width_s)]
    parts = [_count_segment(source, i, part, bin_width_s, extent) for i, part in enumerate(trains)]
    unit_id = trains[0].unit_id
    values = np.concatenate([part.values for part in parts])
    if len(values) == 0:
        raise DataError(
            f"there is no time at which all {len(unit_id)} units are valid ({PERIODS})",
            where=source.where,
            fix="select the units that are valid together, or give valid_unit_periods=False",
        )
    varies, constant = find_constant(values, unit_id, where=source.where)
    left_out += constant
    # blocks are numbered within each segment of the analyzer; shifted by these they are segments of the fit
    blocks = np.cumsum([0, *(len(part.bins.n_bins) for part in parts)])
    segment = np.repeat(np.arange(len(parts)), np.diff(blocks))
    kept = [part.take(varies) for part in trains]
    how = "the recording" if extent == "recording" else "the first spike to the last"
    return make_recording(
        values[:, varies],
        np.concatenate([part.bins.centre for part in parts]),
        channel_dim="unit",
        channel=unit_id[varies],
        segment_index=np.concatenate([part.bins.frame_block + n for part, n in zip(parts, blocks, strict=False)]),
        segment_start=np.concatenate([part.bins.start for part in parts]),
        segment_stop=np.concatenate([part.bins.stop for part in parts]),
        trial_columns={"si_segment": segment},
        units="count",
        kind="units",
        source=source.describe(kept, extent, np.flatnonzero(np.isin(source.unit_ids, unit_id[varies]))),
        bin_width_s=bin_width_s,
        left_out=left_out,
        notes=[
            f"{len(parts)} segments of {source.where.rpartition('/')[2]}, each over {how}, "
            f"the first from {source.clocks[0].start_s:.9g} s",
            *doubts,
            *(note for part in parts for note in part.notes),
            *note_left_out(left_out),
        ],
    )


def _find_doubts(source: SortedUnits, segment: int, trains: SpikeTrains, bin_width_s: float) -> list[str]:
    """Doubt the clock of a segment, as that of a file; its recording, not an option, sets it right.

    Raises
    ------
    DataError
        If hardly anything would be fitted.
    """
    # an analyzer has no --time-scale
    fix = "set the times of the recording in seconds (recording.set_times) and register it with the sorting"
    where = f"segment {segment}"
    found = find_spike_doubts(trains.times, bin_width_s=bin_width_s)
    doubts = [dataclasses.replace(doubt, fix=fix) for doubt in found]
    return report_doubts(doubts, where, f"{source.where}: {where}")


def _count_segment(
    source: SortedUnits, segment: int, trains: SpikeTrains, bin_width_s: float, extent: Extent
) -> Counts:
    """Count one segment; bins start anew with each interval of it, and segments whose clocks overlap stay apart."""
    recorded, where = source.clocks[segment].compute_recorded_intervals(), f"{source.where}: segment {segment}"
    ends = [(spikes[0], spikes[-1]) for spikes in trains.times if len(spikes)]
    if not ends:
        raise DataError(
            f"the segment is empty: none of {len(trains.times)} units has a spike in it",
            where=where,
            fix="leave it out: make the analyzer of the other segments",
        )
    if extent == "spikes" or recorded is None:
        span = np.array([[min(start for start, _ in ends), max(stop for _, stop in ends)]])
        # a gap of the clock stays a gap
        recorded = span if recorded is None else intersect_intervals([recorded, span])
    if trains.observed is not None:
        valid = intersect_intervals([recorded, *trains.observed])
        # one bin alone has no next frame, which the dynamics are learned from
        if not (valid[:, 1] - valid[:, 0] >= 2 * bin_width_s).any():
            return _count_nothing(len(trains.times), segment, bin_width_s)
        recorded = valid
    return count_trains(trains, recorded[:, 0], recorded[:, 1], bin_width_s, where=where, observed=PERIODS)


def _count_nothing(n_units: int, segment: int, bin_width_s: float) -> Counts:
    """Return the empty counts of a segment in which the units are never valid together."""
    none = np.empty(0, np.int64)
    note = f"segment {segment} is left out: its units are never valid together ({PERIODS})"
    return Counts(np.empty((0, n_units), np.float32), Bins(np.empty(0), none, none, bin_width_s), [note])
