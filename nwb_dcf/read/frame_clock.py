"""When each frame of a video was taken.

========== ========================================== ===================================================
timestamps rate                                       time of frame i, ``frame_times="auto"``
========== ========================================== ===================================================
yes        any                                        timestamp i
no         that of the video files, or they have none starting_time + i / rate
no         another, or the files' steps vary          starting_time + the files' presentation time, said
========== ========================================== ===================================================

``frame_times="nwb"`` keeps to the first two rows: a camera of 250 Hz may write films that play at 30.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..errors import DataError
from .clock import SampleClock, read_clock
from .video_files import Film

RATE_TOLERANCE = 1e-4
"""Rates that differ by a smaller share are the same: clocks of cameras and containers are no better."""


def read_frame_clock(series: Any, film: Film, choice: Literal["auto", "nwb", "file"], where: str) -> SampleClock:
    """Decide between the clock of the NWB file and that of the video files; see the table above.

    Raises
    ------
    DataError
        If the NWB file's clock is broken, or the video files' is asked for and they have none.
    """
    clock = read_clock(series, film.n_frames, where)
    played = _join_times(film)
    if choice == "file" and played is None:
        raise DataError(f"{film.names} have no frame times", where=where, fix="use --frame-times nwb")
    if played is None or choice == "nwb":
        return clock
    start = float(clock.time[np.isfinite(clock.time)][0])
    if choice == "file":
        return SampleClock(start + played, (f"frame times are those of {film.names}, as asked",))
    if series.timestamps is not None:
        return clock
    contradiction = _compare(clock.time - start, played, max(file.tick_s for file in film.files))
    if not contradiction:
        return clock
    note = (
        f"frame times are the presentation times in {film.names}: the NWB file has only a rate of "
        f"{float(series.rate):g} Hz, and {contradiction} (--frame-times nwb keeps to the rate)"
    )
    return SampleClock(start + played, (note,))


def _join_times(film: Film) -> np.ndarray | None:
    """Presentation times of all frames; a file begins one median step after the end of the one before."""
    start, parts = 0.0, []
    for file in film.files:
        if file.time_s is None:
            return None
        parts.append(start + file.time_s)
        step = float(np.median(np.diff(file.time_s))) if file.n_frames > 1 else 0.0
        start = float(parts[-1][-1]) + step
    time = np.concatenate(parts)
    return time if (np.diff(time) > 0).all() else None


def _compare(by_rate: np.ndarray, played: np.ndarray, tick_s: float) -> str:
    """Say how presentation times contradict those by the rate; an empty string if they do not."""
    if len(played) < 2:
        return ""
    span, step = by_rate[-1], by_rate[1]
    stretch = float(played[-1] / span)
    if abs(stretch - 1) > RATE_TOLERANCE + tick_s / span:
        return f"the frames play at {1 / (step * stretch):.6g} Hz"
    worst = float(np.abs(played / stretch - by_rate).max())
    return f"the steps between frames vary, by up to {worst:.4g} s" if worst > step / 2 + tick_s else ""
