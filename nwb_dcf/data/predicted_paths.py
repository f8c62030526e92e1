"""Paths that a model predicts, beside those that came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True)
class PredictedPaths:
    """Rollouts from some frames, and what came.

    Attributes
    ----------
    start_s : array, shape (start,)
        Time of each start on the session clock.
    ahead_s : array, shape (lead,)
        Seconds from the start; below 0 before it.
    came : array, shape (start, lead, latent)
        Latents as the fit reports them; NaN outside the segment of the start.
    predicted : array, shape (start, lead, latent)
        By the model from the frames up to the start, which at the start itself gives what is known then; NaN before it.
    held_out : array of bool, shape (start,)
    overlap_s : float
        How far ahead latents depend on frames up to the start, by smoothing and the encoder's window.
    """

    start_s: Float[np.ndarray, " start"]
    ahead_s: Float[np.ndarray, " lead"]
    came: Float[np.ndarray, "start lead latent"]
    predicted: Float[np.ndarray, "start lead latent"]
    held_out: Bool[np.ndarray, " start"]
    overlap_s: float
