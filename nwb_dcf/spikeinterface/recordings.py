"""Bin a sorting, or the sorting of an analyzer, to a recording of counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..errors import ParameterError
from .clocks import SegmentClock, StoredClock, find_clocks
from .sorted_units import PERIODS, Extent, SortedUnits, bin_units

if TYPE_CHECKING:
    from jaxtyping import Shaped


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
        A recording, see `data.recording`: counts (time, unit), bin centres in seconds, ``trial_si_segment`` of each
        segment.

    Raises
    ------
    DataError
        If there are no units, a segment is empty, or the recording is shifted against its sorting.
    ParameterError
        If an argument is invalid.

    Warns
    -----
    UserWarning
        Where the start of the recording is known neither from a recording nor from the sorting.

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
    # an NWB file says more than its sorting: trials, observed intervals, invalid times
    path = _find_nwb_file(sorting) if recording is None else None
    if path is not None and extent is None:
        return _read_nwb_sorting(sorting, path, bin_width_s, trials)
    if trials not in ("auto", "none"):
        raise ParameterError(f"trials is {trials!r}, and a sorting has no table of trials", fix="leave it out")
    where = type(sorting).__name__
    clocks = find_clocks(sorting, recording, where=where)
    source = SortedUnits(sorting, sorting.unit_ids, clocks, None, where, "")
    return bin_units(source, bin_width_s, _choose_extent(extent, clocks, where))


def from_analyzer(
    analyzer: Any,
    *,
    bin_width_s: float = 0.02,
    unit_ids: Sequence[Any] | Shaped[np.ndarray, " unit"] | None = None,
    extent: Extent | None = None,
    valid_unit_periods: bool = True,
    clocks: Sequence[StoredClock] | None = None,
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
        Whether the extension of that name, where it is computed, limits the times of each unit: only bins in which
        every unit is valid are kept, and units without a valid period are left out.
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
    source, known = find_units(analyzer, unit_ids=unit_ids, valid_unit_periods=valid_unit_periods, clocks=clocks)
    return bin_units(source, bin_width_s, _choose_extent(extent, known, source.where))


def find_units(
    analyzer: Any,
    *,
    unit_ids: Sequence[Any] | Shaped[np.ndarray, " unit"] | None = None,
    valid_unit_periods: bool = True,
    clocks: Sequence[StoredClock] | None = None,
) -> tuple[SortedUnits, list[SegmentClock]]:
    """Find the units of an analyzer and the clocks of its segments; see `from_analyzer`."""
    sorting = analyzer.sorting
    ids = sorting.unit_ids
    if unit_ids is not None:
        # Python's values: np.int64(3) and 3 are one id, and an array of text has them as str
        asked, known = np.asarray(unit_ids).tolist(), ids.tolist()
        unknown = [str(unit) for unit in asked if unit not in known]
        if unknown:
            raise ParameterError(f"the analyzer has no unit {', '.join(unknown)}", fix="give some of its unit_ids")
        ids = ids[[known.index(unit) for unit in asked]]
    where = str(analyzer.folder) if analyzer.folder else "SortingAnalyzer"
    # `analyzer.recording` raises where the recording is gone; the analyzer has kept its lengths
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
    source = SortedUnits(
        sorting, ids, found, periods, where, Path(str(analyzer.folder)).name if analyzer.folder else ""
    )
    return source, found


def _choose_extent(extent: Extent | None, clocks: list[SegmentClock], where: str) -> Extent:
    known = all(clock.n_samples is not None for clock in clocks)
    if extent is None:
        return "recording" if known else "spikes"
    if extent not in ("recording", "spikes"):
        raise ParameterError(f"extent is {extent!r}", where=where, fix="choose recording or spikes")
    if extent == "recording" and not known:
        raise ParameterError("the length of the recording is unknown", where=where, fix="give the recording")
    return extent


def _find_nwb_file(sorting: Any) -> str | None:
    """Return the NWB file that a sorting of ``read_nwb_sorting`` reads; None where its times have changed since."""
    if type(sorting).__name__ != "NwbSortingExtractor" or sorting.has_recording():
        return None
    # shift_times changes the one and keeps the other: the file then no longer has the clock
    moved = any(segment._t_start != segment._native_t_start for segment in sorting.segments)
    return None if moved or sorting.stream_mode else str(sorting.file_path)


def _read_nwb_sorting(sorting: Any, path: str, bin_width_s: float, trials: str) -> xr.Dataset:
    from ..io.recordings import read_recording

    table = "/" + str(getattr(sorting._reader, "unit_table_path", "units")).strip("/")
    recording = read_recording(path, table, bin_width_s=bin_width_s, trials=trials)
    # SpikeInterface names units by a column unit_name where there is one
    return recording.assign_coords(unit=sorting.unit_ids[recording.attrs["source"]["channel_rows"]])
