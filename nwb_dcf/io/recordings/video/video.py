"""Read an ImageSeries as images (time, y, x): frames in files of their own, or in the NWB file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import xarray as xr

from ....config import ReadConfig
from ....config.progress import Listener, Progress
from ....data.recording import make_recording
from ....data.spike_binning import MAX_VALUES
from ....errors import DataError, ParameterError
from ...backends.session import Session
from ..clock import MIN_SAMPLES
from ..provenance import describe_source
from ..runs import cut_clock
from ..segments import ChosenSegments
from .crop import MASKED, FrameCrop, plan_crop
from .external_frames import ExternalFrames
from .files import is_external, open_videos
from .frame_cache import open_cache, write_cache
from .stored_frames import StoredFrames

if TYPE_CHECKING:
    from jaxtyping import Int, Real

Frames = ExternalFrames | StoredFrames

REPORT_EVERY = 50


def read_video(
    session: Session,
    path: str,
    series: Any,
    config: ReadConfig,
    notes: list[str],
    *,
    kind: str,
    chosen: ChosenSegments | None = None,
    progress: Listener | None = None,
) -> xr.Dataset:
    """Read an ImageSeries as a recording of images.

    Parameters
    ----------
    session : Session
        The open file.
    path : str
        Path of the series.
    series : pynwb.image.ImageSeries
        Frames in external files or in the NWB file, in gray or in colour, which is converted to gray (Rec. 601).
    config : ReadConfig
        Segments, ``crop``, ``size``, ``every``, ``mask``, ``video_dir`` and ``frame_times``.
    notes : list of str
        Notes made so far; they come first among the recording's notes.
    kind : str
        Kind of the recording.
    chosen : ChosenSegments, optional
        Segments in place of those that `config` asks for.
    progress : callable, optional
        Called every 50 frames.

    Returns
    -------
    xarray.Dataset
        ``data`` (time, y, x): of external files uint8, or float32 where they have more than 8 bits, from 0 (black) to
        255 (white); of stored frames float32, stored value times ``conversion`` plus ``offset``. Masked pixels are 0.

    Raises
    ------
    DataError, ParameterError, SourceError
        If files are missing, damaged or differ from the clock in number, or nothing is left to read.
    """
    where = session.where(path)
    if config.units is not None:
        raise ParameterError("units selects from a units table; this is video", where=where, fix="leave --units out")
    frames: Frames
    if is_external(series):
        frames = ExternalFrames(
            series, open_videos(session, path, series, config.video_dir, by_file=config.frame_times == "file"), where
        )
    else:
        frames = StoredFrames(series, where)
    clock = frames.read_clock(session, config, session.scale_of(path), session.name_scale(path))
    # Every n-th frame of the file, not of a segment, so that all trials find theirs among frames that are kept.
    numbers = np.arange(0, len(clock.time), config.every)
    if len(numbers) < MIN_SAMPLES:
        raise DataError(
            f"{len(clock.time)} frames, of which --every {config.every} leaves {len(numbers)}",
            where=where,
            fix="a fit needs two at least",
        )
    view = plan_crop(config, frames.full, session, where)
    # The clock is cut before frames are decoded, which takes minutes: only frames of segments are.
    cut = cut_clock(session, config, dataclasses.replace(clock, time=clock.time[numbers]), where, chosen)
    samples = cut.runs.samples
    # Before frames are decoded, which takes minutes.
    if len(samples) * math.prod(view.size) > MAX_VALUES:
        raise DataError(
            f"{len(samples)} frames of {view.size[0]} x {view.size[1]} pixels do not fit into memory",
            where=where,
            fix="read less with --every N, --size N or --trials",
        )
    data = _read_frames(frames, view, numbers, samples, config, progress)
    # After decoding, so that frames that are kept beside the video serve any mask.
    view.apply_mask(data)
    if not any((frame != data[0]).any() for frame in data[1:]):  # lazy: as a rule the second frame differs
        raise DataError(
            "no pixel changes in the frames read",
            where=where,
            fix="choose other trials, another --crop or another --mask",
        )
    every = f", one of every {config.every}" if config.every > 1 else ""
    notes = [*notes, view.describe() + every, *cut.notes]
    source = describe_source(session, path, series, np.arange(0), files=frames.files)
    return make_recording(
        data,
        cut.time,
        **cut.describe_segments(),
        units=frames.units,
        kind=kind,
        source={**source, "frames": _describe_frames(view)},
        left_out=cut.segments.left_out,
        notes=notes,
    )


class MaskDescription(TypedDict):
    """The mask of a recording of images, and the value of masked pixels."""

    sha256: str
    set_to: int


class FramesDescription(TypedDict):
    """Which part of the frames a recording holds, pixels; `full` and `size` are width and height."""

    full: list[int]
    crop: list[int]
    size: list[int]
    mask: MaskDescription | None


def _describe_frames(view: FrameCrop) -> FramesDescription:
    mask: MaskDescription | None = {"sha256": view.mask_sha256, "set_to": MASKED} if view.mask_sha256 else None
    return {"full": list(view.full), "crop": list(view.crop), "size": list(view.size), "mask": mask}


def _read_frames(
    frames: Frames,
    view: FrameCrop,
    numbers: Int[np.ndarray, " number"],
    samples: Int[np.ndarray, " time"],
    config: ReadConfig,
    progress: Listener | None,
) -> Real[np.ndarray, "time y x"]:
    """Read the `samples` among the frames `numbers` of the whole series.

    All of `numbers` are kept beside a video where that is asked for, so that a fit of other trials finds its own.
    """
    if not config.keep_frames:
        data = np.empty((len(samples), *view.shape), frames.dtype)
        _fill(data, frames.read_blocks(view, numbers[samples]), f"reading {frames.name}", progress)
        return data
    shape = (len(numbers), *view.shape)
    # Frames are kept unmasked and for all segments.
    cache = frames.name_cache(view, config.every)
    kept = open_cache(cache, shape, frames.dtype)
    if kept is None:

        def fill(data: Real[np.ndarray, "number y x"]) -> None:
            _fill(data, frames.read_blocks(view, numbers), f"reading {frames.name}", progress)

        kept = write_cache(cache, shape, frames.dtype, fill)
    return np.asarray(kept[samples])


def _fill(
    data: Real[np.ndarray, "time y x"],
    blocks: Iterator[Real[np.ndarray, "_frame y x"]],
    stage: str,
    progress: Listener | None,
) -> None:
    """Stream blocks of frames into `data`."""
    done = reported = 0
    for block in blocks:
        data[done : done + len(block)] = block
        done += len(block)
        if progress is not None and (done - reported >= REPORT_EVERY or done == len(data)):
            reported = done
            progress(Progress(stage, done, len(data), unit="frame"))
