"""Small videos for tests, and NWB files that hold or name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynwb import NWBFile
from pynwb.image import ImageSeries

from tests.nwb_files import add_trials, new_nwbfile, write_nwbfile
from tests.written_once import written_once


def simulate_frames(n_frames: int = 40, height: int = 24, width: int = 32) -> Any:
    """Gray frames of a bright disc that goes round, shape (frame, height, width), uint8."""
    y, x = np.mgrid[:height, :width]
    phase = 2 * np.pi * np.arange(n_frames)[:, None, None] / 17
    distance = np.hypot(y - height / 2 - height / 4 * np.sin(phase), x - width / 2 - width / 4 * np.cos(phase))
    return (30 + 200 / (1 + np.exp(distance - height / 6))).astype(np.uint8)


@written_once
def write_video(
    path: Path,
    frames: Any,
    *,
    rate_hz: int = 25,
    codec: str = "ffv1",
    pix_fmt: str = "gray",
    ticks: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write gray frames, or RGB ones (frame, height, width, 3); `ticks`: presentation times in milliseconds."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate_hz)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pix_fmt
        if ticks is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, values in enumerate(frames):
            kind = "rgb24" if values.ndim == 3 else "gray16le" if values.dtype == np.uint16 else "gray"
            frame = av.VideoFrame.from_ndarray(values, format=kind)
            if kind != pix_fmt:
                frame = frame.reformat(format=pix_fmt)
            frame.pts = i if ticks is None else ticks[i]
            if ticks is not None:
                frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@written_once
def make_video_session(
    path: Path,
    files: Sequence[str] | None = None,
    *,
    data: Any = None,
    name: str = "camera",
    kind: type[ImageSeries] = ImageSeries,
    trials: Sequence[tuple[float, float]] | None = None,
    change: Callable[[NWBFile], None] | None = None,
    **fields: Any,
) -> Path:
    """Write a session with one ImageSeries: of external `files`, or of `data` (frame, y, x)."""
    nwbfile = new_nwbfile()
    if files is not None:
        fields = {"external_file": list(files), "format": "external", "unit": "n.a.", **fields}
        fields.setdefault("starting_frame", [0] * len(files))
    else:
        fields = {"data": data, "unit": "n.a.", **fields}
    if "timestamps" not in fields:
        fields.setdefault("rate", 25.0)
    nwbfile.add_acquisition(kind(name=name, **fields))
    if trials is not None:
        add_trials(nwbfile, trials)
    if change is not None:
        change(nwbfile)
    return write_nwbfile(nwbfile, path)
