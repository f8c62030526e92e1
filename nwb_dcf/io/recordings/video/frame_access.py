"""Single frames of a video by number, as pictures for figures: whole, and in colour where the video is."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb.image import ImageSeries

from ....config import ReadConfig
from ....errors import SourceError
from ...backends.session import open_session
from ..find_object import find_object
from ..source_kinds import FRAME_KINDS
from ..source_list import describe_sources
from .crop import FrameCrop
from .decode import FrameSeeker
from .external_frames import ExternalFrames
from .files import VideoFiles, is_external, open_videos
from .stored_frames import StoredFrames

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

NO_VIDEO = "the file has no video"
BLOCK_FRAMES = 32
CONTRAST = (0.5, 99.5)
"""Percentiles of stored values that become black and white."""


class FrameAccess(ABC):
    """Frames of one series, on its clock.

    Attributes
    ----------
    name : str
        Path of the series in the NWB file.
    time : array of float64, shape (frame,)
        Seconds on the session clock.
    size : (int, int)
        Width and height of the pictures, pixels.
    """

    name: str
    time: Float[np.ndarray, " frame"]
    size: tuple[int, int]

    @abstractmethod
    def read(self, number: int) -> UInt8[np.ndarray, "y x *color"]:
        """Return frame `number`, in gray or with three colours (RGB)."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Close what is open."""


class VideoAccess(FrameAccess):
    """Frames that lie in video files."""

    def __init__(self, name: str, time: Float[np.ndarray, " frame"], videos: VideoFiles, most: int) -> None:
        self.name, self.time, self._videos = name, time, videos
        self._seekers = [FrameSeeker(file, most) for file in videos.files]
        self.size = self._seekers[0].size

    def read(self, number: int) -> UInt8[np.ndarray, "y x *color"]:
        """Decode frame `number` of the series."""
        # Frames are numbered over all files.
        file = int(np.searchsorted(self._videos.first, number, side="right")) - 1
        return self._seekers[file].read(number - int(self._videos.first[file]))

    def close(self) -> None:
        """Close the video files."""
        for seeker in self._seekers:
            seeker.close()


class StoredAccess(FrameAccess):
    """Frames that lie in the NWB file, which is opened for a block of them at a time, so that others may write it."""

    def __init__(
        self, path: str | Path, name: str, time: Float[np.ndarray, " frame"], full: tuple[int, int], most: int
    ) -> None:
        self.name, self.time, self._path = name, time, path
        factor = min(1.0, most / max(full))
        self.size = max(1, round(full[0] * factor)), max(1, round(full[1] * factor))
        self._view = FrameCrop(full, (0, 0, *full), self.size)
        self._start, self._block = 0, np.empty((0, *self._view.shape), np.float32)
        self._range: tuple[float, float] | None = None

    def read(self, number: int) -> UInt8[np.ndarray, "y x *color"]:
        """Read frame `number`; black and white are percentiles of the first block that was read."""
        if not 0 <= number < len(self.time):
            raise SourceError(f"there is no frame {number} of {len(self.time)}", where=f"{self._path}: {self.name}")
        # A viewer asks for frames one after the other: a block saves opening the file for each.
        if not self._start <= number < self._start + len(self._block):
            self._start = number - number % BLOCK_FRAMES
            wanted = np.arange(self._start, min(self._start + BLOCK_FRAMES, len(self.time)))
            with open_session(self._path) as session:
                frames = StoredFrames(find_object(session, self.name, (ImageSeries,)).object, session.where(self.name))
                self._block = np.concatenate(list(frames.read_blocks(self._view, wanted)))
        if self._range is None:
            # One range for all frames: pictures that flicker would show changes that are none.
            low, high = np.nanpercentile(self._block, CONTRAST)
            self._range = float(low), float(high if high > low else low + 1)
        low, high = self._range
        level = np.nan_to_num((self._block[number - self._start] - low) / (high - low))
        return np.asarray(np.clip(level, 0, 1) * 255, np.uint8)


def open_frames(
    path: str | Path, sources: Sequence[str] = (), *, most: int = 480, **settings: Any
) -> tuple[FrameAccess | None, str]:
    """Open the first video of a file whose frames can be read.

    Parameters
    ----------
    path : str or Path
        NWB file.
    sources : sequence of str
        Paths to prefer, such as the source of a fit.
    most : int
        Frames are shrunk until no side has more pixels.
    **settings
        ``video_dir``, ``allow_outside`` and ``frame_times`` of `nwb_dcf.config.ReadConfig`.

    Returns
    -------
    frames : FrameAccess or None
        None where there is none.
    why : str
        Why there is none that can be read; empty otherwise.
    """
    config = ReadConfig.make(**settings)
    why = NO_VIDEO
    with open_session(path) as opened:
        session = dataclasses.replace(opened, allow_outside=config.allow_outside)
        known = [source for source in describe_sources(session, config.video_dir) if source.kind in FRAME_KINDS]
        # The source of a fit comes first, then cameras before microscopes.
        known.sort(key=lambda source: (source.path not in sources, FRAME_KINDS.index(source.kind)))
        for source in known:
            why = why if source.problem == "" else f"{source.path}: {source.problem}"
            if source.problem:
                continue
            series = find_object(session, source.path, (ImageSeries,)).object
            # Another video may be readable.
            with suppress(SourceError):
                if is_external(series):
                    videos = open_videos(session, source.path, series, config.video_dir)
                    clock = ExternalFrames(series, videos, session.where(source.path)).read_clock(session, config)
                    return VideoAccess(source.path, clock.time, videos, most), ""
                frames = StoredFrames(series, session.where(source.path))
                clock = frames.read_clock(session, ReadConfig())
                return StoredAccess(path, source.path, clock.time, frames.full, most), ""
    return None, why
