"""The clock of a sorting: times of its samples, by the clock of the recording where there is one.

============ ======================= =============================================================
recording    clock of the sorting    time of sample i of a segment
============ ======================= =============================================================
there        none                    the recording's: its time vector, or its start + i / rate
there        the same start          the recording's
there        another start           refused: the recording is shifted against its sorting
absent       start, or native times  the sorting's
absent       none                    i / rate, with a warning: the start of the recording is not known
============ ======================= =============================================================
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float64, Int


class StoredClock(TypedDict):
    """A `SegmentClock` as a fit keeps it: enough to time spikes after the recording is gone."""

    start_s: float
    n_samples: int | None
    time_vector: bool


@dataclass(frozen=True)
class SegmentClock:
    """Times of the samples of one segment.

    Attributes
    ----------
    rate_hz : float
        Samples per second.
    start_s : float
        Time of the first sample.
    n_samples : int or None
        None where the length of the recording is unknown.
    times : array of float64, shape (n_samples,), or None
        Time of each sample, where the recording has such a vector.
    """

    rate_hz: float
    start_s: float
    n_samples: int | None
    times: Float64[np.ndarray, " sample"] | None = None

    def compute_times(self, sample: Int[np.ndarray, " spike"]) -> Float64[np.ndarray, " spike"]:
        """Return the time of each `sample`, seconds; of the one after the last, the end of the recording."""
        if self.times is None:
            # in this order, which is SpikeInterface's: the last bit decides where a spike lies on a bin's edge
            return np.asarray(sample / self.rate_hz + self.start_s, np.float64)
        # periods end one sample after their last, which the vector of times does not have
        inside = np.minimum(sample, len(self.times) - 1)
        return np.asarray(self.times[inside] + (sample - inside) / self.rate_hz, np.float64)

    def compute_recorded_intervals(self) -> Float64[np.ndarray, "interval 2"] | None:
        """Return the intervals that were recorded, seconds, cut at gaps of the time vector; None if not known."""
        if self.n_samples is None:
            return None
        if self.times is None:
            return np.array([[self.start_s, self.n_samples / self.rate_hz + self.start_s]])
        from ..io.recordings.clock import find_gaps

        # the last sample before a gap lasts one sample, as all others do
        first = np.append(0, find_gaps(self.times))
        last = np.append(first[1:], len(self.times)) - 1
        return np.column_stack([self.times[first], self.times[last] + 1 / self.rate_hz])

    def to_dict(self) -> StoredClock:
        """Describe the clock; JSON-able."""
        return {
            "start_s": float(self.start_s),
            "n_samples": None if self.n_samples is None else int(self.n_samples),
            "time_vector": self.times is not None,
        }


def find_clocks(
    sorting: Any,
    recording: Any | None,
    *,
    where: str,
    n_samples: Sequence[int] | None = None,
    stored: Sequence[StoredClock] | None = None,
) -> list[SegmentClock]:
    """Find the clock of each segment of `sorting`; the module's table has the rules.

    Parameters
    ----------
    sorting : BaseSorting
    recording : BaseRecording or None
        What was sorted; by default the one that is registered with `sorting`.
    where : str
        Names the sorting in errors.
    n_samples : sequence of int, optional
        Length of each segment, where it is known without a recording.
    stored : sequence of dict, optional
        Clocks as `SegmentClock.to_dict` gave them when the recording was still there.

    Raises
    ------
    DataError
        If the recording does not fit the sorting, or its clock differs from the sorting's.
    """
    recording = recording if recording is not None else sorting._recording
    if recording is not None:
        return _read_recording_clocks(sorting, recording, where)
    rate = float(sorting.sampling_frequency)
    lengths = list(n_samples) if n_samples is not None else [None] * sorting.get_num_segments()
    if stored is not None:
        # a vector has a number for each sample and is not kept: a start and a rate would put spikes elsewhere
        if any(clock["time_vector"] for clock in stored):
            raise DataError(
                "the recording with its vector of times is gone",
                where=where,
                fix="give it with set_temporary_recording",
            )
        return [SegmentClock(rate, clock["start_s"], n) for clock, n in zip(stored, lengths, strict=True)]
    # private, but its public readers answer 0 where no start is known, and here the two differ
    starts = [segment._t_start for segment in sorting.segments]
    if any(start is None for start in starts):
        warnings.warn(
            f"{where}: no recording and no start time, so times count from the first sample (0 s) of each segment; "
            "give the recording to use its clock",
            UserWarning,
            stacklevel=3,
        )
    return [SegmentClock(rate, float(start or 0.0), n) for start, n in zip(starts, lengths, strict=True)]


def _read_recording_clocks(sorting: Any, recording: Any, where: str) -> list[SegmentClock]:
    pairs = (
        ("sampling frequency", sorting.sampling_frequency, recording.sampling_frequency),
        ("number of segments", sorting.get_num_segments(), recording.get_num_segments()),
    )
    for name, ours, theirs in pairs:
        # rates are written rounded: 1e-5 is 18 ms in half an hour, and another device is further off
        if not np.isclose(ours, theirs, rtol=1e-5, atol=0):
            raise DataError(
                f"the {name} of the sorting is {ours:g} and of the recording {theirs:g}",
                where=where,
                fix="give the recording that was sorted",
            )
    clocks = []
    for i, segment in enumerate(sorting.segments):
        info = recording.get_time_info(i)
        start, rate = float(recording.get_start_time(i)), float(recording.sampling_frequency)
        own = segment._t_start
        # half a sample: a shift of one would move spikes into other bins
        if own is not None and abs(own - start) > 0.5 / rate:
            raise DataError(
                f"segment {i} starts at {start:.9g} s in the recording and at {own:.9g} s in the sorting: "
                f"one is shifted by {start - own:.6g} s",
                where=where,
                fix="shift the other too (shift_times), or register the recording with the sorting again",
            )
        # the recording's start is that of its vector where there is one
        vector = info["time_vector"]
        times = None if vector is None else np.asarray(vector, np.float64)
        if times is not None and len(times) > 1 and (np.diff(times) <= 0).any():
            raise DataError(
                f"the times of segment {i} do not increase", where=where, fix="set them right with recording.set_times"
            )
        clocks.append(SegmentClock(rate, start, int(recording.get_num_samples(i)), times))
    return clocks
