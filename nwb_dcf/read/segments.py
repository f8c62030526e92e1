"""Segments: the intervals that are read, and that no pair of frames and no smoother crosses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..config import ReadConfig
from ..errors import DataError, ParameterError
from .session import Session
from .tables import INVALID, TRIALS, IntervalTable, find_table, list_tables
from .where import select_rows

TOUCH_S = 1e-6
"""Intervals that overlap by no more than this touch: trial times carry rounding errors."""


@dataclass(frozen=True)
class Stretches:
    """When a source was recorded: disjoint intervals, in order.

    Attributes
    ----------
    start, stop : array of float64, shape (stretch,)
        Seconds.
    exact : bool
        False if the ends are merely the first and the last spike: then nothing says that the recording
        did not go on, and trials may reach beyond them by up to half their length.
    """

    start: np.ndarray
    stop: np.ndarray
    exact: bool = True

    @property
    def span(self) -> str:
        """The whole of it in words, for errors and notes."""
        return f"{self.start[0]:.6g} to {self.stop[-1]:.6g} s"

    def observed_s(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Seconds of each interval that were recorded."""
        knots = np.column_stack([self.start, self.stop]).ravel()
        lengths = np.cumsum(self.stop - self.start)
        before = np.column_stack([lengths - (self.stop - self.start), lengths]).ravel()
        observed: np.ndarray = np.interp(stop, knots, before) - np.interp(start, knots, before)
        return observed


@dataclass(frozen=True)
class Segments:
    """The intervals to read, in order of time.

    Attributes
    ----------
    start, stop : array of float64, shape (segment,)
        Seconds.
    row : array of int, shape (segment,)
        Id of each in its interval table, -1 where there is none.
    columns : mapping of str to array of shape (segment,)
        Scalar columns of that table.
    left_out : tuple of dict
        Trials that were not taken, and why.
    notes : tuple of str
        Which choice was made.
    """

    start: np.ndarray
    stop: np.ndarray
    row: np.ndarray
    columns: Mapping[str, np.ndarray]
    left_out: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()


def choose_segments(session: Session, config: ReadConfig, recorded: Stretches, step_s: float) -> Segments:
    """Choose the segments that `config` asks for.

    Parameters
    ----------
    session : Session
        The open file.
    config : ReadConfig
        Its ``trials``, ``align``, ``window`` and ``where``.
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
        If a named table has no usable interval, or intervals overlap.
    """
    if config.trials == "none":
        return _whole_stretches(recorded, "trials are not used, as asked")
    if config.trials != "auto":
        return cut_trials(find_table(session, config.trials), config, recorded, step_s)
    tables = [table for table in list_tables(session) if table.path != INVALID]
    trials = next((table for table in tables if table.path == TRIALS), None)
    if trials is None:
        others = ", ".join(table.path for table in tables)
        if config.align or config.where:
            raise ParameterError(
                "align and where choose among trials, and the file has no table 'trials'",
                where=str(session.path),
                fix=f"name one with --trials TABLE: {others}" if others else "leave them out",
            )
        hint = f" (--trials TABLE would use one of {others})" if others else ""
        return _whole_stretches(recorded, f"the file has no table 'trials'{hint}")
    if config.align or config.where:
        return cut_trials(trials, config, recorded, step_s)
    try:
        return cut_trials(trials, config, recorded, step_s)
    except DataError as error:
        return _whole_stretches(recorded, f"the table 'trials' is not used: {error.what}")


