"""Decoding of behaviour across animals: by a decoder trained on the others, and by the animal's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import DataError
from ..metrics.decoding import decode_by_neighbours, decode_linearly
from .anchors import AlignedFrames
from .coupling import fit_coupling

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

CURVE_TRIALS = (5, 10, 20, 40)
Method = Literal["ridge", "neighbours"]


@dataclass(frozen=True)
class DecodedSession:
    """Data of one session for decoding.

    Attributes
    ----------
    latents, behavior : array, shapes (frame, latent), (frame, variable)
    training : array of bool, shape (frame,)
        Frames of the trials to which coupling and decoder were fitted; the others are tested.
    """

    latents: Float[np.ndarray, "frame latent"]
    behavior: Float[np.ndarray, "frame variable"]
    training: Bool[np.ndarray, " frame"]

    @classmethod
    def select_known(
        cls,
        latents: Float[np.ndarray, "frame latent"],
        behavior: Float[np.ndarray, "frame variable"],
        training: Bool[np.ndarray, " frame"],
    ) -> DecodedSession:
        """Keep the frames whose behaviour is known; coupling needs the others as well, as neighbours in time."""
        known = np.isfinite(behavior).all(axis=1)
        return cls(latents[known], behavior[known], training[known])


@dataclass(frozen=True)
class CrossDecoding:
    """R2 of behaviour on held-out trials, pooled over variables.

    Attributes
    ----------
    pairs : array, shape (session, session)
        Decoder trained on the first, tested on the second; within sessions on the diagonal.
    others : array, shape (session,)
        Decoder trained on all other sessions together.
    """

    pairs: Float[np.ndarray, "session session"]
    others: Float[np.ndarray, " session"]

    @property
    def within(self) -> Float[np.ndarray, " session"]:
        """R2 of the decoder of the session itself, shape (session,)."""
        return np.diag(self.pairs).copy()

    @property
    def ratio(self) -> float:
        """Mean across over mean within."""
        return float(self.others.mean() / self.within.mean())


def decode_across(sessions: Sequence[DecodedSession], method: Method = "ridge") -> CrossDecoding:
    """Train a decoder on each session and on all others, and test it on held-out trials.

    Parameters
    ----------
    sessions : sequence of DecodedSession
    method : {"ridge", "neighbours"}
        Linear, or the mean over the 20 nearest frames.

    Raises
    ------
    DataError
        If a session has no frame to train or to test on.
    """
    for session in sessions:
        if session.training.all() or not session.training.any():
            raise DataError("a session has no trial to train or to test on", fix="hold out some of its trials")
    n = len(sessions)
    pairs = np.array([[_score([one], other, method) for other in sessions] for one in sessions])
    # a decoder that never saw the animal: what a shared space is to be good for
    others = [_score([sessions[j] for j in range(n) if j != i], sessions[i], method) for i in range(n)]
    return CrossDecoding(pairs, np.array(others))


def decode_within(session: DecodedSession, method: Method = "ridge") -> float:
    """Train a decoder on a session's training trials and return its R2 on the others."""
    return _score([session], session, method)


def decode_new_session(
    frames: AlignedFrames,
    behavior: Float[np.ndarray, "frame variable"],
    training: Bool[np.ndarray, " frame"],
    anchors: Float[np.ndarray, "condition bin latent"],
    others: Sequence[DecodedSession],
    *,
    rng: np.random.Generator,
    n_trials: Sequence[int] = CURVE_TRIALS,
    method: Method = "ridge",
) -> Float[np.ndarray, " count"]:
    """Decode a session by a coupling fitted to few of its trials; axes and decoder come from the others.

    Parameters
    ----------
    frames : AlignedFrames
    behavior : array, shape (frame, variable)
        NaN where it is not known.
    training : array of bool, shape (frame,)
        Frames whose trials are drawn from; the other frames are tested.
    anchors : array, shape (condition, bin, latent)
        Found without this session.
    others : sequence of DecodedSession
    rng : numpy.random.Generator
        Of the trials that are drawn.
    n_trials : sequence of int
        Numbers of trials to couple it by; NaN where the session has fewer.
    method : {"ridge", "neighbours"}
        As in `decode_across`.

    Returns
    -------
    array, shape (number of trials,)
        R2 on the held-out trials.
    """
    trials = np.unique(frames.trial[training & frames.is_anchor])
    scores = np.full(len(n_trials), np.nan)
    for k, n in enumerate(n_trials):
        if n <= len(trials):
            # coupling alone learns from these trials; axes and decoder have never seen the session
            drawn = rng.permutation(trials)[:n]
            coupling = fit_coupling(frames.select_trials(drawn), anchors)
            latents = coupling.transform(frames.values, frames.trial)
            scores[k] = _score(others, DecodedSession.select_known(latents, behavior, training), method)
    return scores


def _score(training: Sequence[DecodedSession], test: DecodedSession, method: Method) -> float:
    latents = np.concatenate([session.latents[session.training] for session in training])
    target = np.concatenate([session.behavior[session.training] for session in training])
    decode = decode_linearly if method == "ridge" else decode_by_neighbours
    held_out = test.behavior[~test.training]
    # no penalty is chosen: every session is decoded by the same rule, and none gains by its number of trials
    error = np.square(decode(latents, target, test.latents[~test.training]) - held_out).sum()
    return float(1 - error / np.square(held_out - held_out.mean(axis=0)).sum())
