"""Stability of the axes: on resampled trials, and on disjoint sets of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .anchors import AlignedFrames, compute_condition_means, compute_gram, scale_means
from .axes import GramSum, compare_axes, fit_axes

if TYPE_CHECKING:
    from jaxtyping import Float

REPEATS = 10
FRACTION = 0.8  # of the trials of each condition
LEAST_SESSIONS = 4  # two disjoint sets of two


def draw_trials(frames: AlignedFrames, fraction: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a fraction of the trials of each condition, one at least, without replacement."""
    drawn: list[int] = []
    for condition in range(frames.n_conditions):
        trials = np.unique(frames.trial[(frames.condition == condition) & (frames.bin >= 0)])
        if len(trials):
            # without replacement: a trial that is drawn twice would put its noise into the diagonal
            drawn += rng.permutation(trials)[: max(1, round(fraction * len(trials)))].tolist()
    return np.array(sorted(drawn), np.int64)


class TrialResampling:
    """Axes of two draws of the trials of all sessions, repeated: sessions are added one by one.

    Parameters
    ----------
    n_conditions, n_bins : int
    n_repeats : int
    fraction : float
        Of the trials of each condition that a draw takes.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        n_conditions: int,
        n_bins: int,
        *,
        rng: np.random.Generator,
        n_repeats: int = REPEATS,
        fraction: float = FRACTION,
    ) -> None:
        self.pairs = [(GramSum(n_conditions, n_bins), GramSum(n_conditions, n_bins)) for _ in range(n_repeats)]
        self.rng, self.fraction = rng, fraction

    def add(self, frames: AlignedFrames) -> None:
        """Draw trials of a session for every repeat."""
        for pair in self.pairs:
            # two draws of the same trials, compared with each other and not with the whole, which holds both
            for grams in pair:
                drawn = frames.select_trials(draw_trials(frames, self.fraction, self.rng))
                grams.add(compute_gram(scale_means(compute_condition_means(drawn))))

    def compare(self, dim: int) -> Float[np.ndarray, "repeat latent"]:
        """Return the absolute correlation of axes of the same rank, shape (repeat, latent)."""
        return np.array([compare_axes(fit_axes(one, dim), fit_axes(other, dim)) for one, other in self.pairs])


def resample_sessions(
    grams: Sequence[NDArray[np.floating]],
    n_conditions: int,
    n_bins: int,
    dim: int,
    *,
    rng: np.random.Generator,
    n_repeats: int = REPEATS,
) -> Float[np.ndarray, "repeat latent"] | None:
    """Correlate the axes of two disjoint halves of the sessions.

    Parameters
    ----------
    grams : sequence of array
        Of each session, as `nwb_dcf.cohort.anchors.compute_gram` gives them.
    n_conditions, n_bins, dim : int
        Sizes of the anchors, and number of latents.
    rng : numpy.random.Generator
    n_repeats : int

    Returns
    -------
    array, shape (repeat, latent), or None
        Absolute correlation of axes of the same rank; None with fewer than four sessions, or where no division has
        every condition in both halves.
    """
    n = len(grams)
    if n < LEAST_SESSIONS:
        return None
    found = []
    for _ in range(n_repeats):
        # disjoint: sessions in both halves would make axes agree by construction
        order = rng.permutation(n)
        one, other = (
            GramSum(n_conditions, n_bins, (grams[i] for i in part)) for part in (order[: n // 2], order[n // 2 :])
        )
        if (one.seen_by > 0).all() and (other.seen_by > 0).all():
            found.append(compare_axes(fit_axes(one, dim), fit_axes(other, dim)))
    return np.array(found) if found else None
