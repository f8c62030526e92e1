"""Units to binned counts, each unit only where it was observed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from pynwb.ecephys import ElectricalSeries
from pynwb.epoch import TimeIntervals

from ...config import ReadConfig
from ...data.chunks import is_large
from ...data.clock_doubts import LITTLE, find_spike_doubts
from ...data.doubt import Doubt, report_doubts
from ...data.lazy_counts import count_later
from ...data.recording import make_recording
from ...data.spike_binning import intersect_intervals, join_intervals
from ...data.spike_trains import BinnedTrains, SpikeTrains, find_constant, note_left_out
from ...errors import DataError, SourceError
from ..backends.session import Session
from .clock import list_sampling_rates
from .conditions import choose_rows, is_id_list
from .provenance import describe_source
from .segment_choice import choose_segments
from .segments import RecordedIntervals
from .silence import find_silences
from .tables import read_columns, read_electrode_columns, read_times, read_whole_numbers
from .unit_quality import note_quality

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped


@dataclass(frozen=True)
class Counting:
    """When spikes are counted, and in which bins.

    Attributes
    ----------
    choose : callable, optional
        Called with the recording in the bins of the configuration, before all is counted; returns the width of other
        bins in seconds, or None.
    later : bool
        Whether counts are made when they are asked for, as of a plan that may be looked at and not fitted; those of
        large recordings always are.
    """

    choose: Callable[[xr.Dataset], float | None] | None = None
    later: bool = False


def read_units(
    session: Session, path: str, units: Any, config: ReadConfig, notes: list[str], counting: Counting | None = None
) -> xr.Dataset:
    """Read binned spike counts as a recording.

    Parameters
    ----------
    session : Session
        The open file.
    path : str
        Path of the units table.
    units : pynwb.misc.Units
        The table.
    config : ReadConfig
        Bin width, segments, selection of units.
    notes : list of str
        Notes made so far; they come first among the recording's notes.
    counting : Counting, optional
        All counts are made at once, in the bins of `config`, by default.

    Returns
    -------
    xarray.Dataset
        A recording with ``data`` (time, unit) of float32, in counts; ``time`` holds bin centres.

    Raises
    ------
    DataError, ParameterError, SourceError
        If spike times are not finite and in order, or no unit, bin or segment is left.
    """
    where, scale = session.where(path), session.scale_of(path)
    rows = select_units(units, config.units, where)
    times = read_all_times(units, where, scale)
    trains = read_spike_trains(units, rows, where, scale, times)
    empty = trains.observed is not None and not any(map(len, trains.observed))
    if empty and len(getattr(units["obs_intervals"], "target", units["obs_intervals"]).data):
        notes = [*notes, "every interval of obs_intervals is empty: units are read as recorded all the time"]
    # Before clocks are checked: only spikes in valid periods count.
    trains, valid = limit_to_valid(session, path, trains)
    notes = [*notes, *valid, *note_repeated(trains.unit_id), *(note_quality(units) if config.units is None else [])]
    table = _UnitsTable(session, path, units, trains, times, scale, notes)
    if counting is None:
        return table.count(config, later=False)
    if counting.choose is not None:
        # Spikes are read once, whatever the bins, and a choice counts those alone that it needs.
        width_s = counting.choose(table.count(config, later=True))
        config = config if width_s is None else dataclasses.replace(config, bin_width_s=width_s)
    return table.count(config, later=counting.later)


@dataclass(frozen=True)
class _UnitsTable:
    """A table of units whose spikes have been read."""

    session: Session
    path: str
    units: Any
    trains: SpikeTrains
    times: list[Float[np.ndarray, " _spike"]]
    scale: float | None
    notes: list[str]

    def count(self, config: ReadConfig, *, later: bool) -> xr.Dataset:
        """Make a recording in the bins of `config`, with its counts or with such as are made later."""
        session, path, trains, where = self.session, self.path, self.trains, self.session.where(self.path)
        doubts = _check_trains(session, self.units, trains, config.bin_width_s, self.scale)
        notes = [*self.notes, *report_doubts(doubts, path, where)]
        recorded, trains, left_out = find_recorded(trains, where)
        # obs_intervals state the pauses of the recording; without them they are inferred.
        if config.cut_gaps and trains.observed is None:
            recorded, pauses = cut_pauses(recorded, self.times)
            notes += pauses
        doubtful = next((doubt for doubt in doubts if doubt.of_scale), None)
        segments = choose_segments(session, config, recorded, config.bin_width_s, doubtful)
        n_bins = int((segments.stop - segments.start).sum() / config.bin_width_s)
        # spikes take less memory than counts of long recordings, which are made block by block
        later = later or is_large((n_bins, len(trains.row)))
        binned = BinnedTrains.divide(
            trains,
            segments.start,
            segments.stop,
            config.bin_width_s,
            where=where,
            observed="obs_intervals",
            min_length_s=config.min_length_s,
            at_once=not later,
        )
        bins = binned.bins
        # A unit without a spike in the segments that were chosen has no variance.
        if later:
            varies, constant = binned.find_constant(where=where)
            counts: Any = count_later(binned, np.flatnonzero(varies))
        else:
            counts = binned.count()
            varies, constant = find_constant(counts, trains.unit_id, where=where)
            counts = counts if varies.all() else counts[:, varies]
        left_out += constant
        return make_recording(
            counts,
            bins.centre,
            channel_dim="unit",
            channel=trains.unit_id[varies],
            segment_index=bins.frame_block,
            segment_start=bins.start,
            segment_stop=bins.stop,
            segment_row=segments.row[bins.segment],
            trial_columns={name: values[bins.segment] for name, values in segments.columns.items()},
            units="count",
            kind="units",
            source=describe_source(session, path, self.units, trains.row[varies]),
            bin_width_s=config.bin_width_s,
            left_out=[*left_out, *segments.left_out],
            notes=[*notes, *segments.notes, *binned.notes, *note_left_out(left_out)],
        )


def select_units(units: Any, selection: str | tuple[int, ...] | None, where: str) -> Int[np.ndarray, " selected"]:
    """Return the rows of the units table that `selection` asks for.

    Parameters
    ----------
    units : pynwb.misc.Units
        The table.
    selection : str, tuple of int or None
        Ids (``"3,5,9"`` or numbers), or a condition on columns (``"location == 'M1'"``). None: all.
    where : str
        Names the table in errors.

    Raises
    ------
    ParameterError
        If an id or a column does not exist, or no unit is left.
    """
    unit_id = read_whole_numbers(units.id, "ids of units", where)
    if selection is None:
        return np.arange(len(unit_id))
    # Ids need no columns, each of which is a request over a network.
    columns = {} if is_id_list(selection) else {**read_electrode_columns(units, where), **read_columns(units)}
    return choose_rows(selection, unit_id, columns, what="unit", where=where)


def read_all_times(units: Any, where: str, scale: float | None = None) -> list[Float[np.ndarray, " _spike"]]:
    """Read the spike times of every unit, multiplied by `scale`, without checking their order.

    Raises
    ------
    SourceError, DataError
        If the table has no spike times, or they are no numbers.
    """
    if "spike_times" not in units.colnames:
        raise SourceError("the units table has no spike times", where=where, fix="choose another source with --source")
    return _scale_all(_read_ragged(units["spike_times"], len(units.id), where), scale)


def read_spike_trains(
    units: Any,
    rows: Int[np.ndarray, " selected"],
    where: str,
    scale: float | None = None,
    times: list[Float[np.ndarray, " _spike"]] | None = None,
) -> SpikeTrains:
    """Read the spike times and ``obs_intervals`` of the units in `rows`, multiplied by `scale`.

    `times` are those of every unit of the table, where they have been read already.

    Raises
    ------
    SourceError
        If the table has no spike times.
    DataError
        If spike times are not finite or not in order.
    """
    unit_id = read_whole_numbers(units.id, "ids of units", where)
    times = read_all_times(units, where, scale) if times is None else times
    observed = None
    # Each unit has its own: outside them 0 spikes mean nothing.
    if "obs_intervals" in units.colnames:
        shape = np.shape(getattr(units["obs_intervals"], "target", units["obs_intervals"]).data)
        # numbers in another shape would make other pairs
        if len(shape) != 2 or shape[1] != 2:
            raise DataError(
                f"obs_intervals have the shape {shape}, not (interval, 2)", where=where, fix="write the table again"
            )
        ragged = _scale_all(_read_ragged(units["obs_intervals"], len(unit_id), where), scale)
        observed = [_check_observed(ragged[row].reshape(-1, 2), unit_id[row], where) for row in rows]
    for row in rows:
        _check_spike_times(times[row], unit_id[row], where)
    return SpikeTrains(unit_id[rows], rows, [times[row] for row in rows], observed)


def cut_pauses(
    recorded: RecordedIntervals, times: Sequence[Float[np.ndarray, " _spike"]]
) -> tuple[RecordedIntervals, list[str]]:
    """Cut recorded intervals where no unit fires for far longer than the rates of all allow (`silence`)."""
    pauses = find_silences(times)
    # Spikes of units that are not selected may lie beyond what is read.
    pauses = pauses[(pauses[:, 0] >= recorded.start[0]) & (pauses[:, 1] <= recorded.stop[-1])]
    if len(pauses) == 0:
        return recorded, []
    shown = ", ".join(f"{a:.6g} to {b:.6g} s" for a, b in pauses[:4]) + (" and more" if len(pauses) > 4 else "")
    note = (
        f"cut where nothing was recorded, as no unit fires: {len(pauses)} pauses, "
        f"{float((pauses[:, 1] - pauses[:, 0]).sum()):.6g} s in all ({shown}); --no-gaps reads them as silence"
    )
    start = np.concatenate([recorded.start[:1], pauses[:, 1]])
    stop = np.concatenate([pauses[:, 0], recorded.stop[-1:]])
    # Intervals are open at their stop, and the last spike of an epoch must lie within it.
    return dataclasses.replace(recorded, start=start, stop=np.append(np.nextafter(stop[:-1], np.inf), stop[-1])), [note]


def limit_to_valid(session: Session, path: str, trains: SpikeTrains) -> tuple[SpikeTrains, list[str]]:
    """Count each unit as observed in its ValidUnitPeriods (ndx-spikesorting) alone, where the file has them.

    An empty table is ignored; in any other, a unit without a period was never valid.
    """
    notes: list[str] = []
    scale = session.scale_of(path) or 1.0
    for at, table in session.find_objects(TimeIntervals):
        if table.neurodata_type != "ValidUnitPeriods" or len(table) == 0 or "unit" not in table.colnames:
            continue
        region = table["unit"]
        # Periods may be those of another table of units.
        if session.path_of(region.table) != path:
            continue
        row = read_whole_numbers(getattr(region, "target", region).data, "units", session.where(at))
        ends = np.column_stack([np.asarray(table[name].data[:], np.float64) for name in ("start_time", "stop_time")])
        own = [join_intervals(scale * ends[(row == i) & (ends[:, 1] > ends[:, 0])]) for i in trains.row]
        if trains.observed is not None:
            own = [
                intersect_intervals([a, b]) if len(a) and len(b) else np.empty((0, 2))
                for a, b in zip(own, trains.observed, strict=True)
            ]
        trains = dataclasses.replace(trains, observed=own)
        notes.append(f"each unit is read in its periods of {at} alone")
    return trains, notes


def note_repeated(unit_id: Shaped[np.ndarray, " unit"]) -> list[str]:
    """Note which ids of units stand for more than one row."""
    # Sortings of several probes are put into one table with the ids of each.
    ids, counts = np.unique(unit_id, return_counts=True)
    if not (counts > 1).any():
        return []
    shown = ", ".join(map(str, ids[counts > 1][:8].tolist()))
    return [
        f"ids of units are repeated ({shown}): --units takes every row of an id, and ids do not name single channels"
    ]


def check_units_clock(session: Session, units: Any, bin_width_s: float, where: str) -> list[Doubt]:
    """Check the clock of a units table by its spike times alone.

    Raises
    ------
    DataError, SourceError
        If its spike times cannot be read.
    """
    every = np.arange(len(units.id))
    return _check_trains(session, units, read_spike_trains(units, every, where), bin_width_s, None)


def _check_trains(
    session: Session, units: Any, trains: SpikeTrains, bin_width_s: float, scale: float | None
) -> list[Doubt]:
    dtype, rates = _find_stored_type(units), list_sampling_rates(session)
    doubts = find_spike_doubts(trains.times, bin_width_s=bin_width_s, dtype=dtype, scale=scale, sampling_hz=rates)
    return doubts or ([] if scale == 1 else _check_recorded(session, trains))


def _check_recorded(session: Session, trains: SpikeTrains) -> list[Doubt]:
    """Doubt spikes that count from 0 beside voltages that were recorded at another time.

    A sorting of SpikeInterface knows nothing of its recording's clock unless that is registered with it, and NeuroConv
    writes both as they are.
    """
    times = [train for train in trains.times if len(train)]
    recorded = [
        (path, float(series.starting_time or 0.0), len(series.data) / float(series.rate))
        for path, series in session.find_objects(ElectricalSeries)
        if series.rate and len(series.data)
    ]
    if not times or not recorded:
        return []
    start, stop = min(float(train[0]) for train in times), max(float(train[-1]) for train in times)
    shared = [min(stop, first + length) - max(start, first) for _, first, length in recorded]
    path, first, length = recorded[0]
    counts_from_0 = start >= 0 and stop <= length
    if not counts_from_0 or max(shared) > LITTLE * (stop - start):
        return []
    what = f"spikes go from {start:.6g} to {stop:.6g} s, and {path} from {first:.6g} to {first + length:.6g} s"
    fix = "register its recording, sorting.register_recording(recording), and write the file again"
    return [Doubt(what, "a sorting without the clock of its recording", fix, of_scale=False)]


def _find_stored_type(units: Any) -> np.dtype[Any] | None:
    data = getattr(getattr(units["spike_times"], "target", None), "data", None)
    dtype = getattr(data, "dtype", None)
    return None if dtype is None else np.dtype(dtype)


def _scale_all(
    times: list[Float[np.ndarray, "_value ..."]], scale: float | None
) -> list[Float[np.ndarray, "_value ..."]]:
    return times if scale is None or scale == 1 else [one * scale for one in times]


def find_recorded(trains: SpikeTrains, where: str) -> tuple[RecordedIntervals, SpikeTrains, list[dict[str, object]]]:
    """Find when all units were recorded, without those that were never observed.

    Returns
    -------
    RecordedIntervals
        The intersection of the ``obs_intervals`` of all units; without them, from the first spike to the last.
    SpikeTrains
        The units that were observed at all.
    list of dict
        Those that were not.

    Raises
    ------
    DataError
        If there is no spike, or no time at which all units were observed.
    """
    left_out: list[dict[str, object]] = []
    if trains.observed is not None and any(len(intervals) for intervals in trains.observed):
        # A unit that was never observed would leave no time at all in common.
        seen = np.array([len(intervals) > 0 for intervals in trains.observed])
        left_out = [{"what": "unit", "id": int(i), "why": "its obs_intervals are empty"} for i in trains.unit_id[~seen]]
        trains = trains.take(seen)
        shared = intersect_intervals(trains.observed or [])
        if len(shared) == 0:
            raise DataError(
                "the units were never observed all at once (obs_intervals)", where=where, fix="select some with --units"
            )
        return RecordedIntervals(shared[:, 0], shared[:, 1]), trains, left_out
    trains = SpikeTrains(trains.unit_id, trains.row, trains.times, None)
    ends = [(times[0], times[-1]) for times in trains.times if len(times)]
    if not ends:
        raise DataError(
            f"the {len(trains.times)} units have no spike", where=where, fix="select other units or another source"
        )
    first, last = min(start for start, _ in ends), max(stop for _, stop in ends)
    return RecordedIntervals(np.array([first]), np.array([last]), exact=False), trains, left_out


def _read_ragged(column: Any, n_rows: int, where: str) -> list[Float[np.ndarray, "_value ..."]]:
    """Read a ragged column of numbers, each row as one array; intervals have two columns."""
    # Without an index nothing says which spikes are those of a unit.
    if not hasattr(column, "target"):
        raise SourceError(
            f"column {column.name!r} has no index", where=where, fix="write the units table again with pynwb"
        )
    # One read of the whole column: a read a unit takes minutes over a network.
    values = read_times(column.target.data, column.target.name, where)
    ends = read_whole_numbers(column.data, f"indices of {column.target.name} ({column.name})", where)
    # A VectorIndex holds the end of each row.
    edges = np.concatenate([[0], ends])
    if len(ends) != n_rows or (np.diff(edges) < 0).any() or edges[-1] > len(values):
        raise DataError(
            f"the index of column {column.target.name!r} is broken", where=where, fix="write the table again"
        )
    return [values[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _check_spike_times(times: Float[np.ndarray, " spike"], unit_id: int, where: str) -> None:
    if not np.isfinite(times).all():
        raise DataError(
            f"{int((~np.isfinite(times)).sum())} spike times of unit {unit_id} are NaN or infinite",
            where=where,
            fix="remove them from the file, or leave that unit out with --units",
        )
    # Not sorted here: times of two segments, each from 0, look like this.
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise DataError(
            f"spike times of unit {unit_id} are not in order: {times[back[0] + 1]:.6f} s follows "
            f"{times[back[0]]:.6f} s ({len(back)} such steps)",
            where=where,
            fix="sort them in the file, or leave that unit out with --units if there are others",
        )


def _check_observed(
    intervals: Float[np.ndarray, "interval 2"], unit_id: int, where: str
) -> Float[np.ndarray, "kept 2"]:
    """Refuse intervals that are not in order; drop empty ones."""
    flat = intervals.ravel()
    if not np.isfinite(flat).all() or (np.diff(flat) < 0).any():
        raise DataError(
            f"obs_intervals of unit {unit_id} are not finite, in order and apart",
            where=where,
            fix="repair them in the file, or leave that unit out with --units",
        )
    return intervals[intervals[:, 1] > intervals[:, 0]]
