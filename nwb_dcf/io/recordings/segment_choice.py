"""Choose the segments that are read: trials, windows around events, epochs by tag, or all that was recorded.

They are compared with the intervals in which the source was recorded, and intervals that the file marks as invalid for
the source are cut out of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...config import ReadConfig
from ...data.clock_doubts import compare_spans, find_row_doubt, find_span
from ...data.doubt import Doubt
from ...errors import DataError, ParameterError, SourceError
from ..backends.session import Session
from .clock import list_sampling_rates
from .events import find_events, list_events
from .invalid_times import InvalidTimes, find_invalid
from .segments import RecordedIntervals, Segments, cut_trials, drop_short, exclude_intervals, whole_intervals
from .tables import EPOCHS, INVALID, TRIALS, IntervalTable, find_table, join_tables, list_tables


def choose_segments(
    session: Session, config: ReadConfig, recorded: RecordedIntervals, step_s: float, doubt: Doubt | None = None
) -> Segments:
    """Choose the segments that `config` asks for.

    Parameters
    ----------
    session : Session
        The open file.
    config : ReadConfig
        Its ``trials``, ``tags``, ``align``, ``window``, ``where``, ``overlap``, ``min_length_s`` and ``keep_invalid``.
    recorded : RecordedIntervals
        Intervals in which the source was recorded.
    step_s : float
        Bin width, or median time between samples, seconds; a segment holds two at least.
    doubt : Doubt, optional
        A doubt about the clock of the source: trials that confirm it turn it into a refusal.

    Returns
    -------
    Segments

    Raises
    ------
    SourceError
        If a named table does not exist.
    ParameterError
        If a named column does not exist or does not hold times, or rows are chosen where there is no table.
    DataError
        If a named table has no usable interval, intervals overlap, all are marked as invalid or too short, or the
        clocks of source and table cannot both be right.
    """
    table, is_asked = _choose_table(session, config)
    if isinstance(table, str):
        segments = whole_intervals(recorded, table)
    else:
        segments = _cut_table(session, config, recorded, step_s, table, is_asked, doubt)
    segments = _note_kept(session, segments) if config.keep_invalid else exclude_invalid(session, segments, step_s)
    return drop_short(segments, config.min_length_s, session.where(""))


def _cut_table(
    session: Session,
    config: ReadConfig,
    recorded: RecordedIntervals,
    step_s: float,
    table: IntervalTable,
    is_asked: bool,
    doubt: Doubt | None,
) -> Segments:
    """Make segments of the rows of a table; where it was not asked for and no row is usable, read all of the source."""
    span = float(recorded.start[0]), float(recorded.stop[-1])
    apart = compare_clocks(session, span, table, has_window=config.window is not None)
    if apart is not None and doubt is not None and apart.of_scale:
        known = doubt if explains(doubt, session, span, table) else apart
        raise DataError(f"{doubt.what}, and {apart.what}; likely {known.cause}", where=table.where, fix=known.fix)
    notes = [] if apart is None else [apart.describe(table.path)]
    try:
        segments = cut_trials(table, config, recorded, step_s)
    # Trials that nobody asked for must not prevent a fit of the whole recording.
    except DataError as error:
        if is_asked and apart is not None:
            raise DataError(f"{error.what}; likely {apart.cause}", where=error.where, fix=apart.fix) from error
        if is_asked:
            raise
        segments = whole_intervals(recorded, f"the table 'trials' is not used: {error.what}")
    return dataclasses.replace(segments, notes=(*notes, *segments.notes))


def compare_clocks(
    session: Session, span: tuple[float, float], table: IntervalTable, *, has_window: bool = False
) -> Doubt | None:
    """Compare the clock of a table with that of a source, whose first and last time are `span`, seconds."""
    # With a window only the start counts: stops may be missing.
    theirs = find_span(table.start_s, table.start_s if has_window else table.stop_s)
    if theirs is None:
        return None
    rates = list_sampling_rates(session)
    found = compare_spans(span, theirs, path=table.path, name=table.name, sampling_hz=rates)
    found = found or find_row_doubt(table.start_s, span, path=table.path, name=table.name)
    # A scale of 1 vouches for the unit; whether the two overlap is still checked.
    vouched = session.time_scales.of(table.path, is_fitted=False) == 1 or session.time_scales.own == 1
    return None if found is not None and found.of_scale and vouched else found


def explains(doubt: Doubt, session: Session, span: tuple[float, float], table: IntervalTable) -> bool:
    """Return whether the time scale that a doubt about the source proposes brings its `span` to that of the table."""
    scale = doubt.scale
    return scale is not None and compare_clocks(session, (span[0] * scale, span[1] * scale), table) is None


def exclude_invalid(session: Session, segments: Segments, step_s: float) -> Segments:
    """Cut intervals that the file marks as invalid for the source (``/intervals/invalid_times``) out of `segments`.

    Raises
    ------
    DataError
        If nothing is left.
    """
    invalid = find_invalid(session, session.reading)
    if invalid is None:
        return segments
    notes = _note_others(invalid)
    if len(invalid.start) == 0 and invalid.n_unknown == 0:
        return dataclasses.replace(segments, notes=(*segments.notes, *notes))
    kept, n_cut = exclude_intervals(segments, invalid.start, invalid.stop, step_s)
    why = f" ({', '.join(invalid.reasons)})" if invalid.reasons else ""
    if len(kept.start) == 0:
        raise DataError(
            f"all that was chosen lies within intervals that the file marks as invalid{why}",
            where=invalid.where,
            fix="choose other trials, or keep it with --keep-invalid",
        )
    # Seconds and not rows: intervals that are invalid may overlap.
    lost_s = float((segments.stop - segments.start).sum() - (kept.stop - kept.start).sum())
    note = (
        f"{len(invalid.start)} intervals of {INVALID}{why} are excluded: {lost_s:.4g} s of what was chosen, in {n_cut} "
        "segments (--keep-invalid reads them)"
    )
    if invalid.n_unknown:
        note += f"; {invalid.n_unknown} more have no start before a stop and are not used"
    # A trial that is cut into pieces stays; one that is left out wholly is listed.
    gone = np.setdiff1d(segments.row[segments.row >= 0], kept.row)
    left_out = [{"what": "trial", "id": int(row), "why": "within invalid_times"} for row in gone]
    return dataclasses.replace(kept, left_out=(*kept.left_out, *left_out), notes=(*kept.notes, note, *notes))


def note_invalid(invalid: InvalidTimes) -> list[str]:
    """Note how many intervals are excluded because the file marks them as invalid, and which concern other objects."""
    n = len(invalid.start)
    why = f" ({', '.join(invalid.reasons)})" if invalid.reasons else ""
    length_s = float(np.sum(invalid.stop - invalid.start))
    kept = [f"{n} intervals of {INVALID}{why} are excluded, {length_s:.4g} s (--keep-invalid reads them)"] if n else []
    return [*kept, *_note_others(invalid)]


def _note_others(invalid: InvalidTimes) -> list[str]:
    if not invalid.n_others:
        return []
    others = ", ".join(invalid.others)
    return [f"{invalid.n_others} intervals of {INVALID} do not concern what is read: they are of {others}"]


def _note_kept(session: Session, segments: Segments) -> Segments:
    invalid = find_invalid(session, session.reading)
    if invalid is None or not len(invalid.start):
        return segments
    why = f" ({', '.join(invalid.reasons)})" if invalid.reasons else ""
    note = f"{len(invalid.start)} intervals of {INVALID}{why} are read all the same, as asked"
    return dataclasses.replace(segments, notes=(*segments.notes, note))


def _choose_table(session: Session, config: ReadConfig) -> tuple[IntervalTable | str, bool]:
    """Return the table whose rows are read and whether it was asked for, or why there is none."""
    if config.trials == "none":
        return "trials are not used, as asked", True
    if config.trials != "auto":
        # Intervals of several tables are read as one set of segments, checked for overlap together.
        names = (config.trials,) if isinstance(config.trials, str) else config.trials
        return join_tables([find_intervals(session, name) for name in names]), True
    tables = [table for table in list_tables(session) if table.path != INVALID]
    trials = next((table for table in tables if table.path == TRIALS), None)
    # Tags name epochs, of which trials have none in most files.
    if config.tags:
        return _find_tagged(session, tables), True
    if config.align and (trials is None or config.align not in trials.columns):
        # A column of the trials comes before events of the same name.
        events = find_events(session, config.align)
        if events is not None:
            return events, True
    if trials is not None:
        return trials, bool(config.align or config.where)
    others = ", ".join(table.path for table in tables)
    if config.align or config.where:
        known_events = ", ".join(table.path for table in list_events(session))
        what = "align and where choose among trials, and the file has no table 'trials'"
        if config.align and known_events:
            what = f"there are no events {config.align!r} to align to, and no table 'trials'"
        known = [f"name one with --trials TABLE: {others}"] if others else []
        known += [f"events are: {known_events}"] if known_events else []
        raise ParameterError(what, where=str(session.path), fix="; ".join(known) or "leave them out")
    hint = f" (--trials TABLE would use one of {others})" if others else ""
    return f"the file has no table 'trials'{hint}", False


def find_intervals(session: Session, name: str) -> IntervalTable:
    """Read the table of intervals called `name`, or the events of that name that last.

    Raises
    ------
    SourceError
        If there is none, more than one, or its events have no duration.
    """
    try:
        return find_table(session, name)
    except SourceError as error:
        events = find_events(session, name)
        if events is None:
            raise
        if events.has_intervals:
            return dataclasses.replace(events, is_events=False)
        raise SourceError(
            "these events have no duration, so they are no intervals",
            where=events.where,
            fix=f"cut windows around them: --align {events.name} --window A B",
        ) from error


def _find_tagged(session: Session, tables: Sequence[IntervalTable]) -> IntervalTable:
    """Return the table with tags: ``epochs``, or the only one that has any."""
    tagged = [table for table in tables if any(table.tags)]
    chosen = [table for table in tagged if table.path == EPOCHS] or tagged
    if len(chosen) == 1:
        return chosen[0]
    raise ParameterError(
        f"{len(tagged)} tables have tags" if tagged else "no table of intervals has tags",
        where=str(session.path),
        fix=f"name one with --trials: {', '.join(table.path for table in tagged)}" if tagged else "leave --tags out",
    )
