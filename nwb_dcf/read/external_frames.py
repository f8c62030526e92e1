"""Frames that lie in video files beside the NWB file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import ReadConfig
from ..hashing import hash_video
from .clock import SampleClock
from .decode import decode_frames
from .frame_cache import name_cache
from .frame_clock import read_frame_clock
from .video_files import Film
from .view import GRAY, View


@dataclass(frozen=True)
class ExternalFrames:
    """The frames of an external ImageSeries: 0 (black) to 255 (white), uint8 or, of deeper videos, float32."""

    series: Any
    film: Film
    where: str

    units = GRAY

    @property
    def name(self) -> str:
        """What is read, for the progress bar."""
        return self.film.names

    @property
    def files(self) -> tuple[Path, ...]:
        """The video files."""
        return tuple(file.path for file in self.film.files)

    @property
    def full(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.film.files[0].width, self.film.files[0].height

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the frames as read."""
        return np.dtype(np.float32 if any(file.deep for file in self.film.files) else np.uint8)

    def read_clock(self, config: ReadConfig) -> SampleClock:
        """Time of every frame."""
        return read_frame_clock(self.series, self.film, config.frame_times, self.where)

    def read_blocks(self, view: View, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Decode the frames whose numbers are `wanted`, each as a block (1, y, x)."""
        for file, first in zip(self.film.files, self.film.first, strict=True):
            a, b = np.searchsorted(wanted, [first, first + file.n_frames])
            for frame in decode_frames(file, view.crop, view.size, wanted[a:b] - first):
                yield frame[None]

    def name_cache(self, view: View, every: int) -> Path:
        """Where frames are kept: beside the first video, under a name that any change of it or of `view` changes."""
        identity = [hash_video(self.files), view.crop, view.size, every]
        return name_cache(self.files[0], identity)
