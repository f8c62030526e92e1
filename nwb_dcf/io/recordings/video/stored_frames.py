"""Frames that lie in the NWB file itself, read a block at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ....config import ReadConfig
from ....errors import DataError, ParameterError
from ...backends.session import Session
from ..clock import SampleClock, read_clock
from .crop import GRAY, FrameCrop, shrink_frames
from .frame_cache import CachePlace

if TYPE_CHECKING:
    from jaxtyping import Float32, Int

BLOCK_BYTES = 64 * 2**20
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in gray by Rec. 601, which ffmpeg uses."""


def check_stored(series: Any) -> str:
    """Explain why frames stored in an ImageSeries cannot be fitted; an empty string if they can."""
    data = series.data
    shape = tuple(getattr(data, "shape", None) or np.shape(data))
    dtype = np.dtype(getattr(data, "dtype", None) or np.asarray(data[:1]).dtype)
    if len(shape) not in (3, 4):
        return f"data have shape {shape}, not (time, y, x)"
    if dtype.kind not in "biuf":
        return f"data are of type {dtype}, not real numbers"
    if 0 in shape:
        return f"data have shape {shape}: no frames"
    if len(shape) == 4 and shape[3] != 1:
        # Photon series have planes where other series have colours.
        volume = series.neurodata_type in ("OnePhotonSeries", "TwoPhotonSeries")
        if volume:
            return f"data have shape {shape}: volumes of {shape[3]} planes, not frames"
        if shape[3] not in (3, 4):
            return f"data have shape {shape}: {shape[3]} colours"
    return ""


@dataclass(frozen=True)
class StoredFrames:
    """The frames of an ImageSeries with data of shape (time, y, x), or (time, y, x, colour) of 1, 3 (RGB) or 4 (RGBA).

    Raises
    ------
    DataError
        If the data are not frames.
    """

    series: Any
    where: str

    name = "frames"
    files = ()
    dtype = np.dtype(np.float32)

    def __post_init__(self) -> None:
        problem = check_stored(self.series)
        if problem:
            raise DataError(problem, where=self.where, fix="choose another source with --source")
        if not (math.isfinite(self.factor) and self.factor != 0 and math.isfinite(self.offset)):
            raise DataError(
                f"conversion is {self.factor} and offset {self.offset}",
                where=self.where,
                fix="write the true conversion into the file",
            )

    @property
    def factor(self) -> float:
        """Unit per stored value."""
        return 1.0 if self.series.conversion is None else float(self.series.conversion)

    @property
    def offset(self) -> float:
        """Unit that is added to each."""
        return float(getattr(self.series, "offset", None) or 0.0)

    @property
    def units(self) -> str:
        """Unit of the values."""
        if self.series.data.dtype == np.uint8 and self.factor == 1 and self.offset == 0:
            return GRAY
        unit = str(self.series.unit).strip()
        return unit if unit and unit.lower() not in ("n.a.", "unknown") else "a.u."

    @property
    def full(self) -> tuple[int, int]:
        """Width and height: the third and the second axis of the data, whatever they are called there."""
        # Axes are (frame, y, x) here: photon series were exchanged when the file was opened.
        return int(self.series.data.shape[2]), int(self.series.data.shape[1])

    def read_clock(
        self, session: Session, config: ReadConfig, scale: float | None = None, name: str = ""
    ) -> SampleClock:
        """Read the time of every frame; `scale` and `name` as for `nwb_dcf.io.recordings.clock.read_clock`.

        Raises
        ------
        ParameterError
            If the times of video files are asked for.
        """
        if config.frame_times == "file":
            raise ParameterError("these frames have no video file", where=self.where, fix="leave --frame-times out")
        return read_clock(self.series, len(self.series.data), self.where, scale=scale, kind="imaging", name=name)

    def read_blocks(
        self, view: FrameCrop, wanted: Int[np.ndarray, " wanted"]
    ) -> Iterator[Float32[np.ndarray, "frame y x"]]:
        """Read the frames whose numbers are `wanted` a block at a time: gray, in `units`."""
        data, (x, y, width, height) = self.series.data, view.crop
        # Blocks by bytes: a frame may have 1 kB or 30 MB.
        n_bytes = data.dtype.itemsize * math.prod(data.shape[1:])
        for block in _cut_blocks(wanted, max(1, BLOCK_BYTES // n_bytes)):
            values = np.asarray(data[block, y : y + height, x : x + width], np.float32)
            if values.ndim == 4:
                values = values[..., 0] if values.shape[3] == 1 else values[..., :3] @ LUMA
            # Before the conversion, which then is one of fewer pixels.
            small = shrink_frames(values, view.size)
            plain = self.factor == 1 and self.offset == 0
            yield small if plain else small * np.float32(self.factor) + np.float32(self.offset)

    def name_cache(self, view: FrameCrop, every: int) -> CachePlace:
        """Refuse to keep frames that need no decoding.

        Raises
        ------
        ParameterError
            Always.
        """
        raise ParameterError("these frames need no decoding", where=self.where, fix="leave --keep-frames out")


def _cut_blocks(wanted: Int[np.ndarray, " wanted"], most: int) -> Iterator[slice]:
    """Cut increasing numbers into slices of constant step that span at most `most` frames of the file."""
    # h5py reads a slice with a step at once, and a list of numbers one by one.
    first = 0
    while first < len(wanted):
        step = int(wanted[first + 1] - wanted[first]) if first + 1 < len(wanted) else 1
        count = max(1, most // step)
        run = wanted[first : first + count]
        apart = np.flatnonzero(np.diff(run) != step)
        run = run[: apart[0] + 1] if len(apart) else run
        yield slice(int(run[0]), int(run[-1]) + 1, step)
        first += len(run)
