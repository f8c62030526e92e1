"""List the contents of a file: sources, tables of intervals, fits, and the source that is fitted by default."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pynwb.epoch import TimeIntervals

from ...config import ReadConfig
from ...data.doubt import Doubt
from ...data.records import JSON
from ...errors import DOUBT, DataError, SourceError, name_arguments
from ..backends.session import OWN_MODULE, Session, open_session
from .clock import glance_at_clock
from .events import list_events
from .find_object import find_object
from .glance import note_contents
from .segment_choice import compare_clocks, explains
from .segments import RecordedIntervals, explain_unusable
from .source_kinds import Source
from .source_list import describe_sources
from .source_selection import choose_source, group_sources
from .tables import INVALID, TRIALS, IntervalTable, find_unreadable_tables, list_tables
from .units import check_units_clock


@dataclass(frozen=True)
class TableSummary:
    """A table of intervals, which ``--trials`` or ``--align`` can name.

    Attributes
    ----------
    path : str
        Path in the file.
    rows : int
        Number of intervals.
    columns, time_columns : tuple of str
        Scalar columns, and those of them that hold times on the session clock.
    problem : str
        Why its intervals cannot be segments; empty if they can.
    is_events : bool
        Whether its rows are events, to which windows can be aligned.
    """

    path: str
    rows: int
    columns: tuple[str, ...]
    time_columns: tuple[str, ...]
    problem: str
    is_events: bool = False


@dataclass(frozen=True)
class Catalog:
    """The contents of a file.

    Attributes
    ----------
    file, identifier, nwb_version : str
        Base name of the file, and its own identifier and version.
    sources : tuple of Source
        By rank, then path; families of one-column series as one.
    tables : tuple of TableSummary
        Tables of intervals.
    fits : tuple of str
        Names of the fits in ``processing/dcf``.
    default : str or None
        Path of the source that is fitted unless another is named.
    why : str
        Why that one, or why none.
    doubts : tuple of str
        What looks wrong about clocks, and what to do about it.
    notes : tuple of str
        What a fit of that source would leave out, cut or miss.
    """

    file: str
    identifier: str
    nwb_version: str
    sources: tuple[Source, ...]
    tables: tuple[TableSummary, ...]
    fits: tuple[str, ...]
    default: str | None
    why: str
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> JSON:
        """Return all of it as a JSON-able dict."""
        # `asdict` copies every value of every source, of which there may be thousands.
        rows = {"sources": tuple(map(_to_row, self.sources)), "tables": tuple(map(_to_row, self.tables))}
        return {**_to_row(self), **rows}


def _to_row(one: Any) -> JSON:
    return {item.name: getattr(one, item.name) for item in dataclasses.fields(one)}


def list_sources(path: str | Path, *, video_dir: str | None = None, allow_outside: bool = False) -> Catalog:
    """List what in the NWB file at `path` can be fitted, its tables of intervals and its fits.

    Parameters
    ----------
    path : str or Path
    video_dir : str, optional
        Folder that holds its video files, where they are no longer where the NWB file says.
    allow_outside : bool
        Open video files by paths that leave the folder of the NWB file.

    Raises
    ------
    SourceError
        If the file cannot be read as NWB 2.
    """
    with open_session(path, light=True) as opened:
        session = dataclasses.replace(opened, allow_outside=allow_outside)
        sources = describe_sources(session, video_dir, spans=True)
        # `info` must answer for a file without any source that is fitted by default, too.
        chosen: Source | None = None
        try:
            chosen = choose_source(session, sources, None)
            why = chosen.why
        except SourceError as error:
            why = error.what
        # Trials are compared with what would be fitted, since their problem depends on it.
        recorded = None
        if chosen is not None and chosen.start_s is not None and chosen.duration_s is not None:
            # Gaps are not known yet: they take every timestamp.
            ends = np.array([chosen.start_s]), np.array([chosen.start_s + chosen.duration_s])
            recorded = RecordedIntervals(*ends, exact=chosen.kind != "units")
        # A missing filter makes one table unreadable, which must not hide the others.
        lost = find_unreadable_tables(session)
        broken: dict[str, str] = {}
        intervals = list_tables(session, without=lost, problems=broken)
        events_of = list_events(session, broken)
        tables = [_summarise(table, explain_unusable(table, recorded)) for table in intervals]
        tables += [
            _summarise(
                events, explain_unusable(events, recorded) if events.has_intervals else "events have no duration"
            )
            for events in events_of
        ]
        tables += [
            TableSummary(
                path,
                len(find_object(session, path, (TimeIntervals,)).object.id),
                (),
                (),
                f"{one.array} is {one.what}: {one.fix}",
            )
            for path, one in lost.items()
        ]
        tables += [TableSummary(path, 0, (), (), problem) for path, problem in broken.items()]
        own = _find_source_doubts(session, sources)
        about_chosen = [doubt for path, doubt in own if chosen is not None and path == chosen.path]
        doubts = [f"{DOUBT}{source.path}: {source.doubt}" for source in sources if source.doubt]
        doubts += [doubt.describe(path) for path, doubt in own]
        doubts += _find_table_doubts(session, chosen, [*intervals, *events_of], about_chosen)
        return Catalog(
            file=session.path.name,
            identifier=str(session.nwbfile.identifier),
            nwb_version=session.nwb_version,
            sources=tuple(_name_arguments(one) for one in group_sources(sources)),
            tables=tuple(dataclasses.replace(table, problem=name_arguments(table.problem)) for table in tables),
            fits=list_fits(session),
            default=chosen.path if chosen else None,
            why=name_arguments(why),
            doubts=tuple(map(name_arguments, doubts)),
            notes=tuple(map(name_arguments, note_contents(session, chosen))) if chosen else (),
        )


def _name_arguments(source: Source) -> Source:
    problem, why, doubt = map(name_arguments, (source.problem, source.why, source.doubt))
    return dataclasses.replace(source, problem=problem, why=why, doubt=doubt)


def _summarise(table: IntervalTable, problem: str) -> TableSummary:
    # every table has both columns when it is read, those of events that the file does not have too
    made = {"start_time"} if table.is_events and "timestamp" in table.columns else set()
    made |= {"stop_time"} if table.is_events and not table.has_intervals else set()
    columns = tuple(name for name in table.columns if name not in made)
    times = tuple(name for name in table.time_columns() if name not in made)
    return TableSummary(table.path, len(table.row_id), columns, times, problem, is_events=table.is_events)


def _find_source_doubts(session: Session, sources: Sequence[Source]) -> list[tuple[str, Doubt]]:
    """Check the clocks of all sources that can be read, by the first and last samples of each."""
    found = []
    for source in sources:
        # Bins have no times of their own that could be in another unit.
        if source.problem or source.kind == "binned":
            continue
        # Members are on one clock, so that the first stands for all.
        ((_, obj), *_) = session.find_members(source.members or (source.path,))
        where = session.where(source.path)
        try:
            if source.kind == "units":
                doubts = check_units_clock(session, obj, ReadConfig().bin_width_s, where)
            else:
                doubts = glance_at_clock(obj, source.shape[0], source.kind, source.name)
        except DataError:
            continue  # its reader reports it, with advice
        found += [(source.path, doubt) for doubt in doubts]
    return found


def _find_table_doubts(
    session: Session, chosen: Source | None, tables: Sequence[IntervalTable], known: Sequence[Doubt]
) -> list[str]:
    """Compare the clocks of intervals and events with that of the source that is fitted by default.

    Of tables other than the trials only the unit is doubted: sleep, or a task on another day, may lie apart and be
    right. `known` are the doubts about the source, one of which may be the reason.
    """
    if chosen is None or chosen.start_s is None or chosen.duration_s is None:
        return []
    span = chosen.start_s, chosen.start_s + chosen.duration_s
    notes = []
    for table in tables:
        doubt = compare_clocks(session, span, table, has_window=not table.has_intervals)
        if table.path == INVALID or doubt is None or not (doubt.of_scale or table.path == TRIALS):
            continue
        if not any(explains(one, session, span, table) for one in known):
            notes.append(doubt.describe(table.path))
    return notes


def list_fits(session: Session) -> tuple[str, ...]:
    """List the names of the fits in ``processing/dcf``, in order."""
    name = OWN_MODULE.rsplit("/", 1)[-1]
    # An empty ProcessingModule of pynwb is false, hence `in`.
    processing = session.nwbfile.processing
    return tuple(sorted(processing[name].data_interfaces)) if name in processing else ()
