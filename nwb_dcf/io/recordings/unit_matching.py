"""Units of another tool found in a file: by their ids, and only if their spikes are the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, SourceError
from ..backends.session import open_session
from .provenance import SourceDescription, describe_source
from .units import read_spike_trains

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num

NAMES = "unit_name"
"""Column in which SpikeInterface and NeuroConv keep their ids."""

SAME_S = 1e-3
"""Most that the times of one spike may differ, seconds: more than a sample, less than a refractory period."""


def match_units(
    path: str | Path, unit_ids: Sequence[Any], spike_times: Sequence[Num[np.ndarray, " _spike"]]
) -> tuple[SourceDescription, Int[np.ndarray, " unit"]]:
    """Find the rows of units by their ids, and compare their spikes with those given.

    Parameters
    ----------
    path : str or Path
        NWB file.
    unit_ids : sequence of int or str
        Ids that the other tool uses: entries of the column ``unit_name`` where there is one, else of ``id``; ``"3"``
        and 3 are the same.
    spike_times : sequence of array of float64, shape (spike,)
        Spike times of each in seconds, in order.

    Returns
    -------
    SourceDescription
        The units table, as ``recording.attrs["source"]``.
    array of int, shape (unit,)
        Ids of the units in the file.

    Raises
    ------
    SourceError
        If the file cannot be read or has no units.
    DataError
        If a unit is not there, or has other spikes.
    """
    with open_session(path) as session:
        units = session.nwbfile.units
        if units is None or len(units) == 0:
            raise SourceError("the file has no units", where=str(session.path), fix="write the sorting into it first")
        where = session.where("/units")
        # `id` is a row number in files of SpikeInterface; the names are the ids of its sorting.
        stored = np.asarray(units[NAMES][:] if NAMES in units.colnames else units.id[:])
        rows = _find_rows([str(name) for name in stored.tolist()], [str(i) for i in unit_ids], where)
        trains = read_spike_trains(units, rows, where)
        for unit, ours, theirs in zip(unit_ids, spike_times, trains.times, strict=True):
            _compare_spikes(unit, np.asarray(ours), theirs, where)
        return describe_source(session, "/units", units, rows), trains.unit_id


def _find_rows(stored: list[str], wanted: list[str], where: str) -> Int[np.ndarray, " unit"]:
    # Names as text: "3" of one tool is 3 of another.
    row_of = {name: row for row, name in enumerate(stored)}
    if len(row_of) < len(stored):
        raise DataError("unit ids are not unique", where=where, fix="repair them in the file")
    missing = [name for name in wanted if name not in row_of]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(wanted)} units are not in the file: {', '.join(missing[:8])}",
            where=where,
            fix="write this sorting, as it is after curation, into the file first",
        )
    return np.array([row_of[name] for name in wanted])


def _compare_spikes(
    unit: Any, ours: Num[np.ndarray, " _spike"], theirs: Float[np.ndarray, " _spike"], where: str
) -> None:
    """Refuse a unit whose spikes in the file are others than those in memory; a shift of all is named as that."""
    if len(ours) != len(theirs):
        raise DataError(
            f"unit {unit} has {len(ours)} spikes in the sorting and {len(theirs)} in the file",
            where=where,
            fix="choose the file of this session, or write this sorting into it first",
        )
    apart = theirs - ours
    if len(apart) and np.abs(apart).max() > SAME_S:
        # One shift for all spikes is a start time that one of the two lacks.
        shift = float(np.median(apart))
        # A constant shift has a known cause, and the advice differs.
        if np.ptp(apart) <= SAME_S:
            raise DataError(
                f"spikes of unit {unit} are {abs(shift):.6g} s {'later' if shift > 0 else 'earlier'} in the file",
                where=where,
                fix="set the recording's clock to the file's (recording.shift_times) and compute again",
            )
        raise DataError(
            f"spikes of unit {unit} are others in the file, by up to {np.abs(apart).max():.6g} s",
            where=where,
            fix="choose the file of this session",
        )
