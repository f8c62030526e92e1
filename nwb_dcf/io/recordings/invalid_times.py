"""Intervals that the file marks as invalid, and the sources that they concern.

A row of ``invalid_times`` may name the series that it concerns (``timeseries``), and its tags are the reasons. The
series decide first; else a tag that is the name of a series, a device or a group of electrodes of the file; else the
row concerns all of the session.

========================================== =======================================================================
a row names                                it concerns
========================================== =======================================================================
the series itself, or shared data          that source
a voltage (ElectricalSeries)               units and voltages too, unless their electrodes are others
imaging or ROI responses                   ROI responses and imaging of the same plane, or where planes are unknown
a video or a pose                          videos and poses
any other series                           nothing but that series
========================================== =======================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb import TimeSeries
from pynwb.ecephys import ElectricalSeries
from pynwb.image import ImageSeries
from pynwb.misc import Units
from pynwb.ophys import OnePhotonSeries, RoiResponseSeries, TwoPhotonSeries

from ..backends.session import Session
from .tables import INVALID, IntervalTable, list_tables, read_whole_numbers

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class InvalidTimes:
    """The intervals that are invalid for a source.

    Attributes
    ----------
    start, stop : array of float64, shape (interval,)
        Seconds.
    reasons : tuple of str
        Tags of those intervals, each once.
    n_unknown : int
        Rows without a start before a stop.
    others : tuple of str
        What the rows that do not concern the source are about, each once.
    n_others : int
        Number of those rows.
    where : str
        Names the table in errors.
    """

    start: Float[np.ndarray, " interval"]
    stop: Float[np.ndarray, " interval"]
    reasons: tuple[str, ...] = ()
    n_unknown: int = 0
    others: tuple[str, ...] = ()
    n_others: int = 0
    where: str = ""


def find_invalid(session: Session, paths: Sequence[str]) -> InvalidTimes | None:
    """Find the intervals that are invalid for the objects at `paths`; None where the file marks none at all.

    Parameters
    ----------
    session : Session
        The open file.
    paths : sequence of str
        What is read: a units table, one series or several; empty for all of the session.
    """
    table = next((table for table in list_tables(session) if table.path == INVALID), None)
    # An empty table marks nothing, and needs no note.
    if table is None or len(table.row_id) == 0:
        return None
    named = _read_named(session.nwbfile.invalid_times, table.where)
    about = [_describe_row(session, table, row, named[row]) for row in range(len(table.row_id))]
    objects = [obj for _, obj in session.find_members(paths)] if paths else []
    concerns = np.array([not objects or _concerns(session, subjects, objects) for subjects, _ in about], bool)
    known = table.start_s < table.stop_s  # false where either is NaN
    used = concerns & known
    return InvalidTimes(
        table.start_s[used],
        table.stop_s[used],
        _list_once(tag for row in np.flatnonzero(used) for tag in sorted(_tags(table, int(row)))),
        int((concerns & ~known).sum()),
        _list_once(about[row][1] for row in np.flatnonzero(~concerns)),
        int((~concerns).sum()),
        table.where,
    )


def _read_named(table: Any, where: str) -> list[list[Any]]:
    """Read the series that each row names."""
    if "timeseries" not in table.colnames:
        return [[] for _ in range(len(table))]
    column = table["timeseries"]
    if not hasattr(column, "target"):
        return [[_find_series(one)] for one in column.data[:]]
    every, ends = column.target.data[:], read_whole_numbers(column.data, "indices of timeseries", where)
    starts = np.concatenate([[0], ends[:-1]])
    return [[_find_series(one) for one in every[a:b]] for a, b in zip(starts, ends, strict=True)]


def _find_series(reference: Any) -> Any:
    """Return the TimeSeries of a reference, which is a row (idx_start, count, timeseries)."""
    return getattr(reference, "timeseries", None) or reference[2]


def _tags(table: IntervalTable, row: int) -> frozenset[str]:
    return table.tags[row] if table.tags else frozenset()


def _describe_row(session: Session, table: IntervalTable, row: int, named: list[Any]) -> tuple[list[Any], str]:
    """Return the objects that a row concerns, none for all of the file, and their names."""
    subjects = [series for series in named if series is not None]
    if subjects:
        return subjects, ", ".join(session.path_of(series) for series in subjects)
    # Tags are free text, written by hand: letters of both cases are alike.
    tags = {tag.lower() for tag in _tags(table, row)}
    found = [
        obj
        for path, obj in session.find_objects(TimeSeries)
        if path.rsplit("/", 1)[-1].lower() in tags or {name.lower() for name in _list_equipment(obj)} & tags
    ]
    return found, ", ".join(sorted(_tags(table, row)))


def _list_equipment(series: Any) -> list[str]:
    """List the names of the device, the groups of electrodes and the plane of a series."""
    names = [getattr(getattr(series, "device", None), "name", None)]
    plane = getattr(series, "imaging_plane", None)
    names += [getattr(plane, "name", None), getattr(getattr(plane, "device", None), "name", None)]
    region = getattr(series, "electrodes", None)
    # A group of electrodes is a probe or a shank, which fails as a whole.
    if region is not None and "group_name" in region.table.colnames:
        rows = np.asarray(region.data[:], np.int64)
        names += [str(name) for name in np.unique(np.asarray(region.table["group_name"].data[:])[rows].astype(str))]
    return [name for name in names if name]


def _concerns(session: Session, subjects: Sequence[Any], objects: Sequence[Any]) -> bool:
    return not subjects or any(_is_about(session, subject, obj) for subject in subjects for obj in objects)


def _is_about(session: Session, subject: Any, obj: Any) -> bool:
    """Return whether what is invalid for `subject` is invalid for `obj` as well, by the table of this module."""
    if subject is obj or session.path_of(subject) == session.path_of(obj):
        return True
    # pynwb resolves a link to data of another series to one array.
    if isinstance(subject, TimeSeries) and isinstance(obj, TimeSeries) and subject.data is obj.data:
        return True
    # A fault of the amplifier is one of all channels and of the units sorted from them; it is none of the camera.
    modality = _find_modality(subject)
    if modality != _find_modality(obj) or not modality:
        return False
    if modality == "voltage":
        ours, theirs = _list_electrodes(obj), _list_electrodes(subject)
        # Where electrodes are unknown, the interval is taken as one of all.
        return ours is None or theirs is None or bool(ours & theirs)
    if modality == "imaging":
        plane, other = _find_plane(obj), _find_plane(subject)
        return plane is None or other is None or plane is other
    return True


def _find_modality(obj: Any) -> str:
    if isinstance(obj, Units | ElectricalSeries):
        return "voltage"
    if isinstance(obj, RoiResponseSeries | OnePhotonSeries | TwoPhotonSeries):
        return "imaging"
    is_pose = "Pose" in str(getattr(obj, "neurodata_type", ""))
    return "camera" if isinstance(obj, ImageSeries) or is_pose else ""


def _list_electrodes(obj: Any) -> set[int] | None:
    """Return the rows of the electrodes of a voltage or of units; None where they are unknown."""
    if isinstance(obj, Units):
        if "electrodes" not in obj.colnames:
            return None
        column = obj["electrodes"]
        return {int(row) for row in np.asarray(getattr(column, "target", column).data[:])}
    region = getattr(obj, "electrodes", None)
    return None if region is None else {int(row) for row in np.asarray(region.data[:])}


def _find_plane(obj: Any) -> Any:
    region = getattr(obj, "rois", None)
    return getattr(obj, "imaging_plane", None) if region is None else getattr(region.table, "imaging_plane", None)


def _list_once(words: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))
