"""Events of every type in NWB, as tables of intervals that ``--align`` and ``--trials`` can name.

================================================ ============== ====================================================
in the file                                      intervals      columns
================================================ ============== ====================================================
EventsTable of NWB 2.10 or of ndx-events,        timestamp to   its columns; of values with a MeaningsTable, their
in any order                                     timestamp +    words besides
                                                 duration
LabeledEvents, TTLs, Events (ndx-events before   a time each    ``value``, ``label``
0.3)
AnnotatedEventsTable (ndx-events before 0.3)     a time each    ``label`` and other columns of its kind of event
AnnotationSeries                                 a time each    ``value`` and ``annotation``, its text
IntervalSeries, in BehavioralEpochs or alone     +k to the      ``type``, which is k
                                                 next -k
any other TimeSeries with timestamps             a time each    ``value``
================================================ ============== ====================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb import TimeSeries
from pynwb.core import DynamicTable, NWBContainer
from pynwb.misc import AnnotationSeries, IntervalSeries

from ..backends.session import Session
from .find_object import match_objects
from .tables import IntervalTable, read_columns, read_each, read_times, read_whole_numbers, to_text_or_numbers

if TYPE_CHECKING:
    from jaxtyping import Float, Num, Shaped

TABLES = ("EventsTable", "AnnotatedEventsTable")
LISTS = ("Events", "LabeledEvents", "TTLs")


def list_events(session: Session, problems: dict[str, str] | None = None) -> list[IntervalTable]:
    """Read every table or list of events in the file, by path; a plain TimeSeries counts as one only by name.

    Where `problems` are given, those that cannot be read are named there, by path, instead of refused.
    """
    every = [(path, obj) for path, obj in session.find_objects(NWBContainer, DynamicTable) if _is_event_type(obj)]
    return read_each(every, lambda path, obj: _read(session, path, obj), problems)


def find_events(session: Session, name: str) -> IntervalTable | None:
    """Read the events called `name`, a path or its end; None where there are none, or more than one."""
    found = match_objects(session, name, (NWBContainer, DynamicTable))
    events = [one for one in found if _is_event_type(one.object) or _is_plain_series(one.object)]
    return _read(session, *events[0]) if len(events) == 1 else None


def _is_event_type(obj: Any) -> bool:
    # Types of extensions have no class here: pynwb makes one from the specification that the file caches.
    return isinstance(obj, AnnotationSeries | IntervalSeries) or obj.neurodata_type in (*TABLES, *LISTS)


def _is_plain_series(obj: Any) -> bool:
    return isinstance(obj, TimeSeries) and obj.timestamps is not None


def _read(session: Session, path: str, obj: Any) -> IntervalTable:
    scale = session.time_scales.of(path, is_fitted=False) or 1.0
    kind = obj.neurodata_type
    if kind == "AnnotatedEventsTable":
        columns = _read_annotated(obj, session.where(path))
    elif kind in TABLES:
        columns = _read_table(obj, session.where(path))
    elif isinstance(obj, IntervalSeries):
        columns = _pair_intervals(
            read_whole_numbers(obj.data, "values", session.where(path)),
            read_times(obj.timestamps, "timestamps", session.where(path)),
        )
    else:
        columns = _read_list(obj, session.where(path))
    for name in ("start_time", "stop_time", *(["timestamp", "duration"] if kind in TABLES else [])):
        if name in columns:
            # Other columns keep their unit: nothing marks them as times.
            columns[name] = columns[name] * scale
    ids = np.arange(len(columns["start_time"]))
    if kind == "EventsTable":
        ids = read_whole_numbers(obj.id, "ids", session.where(path))
    # Without one interval the events can be aligned to, but are no trials.
    lasts = bool((columns["stop_time"] > columns["start_time"]).any())
    return IntervalTable(path, session.where(path), ids, columns, is_events=True, has_intervals=lasts)


def _read_table(table: Any, where: str) -> dict[str, Shaped[np.ndarray, " event"]]:
    """Read the columns of an EventsTable; the stop of an event without a duration is NaN."""
    columns = read_columns(table)
    unknown = np.full(len(table), np.nan)
    start, length = (read_times(columns.get(name, unknown), name, where) for name in ("timestamp", "duration"))
    return {**columns, "start_time": start, "stop_time": start + length}


def _read_annotated(table: Any, where: str) -> dict[str, Shaped[np.ndarray, " event"]]:
    """Read one row an event from a table that has one row a kind of event."""
    index = table["event_times"]
    times = read_times(index.target.data, "event_times", where)
    # A VectorIndex holds the end of each row.
    counts = np.diff(np.concatenate([[0], read_whole_numbers(index.data, "indices of event_times", where)]))
    row = np.repeat(np.arange(len(counts)), counts)
    columns = {name: values[row] for name, values in read_columns(table).items()}
    return {**columns, "start_time": times, "stop_time": times.copy()}


def _read_list(events: Any, where: str) -> dict[str, Shaped[np.ndarray, " event"]]:
    """Read the times of a series, or of Events, and the value of each where there is one."""
    time = read_times(events.timestamps, "timestamps", where)
    columns: dict[str, Shaped[np.ndarray, " event"]] = {"start_time": time, "stop_time": time.copy()}
    data = getattr(events, "data", None)
    if data is None or tuple(getattr(data, "shape", None) or np.shape(data)) != time.shape:
        return columns
    values = to_text_or_numbers(data[:])
    if values is None:
        return columns
    columns["value"] = values
    if isinstance(events, AnnotationSeries):
        columns["annotation"] = values
    # The class of ndx-events calls it labels; that which pynwb makes of the cached specification calls it data__labels.
    words = next(
        (found for name in ("labels", "data__labels") if (found := getattr(events, name, None)) is not None), None
    )
    if words is not None and values.dtype.kind in "iu" and (len(values) == 0 or values.max() < len(words)):
        columns["label"] = np.asarray([str(word) for word in words], dtype=np.str_)[values.astype(np.int64)]
    return columns


def _pair_intervals(
    codes: Num[np.ndarray, " sample"], time: Float[np.ndarray, " sample"]
) -> dict[str, Num[np.ndarray, " interval"]]:
    """Pair the samples of an IntervalSeries: +k begins an interval of type k, the next -k ends it.

    A missing start or stop is NaN.

    Examples
    --------
    >>> _pair_intervals(np.array([1, 2, -1, -2]), np.array([0.0, 1.0, 3.0, 4.0]))["stop_time"]
    array([3., 4.])
    """
    found: list[tuple[float, float, int]] = []
    for kind in np.unique(np.abs(codes[codes != 0].astype(np.int64))):
        mine = np.flatnonzero(np.abs(codes.astype(np.int64)) == kind)
        # Stable, so that a stop and a start at one time keep the order of the file.
        mine = mine[np.argsort(time[mine], kind="stable")]
        begun = np.nan
        for at, opens in zip(time[mine], codes[mine] > 0, strict=True):
            if opens:
                if np.isfinite(begun):
                    found.append((begun, np.nan, int(kind)))
                begun = float(at)
            else:
                found.append((begun, float(at), int(kind)))
                begun = np.nan
        if np.isfinite(begun):
            found.append((begun, np.nan, int(kind)))
    found.sort(key=lambda item: item[0] if np.isfinite(item[0]) else item[1])
    start, stop, types = (np.array(column) for column in zip(*found, strict=True)) if found else (np.empty(0),) * 3
    return {
        "start_time": start.astype(np.float64),
        "stop_time": stop.astype(np.float64),
        "type": types.astype(np.int64),
    }
