"""ImageSeries and its kin to images (time, y, x): frames in files of their own, or in the NWB file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from ....config import ReadConfig
from ....config.progress import Listener, Progress
from ....data.recording import make_recording
from ....data.spike_counts import MAX_VALUES
from ....errors import DataError, ParameterError
from ...backends.session import Session
from ..clock import MIN_SAMPLES
from ..provenance import describe_source
from ..runs import cut_clock
from ..segments import ChosenSegments
from .crop import MASKED, FrameCrop, plan_view
from .external_frames import ExternalFrames
from .files import is_external, open_film
from .frame_cache import open_cache, write_cache
from .stored_frames import StoredFrames

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
        Frames in external files or in the NWB file; gray or colour, which becomes gray (Rec. 601).
    config : ReadConfig
        Segments, part and size of the frames, every how many, mask, folder of the videos, clock.
    notes : list of str
        What has been said so far; comes first among the recording's notes.
    kind : str
        ``kind`` of the recording.
    chosen : ChosenSegments, optional
        Segments in place of those that `config` asks for.
    progress : callable, optional
        Told every 50 frames.

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
            series, open_film(session, path, series, config.video_dir, by_file=config.frame_times == "file"), where
        )
    else:
        frames = StoredFrames(series, where)
    clock = frames.read_clock(session, config, session.scale_of(path), session.name_scale(path))
    numbers = np.arange(0, len(clock.time), config.every)
    if len(numbers) < MIN_SAMPLES:
        raise DataError(
            f"{len(clock.time)} frames, of which --every {config.every} leaves {len(numbers)}",
            where=where,
            fix="a fit needs two at least",
        )
    view = plan_view(config, frames.full, session, where)
    cut = cut_clock(session, config, dataclasses.replace(clock, time=clock.time[numbers]), where, chosen)
    samples = cut.runs.samples
    if len(samples) * math.prod(view.size) > MAX_VALUES:
        raise DataError(
            f"{len(samples)} frames of {view.size[0]} x {view.size[1]} pixels do not fit into memory",
            where=where,
            fix="read less with --every N, --size N or --trials",
        )
    data = _read_frames(frames, view, numbers, samples, config, progress)
    view.apply_mask(data)
    if not any((frame != data[0]).any() for frame in data[1:]):  # most often the second frame tells
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
        source={**source, "frames": _describe_frames(view, config)},
        left_out=cut.segments.left_out,
        notes=notes,
    )


def _describe_frames(view: FrameCrop, config: ReadConfig) -> dict[str, Any]:
    mask = {"sha256": view.mask_sha256, "set_to": MASKED} if view.mask_sha256 else None
    return {"full": list(view.full), "crop": list(view.crop), "size": list(view.size), "mask": mask}


def _read_frames(
    frames: Frames,
    view: FrameCrop,
    numbers: np.ndarray,
    samples: np.ndarray,
    config: ReadConfig,
    progress: Listener | None,
) -> np.ndarray:
    """Read the `samples` among the frames `numbers` of the whole series, shape (time, y, x).

    Those kept beside a video are all of `numbers`, so that other trials find theirs too.
    """
    if not config.keep_frames:
        data = np.empty((len(samples), *view.shape), frames.dtype)
        _fill(data, frames.read_blocks(view, numbers[samples]), f"reading {frames.name}", progress)
        return data
    shape = (len(numbers), *view.shape)
    cache = frames.name_cache(view, config.every)
    kept = open_cache(cache, shape)
    if kept is None:

        def fill(data: np.ndarray) -> None:
            _fill(data, frames.read_blocks(view, numbers), f"reading {frames.name}", progress)

        kept = write_cache(cache, shape, frames.dtype, fill)
    chosen: np.ndarray = kept[samples]
    return chosen


def _fill(data: np.ndarray, blocks: Iterator[np.ndarray], stage: str, progress: Listener | None) -> None:
    """Stream blocks of frames, shape (frame, y, x), into `data`."""
    done = told = 0
    for block in blocks:
        data[done : done + len(block)] = block
        done += len(block)
        if progress is not None and (done - told >= REPORT_EVERY or done == len(data)):
            told = done
            progress(Progress(stage, done, len(data), unit="frame"))
