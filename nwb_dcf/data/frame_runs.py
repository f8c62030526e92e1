"""Runs of frames: successive good frames of one segment, the one way in which frames are cut out of recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Int, Real

MIN_FRAMES = 2
"""Flows are between successive frames: a run of one frame has none."""


@dataclass(frozen=True)
class FrameRuns:
    """Runs of successive good frames, in the order of the frames.

    Attributes
    ----------
    first, last : array of int, shape (run,)
        First and last frame of each run.
    segment : array of int, shape (run,)
        Segment that each run is cut from.
    start_s, stop_s : array of float64, shape (run,)
        Interval of each run, seconds.
    n_short : int
        Runs that are too short and not among these.
    """

    first: Int[np.ndarray, " run"]
    last: Int[np.ndarray, " run"]
    segment: Int[np.ndarray, " run"]
    start_s: Real[np.ndarray, " run"]
    stop_s: Real[np.ndarray, " run"]
    n_short: int

    @property
    def lengths(self) -> Int[np.ndarray, " run"]:
        """Frames of each run, shape (run,)."""
        return np.asarray(self.last - self.first + 1)

    @property
    def frames(self) -> Int[np.ndarray, " kept"]:
        """Every frame of the runs, shape (kept,)."""
        offset = np.cumsum(self.lengths) - self.lengths
        return np.asarray(np.arange(self.lengths.sum()) + np.repeat(self.first - offset, self.lengths))


def find_runs(
    good: Bool[np.ndarray, " frame"],
    left_s: Real[np.ndarray, " frame"],
    right_s: Real[np.ndarray, " frame"],
    segment: Int[np.ndarray, " frame"],
    start_s: Real[np.ndarray, " segment"],
    stop_s: Real[np.ndarray, " segment"],
    *,
    min_length_s: float = 0.0,
    after_gap: Bool[np.ndarray, " frame"] | None = None,
) -> FrameRuns:
    """Find runs of two or more successive good frames within one segment.

    A run that begins or ends with its segment has the start or stop of the segment, elsewhere the edge of its frame.

    Parameters
    ----------
    good : array of bool, shape (frame,)
        Frames to keep.
    left_s, right_s : array of float64, shape (frame,)
        Edges of each frame, seconds.
    segment : array of int, shape (frame,)
        Segment of each frame; frames of one segment follow each other.
    start_s, stop_s : array of float64, shape (segment,)
        Interval of each segment, seconds.
    min_length_s : float
        Runs whose interval is shorter are left out.
    after_gap : array of bool, shape (frame,), optional
        Frames that follow a gap, which no run crosses.

    Examples
    --------
    >>> edge, one = np.arange(6.0), np.zeros(5, int)
    >>> good = np.array([True, True, False, True, True])
    >>> runs = find_runs(good, edge[:-1], edge[1:], one, np.array([0.0]), np.array([5.5]))
    >>> runs.frames, runs.stop_s
    (array([0, 1, 3, 4]), array([2. , 5.5]))
    """
    # cut to length: of no frames at all there would be one edge
    opens = np.append(True, segment[1:] != segment[:-1])[: len(good)]
    closes = np.append(segment[1:] != segment[:-1], True)[: len(good)]
    begins, ends = good & opens, good & closes
    apart = ~good[1:] | ~good[:-1] if after_gap is None else ~good[1:] | ~good[:-1] | after_gap[1:]
    begins[1:] |= good[1:] & apart
    ends[:-1] |= good[:-1] & apart
    first, last = np.flatnonzero(begins), np.flatnonzero(ends)
    start = np.where(opens[first], start_s[segment[first]], left_s[first])
    stop = np.where(closes[last], stop_s[segment[last]], right_s[last])
    # float64 leaves less and less of late clocks: 1e9 s are known to 1e-7 s
    latest = np.abs(right_s).max(initial=0.0)
    edge_s = 1e-6 * float(np.median(right_s - left_s)) + 4 * float(np.spacing(latest)) if len(good) else 0.0
    # a run of exactly the shortest length is kept, whatever rounding makes of it
    long = (last - first + 1 >= MIN_FRAMES) & (stop - start >= min_length_s - edge_s)
    return FrameRuns(first[long], last[long], segment[first[long]], start[long], stop[long], n_short=int((~long).sum()))
