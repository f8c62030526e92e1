"""From a sorting, or an analyzer, to a recording of binned counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import spikeinterface
import xarray as xr

from ..bins import Bins, intersect_intervals, join_intervals
from ..errors import DataError, ParameterError
from ..recording import make_recording
from ..trains import Counts, SpikeTrains, count_trains, find_constant, say_left_out
from .clocks import SegmentClock, find_clocks

Extent = Literal["recording", "spikes"]
PERIODS = "valid_unit_periods"


def from_sorting(
    sorting: Any,
    recording: Any | None = None,
    *,
    bin_width_s: float = 0.02,
    extent: Extent | None = None,
    trials: str = "auto",
) -> xr.Dataset:
    """Bin the spikes of a SpikeInterface sorting.

    Parameters
    ----------
    sorting : spikeinterface.BaseSorting
        One or many segments; each is a segment of the result, or several where its clock has gaps. A sorting of
        ``read_nwb_sorting`` without a recording is read from its file, as ``nwb-dcf fit`` reads it.
    recording : spikeinterface.BaseRecording, optional
        What was sorted: it has the clock. By default the one that is registered with the sorting.
    bin_width_s : float
        Width of a bin in seconds.
    extent : {"recording", "spikes"}, optional
        Bins from the start of each segment to its end, or from its first spike to its last; by default the recording's
        where there is one.
    trials : str
        Of NWB files alone, see `nwb_dcf.read_recording`.

    Returns
    -------
    xarray.Dataset
        A recording, see `nwb_dcf.recording`: counts (time, unit), bin centres in seconds, ``trial_si_segment`` of each
        segment.

    Raises
    ------
    DataError
        If there are no units, a segment is empty, or the recording is shifted against its sorting.
    ParameterError
        If an argument cannot be meant.

    Warns
    -----
    UserWarning
        Where neither a recording nor the sorting says when the recording started.

    Examples
    --------
    >>> from spikeinterface.core import NumpySorting
    >>> samples, units = np.arange(0, 30000, 50), np.arange(600) % 7 % 3
    >>> sorting = NumpySorting.from_samples_and_labels([samples], [units], 30000.0)
    >>> sorting.segments[0]._t_start = 5.0
    >>> recording = from_sorting(sorting, bin_width_s=0.1)
    >>> recording["data"].sizes["unit"], float(recording["time"][0])
    (3, 5.05)
    """
    path = _find_nwb_file(sorting) if recording is None else None
    if path is not None and extent is None:
        return _read_nwb_sorting(sorting, path, bin_width_s, trials)
    if trials not in ("auto", "none"):
        raise ParameterError(f"trials is {trials!r}, and a sorting has no table of trials", fix="leave it out")
    where = type(sorting).__name__
    clocks = find_clocks(sorting, recording, where=where)
    source = _Source(sorting, sorting.unit_ids, clocks, None, where, "")
    return _bin_source(source, bin_width_s, _choose_extent(extent, clocks, where))


def from_analyzer(
    analyzer: Any,
    *,
    bin_width_s: float = 0.02,
    unit_ids: Sequence[Any] | np.ndarray | None = None,
    extent: Extent | None = None,
    valid_unit_periods: bool = True,
    clocks: Sequence[Mapping[str, Any]] | None = None,
) -> xr.Dataset:
    """Bin the spikes of a SpikeInterface SortingAnalyzer.

    Parameters
    ----------
    analyzer : spikeinterface.SortingAnalyzer
        Dense or sparse, in any format; its recording, where it is there, has the clock.
    bin_width_s, extent
        As in `from_sorting`.
    unit_ids : sequence, optional
        Which units, in which order; all by default.
    valid_unit_periods : bool
        Whether the extension of that name, where it is computed, says when each unit was observed: only bins in which
        every unit was are kept, and units without a valid period are left out.
    clocks : sequence of dict, optional
        ``recording.attrs["source"]["segments"]`` of an earlier recording, for an analyzer that has lost its own.

    Returns
    -------
    xarray.Dataset
        As `from_sorting`.

    Raises
    ------
    DataError
        As `from_sorting`, and if no bin is left in which all units are valid.
    """
    sorting = analyzer.sorting
    ids = sorting.unit_ids
    if unit_ids is not None:
        asked, known = np.asarray(unit_ids).tolist(), ids.tolist()
        unknown = [str(unit) for unit in asked if unit not in known]
        if unknown:
            raise ParameterError(f"the analyzer has no unit {', '.join(unknown)}", fix="give some of its unit_ids")
        ids = ids[[known.index(unit) for unit in asked]]
    where = str(analyzer.folder) if analyzer.folder else "SortingAnalyzer"
    lost = not (analyzer.has_recording() or analyzer.has_temporary_recording())
    found = find_clocks(
        sorting,
        None if lost else analyzer.recording,
        where=where,
        n_samples=analyzer.rec_attributes["num_samples"],
        stored=clocks if lost else None,
    )
    extension = analyzer.get_extension(PERIODS) if valid_unit_periods else None
    periods = None if extension is None else np.asarray(extension.data[PERIODS])
    source = _Source(sorting, ids, found, periods, where, Path(str(analyzer.folder)).name if analyzer.folder else "")
    return _bin_source(source, bin_width_s, _choose_extent(extent, found, where))


@dataclass(frozen=True)
class _Source:
    """Units of a sorting, with their clocks and the periods in which they are valid."""

    sorting: Any
    unit_ids: np.ndarray
    clocks: list[SegmentClock]
    periods: np.ndarray | None
    where: str
    folder: str

    def read_trains(self, segment: int) -> SpikeTrains:
        """Spike trains of one segment; where units are valid within what was recorded, that is `observed`."""
        clock, sorting = self.clocks[segment], self.sorting
        times = []
        for unit in self.unit_ids:
            if clock.n_samples is None:  # native times of the format are not rounded to samples
                spikes = sorting.get_unit_spike_train_in_seconds(unit, segment_index=segment)
            else:
                samples = sorting.get_unit_spike_train(unit, segment_index=segment)
                if len(samples) and (samples.min() < 0 or samples.max() >= clock.n_samples):
                    raise DataError(
                        f"unit {unit} has spikes outside the {clock.n_samples} samples of segment {segment}",
                        where=self.where,
                        fix="remove them with spikeinterface.curation.remove_excess_spikes",
                    )
                spikes = clock.find_times(samples)
            times.append(np.sort(np.asarray(spikes, np.float64)))
        periods = self.periods
        observed = None if periods is None else [self.read_periods(periods, segment, unit) for unit in self.unit_ids]
        return SpikeTrains(self.unit_ids, np.arange(len(self.unit_ids)), times, observed)

    def read_periods(self, periods: np.ndarray, segment: int, unit: Any) -> np.ndarray:
        """Intervals, shape (interval, 2), in seconds, in which `unit` is valid and was recorded."""
        index = self.sorting.id_to_index(unit)
        own = periods[(periods["segment_index"] == segment) & (periods["unit_index"] == index)]
        clock = self.clocks[segment]
        ends = np.column_stack([clock.find_times(own[f"{end}_sample_index"]) for end in ("start", "end")])
        valid = join_intervals(ends)
        recorded = clock.find_stretches()
        return valid if recorded is None or not len(valid) else intersect_intervals([recorded, valid])

    def describe(self, trains: list[SpikeTrains], extent: Extent, row: np.ndarray) -> dict[str, Any]:
        """Describe the source for ``recording.attrs["source"]``: no folder but its name, since archives publish it."""
        digest = hashlib.sha256()
        for part in trains:
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


def hash_periods(periods: np.ndarray, sorting: Any, unit_ids: np.ndarray) -> str:
    """SHA-256 of the valid periods of `unit_ids`, in whatever order they stand, so that a later change shows."""
    place = np.full(sorting.get_num_units(), -1)
    place[sorting.ids_to_indices(unit_ids)] = np.arange(len(unit_ids))
    unit = place[periods["unit_index"]]
    rows = np.column_stack(
        [unit, *(periods[name] for name in ("segment_index", "start_sample_index", "end_sample_index"))]
    )
    rows = np.unique(rows[unit >= 0].astype(np.int64), axis=0)
    return hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()


def _bin_source(source: _Source, bin_width_s: float, extent: Extent) -> xr.Dataset:
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
        trains = [part.take(seen) for part in trains]
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
            *(note for part in parts for note in part.notes),
            *say_left_out(left_out),
        ],
    )


def _count_segment(source: _Source, segment: int, trains: SpikeTrains, bin_width_s: float, extent: Extent) -> Counts:
    """Count one segment in bins that start with each stretch of it; overlapping clocks of segments do not meet here."""
    recorded, where = source.clocks[segment].find_stretches(), f"{source.where}: segment {segment}"
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
        stretches = intersect_intervals([recorded, *trains.observed])
        if not (stretches[:, 1] - stretches[:, 0] >= 2 * bin_width_s).any():
            return _count_nothing(len(trains.times), segment, bin_width_s)
        recorded = stretches
    return count_trains(trains, recorded[:, 0], recorded[:, 1], bin_width_s, where=where, observed=PERIODS)


def _count_nothing(n_units: int, segment: int, bin_width_s: float) -> Counts:
    """Counts of a segment in which the units are never valid together."""
    none = np.empty(0, np.int64)
    note = f"segment {segment} is left out: its units are never valid together ({PERIODS})"
    return Counts(np.empty((0, n_units), np.float32), Bins(np.empty(0), none, none, bin_width_s), [note])


def _choose_extent(extent: Extent | None, clocks: list[SegmentClock], where: str) -> Extent:
    known = all(clock.n_samples is not None for clock in clocks)
    if extent is None:
        return "recording" if known else "spikes"
    if extent not in ("recording", "spikes"):
        raise ParameterError(f"extent is {extent!r}", where=where, fix="choose recording or spikes")
    if extent == "recording" and not known:
        raise ParameterError("nothing says how long the recording was", where=where, fix="give the recording")
    return extent


def _find_nwb_file(sorting: Any) -> str | None:
    """Path of the NWB file that a sorting of ``read_nwb_sorting`` reads; None where its times have changed since."""
    if type(sorting).__name__ != "NwbSortingExtractor" or sorting.has_recording():
        return None
    moved = any(segment._t_start != segment._native_t_start for segment in sorting.segments)
    return None if moved or sorting.stream_mode else str(sorting.file_path)


def _read_nwb_sorting(sorting: Any, path: str, bin_width_s: float, trials: str) -> xr.Dataset:
    from ..read import read_recording

    table = "/" + str(getattr(sorting._reader, "unit_table_path", "units")).strip("/")
    recording = read_recording(path, table, bin_width_s=bin_width_s, trials=trials)
    # SpikeInterface names units by a column unit_name where there is one
    return recording.assign_coords(unit=sorting.unit_ids[recording.attrs["source"]["channel_rows"]])
