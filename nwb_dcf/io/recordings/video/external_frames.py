"""Frames that lie in video files beside the NWB file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ....config import ReadConfig
from ....errors import DataError
from ...backends.session import Session
from ...hashing import hash_video
from ..clock import SampleClock, read_clock
from .clock_evidence import list_clocks, weigh
from .crop import GRAY, FrameCrop
from .decode import decode_frames
from .files import VideoFiles
from .frame_cache import CachePlace, name_cache

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real

RATE_TOLERANCE = 1e-4
"""Rates that differ by a smaller fraction are the same: clocks of cameras and containers are no better."""


def read_frame_clock(
    session: Session,
    series: Any,
    videos: VideoFiles,
    choice: Literal["auto", "nwb", "file"],
    where: str,
    scale: float | None = None,
    name: str = "",
) -> SampleClock:
    """Choose between the clock of the NWB file and that of the video files, by the other clocks of the session.

    Raises
    ------
    DataError
        If the NWB file's clock is broken, or that of the video files is asked for and they have none.
    """
    clock = read_clock(series, videos.n_frames, where, scale=scale, kind="video", name=name)
    # None for raw streams, and where times are equal or go back.
    played = _join_times(videos)
    if choice == "file" and played is None:
        raise DataError(f"{videos.names} have no frame times", where=where, fix="use --frame-times nwb")
    if played is None or choice == "nwb":
        return clock
    start = float(clock.time[np.isfinite(clock.time)][0])
    if choice == "file":
        return SampleClock(start + played, (f"frame times are those of {videos.names}, as asked",))
    if (
        series.timestamps is not None or scale is not None
    ):  # a scale that is given vouches for the clock of the NWB file
        return clock
    contradiction = _compare(clock.time - start, played, max(file.tick_s for file in videos.files))
    if not contradiction:
        return clock
    start_s, by_rate_s = start, float(clock.time[-1]) - start
    which, fits = weigh(list_clocks(session), start_s, by_rate_s, float(played[-1]))
    rate = float(series.rate)
    if which == "nwb":
        note = (
            f"frame times are by the NWB file's rate of {rate:g} Hz, which {fits} fits, though {contradiction} in "
            f"{videos.names} (--frame-times file takes the times of the video)"
        )
        return dataclasses.replace(clock, notes=(*clock.notes, note))
    also = f", which {fits} fits" if which else ""
    note = (
        f"frame times are the presentation times in {videos.names}: the NWB file has only a rate of "
        f"{rate:g} Hz, and {contradiction}{also} (--frame-times nwb keeps to the rate)"
    )
    return SampleClock(start + played, (note,))


def _join_times(videos: VideoFiles) -> Float[np.ndarray, " frame"] | None:
    """Join the presentation times of all files; each begins one median step after the end of the one before."""
    start, parts = 0.0, []
    for file in videos.files:
        if file.time_s is None:
            return None
        parts.append(start + file.time_s)
        step = float(np.median(np.diff(file.time_s))) if file.n_frames > 1 else 0.0
        # How long the last frame of a file lasts is not known from presentation times.
        start = float(parts[-1][-1]) + step
    time = np.concatenate(parts)
    return time if (np.diff(time) > 0).all() else None


def _compare(by_rate: Float[np.ndarray, " frame"], played: Float[np.ndarray, " frame"], tick_s: float) -> str:
    """Describe how presentation times contradict those by the rate; an empty string if they do not."""
    if len(played) < 2:
        return ""
    span, step = by_rate[-1], by_rate[1]
    ratio = float(played[-1] / span)
    # Containers round each time to a tick, 1/600 or 1/1000 s in many.
    if abs(ratio - 1) > RATE_TOLERANCE + tick_s / span:
        return f"the frames play at {1 / (step * ratio):.6g} Hz"
    worst = float(np.abs(played / ratio - by_rate).max())
    return f"the steps between frames vary, by up to {worst:.4g} s" if worst > step / 2 + tick_s else ""


@dataclass(frozen=True)
class ExternalFrames:
    """The frames of an external ImageSeries: 0 (black) to 255 (white), uint8, or float32 of more than 8 bits."""

    series: Any
    videos: VideoFiles
    where: str

    units = GRAY

    @property
    def name(self) -> str:
        """Names of the files, for the progress bar."""
        return self.videos.names

    @property
    def files(self) -> tuple[Path, ...]:
        """The video files."""
        return tuple(file.path for file in self.videos.files)

    @property
    def full(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.videos.files[0].width, self.videos.files[0].height

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the frames as read."""
        return np.dtype(np.float32 if any(file.deep for file in self.videos.files) else np.uint8)

    def read_clock(
        self, session: Session, config: ReadConfig, scale: float | None = None, name: str = ""
    ) -> SampleClock:
        """Read the time of every frame; `scale` and `name` as for `nwb_dcf.io.recordings.clock.read_clock`."""
        videos = self.videos
        clock = read_frame_clock(session, self.series, self.videos, config.frame_times, self.where, scale, name)
        notes = [
            f"frames of {file.path.name} are turned by {file.turned} degrees clockwise, as players show them"
            for file in self.videos.files
            if file.turned
        ]
        if videos.n_hidden:
            notes.append(
                f"{videos.n_hidden} of {videos.n_frames + videos.n_hidden} frames in {videos.names} are hidden by an "
                "edit list and not read, as players do not show them"
            )
        return dataclasses.replace(clock, notes=(*clock.notes, *notes))

    def read_blocks(self, view: FrameCrop, wanted: Int[np.ndarray, " wanted"]) -> Iterator[Real[np.ndarray, "1 y x"]]:
        """Decode the frames whose numbers are `wanted`, each as a block (1, y, x)."""
        for file, first in zip(self.videos.files, self.videos.first, strict=True):
            a, b = np.searchsorted(wanted, [first, first + file.n_frames])
            for frame in decode_frames(file, view.crop, view.size, wanted[a:b] - first):
                yield frame[None]

    def name_cache(self, view: FrameCrop, every: int) -> CachePlace:
        """Name the file that keeps frames, beside the first video; it depends on the videos and on `view`."""
        identity = [hash_video(self.files), view.crop, view.size, every]
        turned = [file.turned for file in self.videos.files]
        identity += [turned] if any(turned) else []  # files of before turns were read keep their names
        return name_cache(self.files[0], identity)
