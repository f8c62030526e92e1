"""Runs: samples of a clock that follow one another within a segment, without a gap.

Every reader of samples (series, video, pose, band power) cuts its clock here, so that all treat
segments and gaps alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import ReadConfig
from ..errors import DataError
from .clock import GAP_FACTOR, find_gaps
from .segments import Segments, Stretches, choose_segments
from .session import Session

MIN_SAMPLES = 2


@dataclass(frozen=True)
class Runs:
    """Runs of successive samples within one segment and without a gap.

    Attributes
    ----------
    first, stop : array of int, shape (run,)
        Samples of each run, as slices.
    segment : array of int, shape (run,)
        The segment that each is cut from.
    start_s, stop_s : array of float64, shape (run,)
        The interval of each: its segment's, but where a gap cuts it the run's own.
    n_short : int
        Runs of a single sample that are not among them.
    """

    first: np.ndarray
    stop: np.ndarray
    segment: np.ndarray
    start_s: np.ndarray
    stop_s: np.ndarray
    n_short: int

    @property
    def samples(self) -> np.ndarray:
        """Every sample in order, shape (time,)."""
        return np.concatenate([np.arange(a, b) for a, b in zip(self.first, self.stop, strict=True)])


@dataclass(frozen=True)
class CutClock:
    """A clock cut into runs.

    Attributes
    ----------
    time : array of float64, shape (sample,)
        Every sample of the runs, in order, seconds.
    runs : Runs
        Which samples they are, as slices of the whole clock.
    segments : Segments
        The intervals that were asked for.
    notes : tuple of str
        What was chosen: of segments, then of gaps.
    """

    time: np.ndarray
    runs: Runs
    segments: Segments
    notes: tuple[str, ...]

    def describe_segments(self) -> dict[str, Any]:
        """Arguments of `nwb_dcf.recording.make_recording` that say which segment each sample belongs to."""
        runs, segments = self.runs, self.segments
        return {
            "segment_index": np.repeat(np.arange(len(runs.first)), runs.stop - runs.first),
            "segment_start": runs.start_s,
            "segment_stop": runs.stop_s,
            "segment_row": segments.row[runs.segment],
            "trial_columns": {name: column[runs.segment] for name, column in segments.columns.items()},
        }


def cut_clock(session: Session, config: ReadConfig, time: np.ndarray, where: str) -> CutClock:
    """Choose the segments that `config` asks for and cut a clock into their runs.

    Parameters
    ----------
    session : Session
        The open file.
    config : ReadConfig
        Its segments.
    time : array of float64, shape (sample,)
        Seconds on the session clock, increasing; two samples at least.
    where : str
        Names the source in errors.

    Raises
    ------
    DataError, ParameterError, SourceError
        If there is no usable segment, or none holds two successive samples.
    """
    step_s = float(np.median(np.diff(time)))
    gaps = find_gaps(time)
    segments = choose_segments(session, config, _find_stretches(time, gaps, step_s), step_s)
    runs = cut_runs(time, gaps, segments, step_s)
    if len(runs.first) == 0:
        raise DataError(
            "no segment holds two successive samples", where=where, fix="choose other trials or --trials none"
        )
    return CutClock(time[runs.samples], runs, segments, (*segments.notes, *_say_gaps(gaps, step_s, runs)))


def cut_runs(time: np.ndarray, gaps: np.ndarray, segments: Segments, step_s: float) -> Runs:
    """Cut samples into runs: a segment holds ``start <= t < stop``, and no run crosses a gap.

    Parameters
    ----------
    time : array of float64, shape (sample,)
        Seconds, increasing.
    gaps : array of int
        Samples that follow a gap.
    segments : Segments
        Intervals to read.
    step_s : float
        Median step; rounding of a millionth of it is tolerated at the edges.

    Returns
    -------
    Runs
        Those of two samples or more.
    """
    edge = 1e-6 * step_s + 4 * float(np.spacing(np.abs(time).max()))
    found: list[tuple[int, int, int, float, float]] = []
    n_short = 0
    for i, (start, stop) in enumerate(zip(segments.start, segments.stop, strict=True)):
        a, b = np.searchsorted(time, [start - edge, stop - edge])
        cuts = gaps[(gaps > a) & (gaps < b)]
        for first, last in zip([a, *cuts], [*cuts, b], strict=True):
            if last - first < MIN_SAMPLES:
                n_short += int(last > first)
                continue
            run_start = start if first == a else time[first]
            run_stop = stop if last == b else time[last - 1] + step_s
            found.append((int(first), int(last), i, float(run_start), float(run_stop)))
    columns = list(zip(*found, strict=True)) if found else [()] * 5
    first, stop, segment = (np.array(column, dtype=np.int64) for column in columns[:3])
    return Runs(first, stop, segment, np.array(columns[3], float), np.array(columns[4], float), n_short)


def _find_stretches(time: np.ndarray, gaps: np.ndarray, step_s: float) -> Stretches:
    first, last = np.append(0, gaps), np.append(gaps, len(time)) - 1
    return Stretches(time[first], time[last] + step_s)


def _say_gaps(gaps: np.ndarray, step_s: float, runs: Runs) -> list[str]:
    notes = []
    if len(gaps):
        notes.append(
            f"the clock has {len(gaps)} gaps (steps above {GAP_FACTOR} times the median of {step_s:.4g} s): "
            "no segment crosses them"
        )
    if runs.n_short:
        notes.append(f"{runs.n_short} single samples between gaps left out")
    return notes
