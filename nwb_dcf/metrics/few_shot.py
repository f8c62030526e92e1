"""Few-shot co-smoothing: left-out channels read from latents after a few segments of training, with and without each.

A latent that holds what channels have in common earns its place in the readout after a few segments. One that was
invented, or is noise, tells the readout nothing and costs it precision, the more the fewer the segments (Dabholkar and
Barak 2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .segment_sums import Over, SegmentSums, divide_frames, require_count, require_frames, require_labels

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real, Shaped

N_DRAWS = 40  # of few segments: which ones are drawn is chance
TINY = 1e-6  # of a feature's mean square: the readout is ordinary least squares, made regular


@dataclass(frozen=True)
class FewShot:
    """Squared errors of a readout that was learned on few segments, summed over channels and averaged over draws.

    Attributes
    ----------
    error : array, shape (segment,)
        With all latents.
    without : array, shape (latent, segment)
        Without one latent, the readout learned anew.
    total : array, shape (segment,)
        Squares about each channel's mean.
    over : {"segments", "blocks"}
    n_few, n_of : int
        Segments or blocks that a readout was learned on, and that there are in training.
    """

    error: Float[np.ndarray, " segment"]
    without: Float[np.ndarray, "latent segment"]
    total: Float[np.ndarray, " segment"]
    over: Over
    n_few: int
    n_of: int

    def __add__(self, other: FewShot) -> FewShot:
        """Add the errors of other channels on the same segments."""
        error, without, total = self.error + other.error, self.without + other.without, self.total + other.total
        return FewShot(error, without, total, self.over, self.n_few, self.n_of)

    @property
    def score(self) -> SegmentSums:
        """R2 with all latents."""
        return SegmentSums(self.total - self.error, self.total, self.over)

    @property
    def gains(self) -> list[SegmentSums]:
        """R2 that each latent adds to the others; below 0 where the readout is better without it."""
        return [SegmentSums(error - self.error, self.total, self.over) for error in self.without]


def score_few_shot(
    latents: Real[np.ndarray, "frame latent"],
    target: Real[np.ndarray, "frame channel"],
    segment: Shaped[np.ndarray, " frame"],
    test: Real[np.ndarray, "time latent"],
    test_target: Real[np.ndarray, "time channel"],
    test_segment: Shaped[np.ndarray, " time"],
    *,
    n_few: int,
    n_draws: int = N_DRAWS,
    each: bool = True,
    seed: int = 0,
) -> FewShot:
    """Learn a linear readout of channels on few training segments, many times, and score it on test frames.

    Parameters
    ----------
    latents, target, segment : array, shapes (frame, latent), (frame, channel), (frame,)
        Training frames. Latents are to be computed without the channels that are predicted.
    test, test_target, test_segment : array, shapes (time, latent), (time, channel), (time,)
    n_few : int
        Training segments, or blocks where there are fewer than five, of each draw.
    n_draws : int
    each : bool
        Whether to learn it without each latent, too.
    seed : int
        Which segments are drawn.

    Returns
    -------
    FewShot

    Raises
    ------
    DataError
        If shapes differ, values are not finite, or there are no `n_few` training segments.

    References
    ----------
    Dabholkar and Barak, "When predict can also explain: few-shot prediction to select better neural latents", PLOS
    Computational Biology 2025, pcbi.1013789.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> state = rng.normal(size=(400, 1))
    >>> z, y = np.hstack([state, rng.normal(size=(400, 1))]), state @ np.ones((1, 5)) + rng.normal(size=(400, 5))
    >>> trial = np.arange(400) // 10
    >>> few = score_few_shot(z, y, trial, z, y, trial, n_few=2)
    >>> [gain.value > 0 for gain in few.gains]
    [True, False]
    """
    require_frames(latents=latents, target=target)
    require_frames(test=test, test_target=test_target)
    require_labels(segment, len(latents))
    require_labels(test_segment, len(test))
    require_count("n_few", n_few, 1)
    learned, tested = divide_frames(segment), divide_frames(test_segment)
    if n_few > learned.n:
        raise DataError(f"there are {learned.n} training {learned.over}", fix=f"give n_few up to {learned.n}")
    mean = np.asarray(target, np.float64).mean(axis=0)
    centred = [np.asarray(y, np.float64) - mean for y in (target, test_target)]
    gram, cross, _ = _sum_products(latents, centred[0], learned.list_frames())
    test_gram, test_cross, square = _sum_products(test, centred[1], tested.list_frames())
    n_features = gram.shape[1]
    every = np.arange(n_features)
    # all latents, then all but one; the constant stands first and stays
    subsets = [every, *(np.delete(every, i) for i in range(1, n_features) if each)]
    error = np.zeros((len(subsets), tested.n))
    rng = np.random.default_rng(seed)
    for _ in range(n_draws):
        drawn = rng.choice(learned.n, n_few, replace=False)
        g, c = gram[drawn].sum(axis=0), cross[drawn].sum(axis=0)
        for i, kept in enumerate(subsets):
            inside = np.ix_(kept, kept)
            ridge = TINY * np.trace(g[inside]) / len(kept) * np.eye(len(kept))
            weights = np.linalg.solve(g[inside] + ridge, c[kept])
            # SSE = y'y - 2 w'Z'y + w'Z'Zw, from sums of products alone: no prediction is formed
            explained = 2 * np.einsum("gfc,fc->g", test_cross[:, kept], weights)
            quadratic = np.einsum("gef,ef->g", test_gram[:, kept][:, :, kept], weights @ weights.T)
            error[i] += (square - explained + quadratic) / n_draws
    about = centred[1] - centred[1].mean(axis=0)
    total = tested.add_up(np.square(about).sum(axis=1))
    return FewShot(error[0], error[1:], total, tested.over, n_few, learned.n)


def _sum_products(
    latents: Real[np.ndarray, "frame latent"],
    target: Float[np.ndarray, "frame channel"],
    groups: list[Int[np.ndarray, " _frame"]],
) -> tuple[
    Float[np.ndarray, "group feature feature"], Float[np.ndarray, "group feature channel"], Float[np.ndarray, " group"]
]:
    """Sums of products of a constant and latents with themselves and with targets, and of squared targets."""
    z = np.column_stack([np.ones(len(latents)), np.asarray(latents, np.float64)])
    gram = np.stack([z[rows].T @ z[rows] for rows in groups])
    cross = np.stack([z[rows].T @ target[rows] for rows in groups])
    return gram, cross, np.array([np.square(target[rows]).sum() for rows in groups])
