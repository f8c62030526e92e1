"""Velocity fields in the shared space, quadratic in the latents, and a test whether sessions have the same field.

The fields are fitted to means over trials of each condition, and scored on means of other trials. One-step predictions
of single trials are as good without a shared field, since smoothed data predict themselves: they are no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .anchors import AlignedFrames, Floats, compute_condition_means

if TYPE_CHECKING:
    from jaxtyping import Float, Int

RIDGE = 1e-2  # in units of the mean square of the features
SHARED_RATIO = 0.9  # at least this much of a session's own field: the dynamics are shared
DIFFERENT_RATIO = 0.7  # less than this: they differ
LEAST_OWN = 0.3  # R2, below which the own field of a session is too noisy to compare with


@dataclass(frozen=True)
class Paths:
    """States and their velocities on the mean path of each condition.

    Attributes
    ----------
    state, velocity : array, shape (point, latent)
        Velocity in latent units per bin.
    where : array of int, shape (point,)
        Anchor of each point: condition * n_bins + bin.
    """

    state: Float[np.ndarray, "point latent"]
    velocity: Float[np.ndarray, "point latent"]
    where: Int[np.ndarray, " point"]


@dataclass(frozen=True)
class QuadraticField:
    """v(z), a polynomial of second degree.

    Attributes
    ----------
    weights : array, shape (feature, latent)
    centre, scale : array, shape (latent,)
        By which states are standardised first.
    """

    weights: Float[np.ndarray, "feature latent"]
    centre: Float[np.ndarray, " latent"]
    scale: Float[np.ndarray, " latent"]

    def __call__(self, state: Floats) -> Float[np.ndarray, "point latent"]:
        """Return the velocity at each state, shape (point, latent), latent units per bin."""
        return np.asarray(_expand((state - self.centre) / self.scale) @ self.weights)


def compute_paths(latents: Float[np.ndarray, "frame latent"], frames: AlignedFrames) -> Paths:
    """Compute the mean path of each condition and its velocity by central differences.

    Parameters
    ----------
    latents : array, shape (frame, latent)
    frames : AlignedFrames
        Whose conditions and bins are those of the latents.
    """
    return find_paths(compute_condition_means(frames.with_values(latents)).means)


def halve_paths(
    latents: Float[np.ndarray, "frame latent"], frames: AlignedFrames, rng: np.random.Generator
) -> tuple[Paths, Paths]:
    """Compute the mean paths of two halves of the trials of each condition."""
    read = frames.with_values(np.asarray(latents, np.float64))
    first: list[int] = []
    for condition in range(frames.n_conditions):
        trials = rng.permutation(np.unique(frames.trial[frames.condition == condition]))
        # an odd trial goes to either half by chance: always the same half would be the better one
        first += trials[: (len(trials) + int(rng.integers(2))) // 2].tolist()
    rest = np.setdiff1d(np.unique(frames.trial), first)
    one, other = read.select_trials(np.array(first, np.int64)), read.select_trials(rest)
    return compute_paths(one.values, one), compute_paths(other.values, other)


def find_paths(means: Float[np.ndarray, "condition bin latent"]) -> Paths:
    """Find states and velocities on mean latents; a point is left out where a mean beside it is NaN."""
    n_conditions, n_bins = means.shape[:2]
    # of means: differences of single trials are mostly noise; the first and last bin have no neighbour on one side
    velocity = (means[:, 2:] - means[:, :-2]) / 2
    state = means[:, 1:-1]
    # conditions that a session lacks are NaN
    known = np.isfinite(velocity).all(axis=2) & np.isfinite(state).all(axis=2)
    where = (np.arange(n_conditions)[:, None] * n_bins + np.arange(1, n_bins - 1))[known]
    return Paths(state[known], velocity[known], where)


def fit_field(paths: Sequence[Paths], *, ridge: float = RIDGE) -> QuadraticField:
    """Fit one field to the paths of one or more sessions by ridge regression."""
    state = np.concatenate([path.state for path in paths])
    if len(state) == 0:
        raise DataError("no condition has means in three successive bins", fix="choose a longer window")
    velocity = np.concatenate([path.velocity for path in paths])
    centre, scale = state.mean(axis=0), state.std(axis=0)
    # standardised, so that one penalty suits latents of different variance and their products
    scale = np.where(scale > 0, scale, 1.0)
    features = _expand((state - centre) / scale)
    penalty = ridge * len(features) * np.eye(features.shape[1])
    # the constant is not shrunk: fields may have a drift
    penalty[0, 0] = 0
    return QuadraticField(np.linalg.solve(features.T @ features + penalty, features.T @ velocity), centre, scale)


def score_field(field: QuadraticField, paths: Paths) -> float:
    """Compute R2 of the velocities on paths that the field was not fitted to, against their mean velocity."""
    error = np.square(paths.velocity - field(paths.state)).sum()
    total = np.square(paths.velocity - paths.velocity.mean(axis=0)).sum()
    return float(1 - error / total) if total > 0 else float("nan")


@dataclass(frozen=True)
class SharedDynamics:
    """R2 of the field of the other sessions in each session, and of its own field.

    Attributes
    ----------
    own, shared : array, shape (session,)
        R2 of velocities on mean paths of held-out trials; NaN where half of the trials has no path.
    """

    own: Float[np.ndarray, " session"]
    shared: Float[np.ndarray, " session"]

    @property
    def ratio(self) -> float:
        """Median over sessions of shared over own R2; NaN where the own field of every session is too noisy."""
        able = self.own >= LEAST_OWN
        return float(np.median(self.shared[able] / self.own[able])) if able.any() else float("nan")

    @property
    def verdict(self) -> str:
        """``"shared"``, ``"different"`` or ``"cannot tell"``."""
        if not (np.isfinite(self.own).any() and np.nanmedian(self.own) >= LEAST_OWN):
            return "cannot tell"
        if self.ratio >= SHARED_RATIO:
            return "shared"
        return "different" if self.ratio < DIFFERENT_RATIO else "cannot tell"


def compare_dynamics(halves: Sequence[tuple[Paths, Paths]]) -> SharedDynamics:
    """Score each session's own field and that of the others on half of its trials.

    Parameters
    ----------
    halves : sequence of pairs of Paths
        Of each session the paths of one half of its trials and of the other. Each half is tested once.

    Returns
    -------
    SharedDynamics
    """
    own: list[float] = []
    shared: list[float] = []
    for i, pair in enumerate(halves):
        rest = [path for j, other in enumerate(halves) if j != i for path in other]
        # of one trial a condition the other half has none
        if min(len(path.state) for path in pair) == 0 or not any(len(path.state) for path in rest):
            own.append(float("nan"))
            shared.append(float("nan"))
            continue
        # all trials of the others: they know nothing of this session whichever half they are from
        others = fit_field(rest)
        # its own field is learned from half as many trials as there are, which favours the others a little
        own.append(sum(score_field(fit_field([pair[1 - k]]), pair[k]) for k in (0, 1)) / 2)
        shared.append(sum(score_field(others, pair[k]) for k in (0, 1)) / 2)
    return SharedDynamics(np.array(own), np.array(shared))


def _expand(state: Floats) -> Floats:
    """Return the features: 1, each latent, and each product of two."""
    first, second = np.triu_indices(state.shape[1])
    return np.column_stack([np.ones(len(state)), state, state[:, first] * state[:, second]])
