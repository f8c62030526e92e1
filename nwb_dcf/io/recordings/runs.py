"""Runs: samples of a clock that follow one another within a segment, without a gap.

Every reader of samples (series, video, pose, band power) cuts its clock here, so that all treat
segments and gaps alike.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ...config import ReadConfig
from ...data.doubt import report_doubts
from ...data.frame_runs import find_runs
from ...errors import DOUBT, DataError
from ..backends.session import Session
from .clock import GAP_FACTOR, MIN_SAMPLES, SampleClock, find_gaps
from .segment_choice import choose_segments
from .segments import ChosenSegments, RecordedIntervals, Segments

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped


@dataclass(frozen=True)
class Runs:
    """Runs of successive samples within one segment and without a gap.

    Attributes
    ----------
    first, stop : array of int, shape (run,)
        Samples of each run, as slices of all samples.
    segment : array of int, shape (run,)
        The segment that each is cut from.
    start_s, stop_s : array of float64, shape (run,)
        The interval of each, seconds: that of its segment, up to a gap that cuts it.
    n_short : int
        Number of runs of a single sample, or shorter than was asked for, that were dropped.
    unusable : array of int, shape (unusable,)
        Samples without a usable time, in order: within a slice, but not in its run.
    """

    first: Int[np.ndarray, " run"]
    stop: Int[np.ndarray, " run"]
    segment: Int[np.ndarray, " run"]
    start_s: Float[np.ndarray, " run"]
    stop_s: Float[np.ndarray, " run"]
    n_short: int
    unusable: Int[np.ndarray, " unusable"] = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def samples(self) -> Int[np.ndarray, " time"]:
        """Every sample of the runs, in order."""
        return self.read(np.arange(self.stop.max(initial=0)))

    @property
    def lengths(self) -> Int[np.ndarray, " run"]:
        """Number of samples of each run."""
        first, stop = np.searchsorted(self.unusable, [self.first, self.stop])
        return np.asarray(self.stop - self.first - (stop - first))

    def read(self, data: Any) -> Shaped[np.ndarray, "time ..."]:
        """Read the samples of all runs along the first axis of `data`."""
        # Slices are read at the speed of the disk; h5py reads a list of samples one by one.
        parts = []
        for a, b in zip(self.first, self.stop, strict=True):
            # A slice holds samples without a time, which are dropped after the read.
            inside = self.unusable[np.searchsorted(self.unusable, a) : np.searchsorted(self.unusable, b)]
            part = np.asarray(data[a:b])
            parts.append(np.delete(part, inside - a, axis=0) if len(inside) else part)
        return np.concatenate(parts)


class SegmentArguments(TypedDict):
    """Arguments of `nwb_dcf.data.recording.make_recording` for the segments of samples."""

    segment_index: Int[np.ndarray, " time"]
    segment_start: Float[np.ndarray, " run"]
    segment_stop: Float[np.ndarray, " run"]
    segment_row: Int[np.ndarray, " run"]
    trial_columns: Mapping[str, Shaped[np.ndarray, " run"]]


@dataclass(frozen=True)
class CutClock:
    """A clock cut into runs.

    Attributes
    ----------
    time : array of float64, shape (time,)
        Every sample of the runs, in order, seconds.
    runs : Runs
        Which samples they are, as slices of the whole clock.
    segments : Segments
        The intervals that were asked for.
    notes : tuple of str
        Doubts and choices about the clock, segments and gaps.
    """

    time: Float[np.ndarray, " time"]
    runs: Runs
    segments: Segments
    notes: tuple[str, ...]

    def keep_frames(
        self, good: Bool[np.ndarray, " time"], min_length_s: float
    ) -> tuple[CutClock, Int[np.ndarray, " kept"]]:
        """Keep runs of two or more successive `good` samples, `min_length_s` or longer.

        Parameters
        ----------
        good : array of bool, shape (time,)
            In the order of ``time``.
        min_length_s : float
            Shorter runs are left out.

        Returns
        -------
        CutClock
            With those runs; none where nothing is left.
        array of int, shape (kept,)
            Which samples of ``time`` they are.
        """
        # Runs are the segments here: what is cut out of one never joins it with the next.
        old, samples = self.runs, self.runs.samples
        step_s = float(np.median(np.diff(self.time)))
        run = np.repeat(np.arange(len(old.first)), old.lengths)
        runs = find_runs(good, self.time, self.time + step_s, run, old.start_s, old.stop_s, min_length_s=min_length_s)
        new = dataclasses.replace(
            old,
            first=samples[runs.first],
            stop=samples[runs.last] + 1,
            segment=old.segment[runs.segment],
            start_s=runs.start_s,
            stop_s=runs.stop_s,
            n_short=old.n_short + runs.n_short,
        )
        return dataclasses.replace(self, time=self.time[runs.frames], runs=new), runs.frames

    def describe_segments(self) -> SegmentArguments:
        """Return the arguments of `nwb_dcf.data.recording.make_recording` for the segments of the samples."""
        runs, segments = self.runs, self.segments
        return {
            "segment_index": np.repeat(np.arange(len(runs.first)), runs.lengths),
            "segment_start": runs.start_s,
            "segment_stop": runs.stop_s,
            "segment_row": segments.row[runs.segment],
            # A trial that a gap cuts has its columns in each of its runs.
            "trial_columns": {name: column[runs.segment] for name, column in segments.columns.items()},
        }


def cut_clock(
    session: Session, config: ReadConfig, clock: SampleClock, where: str, chosen: ChosenSegments | None = None
) -> CutClock:
    """Choose the segments that `config` asks for and cut a clock into their runs.

    Parameters
    ----------
    session : Session
        The open file.
    config : ReadConfig
        Its segments.
    clock : SampleClock
        As `read_clock` returns it. Its doubts are raised as UserWarnings and kept among the notes.
    where : str
        Names the source in errors.
    chosen : ChosenSegments, optional
        Segments in place of those that `config` asks for.

    Raises
    ------
    DataError, ParameterError, SourceError
        If there are fewer than two samples with a time, no usable segment, or none that holds two successive samples.
    """
    # From here on samples are numbered among those with a time; numbers in the file come back at the end.
    usable = np.flatnonzero(np.isfinite(clock.time))
    if len(usable) < MIN_SAMPLES:
        raise DataError(f"{len(usable)} samples have a time", where=where, fix="choose another source")
    path = where.removeprefix(f"{session.path}: ")
    doubts = report_doubts(clock.doubts, path, where)
    for doubt in doubts:
        # As a warning too: a script may never look at notes.
        warnings.warn(f"{session.path}: {doubt.removeprefix(DOUBT)}", UserWarning, stacklevel=2)
    time = clock.time[usable]
    # The median: one gap of an hour would make the mean of all steps useless.
    step_s = float(np.median(np.diff(time)))
    if chosen is None:
        gaps = find_gaps(time)
        doubtful = next((doubt for doubt in clock.doubts if doubt.of_scale), None)
        segments = choose_segments(session, config, _find_recorded(time, gaps, step_s), step_s, doubtful)
    else:
        # A series whose values hold has samples where something changes, and no gaps.
        gaps = np.empty(0, np.int64) if chosen.bridge_gaps else find_gaps(time)
        segments = chosen.segments
    runs = cut_runs(time, gaps, segments, step_s, min_length_s=config.min_length_s)
    if len(runs.first) == 0:
        raise DataError(
            "no segment holds two successive samples", where=where, fix="choose other trials or --trials none"
        )
    notes = (
        *doubts,
        *segments.notes,
        *clock.notes,
        *_note_gaps(gaps, step_s, runs, config.min_length_s),
    )
    runs = dataclasses.replace(
        runs,
        first=usable[runs.first],
        stop=usable[runs.stop - 1] + 1,
        unusable=np.setdiff1d(np.arange(len(clock.time)), usable),
    )
    return CutClock(clock.time[runs.samples], runs, segments, notes)


def cut_runs(
    time: Float[np.ndarray, " sample"],
    gaps: Int[np.ndarray, " gap"],
    segments: Segments,
    step_s: float,
    *,
    min_length_s: float = 0.0,
) -> Runs:
    """Cut samples into runs: a segment holds ``start <= t < stop``, and no run crosses a gap.

    Parameters
    ----------
    time : array of float64, shape (sample,)
        Seconds, increasing.
    gaps : array of int, shape (gap,)
        Samples that follow a gap.
    segments : Segments
        Intervals to read.
    step_s : float
        Median step; rounding of a millionth of it is tolerated at the edges.
    min_length_s : float
        Runs that are shorter are left out as well.

    Returns
    -------
    Runs
        Those of two samples or more.
    """
    # Starts of trials are computed, and fall on either side of a sample by rounding.
    edge = 1e-6 * step_s + 4 * float(np.spacing(np.abs(time).max()))
    first, stop = np.searchsorted(time, [segments.start - edge, segments.stop - edge])
    # Samples are listed segment by segment, so that one search for runs serves all of them.
    counts = np.maximum(stop - first, 0)
    segment = np.repeat(np.arange(len(counts)), counts)
    sample = np.arange(len(segment)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    follows = np.zeros(len(time), bool)
    follows[gaps] = True
    runs = find_runs(
        np.ones(len(sample), bool),
        time[sample],
        time[sample] + step_s,
        segment,
        segments.start,
        segments.stop,
        min_length_s=min_length_s,
        after_gap=follows[sample],
    )
    return Runs(
        sample[runs.first], sample[runs.last] + 1, runs.segment, runs.start_s, runs.stop_s, n_short=runs.n_short
    )


def _find_recorded(
    time: Float[np.ndarray, " sample"], gaps: Int[np.ndarray, " gap"], step_s: float
) -> RecordedIntervals:
    """Return the intervals between gaps, each to one step after its last sample."""
    # A sample stands for the step that follows it.
    first, last = np.append(0, gaps), np.append(gaps, len(time)) - 1
    return RecordedIntervals(time[first], time[last] + step_s)


def _note_gaps(gaps: Int[np.ndarray, " gap"], step_s: float, runs: Runs, min_length_s: float) -> list[str]:
    notes = []
    if len(gaps):
        notes.append(
            f"the clock has {len(gaps)} gaps (steps above {GAP_FACTOR} times the median of {step_s:.4g} s): "
            "no segment crosses them"
        )
    if runs.n_short:
        what = f"pieces shorter than {min_length_s:g} s" if min_length_s else "single samples"
        notes.append(f"{runs.n_short} {what} between gaps dropped")
    return notes
