"""A ball that goes round: frames on a ring, which no few principal axes hold."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...errors import ParameterError
from ..recording import make_recording
from .simulation import Simulation, require_counts


def simulate_ball(
    n_videos: int = 10,
    n_frames: int = 50,
    size: int = 28,
    *,
    step: float = 2 * np.pi / 25,
    speed_sd: float = 0.1,
    orbit: float | None = None,
    orbit_sd: float = 0.0,
    jitter: float = 0.0,
    seed: int = 0,
) -> Simulation:
    """Simulate videos of a soft ball on a circle around the centre of the image.

    Each video starts at a random angle and keeps a speed of its own. The frames lie on a ring, one
    number for each, yet their variance lies along some ten principal axes: the first three hold
    about 0.52 of it.

    Parameters
    ----------
    n_videos, n_frames : int
        Videos (segments), and frames in each, one second apart.
    size : int
        Height and width of a frame in pixels.
    step : float
        Mean angle from one frame to the next, radians.
    speed_sd : float
        Standard deviation of the videos' speeds, as a fraction of `step`.
    orbit, orbit_sd : float
        Mean radius of the circles in pixels, by default a quarter of `size`, and its standard deviation over videos:
        above 0 a frame has two numbers, and most of its variance is still that of the angle.
    jitter : float
        Standard deviation of the angle about that of a steady rotation, radians.
    seed : int
        Seed of all randomness.

    Returns
    -------
    Simulation
        ``recording["data"]`` (time, channel): float32 in [0, 1], a frame per row, pixels row by row.
        ``truth["angle"]`` (time,): radians, not wrapped. ``truth["frames"]`` (time, y, x): the frames.

    Raises
    ------
    ParameterError
        If a count is below 1 or the frame below 8 pixels.

    Notes
    -----
    The ball's standard deviation is 0.075 of the frame's width.

    Examples
    --------
    >>> simulation = simulate_ball(n_videos=2, n_frames=5)
    >>> [video.shape for video in simulation.videos]
    [(5, 784), (5, 784)]
    """
    require_counts(n_videos=n_videos, n_frames=n_frames)
    if size < 8:
        raise ParameterError(f"size is {size} pixels", fix="give 8 or more")
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 2 * np.pi, n_videos)
    # one speed for all would let a clock predict the angle without a look at the frame
    speed = step * (1 + speed_sd * rng.standard_normal(n_videos))
    angle = (start[:, None] + speed[:, None] * np.arange(n_frames)).ravel()
    radius = np.full(n_videos, size / 4 if orbit is None else orbit)
    if orbit_sd:
        radius = radius + orbit_sd * rng.standard_normal(n_videos)
    if jitter:
        angle = angle + jitter * rng.standard_normal(len(angle))

    centre, sd = (size - 1) / 2, 0.075 * size
    across, down = np.repeat(radius, n_frames) * np.stack([np.cos(angle), np.sin(angle)])
    y, x = np.mgrid[:size, :size] - centre
    squared_distance = (x - across[:, None, None]) ** 2 + (y - down[:, None, None]) ** 2
    # a soft edge: a hard one would make pixels jump, and no smooth flow could follow
    frames = np.exp(-squared_distance / (2 * sd**2)).astype(np.float32)

    segment = np.repeat(np.arange(n_videos), n_frames)
    # a gap of a second between videos, so that no reader takes them for one
    time = np.arange(n_videos * n_frames) + segment.astype(np.float64)
    recording = make_recording(
        frames.reshape(len(frames), -1),
        time,
        segment_index=segment,
        source={"path": "simulate_ball", "type": "Simulation"},
        notes=[f"Simulated: a rotating ball, seed {seed}."],
    )
    truth = xr.Dataset(
        {"angle": ("time", angle, {"units": "rad"}), "frames": (("time", "y", "x"), frames)},
        coords={"time": recording["time"]},
    )
    return Simulation(recording, truth)
