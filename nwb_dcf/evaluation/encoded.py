"""Recordings beside what a fit makes of their frames: prepared once and encoded once, for all that is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..data.split import Split
from ..estimator.fitted import FittedModel, PreparedFrames

MOST_SELECTED = 2**28  # bytes of prepared frames that may be in memory twice


@dataclass(frozen=True)
class EncodedRecording:
    """A recording, its prepared frames, and their latents.

    Attributes
    ----------
    recording : xarray.Dataset
        As it was read.
    frames : PreparedFrames
    latents : array, shape (time, k_max)
        Of all axes.
    """

    recording: xr.Dataset
    frames: PreparedFrames
    latents: np.ndarray


@dataclass(frozen=True)
class EncodedSplit:
    """A whole recording, the part that was fitted, and the part that was not; all one where nothing is held out."""

    whole: EncodedRecording
    training: EncodedRecording
    unseen: EncodedRecording


def encode_recording(fitted: FittedModel, recording: xr.Dataset) -> EncodedRecording:
    """Prepare and encode a recording."""
    frames = fitted.prepare(recording)
    return EncodedRecording(recording, frames, fitted.encode(frames, fitted.k_max))


def encode_split(fitted: FittedModel, recording: xr.Dataset, split: Split | None) -> EncodedSplit:
    """Prepare and encode a whole recording and its two parts.

    Parts that are whole segments are taken out of the whole: nothing crosses their edges. Parts that were cut out of
    segments have edges of their own, and are prepared and encoded by themselves.
    """
    whole = encode_recording(fitted, recording)
    if split is None:
        return EncodedSplit(whole, whole, whole)
    held_out = split.held_out_segments
    if not held_out.any() or whole.frames.values.nbytes > MOST_SELECTED:
        return EncodedSplit(whole, *(encode_recording(fitted, part) for part in (split.training, split.held_out)))
    parts = ((split.training, ~held_out), (split.held_out, held_out))
    return EncodedSplit(whole, *(_select(whole, part, chosen) for part, chosen in parts))


def _select(whole: EncodedRecording, part: xr.Dataset, chosen: np.ndarray) -> EncodedRecording:
    rows = np.flatnonzero(chosen[whole.frames.segment])
    frames = PreparedFrames(whole.frames.values[rows], part["segment_index"].values, part["time"].values)
    return EncodedRecording(part, frames, whole.latents[rows])
