"""Alignment without labels: latents of two sessions are rotated onto each other by their dynamics.

Each session's whitened principal components are matched to another's by an orthogonal map, so that lagged covariances
and lagged third moments agree. It works only where the dynamics have no symmetry, and this is tested: where another map
fits nearly as well (a small ratio), or maps around a triangle of sessions do not close, nothing is identified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .anchors import Floats, Ints

if TYPE_CHECKING:
    from jaxtyping import Float

LEAST_RATIO = 1.5  # of losses, second best over best: below it two maps fit alike
LEAST_CLOSURE = 0.9  # 1: maps around every triangle of sessions return to where they began
LEAST_SESSIONS = 4  # four triangles; one triangle may close by chance
STARTS = 64  # the loss has many minima on the orthogonal group
ITERATIONS = 120
DIFFERENT = 0.9  # two maps are one where trace(R S') / k is above this


@dataclass(frozen=True)
class Signature:
    """Moments of the whitened latents of a session, which an orthogonal map rotates and leaves the same otherwise.

    Attributes
    ----------
    covariance : array, shape (lag, latent, latent)
    third : array, shape (lag, latent, latent, latent)
        E[z_a(t) z_b(t) z_c(t + lag)], for lag 0 too.
    """

    covariance: Float[np.ndarray, "lag latent latent"]
    third: Float[np.ndarray, "lag_from_0 latent latent latent"]


@dataclass(frozen=True)
class Alignment:
    """Result of `align_sessions`.

    Attributes
    ----------
    rotations : array, shape (session, latent, latent)
        ``z @ rotations[s]`` are a session's latents in the common space.
    ratio : float
        Median over pairs: loss of the second best map over that of the best.
    closure : float
        Mean over triangles of sessions of trace(R_ij R_jk R_ki) / k; 1 where maps agree.
    """

    rotations: Float[np.ndarray, "session latent latent"]
    ratio: float
    closure: float

    @property
    def accepted(self) -> bool:
        """Whether the maps are identified, by the rule of this module."""
        enough = len(self.rotations) >= LEAST_SESSIONS
        return enough and self.ratio >= LEAST_RATIO and self.closure >= LEAST_CLOSURE


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


def compute_signature(latents: Floats, trial: Ints, lags: Sequence[int]) -> Signature:
    """Compute lagged covariances and third moments of latents (frame, latent), within trials."""
    covariance, third = [], []
    # lag 0 for third moments alone: white covariances are the identity there
    for lag in (0, *lags):
        early = np.flatnonzero(trial[: len(trial) - lag] == trial[lag:])
        a, b = latents[early], latents[early + lag]
        if lag:
            covariance.append(a.T @ b / len(a))
        third.append(np.einsum("ti,tj,tk->ijk", a, a, b, optimize=True) / len(a))
    return Signature(np.stack(covariance), np.stack(third))


def match_signatures(one: Signature, other: Signature, rng: np.random.Generator) -> tuple[Floats, float]:
    """Find the orthogonal map R for which ``z_other @ R.T`` has the moments of ``z_one``.

    Returns
    -------
    rotation : array, shape (latent, latent)
    ratio : float
        Loss of the best different map over that of the best.
    """
    dim = one.covariance.shape[1]
    # gradient descent from many starts at once, each with its own step
    maps = _draw_orthogonal(STARTS, dim, rng)
    loss, gradient = _compute_loss(maps, one, other)
    step = np.full(len(maps), 0.5)
    for _ in range(ITERATIONS):
        # the part of the gradient that lies in the tangent space: a small rotation is a skew matrix
        skew = gradient @ maps.transpose(0, 2, 1)
        skew = (skew - skew.transpose(0, 2, 1)) / 2
        trial = _turn(maps, skew, step)
        trial_loss, trial_gradient = _compute_loss(trial, one, other)
        better = trial_loss < loss
        maps = np.where(better[:, None, None], trial, maps)
        gradient = np.where(better[:, None, None], trial_gradient, gradient)
        loss = np.where(better, trial_loss, loss)
        # a step that fails is cut back, one that succeeds grows: no line search for 64 starts at once
        step = np.where(better, step * 1.3, step * 0.4)
        if step.max() < 1e-9:
            break
    best = int(np.argmin(loss))
    # other starts that ended at the same map are no rivals of it
    agreement = np.einsum("sij,ij->s", maps, maps[best]) / dim
    others = loss[agreement < DIFFERENT]
    # a symmetry of the dynamics shows as a second map that fits as well: ratio 1
    ratio = float(others.min() / max(loss[best], 1e-12)) if len(others) else float("inf")
    return maps[best], ratio


def align_sessions(signatures: Sequence[Signature], rng: np.random.Generator) -> Alignment:
    """Rotate all sessions into one space, pair by pair, and measure whether the pairs agree.

    Raises
    ------
    DataError
        If there are fewer than three sessions: nothing closes.
    """
    n = len(signatures)
    if n < 3:
        raise DataError(f"{n} sessions without labels", fix="give four or more, or name a column of trials")
    dim = signatures[0].covariance.shape[1]
    maps = np.empty((n, n, dim, dim))
    ratios = []
    for i in range(n):
        maps[i, i] = np.eye(dim)
    for i, j in combinations(range(n), 2):
        maps[i, j], ratio = match_signatures(signatures[i], signatures[j], rng)
        # the inverse of an orthogonal map
        maps[j, i] = maps[i, j].T
        ratios.append(ratio)
    # maps that are right lead around a triangle back to the start; wrong ones do by chance alone
    closures = [np.trace(maps[i, j] @ maps[j, k] @ maps[k, i]) / dim for i, j, k in combinations(range(n), 3)]
    return Alignment(_synchronise(maps), float(np.median(ratios)), float(np.mean(closures)))


def _synchronise(maps: Floats) -> Floats:
    """Compute the rotations that agree best with the maps between pairs: leading eigenvectors, made orthogonal."""
    n, _, dim, _ = maps.shape
    # spectral synchronisation: with maps that agree, the block matrix has rank `dim` exactly
    blocks = maps.transpose(0, 2, 1, 3).reshape(n * dim, n * dim)
    vectors = np.linalg.eigh((blocks + blocks.T) / 2)[1][:, -dim:]
    left, _, right = np.linalg.svd(vectors.reshape(n, dim, dim))
    return np.asarray(left @ right)


def _compute_loss(maps: Floats, one: Signature, other: Signature) -> tuple[Floats, Floats]:
    """Compute the distance of the moments after rotation, and its gradient, for each map."""
    # each kind of moment in units of its own size, so that neither outweighs the other
    size = (np.square(one.covariance).sum() + np.square(other.covariance).sum()) / 2
    size_third = (np.square(one.third).sum() + np.square(other.third).sum()) / 2
    turned = np.einsum("sai,lij,sbj->slab", maps, other.covariance, maps, optimize=True)
    gap = (turned - one.covariance) / size
    loss = np.einsum("slab,slab->s", gap, gap) * size
    half = np.einsum("lij,sbj->slib", other.covariance, maps, optimize=True)
    gradient = 2 * np.einsum("slab,slib->sai", gap, half, optimize=True)
    half = np.einsum("sai,lij->slaj", maps, other.covariance, optimize=True)
    gradient += 2 * np.einsum("slab,slaj->sbj", gap, half, optimize=True)

    ab = np.einsum("sai,sbj,lijk->slabk", maps, maps, other.third, optimize=True)
    turned = np.einsum("slabk,sck->slabc", ab, maps, optimize=True)
    gap = (turned - one.third) / size_third
    loss += np.einsum("slabc,slabc->s", gap, gap) * size_third
    gradient += 2 * np.einsum("slabc,slabk->sck", gap, ab, optimize=True)
    bc = np.einsum("sbj,sck,lijk->slbci", maps, maps, other.third, optimize=True)
    gradient += 4 * np.einsum("slabc,slbci->sai", gap, bc, optimize=True)
    return loss, gradient


def _turn(maps: Floats, skew: Floats, step: Floats) -> Floats:
    """Move along the negative gradient on the orthogonal group, by Cayley's transform."""
    identity = np.eye(maps.shape[1])
    # Cayley's map of a skew matrix is orthogonal exactly, and needs no projection after the step
    half = -0.5 * step[:, None, None] * skew
    return np.asarray(np.linalg.solve(identity - half, (identity + half) @ maps))


def _draw_orthogonal(n: int, dim: int, rng: np.random.Generator) -> Floats:
    q, r = np.linalg.qr(rng.normal(size=(n, dim, dim)))
    # without the signs the decomposition's own convention would favour some maps (Mezzadri 2007)
    return np.asarray(q * np.sign(np.einsum("sii->si", r))[:, None, :])
