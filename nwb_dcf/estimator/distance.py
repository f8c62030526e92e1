"""Distance of frames from those that a model was fitted to."""

from __future__ import annotations

import math

import numpy as np

from ..data.chunks import release_scratch
from ..data.far_frames import MAX_DISTANCE, refuse_far_frames
from .fitted import FittedModel, PreparedFrames

NUMBERS_AT_ONCE = 2**18  # that stay in a processor's cache


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
    mean, n = fitted.mean.astype(np.float64), max(1, NUMBERS_AT_ONCE // frames.values.shape[1])
    for part in (slice(start, start + n) for start in range(0, len(frames), n)):
        away = frames.values[part] - mean
        found[part] = np.sqrt(np.einsum("tc,tc->t", away, away)) / scale
        release_scratch()
    return found