def cut_trials(table: IntervalTable, config: ReadConfig, recorded: Stretches, step_s: float) -> Segments:
    """Make segments of the rows of `table`: their intervals, or a window around one of their times.

    Raises
    ------
    ParameterError
        If a column does not exist or does not hold times.
    DataError
        If no interval can be used, or those that can overlap.
    """
    rows = np.arange(len(table.row_id))
    if config.where:
        rows = np.flatnonzero(select_rows(config.where, {"id": table.row_id, **table.columns}, table.where))
        if len(rows) == 0:
            raise DataError(f"no row fulfils {config.where!r}", where=table.where, fix="change the condition")
    if config.align is not None and config.window is not None:
        time = _read_alignment(table, config.align)[rows]
        start, stop = time + config.window[0], time + config.window[1]
        unknown = f"without a finite {config.align}"
    else:
        start, stop = table.start_s[rows], table.stop_s[rows]
        unknown = "without a finite start before a finite stop"

    reasons = np.full(len(rows), "", dtype=object)
    finite = np.isfinite(start) & np.isfinite(stop) & (start < stop)
    reasons[~finite] = unknown
    length = np.subtract(stop, start, out=np.zeros(len(rows)), where=finite)
    short = finite & (length / step_s < 2 - 1e-6)
    reasons[short] = f"shorter than two bins of {step_s:.4g} s"
    observed = np.where(finite, recorded.observed_s(np.where(finite, start, 0.0), np.where(finite, stop, 0.0)), 0.0)
    outside = finite & ~short & (observed <= 0 if recorded.exact else observed < length / 2)
    reasons[outside] = f"outside the recording ({recorded.span})"

    kept = np.flatnonzero(reasons == "")
    if len(kept) == 0:
        raise _refuse_all(table, reasons)
    kept = kept[np.argsort(start[kept], kind="stable")]
    _check_overlap(table, table.row_id[rows[kept]], start[kept], stop[kept], aligned=config.align is not None)
    left_out = tuple(
        {"what": "trial", "id": int(table.row_id[rows[i]]), "why": str(reasons[i])}
        for i in np.flatnonzero(reasons != "")
    )
    window = (
        f", {config.window[0]:g} to {config.window[1]:g} s around {config.align}"
        if config.align and config.window
        else ""
    )
    chosen = f" where {config.where}" if config.where else ""
    notes = [f"segments are the intervals of {table.path}{chosen}{window}: {len(kept)} of {len(table.row_id)}"]
    notes += [f"{count} trials left out: {why}" for why, count in _count(reasons).items()]
    beyond = length[kept] - observed[kept] > step_s
    if not recorded.exact and beyond.any():
        notes.append(f"{int(beyond.sum())} trials reach beyond the first or last spike ({recorded.span})")
    return Segments(
        start=start[kept],
        stop=stop[kept],
        row=table.row_id[rows[kept]],
        columns={name: values[rows[kept]] for name, values in table.columns.items()},
        left_out=left_out,
        notes=tuple(notes),
    )


def find_problem(table: IntervalTable, recorded: Stretches | None) -> str:
    """Say why the intervals of `table` cannot be segments, or return an empty string if they can."""
    if recorded is None:
        finite = np.isfinite(table.start_s) & np.isfinite(table.stop_s)
        low, high = (table.start_s[finite].min(), table.stop_s[finite].max()) if finite.any() else (0.0, 1.0)
        recorded = Stretches(np.array([low]), np.array([high]))
    try:
        cut_trials(table, ReadConfig(), recorded, step_s=1e-9)
    except DataError as error:
        return error.what
    return ""


def _whole_stretches(recorded: Stretches, why: str) -> Segments:
    n = len(recorded.start)
    extent = "from the first spike to the last" if not recorded.exact else "without a gap"
    count = "one segment" if n == 1 else f"{n} segments, each"
    return Segments(recorded.start, recorded.stop, np.full(n, -1), {}, notes=(f"{count} {extent}: {why}",))


def _read_alignment(table: IntervalTable, name: str) -> np.ndarray:
    known = ", ".join(table.time_columns()) or "none"
    if name not in table.columns:
        raise ParameterError(
            f"there is no column {name!r} to align to", where=table.where, fix=f"columns with times are: {known}"
        )
    values = table.columns[name]
    if not table.holds_times(name):
        raise ParameterError(
            f"column {name!r} does not hold times on the session clock",
            where=table.where,
            fix=f"columns with times are: {known}",
        )
    return values.astype(np.float64)


def _refuse_all(table: IntervalTable, reasons: np.ndarray) -> DataError:
    counts = _count(reasons)
    each = ", ".join(f"{count} {why}" for why, count in counts.items())
    if not counts:
        return DataError("the table has no rows", where=table.where, fix="use --trials none or another table")
    why = max(counts, key=lambda reason: counts[reason])
    if "shorter" in why:
        fix = "use a narrower --bin"
    elif "outside" in why:
        fix = "check the clock of the table, or use --trials none"
    else:
        fix = "use --trials none or another table, or --align COLUMN --window A B on a column with times"
    return DataError(f"none of {len(reasons)} intervals can be used: {each}", where=table.where, fix=fix)


def _check_overlap(
    table: IntervalTable, row_id: np.ndarray, start: np.ndarray, stop: np.ndarray, *, aligned: bool
) -> None:
    overlaps = np.flatnonzero(start[1:] < stop[:-1] - TOUCH_S)
    if len(overlaps) == 0:
        return
    i = int(overlaps[0])
    what = "windows" if aligned else "intervals"
    raise DataError(
        f"{len(overlaps)} {what} overlap the one before, first that of rows {row_id[i]} and {row_id[i + 1]} "
        f"({stop[i] - start[i + 1]:.4g} s)",
        where=table.where,
        fix="choose a shorter --window" if aligned else "choose rows with --where, or use --trials none",
    )


def _count(reasons: np.ndarray) -> dict[str, int]:
    counts: dict[str, int] = {}
    for why in reasons[reasons != ""]:
        counts[why] = counts.get(why, 0) + 1
    return counts
