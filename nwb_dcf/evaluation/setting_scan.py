"""Behaviour decoded from principal axes of a recording that was smoothed and scaled in one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..config import PrepareConfig
from ..data.preprocessing import fit_preprocessor
from ..data.recording import flatten_frames
from ..errors import DataError
from ..metrics.decoding import decode_by_neighbours, decode_linearly
from ..metrics.pca import compute_pca_axes

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_AXES = 3
N_FOLDS, N_BLOCKS, N_NEIGHBOURS = 5, 20, 30
MOST_FRAMES = 8_000  # that are decoded, evenly spaced
FEWEST_FRAMES = 100


def decode_setting(
    recording: xr.Dataset, behavior: Float[np.ndarray, "time variable"], config: PrepareConfig, *, n_axes: int = N_AXES
) -> dict[str, float]:
    """Decode behaviour from principal axes of a recording prepared with one smoothing and scale.

    Parameters
    ----------
    recording : xarray.Dataset
    behavior : array, shape (time, variable)
        On the frames of the recording; frames without finite behaviour are left out.
    config : PrepareConfig
        Without ``auto``.
    n_axes : int
        Principal axes; fewer where there are fewer channels.

    Returns
    -------
    dict of str to float
        ``ridge`` and ``neighbours``: R2 pooled over variables, cross-validated over trials or twentieths of the time,
        clipped at 0.

    Raises
    ------
    DataError
        If behaviour is known at fewer than a hundred frames, or does not vary.
    """
    known = np.isfinite(behavior).all(axis=1)
    if known.sum() < FEWEST_FRAMES:
        raise DataError(f"behaviour is known at {known.sum()} frames", fix="name a series recorded at the same time")
    # PCA in place of a fit: a scan compares dozens of settings in seconds
    x = flatten_frames(fit_preprocessor(recording, config).apply(recording))
    mean, axes = compute_pca_axes(x, min(n_axes, x.shape[1]))
    frames = np.flatnonzero(known)
    frames = frames[:: max(1, len(frames) // MOST_FRAMES)]
    z, y = (x[frames] - mean) @ axes, behavior[frames]
    # neighbours weigh axes by their variance; here all count alike
    z = z / np.maximum(z.std(axis=0), np.finfo(np.float32).tiny)
    fold = _deal_folds(recording, frames)
    guesses = {"ridge": np.empty_like(y), "neighbours": np.empty_like(y)}
    for k in range(N_FOLDS):
        test, training = fold == k, fold != k
        if not test.any():
            continue
        guesses["ridge"][test] = decode_linearly(z[training], y[training], z[test])
        guesses["neighbours"][test] = decode_by_neighbours(z[training], y[training], z[test], n_neighbours=N_NEIGHBOURS)
    total = np.square(y - y.mean(axis=0)).sum()
    if total == 0:
        raise DataError("behaviour does not vary", fix="name another series")
    return {name: max(0.0, float(1 - np.square(y - guess).sum() / total)) for name, guess in guesses.items()}


def _deal_folds(recording: xr.Dataset, frames: Int[np.ndarray, " frame"]) -> Int[np.ndarray, " frame"]:
    """Fold of each frame: trials in turn, or twentieths of the time."""
    if recording.sizes["segment"] >= N_BLOCKS:
        return np.asarray(recording["segment_index"].values[frames] % N_FOLDS)
    return np.asarray(frames * N_BLOCKS // recording.sizes["time"] % N_FOLDS)
