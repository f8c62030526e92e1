"""Orthogonal maps between the latents of two sessions under which lagged covariances and third moments agree.

The loss has many minima on the orthogonal group, and the right map need not be the lowest: all distinct ones are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .anchors import Floats, Ints

if TYPE_CHECKING:
    from jaxtyping import Float

STARTS = 32
ITERATIONS = 60
DIFFERENT = 0.9  # two maps are one where trace(R S') / k is above this
MOST_MAPS = 8  # beyond, minima are too shallow to be the right one


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

    def rotate(self, rotation: Floats) -> Signature:
        """Return the moments of ``z @ rotation``."""
        return Signature(
            np.einsum("lij,ia,jb->lab", self.covariance, rotation, rotation, optimize=True),
            np.einsum("lijk,ia,jb,kc->labc", self.third, rotation, rotation, rotation, optimize=True),
        )


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


def average_signatures(signatures: Sequence[Signature]) -> Signature:
    """Average the moments of several sessions whose latents have common axes."""
    return Signature(
        np.mean([one.covariance for one in signatures], axis=0), np.mean([one.third for one in signatures], axis=0)
    )


def list_matches(one: Signature, other: Signature, rng: np.random.Generator) -> list[Floats]:
    """List the orthogonal maps R, from the best on, for which ``z_other @ R`` has about the moments of ``z_one``.

    Returns
    -------
    list of array, shape (latent, latent)
        Distinct minima of the distance.
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
        # a step that fails is cut back, one that succeeds grows: no line search for all starts at once
        step = np.where(better, step * 1.3, step * 0.4)
        if step.max() < 1e-9:
            break
    found: list[Floats] = []
    for start in np.argsort(loss):
        # other starts that ended at the same map are no rivals of it
        if len(found) < MOST_MAPS and all(np.trace(maps[start] @ known) / dim < DIFFERENT for known in found):
            found.append(maps[start].T)
    return found


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
