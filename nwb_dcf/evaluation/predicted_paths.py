"""Some rollouts from held-out frames, to be looked at: the figures of all of them are in `forecast`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.predicted_paths import PredictedPaths
from ..data.recording import segment_slices
from ..errors import DataError
from ..estimator.fitted import FittedModel
from ..estimator.rollout import cut_histories, find_starts
from .encoded import encode_recording
from .forecast import LEADS, REACH

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

N_STARTS = 4
BEFORE = 0.5  # of the leads: how much of what came before a start is shown
FEWEST_LEADS = 3


def predict_examples(
    fitted: FittedModel,
    recording: xr.Dataset,
    latents: Float[np.ndarray, "time latent"],
    held_out: Bool[np.ndarray, " time"],
    *,
    n_starts: int = N_STARTS,
    n_leads: int = LEADS,
) -> PredictedPaths:
    """Predict from a frame in each of some segments, held-out ones where there are any, without seeing what came.

    Parameters
    ----------
    fitted : FittedModel
    recording : xarray.Dataset
        What was fitted.
    latents : array, shape (time, latent)
        Of all its frames, as the fit reports them.
    held_out : array of bool, shape (time,)
    n_starts, n_leads : int
        At most.

    Returns
    -------
    PredictedPaths

    Raises
    ------
    DataError
        If no segment has a history and `FEWEST_LEADS` frames after it.
    """
    history, index = fitted.config.model.history, np.arange(len(latents))
    runs = [_find_run(index[part], held_out) for part in segment_slices(recording)]
    # a start has its history before it, and something to predict after it
    usable = [run for run in runs if len(run) > history + FEWEST_LEADS]
    usable = [run for run in usable if held_out[run[0]]] or usable
    if not usable:
        raise DataError("no segment is long enough to predict from", fix="fit longer segments")
    chosen = np.unique(np.linspace(0, len(usable) - 1, min(n_starts, len(usable))).round().astype(int))
    # a third into the segment: what happens first is often the same in all of them
    starts = np.array([usable[k][max(history, len(usable[k]) // 3)] for k in chosen])
    ends = np.array([usable[k][-1] for k in chosen])
    n_leads = int(min(n_leads, (ends - starts).max()))
    histories = encode_recording(fitted, cut_histories(recording, starts, fitted))
    simulated = fitted.simulate(histories.frames, n_leads, latents=histories.latents)
    predicted = simulated.reshape(len(starts), n_leads, -1)[:, :, : latents.shape[1]]
    last = find_starts(histories.recording, "last", 0)
    known = histories.latents[last, : latents.shape[1]]
    n_before = round(BEFORE * n_leads)
    leads = np.arange(-n_before, n_leads + 1)
    came = np.full((len(starts), len(leads), latents.shape[1]), np.nan)
    drawn = came.copy()
    for i, k in enumerate(chosen):
        frames = starts[i] + leads
        inside = (frames >= usable[k][0]) & (frames <= usable[k][-1])
        came[i, inside] = latents[frames[inside]]
        drawn[i, n_before + 1 :] = predicted[i]
        # what is known at the start, without the smoothing's look ahead: it is not what the fit reports there
        drawn[i, n_before] = known[i]
        drawn[i, leads > ends[i] - starts[i]] = np.nan  # nothing came there to compare with
    overlap = REACH * fitted.preparation.smooth_s + fitted.config.model.encoder_window * fitted.step_s
    return PredictedPaths(
        recording["time"].values[starts], leads * fitted.step_s, came, drawn, held_out[starts], overlap
    )


def _find_run(frames: Int[np.ndarray, " frame"], held_out: Bool[np.ndarray, " time"]) -> Int[np.ndarray, " run"]:
    """Return the longest run of frames of a segment that are all held out, or the segment where none is."""
    part = held_out[frames]
    if not part.any():
        return frames
    edges = np.flatnonzero(np.diff(np.concatenate([[0], part.astype(int), [0]])))
    first = int(np.argmax(edges[1::2] - edges[::2]))
    return frames[edges[2 * first] : edges[2 * first + 1]]
