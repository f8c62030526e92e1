"""Segments: the intervals that are read, whose ends no pair of frames and no smoother crosses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...config import ReadConfig
from ...data.clock_doubts import guess_column_scale, scale_option
from ...errors import DataError, ParameterError
from .conditions import select_rows
from .tables import IntervalTable

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped

TOUCH_S = 1e-6
"""Intervals that overlap by no more than this touch: trial times carry rounding errors."""


def cut_trials(table: IntervalTable, config: ReadConfig, recorded: RecordedIntervals, step_s: float) -> Segments:
    """Make segments of the rows of `table`: their intervals, or a window around one of their times.

    Raises
    ------
    ParameterError
        If a column does not exist or does not hold times.
    DataError
        If no interval can be used, or those that can overlap.
    """
    # Rows first: those that nobody asked for are not reported as left out.
    rows = _select_rows(table, config)
    if config.align is not None and config.window is not None:
        time = _read_alignment(table, config.align)[rows]
        start, stop = time + config.window[0], time + config.window[1]
        unknown = f"without a finite {config.align}"
    else:
        start, stop = table.start_s[rows], table.stop_s[rows]
        unknown = "without a finite start before a finite stop"

    # Every row gets a reason, so that each trial that is missing is accounted for.
    reasons = np.full(len(rows), "", dtype=object)
    finite = np.isfinite(start) & np.isfinite(stop) & (start < stop)
    reasons[~finite] = unknown
    length = np.subtract(stop, start, out=np.zeros(len(rows)), where=finite)
    # Rounding is allowed for: 0.2 s are two bins of 0.1 s.
    short = finite & (length / step_s < 2 - 1e-6)
    reasons[short] = f"shorter than two bins of {step_s:.4g} s"
    observed = np.where(
        finite, recorded.compute_observed_s(np.where(finite, start, 0.0), np.where(finite, stop, 0.0)), 0.0
    )
    # The first and the last spike are no ends of the recording: a trial may lie half beyond them.
    outside = finite & ~short & (observed <= 0 if recorded.exact else observed < length / 2)
    reasons[outside] = f"outside the recording ({recorded.span})"

    kept = np.flatnonzero(reasons == "")
    if len(kept) == 0:
        raise _refuse_all(table, reasons)
    # Tables need not be in order of time, and recordings must be.
    kept = kept[np.argsort(start[kept], kind="stable")]
    if config.overlap == "first":
        free = _take_first(start[kept], stop[kept])
        reasons[kept[~free]] = "begins within one that is taken"
        kept = kept[free]
    # Frames in two segments would count twice in every score.
    _check_overlap(table, table.row_id[rows[kept]], start[kept], stop[kept], aligned=config.align is not None)
    what = "event" if table.is_events else "trial"
    left_out: list[dict[str, object]] = [
        {"what": what, "id": int(table.row_id[rows[i]]), "why": str(reasons[i])} for i in np.flatnonzero(reasons != "")
    ]
    notes = [f"{_describe_choice(table, config)}: {len(kept)} of {len(table.row_id)}"]
    notes += [f"{count} {what}s left out: {why}" for why, count in _count(reasons).items()]
    beyond = length[kept] - observed[kept] > step_s
    if not recorded.exact and beyond.any():
        notes.append(f"{int(beyond.sum())} trials reach beyond the first or last spike ({recorded.span})")
    return Segments(
        start=start[kept],
        stop=stop[kept],
        row=table.row_id[rows[kept]],
        columns={name: values[rows[kept]] for name, values in table.columns.items()},
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def explain_unusable(table: IntervalTable, recorded: RecordedIntervals | None) -> str:
    """Explain why the intervals of `table` cannot be segments; an empty string if they can."""
    if recorded is None:
        finite = np.isfinite(table.start_s) & np.isfinite(table.stop_s)
        low, high = (table.start_s[finite].min(), table.stop_s[finite].max()) if finite.any() else (0.0, 1.0)
        recorded = RecordedIntervals(np.array([low]), np.array([high]))
    try:
        # The step of the source is not known here: only what any step would find is reported.
        cut_trials(table, ReadConfig(), recorded, step_s=1e-9)
    except DataError as error:
        return error.what
    return ""


def _select_rows(table: IntervalTable, config: ReadConfig) -> Int[np.ndarray, " selected"]:
    """Select the rows that have one of the tags and fulfil the condition."""
    chosen = np.ones(len(table.row_id), bool)
    if config.tags:
        wanted = {config.tags} if isinstance(config.tags, str) else set(config.tags)
        # A tag that no row has is a typing error: fewer rows than expected would not be noticed.
        known = sorted(frozenset().union(*table.tags))
        missing = sorted(wanted - set(known))
        if missing:
            raise ParameterError(
                f"no interval has the tag {', '.join(map(repr, missing))}",
                where=table.where,
                fix=f"tags are: {', '.join(known)}" if known else "the table has no tags: leave --tags out",
            )
        # One of the tags is enough: rows have several.
        chosen &= np.array([bool(tags & wanted) for tags in table.tags])
    if config.where:
        chosen &= select_rows(config.where, {"id": table.row_id, **table.columns}, table.where)
        if not chosen.any():
            raise DataError(f"no row fulfils {config.where!r}", where=table.where, fix="change the condition")
    return np.flatnonzero(chosen)


def _describe_choice(table: IntervalTable, config: ReadConfig) -> str:
    tags = (config.tags,) if isinstance(config.tags, str) else config.tags or ()
    chosen = (f" tagged {' or '.join(tags)}" if tags else "") + (f" where {config.where}" if config.where else "")
    what = "windows around the events" if table.is_events else "the intervals"
    window = ""
    if config.align and config.window:
        window = f", {config.window[0]:g} to {config.window[1]:g} s" + (
            "" if table.is_events else f" around {config.align}"
        )
    return f"segments are {what} of {table.path}{chosen}{window}"


def _take_first(
    start: Float[np.ndarray, " interval"], stop: Float[np.ndarray, " interval"]
) -> Bool[np.ndarray, " interval"]:
    """Take intervals, in order of their start, that begin after the last one taken has ended."""
    taken, until = np.zeros(len(start), bool), -np.inf
    for i, (a, b) in enumerate(zip(start, stop, strict=True)):
        if a >= until - TOUCH_S:
            taken[i], until = True, b
    return taken


def _read_alignment(table: IntervalTable, name: str) -> Float[np.ndarray, " row"]:
    """Return the times, seconds, to which the rows of a table are aligned."""
    if table.is_events:
        return table.start_s
    known = ", ".join(table.time_columns()) or "none"
    if name not in table.columns:
        raise ParameterError(
            f"there is no column {name!r} to align to", where=table.where, fix=f"columns with times are: {known}"
        )
    values = table.columns[name]
    if not table.holds_times(name):
        # Most often the column is in milliseconds, and then the scale is the advice.
        ends = table.start_s[np.isfinite(table.start_s)], table.stop_s[np.isfinite(table.stop_s)]
        numbers = values.astype(np.float64) if values.dtype.kind in "iuf" else np.empty(0)
        unit = guess_column_scale(numbers, ends[0].min(), ends[1].max()) if all(map(len, ends)) else None
        advice = f"; in {unit.words} they would: give {scale_option(name, unit.scale)}" if unit else ""
        raise ParameterError(
            f"column {name!r} does not hold times on the session clock{advice}",
            where=table.where,
            fix=f"columns with times are: {known}",
        )
    return values.astype(np.float64)


def _refuse_all(table: IntervalTable, reasons: Shaped[np.ndarray, " row"]) -> DataError:
    counts = _count(reasons)
    each = ", ".join(f"{count} {why}" for why, count in counts.items())
    if not counts:
        return DataError("the table has no rows", where=table.where, fix="use --trials none or another table")
    # The most frequent reason decides what to advise.
    why = max(counts, key=lambda reason: counts[reason])
    if "shorter" in why:
        fix = "use a narrower --bin"
    elif "outside" in why:
        fix = "check the clock of the table, or use --trials none"
    else:
        fix = "use --trials none or another table, or --align COLUMN --window A B on a column with times"
    return DataError(f"none of {len(reasons)} intervals can be used: {each}", where=table.where, fix=fix)


def _check_overlap(
    table: IntervalTable,
    row_id: Int[np.ndarray, " interval"],
    start: Float[np.ndarray, " interval"],
    stop: Float[np.ndarray, " interval"],
    *,
    aligned: bool,
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
        fix="choose a shorter --window, or --overlap first"
        if aligned
        else "choose rows with --where, or use --overlap first or --trials none",
    )


def _count(reasons: Shaped[np.ndarray, " row"]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for why in reasons[reasons != ""]:
        counts[why] = counts.get(why, 0) + 1
    return counts


@dataclass(frozen=True)
class RecordedIntervals:
    """The intervals in which a source was recorded: disjoint, in order.

    Attributes
    ----------
    start, stop : array of float64, shape (interval,)
        Seconds.
    exact : bool
        False if the ends are merely the first and the last spike: the recording may have gone on, and trials may
        reach beyond them by up to half their length.
    """

    start: Float[np.ndarray, " interval"]
    stop: Float[np.ndarray, " interval"]
    exact: bool = True

    @property
    def span(self) -> str:
        """First start and last stop in words, for errors and notes."""
        return f"{self.start[0]:.6g} to {self.stop[-1]:.6g} s"

    def compute_observed_s(
        self, start: Float[np.ndarray, " segment"], stop: Float[np.ndarray, " segment"]
    ) -> Float[np.ndarray, " segment"]:
        """Compute the seconds of each segment that were recorded."""
        # The recorded time up to t is piecewise linear in t: constant in gaps, of slope 1 elsewhere.
        knots = np.column_stack([self.start, self.stop]).ravel()
        lengths = np.cumsum(self.stop - self.start)
        before = np.column_stack([lengths - (self.stop - self.start), lengths]).ravel()
        return np.asarray(np.interp(stop, knots, before) - np.interp(start, knots, before))


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

    start: Float[np.ndarray, " segment"]
    stop: Float[np.ndarray, " segment"]
    row: Int[np.ndarray, " segment"]
    columns: Mapping[str, Shaped[np.ndarray, " segment"]]
    left_out: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()

    def take(self, which: Int[np.ndarray, " taken"]) -> Segments:
        """Return the segments of the numbers in `which`, which may repeat one."""
        return dataclasses.replace(
            self,
            start=self.start[which],
            stop=self.stop[which],
            row=self.row[which],
            columns={name: values[which] for name, values in self.columns.items()},
        )


@dataclass(frozen=True)
class ChosenSegments:
    """Segments that are chosen already, by the source whose clock others are to join.

    Attributes
    ----------
    segments : Segments
        What is read, whatever the configuration asks for.
    bridge_gaps : bool
        Whether values hold from sample to sample, so that the clock has no gaps.
    """

    segments: Segments
    bridge_gaps: bool = False


def whole_intervals(recorded: RecordedIntervals, why: str) -> Segments:
    """Make each recorded interval a segment; `why` is for the note."""
    n = len(recorded.start)
    extent = "from the first spike to the last" if not recorded.exact else "without a gap"
    count = "one segment" if n == 1 else f"{n} segments, each"
    return Segments(recorded.start, recorded.stop, np.full(n, -1), {}, notes=(f"{count} {extent}: {why}",))


def exclude_intervals(
    segments: Segments,
    start: Float[np.ndarray, " interval"],
    stop: Float[np.ndarray, " interval"],
    step_s: float,
) -> tuple[Segments, int]:
    """Cut intervals out of segments, of which several pieces may be left, each with the row and columns of its own.

    Parameters
    ----------
    segments : Segments
        In order of time.
    start, stop : array of float64, shape (interval,)
        Seconds, in any order; they may overlap.
    step_s : float
        Pieces shorter than two of these are left out.

    Returns
    -------
    Segments
        The pieces.
    int
        Number of segments that were cut or left out.

    Examples
    --------
    >>> whole = Segments(np.array([0.0]), np.array([9.0]), np.array([-1]), {})
    >>> exclude_intervals(whole, np.array([3.0]), np.array([4.0]), 0.1)[0].stop
    array([3., 9.])
    """
    order = np.argsort(start, kind="stable")
    # Of overlapping intervals the longest decides where the piece after them begins.
    start, stop = start[order], np.maximum.accumulate(stop[order]) if len(stop) else stop
    pieces: list[tuple[float, float, int]] = []
    cut = 0
    for i, (a, b) in enumerate(zip(segments.start.tolist(), segments.stop.tolist(), strict=True)):
        # Intervals that merely touch a segment do not cut it.
        hit = np.flatnonzero((start < b) & (stop > a))
        cut += len(hit) > 0
        edges = zip([a, *np.maximum(stop[hit], a)], [*np.minimum(start[hit], b), b], strict=True)
        pieces += [(low, high, i) for low, high in edges if len(hit) == 0 or (high - low) / step_s >= 2 - 1e-6]
    rows = np.array([i for *_, i in pieces], dtype=np.int64)
    kept = dataclasses.replace(
        segments.take(rows),
        start=np.array([low for low, *_ in pieces], dtype=np.float64),
        stop=np.array([high for _, high, _ in pieces], dtype=np.float64),
    )
    return kept, cut


def drop_short(segments: Segments, min_length_s: float, where: str) -> Segments:
    """Leave out segments shorter than `min_length_s`.

    Raises
    ------
    DataError
        If none is as long.
    """
    length = segments.stop - segments.start
    # Rounding is allowed for: trials of 0.3 s are 0.29999999999998 s long on a late clock.
    long_enough = length >= min_length_s * (1 - 1e-9)
    n_short = int((~long_enough).sum())
    if n_short == 0:
        return segments
    if n_short == len(length):
        raise DataError(
            f"no segment is as long as {min_length_s:g} s: the longest has {length.max():.4g} s",
            where=where,
            fix="give a smaller --min-length",
        )
    why = f"shorter than {min_length_s:g} s"
    kept = segments.take(np.flatnonzero(long_enough))
    left_out = [{"what": "trial", "id": int(row), "why": why} for row in segments.row[~long_enough] if row >= 0]
    return dataclasses.replace(
        kept, left_out=(*kept.left_out, *left_out), notes=(*kept.notes, f"{n_short} segments dropped: {why}")
    )
