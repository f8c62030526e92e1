"""Decide whose clock of a video is right, where the NWB file has one rate and the video plays at another.

A camera of 250 Hz writes a video that plays at 30, and a file may have the rate of another camera: both are common, and
neither the rate nor the video shows which it is. Other objects on the clock of the session do: trials, spikes and
series that end where the video ends by one of the two rates are evidence for that rate.

=============================== ===================================== ==================
spans of the other clocks agree with the NWB file's rate              the clock is
=============================== ===================================== ==================
with the span by one rate       yes                                   the NWB file's
with the span by one rate       no                                    the video's
with both, neither, or divided  any                                   the video's, noted
=============================== ===================================== ==================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pynwb import TimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.image import ImageSeries
from pynwb.misc import Units

from ....errors import DataError
from ...backends.filters import find_unreadable
from ...backends.session import Session
from ..clock import peek_clock

AGREES, DIFFERS = 0.5, 0.5
"""A span agrees with another if this fraction of their union is common to both, and with one rather than the other if
its common fraction with that is less than `DIFFERS` times as much."""

N_UNITS = 50
"""Units whose first and last spikes are read: each is a request over a network."""


@dataclass(frozen=True)
class OtherClock:
    """The span on the session clock of an object other than the video.

    Attributes
    ----------
    path : str
        Path of the object.
    start_s, stop_s : float
        On the session clock.
    """

    path: str
    start_s: float
    stop_s: float

    def compute_overlap(self, start_s: float, stop_s: float) -> float:
        """Return the fraction of the union of this span and another that is common to both, 0 to 1."""
        common = min(self.stop_s, stop_s) - max(self.start_s, start_s)
        union = max(self.stop_s, stop_s) - min(self.start_s, start_s)
        return max(common, 0.0) / union if union > 0 else 0.0


def list_clocks(session: Session) -> list[OtherClock]:
    """List the spans of all other objects with a clock: tables of intervals, spikes, series that are no images."""
    found = []
    for path, obj in session.find_objects(TimeIntervals, Units, TimeSeries):
        # Another camera may have the same fault.
        if isinstance(obj, ImageSeries) or path.startswith("/stimulus/") or find_unreadable(obj) is not None:
            continue
        times = np.array([time for time in _read_ends(session, path, obj) if np.isfinite(time)])
        if len(times) > 1 and times.max() > times.min():
            found.append(OtherClock(path, float(times.min()), float(times.max())))
    return found


def weigh(clocks: list[OtherClock], start_s: float, by_rate_s: float, played_s: float) -> tuple[str, str]:
    """Weigh the span of a video by the NWB file's rate against that by its own.

    Parameters
    ----------
    clocks : list of OtherClock
        Spans of other objects.
    start_s : float
        Time of the first frame.
    by_rate_s, played_s : float
        Duration of the video by the rate of the NWB file, and as it plays.

    Returns
    -------
    which : {"nwb", "file", ""}
        Whose rate the other clocks fit; empty where they fit neither, or disagree.
    why : str
        Paths of the objects that fit.
    """
    for_rate, for_video = [], []
    for clock in clocks:
        by_rate, by_video = (clock.compute_overlap(start_s, start_s + span_s) for span_s in (by_rate_s, played_s))
        if by_rate >= AGREES and by_video < DIFFERS * by_rate:
            for_rate.append(clock.path)
        elif by_video >= AGREES and by_rate < DIFFERS * by_video:
            for_video.append(clock.path)
    # Evidence for both is evidence for neither.
    if bool(for_rate) == bool(for_video):
        return "", ""
    named = for_rate or for_video
    return "nwb" if for_rate else "file", ", ".join(named[:3]) + (" and others" if len(named) > 3 else "")


def _read_ends(session: Session, path: str, obj: Any) -> Iterator[float]:
    """Read the first and last times of an object; none where it has no clock."""
    if isinstance(obj, TimeIntervals):
        for name in ("start_time", "stop_time"):
            times = np.asarray(obj[name].data[:]) if name in obj.colnames else np.zeros(0)
            known = times[np.isfinite(times)] if times.dtype.kind in "iuf" else times[:0]
            yield from (float(time) for time in (known.min(initial=np.inf), known.max(initial=-np.inf)))
    elif isinstance(obj, Units):
        if "spike_times" not in obj.colnames:
            return
        index, times = np.asarray(obj["spike_times"].data[:], np.int64), obj["spike_times"].target.data
        first = np.concatenate([[0], index[:-1]])
        # Spike times of a unit are in order: its first and last value are its span.
        for a, b in zip(first[:N_UNITS], index[:N_UNITS], strict=True):
            if b > a:
                yield float(times[int(a)])
                yield float(times[int(b) - 1])
    else:
        try:
            clock = peek_clock(obj, int(np.shape(obj.data)[0]) if np.shape(obj.data) else 0, session.where(path))
        # A clock that cannot be read is no evidence, and is reported where it is read itself.
        except (DataError, TypeError, IndexError):
            return
        yield clock.start_s
        yield clock.stop_s
