"""A fit that was never fitted: known latents in three trials, with a recording, a place and a video."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.result import DCFResult
from nwb_dcf.io.recordings import FrameAccess

pytest.importorskip("panel", reason="could not import panel")

from nwb_dcf.view.data import ViewData

EVIL = "<img src=x onerror=\"document.title='taken'\">"
STEP_S = 0.1


class KnownFrames(FrameAccess):
    """Frames whose left half is as bright as their number."""

    name = "/acquisition/video"
    size = (32, 24)

    def __init__(self, time: np.ndarray) -> None:
        self.time = time

    def read(self, number: int) -> np.ndarray:
        frame = np.zeros((24, 32), np.uint8)
        frame[:, :16] = number % 256
        return frame


def make_view(n_frames: int = 300, dim: int = 3, n_channels: int = 8, *, video: bool = True, seed: int = 0) -> ViewData:
    """Make a fit of three trials, with latents on a circle."""
    rng = np.random.default_rng(seed)
    index = np.minimum(np.arange(n_frames) * 3 // n_frames, 2)
    time = np.arange(n_frames) * STEP_S + 2.0 * index  # trials with gaps between them
    phase = 2 * np.pi * time / 4.0
    latents = np.column_stack([np.cos(phase), np.sin(phase), 0.2 * rng.normal(size=n_frames)])[:, :dim]
    loadings = np.linalg.qr(rng.normal(size=(n_channels, dim)))[0]
    values = (latents @ loadings.T).astype(np.float32)
    starts = [float(time[index == k][0]) for k in range(3)]
    stops = [float(time[index == k][-1]) for k in range(3)]
    columns = {"side": np.array(["left", EVIL, "left"])}
    recording = make_recording(
        values, time, segment_index=index, segment_start=np.array(starts), segment_stop=np.array(stops),
        trial_columns=columns,
    )  # fmt: skip
    dataset = xr.Dataset(
        {
            "latents": (("time", "latent"), latents),
            "velocity": (("time", "latent"), np.gradient(latents, STEP_S, axis=0)),
            "loadings": (("channel", "component"), loadings),
            "mean": ("channel", np.zeros(n_channels)),
            "segment_start": ("segment", starts),
            "segment_stop": ("segment", stops),
            "segment_held_out": ("segment", [False, True, False]),
            "trial_side": ("segment", columns["side"]),
        },
        coords={"time": time, "segment_index": ("time", index)},
        attrs={"scores": {"bottleneck_r2": 0.9, "pca_r2": 0.8, "on": "held-out data"}},
    )
    result = DCFResult(dataset, {}, {"source": {"file": "s.nwb"}}, b"", "known_fit")
    place = xr.DataArray(latents[:, :2] * 10, dims=("time", "variable"), attrs={"units": "cm"})
    frames = KnownFrames(time[0] + np.arange(int((time[-1] - time[0]) * 30)) / 30.0) if video else None
    view = ViewData(result, EVIL, recording=recording, frames=frames, behaviors={EVIL: "/p"}, positions={EVIL})
    view._read[EVIL] = place
    return view


@pytest.fixture
def make_known_view() -> Callable[..., Any]:
    """Return `make_view`."""
    return make_view
