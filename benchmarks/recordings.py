"""Real recordings of the benchmarks: the source as a recording, the target on the same frames."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from nwb_dcf import read_recording
from nwb_dcf.data.recording import make_recording, segment_slices

VIDEO_SIZE = 64
LONGEST_STEP_S = 1.0  # of the worm's clock; a longer one is a gap
SPEED_SMOOTH_FRAMES = 5  # positions are noisy: their differences are taken after this Gaussian
BODY_PARTS = ("leftear", "rightear", "snout", "tailbase")


@cache
def read_chewie(folder: Path) -> tuple[xr.Dataset, np.ndarray]:
    """Counts of 100 ms in reaches, (time, unit), and the velocity of the hand (time, 2) in cm/s."""
    path = folder / "reach_chewie.nwb"
    recording = read_recording(path, bin_width_s=0.1)
    with h5py.File(path) as file:
        series = file["processing/behavior/hand_velocity"]
        return recording, _interpolate(recording, series["timestamps"][:], series["data"][:])


@cache
def read_track(folder: Path) -> tuple[xr.Dataset, np.ndarray]:
    """Counts of 500 ms, (time, unit), and the position of the light on the rat (time, 2) in pixels."""
    path = folder / "linear_track.nwb"
    recording = read_recording(path, bin_width_s=0.5)
    with h5py.File(path) as file:
        series = file["processing/behavior/Position/led_position"]
        return recording, _interpolate(recording, series["timestamps"][:], series["data"][:])


@cache
def read_celegans(folder: Path) -> tuple[xr.Dataset, np.ndarray]:
    """Calcium activity (time, neuron), one TimeSeries a neuron, and the worm's velocity (time, 2) in mm/s."""
    path = folder / "celegans_moving.nwb"
    with h5py.File(path) as file:
        acquisition = file["acquisition"]
        names = sorted(name for name in acquisition if name.startswith("Activity_"))
        time = acquisition[names[0]]["timestamps"][:]
        activity = np.stack([acquisition[name]["data"][:] for name in names], axis=1)
        position_mm = 1e3 * acquisition["Tracked 2D position"]["ss_2D"]["data"][:]
    segment = np.concatenate([[0], np.cumsum(np.diff(time) > LONGEST_STEP_S)])
    lengths = np.bincount(segment)[segment]
    kept = lengths > 1  # a frame alone between two gaps has no velocity
    segment = np.unique(segment[kept], return_inverse=True)[1]
    recording = make_recording(
        activity[kept],
        time[kept],
        channel_dim="roi",
        segment_index=segment,
        kind="series",
        source={"file": path.name, "path": "/acquisition/Activity_*", "type": "TimeSeries"},
    )
    velocity = np.empty_like(position_mm[kept])
    for frames in segment_slices(recording):
        smooth = gaussian_filter1d(position_mm[kept][frames], SPEED_SMOOTH_FRAMES, axis=0, mode="nearest")
        velocity[frames] = np.gradient(smooth, time[kept][frames], axis=0)
    return recording, velocity


@cache
def read_video(folder: Path) -> tuple[xr.Dataset, np.ndarray]:
    """Gray frames in [0, 1], (time, y, x), and four body parts (time, 8) in pixels of the film.

    The clock of the poses is wrong by a factor of thirty: they are taken frame by frame.
    """
    import av

    with av.open(str(folder / "m3v1mp4.mp4")) as film:
        rate = float(film.streams.video[0].average_rate or 30)
        frames = [
            frame.reformat(VIDEO_SIZE, VIDEO_SIZE, "gray", interpolation="AREA").to_ndarray()
            for frame in film.decode(video=0)
        ]
    with h5py.File(folder / "pose_bad_clock.nwb") as file:
        pose = file["processing/behavior/PoseEstimation"]
        parts = np.concatenate([pose[f"ind1_{part}"]["data"][:] for part in BODY_PARTS], axis=1)
    values = np.stack(frames).astype(np.float32) / 255
    recording = make_recording(
        values,
        np.arange(len(values)) / rate,
        kind="video",
        source={"file": "m3v1mp4.mp4", "path": "/", "type": "ImageSeries"},
    )
    return recording, parts


def _interpolate(recording: xr.Dataset, time: np.ndarray, values: np.ndarray) -> np.ndarray:
    at = recording["time"].values
    return np.stack([np.interp(at, time, column) for column in values.T.astype(np.float64)], axis=1)
