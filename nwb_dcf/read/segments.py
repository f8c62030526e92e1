"""Segments: the intervals that are read, and that no pair of frames and no smoother crosses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..config import ReadConfig
from ..errors import DataError, ParameterError
from .session import Session
from .stretches import Segments, Stretches, drop_short, exclude_intervals, whole_stretches
from .tables import EPOCHS, INVALID, TRIALS, IntervalTable, find_events, find_table, join_tables, list_tables
from .trials import cut_trials

__all__ = ["Segments", "Stretches", "choose_segments", "exclude_invalid"]


def choose_segments(session: Session, config: ReadConfig, recorded: Stretches, step_s: float) -> Segments:
    """Choose the segments that `config` asks for.

    Parameters
    ----------
    session : Session
        The open file.
    config : ReadConfig
        Its ``trials``, ``tags``, ``align``, ``window``, ``where``, ``overlap`` and ``min_length_s``.
    recorded : Stretches
        When the source was recorded.
    step_s : float
        Bin width, or median time between samples; a segment holds two at least.

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
        If a named table has no usable interval, intervals overlap, or all are marked as invalid or too short.
    """
    if session.within is not None:
        return session.within
    segments = _choose(session, config, recorded, step_s)
    return drop_short(exclude_invalid(session, segments, step_s), config.min_length_s, session.where(""))


def exclude_invalid(session: Session, segments: Segments, step_s: float) -> Segments:
    """Cut what the file marks as invalid (``/intervals/invalid_times``) out of `segments`.

    Raises
    ------
    DataError
        If nothing is left.
    """
    table = next((table for table in list_tables(session) if table.path == INVALID), None)
    if table is None or len(table.row_id) == 0:
        return segments
    known = np.flatnonzero(table.start_s < table.stop_s)  # NaN is not
    kept, n_cut = exclude_intervals(segments, table.start_s[known], table.stop_s[known], step_s)
    if len(kept.start) == 0:
        raise DataError(
            "all that was chosen lies within intervals that the file marks as invalid",
            where=table.where,
            fix="choose other trials",
        )
    lost_s = float((segments.stop - segments.start).sum() - (kept.stop - kept.start).sum())
    note = f"{len(known)} intervals of {INVALID} are excluded: {lost_s:.4g} s of what was chosen, in {n_cut} segments"
    unknown = len(table.row_id) - len(known)
    if unknown:
        note += f"; {unknown} more have no start before a stop and are not used"
    gone = np.setdiff1d(segments.row[segments.row >= 0], kept.row)
    left_out = [{"what": "trial", "id": int(row), "why": "within invalid_times"} for row in gone]
    return dataclasses.replace(kept, left_out=(*kept.left_out, *left_out), notes=(*kept.notes, note))


def _choose(session: Session, config: ReadConfig, recorded: Stretches, step_s: float) -> Segments:
    """Choose segments before any part of them is excluded."""
    if config.trials == "none":
        return whole_stretches(recorded, "trials are not used, as asked")
    if config.trials != "auto":
        names = (config.trials,) if isinstance(config.trials, str) else config.trials
        return cut_trials(join_tables([find_table(session, name) for name in names]), config, recorded, step_s)
    tables = [table for table in list_tables(session) if table.path != INVALID]
    trials = next((table for table in tables if table.path == TRIALS), None)
    if config.tags:
        return cut_trials(_find_tagged(session, tables), config, recorded, step_s)
    if config.align and (trials is None or config.align not in trials.columns):
        events = find_events(session, config.align)
        if events is not None:
            return cut_trials(events, config, recorded, step_s)
    if trials is None:
        others = ", ".join(table.path for table in tables)
        if config.align or config.where:
            raise ParameterError(
                "align and where choose among trials, and the file has no table 'trials'",
                where=str(session.path),
                fix=f"name one with --trials TABLE: {others}" if others else "leave them out",
            )
        hint = f" (--trials TABLE would use one of {others})" if others else ""
        return whole_stretches(recorded, f"the file has no table 'trials'{hint}")
    if config.align or config.where:
        return cut_trials(trials, config, recorded, step_s)
    try:
        return cut_trials(trials, config, recorded, step_s)
    except DataError as error:
        return whole_stretches(recorded, f"the table 'trials' is not used: {error.what}")


def _find_tagged(session: Session, tables: Sequence[IntervalTable]) -> IntervalTable:
    """Return the table whose tags are meant: ``epochs``, or the only one that has any."""
    tagged = [table for table in tables if any(table.tags)]
    chosen = [table for table in tagged if table.path == EPOCHS] or tagged
    if len(chosen) == 1:
        return chosen[0]
    raise ParameterError(
        f"{len(tagged)} tables have tags" if tagged else "no table of intervals has tags",
        where=str(session.path),
        fix=f"name one with --trials: {', '.join(table.path for table in tagged)}" if tagged else "leave --tags out",
    )
