"""Find units of another tool in the units table of a file: by id, and by their spikes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, SourceError
from .provenance import describe_source
from .session import open_session
from .spikes import read_spike_trains

NAMES = "unit_name"  # SpikeInterface and NeuroConv keep their ids here
SAME_S = 1e-3  # most that the time of a spike may differ: more than a sample, less than another spike


def match_units(
    path: str | Path, unit_ids: Sequence[Any], spike_times: Sequence[np.ndarray]
) -> tuple[dict[str, Any], np.ndarray]:
    """Find the rows of units, and compare their spikes.

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
    dict
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
        stored = np.asarray(units[NAMES][:] if NAMES in units.colnames else units.id[:])
        rows = _find_rows([str(name) for name in stored.tolist()], [str(i) for i in unit_ids], where)
        trains = read_spike_trains(units, rows, where)
        for unit, ours, theirs in zip(unit_ids, spike_times, trains.times, strict=True):
            _compare_spikes(unit, np.asarray(ours), theirs, where)
        return describe_source(session, "/units", units, rows), trains.unit_id


def _find_rows(stored: list[str], wanted: list[str], where: str) -> np.ndarray:
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


def _compare_spikes(unit: Any, ours: np.ndarray, theirs: np.ndarray, where: str) -> None:
    if len(ours) != len(theirs):
        raise DataError(
            f"unit {unit} has {len(ours)} spikes in the sorting and {len(theirs)} in the file",
            where=where,
            fix="choose the file of this session, or write this sorting into it first",
        )
    apart = theirs - ours
    if len(apart) and np.abs(apart).max() > SAME_S:
        shift = float(np.median(apart))
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
