"""Distance of frames from those that a model was fitted to."""

from __future__ import annotations

import math

import numpy as np

from ..data.far_frames import MAX_DISTANCE, refuse_far_frames
from .fitted import FittedModel, PreparedFrames


def check_distance(
    fitted: FittedModel, frames: PreparedFrames, *, max_distance: float = MAX_DISTANCE, where: str | None = None
) -> list[str]:
    """Refuse frames far outside those that were fitted, see `nwb_dcf.data.far_frames.refuse_far_frames`.

    Parameters
    ----------
    fitted : FittedModel
    frames : PreparedFrames
        Prepared as the fitted ones were.
    max_distance, where
        As there.
    """
    return refuse_far_frames(measure_distance(fitted, frames), max_distance=max_distance, where=where)


def measure_distance(fitted: FittedModel, frames: PreparedFrames) -> np.ndarray:
    """Distance of each frame from the mean of those fitted, in units of their RMS distance from it, shape (time,)."""
    scale, found = math.sqrt(fitted.total_variance), np.empty(len(frames))
    for part, _ in frames.blocks():
        found[part] = np.linalg.norm(frames.values[part].astype(np.float64) - fitted.mean, axis=1) / scale
    return found
