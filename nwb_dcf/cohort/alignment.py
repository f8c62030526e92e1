"""Alignment without labels: latents of sessions are rotated onto each other by their dynamics.

Each session's whitened principal components are turned so that one field predicts where the latents of all sessions
go. The maps that are tried are those under which lagged covariances and third moments agree. It works only where the
dynamics have no symmetry, and this is tested: where a second map is predicted nearly as well (lead), where the field of
the others predicts less than a session's own (shared), or where other sessions to begin with lead to other maps
(agreement), nothing is identified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .anchors import Floats, Ints
from .moment_matching import Signature, average_signatures, compute_signature, list_matches
from .vector_field import Paths, fit_field, score_field

if TYPE_CHECKING:
    from jaxtyping import Float

LEAST_LEAD = 0.1  # of R2: below it two maps are predicted alike, as of dynamics with a symmetry
LEAST_SHARED = 0.85  # of the R2 of a session's own field
LEAST_AGREEMENT = 0.75  # 1: from every session to begin with, the same maps are found
LEAST_SESSIONS = 4
ROUNDS = 4  # of matching each session to all others
MOST_STARTS = 5  # sessions to begin with: beyond, time grows with the square of their number
MOST_FRAMES = 4000  # of a session, from which its field is fitted


@dataclass(frozen=True)
class Alignment:
    """Result of `align_sessions`.

    Attributes
    ----------
    rotations : array, shape (session, latent, latent)
        ``z @ rotations[s]`` are a session's latents in the common space.
    lead : float
        R2 by which the best map of a session is predicted better than the second best; the median over sessions.
    shared : float
        R2 of the field of the others over that of a session's own field; the median over sessions.
    agreement : float
        Median over the sessions to begin with of trace(R S') / k between their maps and the best ones; 1 where all
        agree.
    """

    rotations: Float[np.ndarray, "session latent latent"]
    lead: float
    shared: float
    agreement: float

    @property
    def accepted(self) -> bool:
        """Whether the maps are identified, by the rule of this module."""
        return (
            len(self.rotations) >= LEAST_SESSIONS
            and self.lead >= LEAST_LEAD
            and self.shared >= LEAST_SHARED
            and self.agreement >= LEAST_AGREEMENT
        )


def whiten(values: Float[np.ndarray, "frame unit"], dim: int) -> tuple[Floats, Floats, Floats]:
    """Compute principal components of unit variance.

    Parameters
    ----------
    values : array, shape (frame, unit)
    dim : int

    Returns
    -------
    latents : array, shape (frame, latent)
    weights : array, shape (unit, latent)
    centre : array, shape (unit,)
        ``latents = (values - centre) @ weights``.
    """
    centre = values.mean(axis=0, dtype=np.float64)
    centred = values - centre
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    # white: what is left between sessions is a rotation, which moments of second order at lag 0 cannot see
    weights = axes[:, ::-1][:, :dim] / np.sqrt(np.maximum(variances[::-1][:dim], 1e-12))
    return centred @ weights, weights, centre


@dataclass(frozen=True)
class _Session:
    """Moments of a session, and where its latents go."""

    signature: Signature
    paths: Paths

    def turn(self, rotation: Floats) -> Paths:
        return Paths(self.paths.state @ rotation, self.paths.velocity @ rotation, self.paths.where)


@dataclass(frozen=True)
class _Attempt:
    """Maps that were found with one session to begin with, and how well each is predicted."""

    rotations: Float[np.ndarray, "session latent latent"]
    score: Float[np.ndarray, " session"]
    lead: Float[np.ndarray, " session"]


def align_sessions(
    latents: Sequence[Floats], trials: Sequence[Ints], lags: Sequence[int], rng: np.random.Generator
) -> Alignment:
    """Rotate the latents of all sessions into one space, and measure whether the rotations are identified.

    Parameters
    ----------
    latents : sequence of array, shape (frame, latent)
        White, of each session.
    trials : sequence of array of int, shape (frame,)
        Of each frame; contiguous.
    lags : sequence of int
        In bins. The field is that of the steps over the longest.
    rng : numpy.random.Generator
        Of the starts of the search.

    Raises
    ------
    DataError
        If there are fewer than three sessions: nothing can be compared.
    """
    if len(latents) < 3:
        raise DataError(f"{len(latents)} sessions without labels", fix="give four or more, or name a column of trials")
    sessions = [
        _Session(compute_signature(z, trial, lags), _find_steps(z, trial, max(lags)))
        for z, trial in zip(latents, trials, strict=True)
    ]
    own = np.array([score_field(fit_field([one.paths]), one.paths) for one in sessions])
    begin = rng.permutation(len(sessions))[:MOST_STARTS]
    attempts = [_align_from(sessions, int(first), rng) for first in begin]
    best = max(attempts, key=lambda attempt: float(attempt.score.mean()))
    # a session whose own steps nothing predicts says nothing of what is shared
    shared = np.where(own > 0, best.score / np.where(own > 0, own, 1.0), 0.0)
    agreement = [_compare(attempt.rotations, best.rotations) for attempt in attempts if attempt is not best]
    return Alignment(best.rotations, float(np.median(best.lead)), float(np.median(shared)), float(np.median(agreement)))


def _find_steps(latents: Floats, trial: Ints, lag: int) -> Paths:
    """Find states and the steps from them over `lag` bins, within trials."""
    early = np.flatnonzero(trial[: len(trial) - lag] == trial[lag:])
    early = early[:: max(1, len(early) // MOST_FRAMES)]
    return Paths(latents[early], latents[early + lag] - latents[early], early)


def _align_from(sessions: Sequence[_Session], first: int, rng: np.random.Generator) -> _Attempt:
    """Turn all sessions to one of them, then each to all others until nothing is gained."""
    dim = sessions[first].paths.state.shape[1]
    rotations = np.tile(np.eye(dim), (len(sessions), 1, 1))
    for i, session in enumerate(sessions):
        if i != first:
            rotations[i] = _choose_map(session, [sessions[first]], [np.eye(dim)], rng)[0]
    score, lead = np.zeros(len(sessions)), np.zeros(len(sessions))
    for _ in range(ROUNDS):
        for i, session in enumerate(sessions):
            rest = [j for j in range(len(sessions)) if j != i]
            rotations[i], score[i], lead[i] = _choose_map(
                session, [sessions[j] for j in rest], [rotations[j] for j in rest], rng
            )
    return _Attempt(rotations, score, lead)


def _choose_map(
    session: _Session, others: Sequence[_Session], rotations: Sequence[Floats], rng: np.random.Generator
) -> tuple[Floats, float, float]:
    """Choose the map after which the others' field predicts a session best: map, R2, lead over the second best."""
    field = fit_field([other.turn(rotation) for other, rotation in zip(others, rotations, strict=True)])
    target = average_signatures([other.signature.rotate(turn) for other, turn in zip(others, rotations, strict=True)])
    maps = list_matches(target, session.signature, rng)
    # moments find the maps, and prediction chooses: the skewness of a session is in part that of its units' tuning
    scores = np.array([score_field(field, session.turn(one)) for one in maps])
    order = np.argsort(scores)[::-1]
    # a single minimum has no rival but no map at all
    rival = scores[order[1]] if len(maps) > 1 else 0.0
    return maps[order[0]], float(scores[order[0]]), float(scores[order[0]] - rival)


def _compare(one: Floats, other: Floats) -> float:
    """Compute the mean of trace(R S') / k over sessions, after the rotation that all have in common."""
    left, _, right = np.linalg.svd(np.einsum("sia,sib->ab", one, other))
    return float(np.einsum("sia,ab,sib->", one, left @ right, other) / (len(one) * one.shape[1]))
