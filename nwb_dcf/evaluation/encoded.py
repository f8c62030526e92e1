"""Recordings with their prepared frames and latents: prepared once and encoded once for every measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.chunks import release_scratch
from ..data.split import Split
from ..estimator.fitted import FittedModel, PreparedFrames
from ..model.parallel import FRAMES_AT_ONCE

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32

MOST_SELECTED = 2**28  # bytes of prepared frames that may be in memory twice
NUMBERS_AT_ONCE = 2**20  # of a block, of which two dozen float64 copies are made


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
    states : array, shape (time, channel), or None
        Frames integrated to tau = 0, where they have been and are kept.
    """

    recording: xr.Dataset
    frames: PreparedFrames
    latents: Float[np.ndarray, "time k_max"]
    states: Float[np.ndarray, "time channel"] | None = None

    def compress(self, fitted: FittedModel) -> Float[np.ndarray, "time channel"]:
        """Integrate the frames to tau = 0, where they have not been."""
        return fitted.compress(self.frames) if self.states is None else self.states

    def flow(self, fitted: FittedModel) -> Float[np.ndarray, "time latent"]:
        """Flowed latents, of states that are there already if there are any."""
        return fitted.flow(self.frames) if self.states is None else fitted.read_states(self.states)


@dataclass(frozen=True)
class EncodedSplit:
    """A whole recording, its training part and its held-out part; all the same where nothing is held out."""

    whole: EncodedRecording
    training: EncodedRecording
    unseen: EncodedRecording


def encode_recording(
    fitted: FittedModel, recording: xr.Dataset, prepared: PreparedFrames | None = None
) -> EncodedRecording:
    """Prepare and encode a recording, whose frames may be `prepared` already."""
    frames = fitted.prepare(recording) if prepared is None else prepared
    return EncodedRecording(recording, frames, fitted.encode(frames, fitted.k_max))


def encode_split(
    fitted: FittedModel, recording: xr.Dataset, split: Split | None, prepared: PreparedFrames | None = None
) -> EncodedSplit:
    """Prepare and encode a whole recording and its two parts, of which that for training may be `prepared` already.

    Parts that are whole segments are taken out of the whole: nothing crosses their edges. Parts that were cut out of
    segments have edges of their own, and are prepared and encoded by themselves.
    """
    whole = encode_recording(fitted, recording, prepared if split is None else None)
    # every frame is integrated once for its flowed latent and for its scores, where memory holds the states beside them
    if whole.frames.values.nbytes <= MOST_SELECTED and (split is None or split.held_out_segments.any()):
        whole = replace(whole, states=fitted.compress(whole.frames))
    if split is None:
        return EncodedSplit(whole, whole, whole)
    # preparation and encoding end at segments: whole ones can be taken out of the whole recording
    held_out = split.held_out_segments
    if not held_out.any() or whole.frames.values.nbytes > MOST_SELECTED:
        training = encode_recording(fitted, split.training, prepared)
        return EncodedSplit(whole, training, encode_recording(fitted, split.held_out))
    parts = ((split.training, ~held_out), (split.held_out, held_out))
    return EncodedSplit(whole, *(_select(whole, part, chosen) for part, chosen in parts))


def _select(whole: EncodedRecording, part: xr.Dataset, chosen: Bool[np.ndarray, " segment"]) -> EncodedRecording:
    rows = np.flatnonzero(chosen[whole.frames.segment])
    frames = PreparedFrames(whole.frames.values[rows], part["segment_index"].values, part["time"].values)
    return EncodedRecording(part, frames, whole.latents[rows], None if whole.states is None else whole.states[rows])


def iterate_frames(frames: PreparedFrames) -> Iterator[Float32[np.ndarray, "part channel"]]:
    """Yield the values of all frames, block by block."""
    for part in cut_frames(frames):
        yield frames.values[part]
        release_scratch()


def cut_frames(frames: PreparedFrames) -> Iterator[slice]:
    """Cut frames into blocks; of narrow frames a multiple of the parts that networks see at a time."""
    n = max(1, NUMBERS_AT_ONCE // frames.values.shape[1])
    n -= n % FRAMES_AT_ONCE if n > FRAMES_AT_ONCE else 0
    for start in range(0, len(frames), n):
        yield slice(start, min(start + n, len(frames)))
