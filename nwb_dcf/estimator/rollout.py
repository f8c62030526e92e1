"""Simulation: a recording continued by the model's own dynamics, from any frame and its past (paper, section 4).

A start sees no frame after it. Smoothing and windows look ahead, so every start is cut from its recording and
prepared separately, as it would be online; prepared as a whole, it would contain frames that are to be predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.gaussian_filter import TRUNCATE
from ..data.recording import make_recording, segment_slices
from ..errors import ParameterError
from .fitted import FittedModel, check_channels

if TYPE_CHECKING:
    from jaxtyping import Float, Int

MOST = {"n_frames": 10**6, "n_paths": 10**5, "seed": 2**62}
"""Of a simulation: a million frames are hours at 100 Hz, long after any rollout has lost its start."""
MOST_NUMBERS = 2**31
"""Of all its paths: 8 GB."""
Starts = str | Sequence[int] | np.ndarray


@dataclass(frozen=True)
class Plan:
    """What to simulate; see `nwb_dcf.DCF.simulate`."""

    n_frames: int
    tau: float = 0.0
    starts: Starts = "last"
    n_paths: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("n_frames", 1), ("n_paths", 1), ("seed", 0)):
            value = getattr(self, name)
            if name == "n_paths" and value is None:
                continue
            if not isinstance(value, Integral) or isinstance(value, bool) or not low <= int(value) <= MOST[name]:
                raise ParameterError(f"{name} is {value}", fix=f"give a whole number from {low} to {MOST[name]}")
        if not isinstance(self.tau, Real) or not 0 <= self.tau <= 1:
            raise ParameterError(f"tau is {self.tau}", fix="give a number from 0 (latents) to 1 (data)")


def simulate(fitted: FittedModel, recording: xr.Dataset, plan: Plan) -> xr.Dataset:
    """Continue a recording from each start.

    Returns
    -------
    xarray.Dataset
        A recording whose segments are the paths, with ``trial_start_s`` and ``trial_path``.
    """
    starts, paths = simulate_paths(fitted, recording, plan)
    return _join_paths(paths, recording["time"].values[starts], fitted, plan.tau)


def simulate_paths(
    fitted: FittedModel, recording: xr.Dataset, plan: Plan
) -> tuple[Int[np.ndarray, " start"], Float[np.ndarray, "start path frame *state"]]:
    """Continue a recording from each start; return the frames of the starts, and the paths from each.

    See `FittedModel.simulate` for the paths.
    """
    check_channels(recording, fitted)
    starts = find_starts(recording, plan.starts, fitted.config.model.history)
    width = fitted.dim if plan.tau == 0 else fitted.model.n_channels
    n_numbers = len(starts) * (plan.n_paths or 1) * plan.n_frames * width
    if n_numbers > MOST_NUMBERS:
        raise ParameterError(
            f"{len(starts)} starts, {plan.n_paths or 1} paths and {plan.n_frames} frames of {width} numbers do not fit "
            "into memory",
            fix="give fewer frames (--frames), paths (--paths) or starts (--starts)",
        )
    # prepared after the cut, so that no smoothing reaches past a start
    histories = fitted.prepare(cut_histories(recording, starts, fitted))
    return starts, fitted.simulate(histories, plan.n_frames, tau=float(plan.tau), n_paths=plan.n_paths, seed=plan.seed)


def find_starts(recording: xr.Dataset, starts: Starts, history: int) -> Int[np.ndarray, " start"]:
    """Resolve ``"last"``, ``"first"`` (the first frame of each segment with its whole history) or frames to frames.

    Raises
    ------
    ParameterError
        If `starts` is another word, or not frames of `recording`.
    """
    slices = segment_slices(recording)
    if isinstance(starts, str):
        if starts not in ("last", "first"):
            raise ParameterError(f"starts is {starts!r}", fix="choose last or first, or give frames")
        ends = np.array([frames.stop - 1 for frames in slices])
        return ends if starts == "last" else np.minimum(ends, [frames.start + history for frames in slices])
    frames, n = np.asarray(starts), recording.sizes["time"]
    # boolean masks are refused too: they would be read as frames 0 and 1
    if frames.ndim != 1 or frames.size == 0 or frames.dtype.kind not in "iu":
        raise ParameterError(f"starts is {starts!r}", fix="give whole numbers: places of frames in the recording")
    if frames.min() < 0 or frames.max() >= n:
        raise ParameterError(
            f"starts go from {frames.min()} to {frames.max()}", fix=f"give frames from 0 to {n - 1} of the {n}"
        )
    return frames.astype(np.int64)


def cut_histories(recording: xr.Dataset, starts: Int[np.ndarray, " start"], fitted: FittedModel) -> xr.Dataset:
    """Cut a segment for each start: all that its latents and history depend on, up to the start and no further."""
    time, index, slices = recording["time"].values, recording["segment_index"].values, segment_slices(recording)
    frames_before = fitted.config.model.history + fitted.config.model.encoder_window
    # the smoother's Gaussian is truncated there: earlier frames have no weight
    reach_s = TRUNCATE * fitted.preparation.smooth_s
    pieces = []
    for start in starts:
        first = slices[index[start]].start
        # history and window first, then the smoother's reach before the oldest of them
        oldest = max(first, start - frames_before)
        first += int(np.searchsorted(time[first : start + 1], time[oldest] - reach_s))
        pieces.append(np.arange(first, start + 1))
    cut = recording.isel(time=np.concatenate(pieces), segment=index[starts])
    return cut.assign_coords(
        segment_index=("time", np.repeat(np.arange(len(starts)), [len(piece) for piece in pieces])),
        segment=("segment", np.arange(len(starts))),
    )


def _join_paths(
    paths: Float[np.ndarray, "start path frame *state"],
    start_s: Float[np.ndarray, " start"],
    fitted: FittedModel,
    tau: float,
) -> xr.Dataset:
    """Make a recording of which every path is a segment, with a table of their starts and paths."""
    n_starts, n_paths, n_frames = paths.shape[:3]
    # times of simulated frames continue the session clock in the fitted step
    lead_s = (np.arange(n_frames) + 1) * fitted.step_s
    ids = fitted.frame_ids if tau > 0 else {"latent": np.arange(1, paths.shape[-1] + 1)}
    joined = make_recording(
        paths.reshape(-1, *paths.shape[3:]),
        (start_s[:, None, None] + np.zeros((n_paths, 1)) + lead_s).ravel(),
        channel_dim=next(iter(ids)),
        segment_index=np.repeat(np.arange(n_starts * n_paths), n_frames),
        trial_columns={
            "start_s": np.repeat(start_s, n_paths),
            "path": np.tile(np.arange(n_paths), n_starts),
        },
        units="1" if tau == 0 else fitted.units if tau == 1 else "prepared",
    )
    return joined.assign_coords({dim: np.asarray(values) for dim, values in ids.items()})
