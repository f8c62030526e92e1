"""Variance shared between two halves of the channels, direction by direction, on held-out blocks.

Noise and signals of a single channel are in one half alone, so that the covariance between the halves holds only
shared variance. Its singular vectors on training blocks are directions; the covariance along them on held-out blocks
is the shared variance of each (shared variance component analysis: Stringer et al. 2019, Science 364, eaav7893).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.special import ndtr

from .ridge import predict_by_ridge

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real

N_HALVINGS = 5  # averaged: which channels are in one half is chance
N_FOLDS = 5
N_FLIPS = 999  # the smallest p is 0.001
N_SHIFTS = 24
FIRST_SHIFT = 0.1  # of the recording: at smaller shifts slow signals are still correlated
AXES = 48  # principal axes of each half, so that a thousand channels cost no more than a hundred
FUNCTION_FRAMES = 4_000
FUNCTION_FOLDS = 2
RIDGE = 1e-2  # of a feature's mean square: ten earlier components make 65 features


@dataclass(frozen=True)
class _Halving:
    """One division of the channels in halves.

    Attributes
    ----------
    first, second : array, shapes (frame, axis)
        Principal coordinates of the two halves.
    shared : array, shape (block, axis, axis)
        Sums of products between the halves over the frames of each block.
    """

    first: Float[np.ndarray, "frame _first"]
    second: Float[np.ndarray, "frame _second"]
    shared: Float[np.ndarray, "block _first _second"]


@dataclass(frozen=True)
class HalvedRecording:
    """Frames of a recording in blocks, with several random divisions of the channels in halves.

    Attributes
    ----------
    halvings : list of _Halving
    block : array of int, shape (frame,)
        Block of each frame: the trials, or equal intervals of a long recording.
    fold : array of int, shape (block,)
        Fold of each block; folds are contiguous, so that slow changes are not in training and test alike.
    directions : list of list of (array, array)
        Left and right singular vectors (axis, component) for each halving and fold, largest shared covariance first.
    gain : array, shape (block, component)
        Covariance between the halves along each pair of directions on the blocks that were held out, summed
        over the frames of a block and averaged over halvings.
    seed : int
        Of halves and of sign flips.

    References
    ----------
    Stringer et al. 2019, "Spontaneous behaviors drive multidimensional, brainwide activity", Science 364.
    """

    halvings: list[_Halving]
    block: Int[np.ndarray, " frame"]
    fold: Int[np.ndarray, " block"]
    directions: list[list[tuple[Float[np.ndarray, "_axis component"], Float[np.ndarray, "_axis component"]]]]
    gain: Float[np.ndarray, "block component"]
    seed: int

    @classmethod
    def divide(
        cls, x: Real[np.ndarray, "frame channel"], block: Int[np.ndarray, " frame"], *, most: int, seed: int
    ) -> Self:
        """Divide frames `x` (frame, channel), whose `block` is 0, 1, 2, ..., and measure `most` components.

        Examples
        --------
        >>> import numpy as np
        >>> t = np.linspace(0, 60, 1000)
        >>> x = np.sin(t)[:, None] + 0.1 * np.random.default_rng(0).standard_normal((1000, 10))
        >>> halved = HalvedRecording.divide(x, np.arange(1000) // 25, most=3, seed=0)
        >>> halved.gain.sum(axis=0).argmax()
        np.int64(0)
        """
        rng = np.random.default_rng(seed)
        centred = np.asarray(x, np.float64) - x.mean(axis=0, dtype=np.float64)
        n_channels, n_blocks = x.shape[1], int(block[-1]) + 1
        most = min(most, n_channels // 2)
        # contiguous folds: slow drift is not in training and test alike
        fold = np.arange(n_blocks) * N_FOLDS // n_blocks
        halvings, directions, gain = [], [], np.zeros((n_blocks, most))
        # one halving may put both channels of a pair in the same half: several are averaged
        for _ in range(N_HALVINGS):
            order = rng.permutation(n_channels)
            first, second = (_compute_scores(centred[:, half]) for half in np.array_split(order, 2))
            halving = _Halving(first, second, _sum_products(first, second, block))
            found = [_compute_directions(halving.shared[fold != f].sum(axis=0), most) for f in range(N_FOLDS)]
            for f, (left, right) in enumerate(found):
                gain[fold == f] += _measure_gain(halving.shared[fold == f], left, right) / N_HALVINGS
            halvings.append(halving)
            directions.append(found)
        return cls(halvings, np.asarray(block), fold, directions, gain, seed)

    def flip_signs(self, component: int) -> float:
        """Compute the probability of a gain this large if its sign were random in every block (one-sided).

        For blocks that are trials: without a shared dimension the gain of a trial is as often below zero.
        """
        gain = self.gain[:, component]
        signs = np.random.default_rng([self.seed, component]).choice([-1.0, 1.0], (N_FLIPS, len(gain)))
        # the observed signs count among the flips, so that p is never 0
        return float((1 + (signs @ gain >= gain.sum()).sum()) / (N_FLIPS + 1))

    def shift_halves(self, component: int) -> float:
        """Compute the probability of a gain this large between halves shifted against each other (one-sided).

        For equal blocks of a long recording, whose gains are not independent where signals are slow. The earlier
        components are removed from both halves; then the second half is rotated in time by whole blocks, and the best
        direction is computed anew. The gains of all shifts give a normal distribution.
        """
        # halves stay as they are; only their alignment in time is broken
        null = np.zeros(len(self._shifted[0]))
        for moved, found in zip(self._shifted, self.directions, strict=True):
            for f, (left, right) in enumerate(found):
                rest = _remove(moved, left[:, :component], right[:, :component])
                held_out = rest[:, f]
                top = np.linalg.svd(rest.sum(axis=1) - held_out)
                # the best direction of each shift is scored on its held-out fold, as the gain itself was
                null += np.einsum("sd,sde,se->s", top.U[:, :, 0], held_out, top.Vh[:, 0]) / len(self.halvings)
        deviation = null.std(ddof=1)
        excess = self.gain[:, component].sum() - null.mean()
        return float(ndtr(-excess / deviation)) if deviation > 0 else 1.0

    @cached_property
    def _shifted(self) -> list[Float[np.ndarray, "shift fold _first _second"]]:
        """Products between the halves in each fold, the second half rotated in time, for each halving."""
        n_blocks, length = len(self.gain), len(self.block) // len(self.gain)
        least = max(1, round(FIRST_SHIFT * n_blocks))
        shifts = np.unique(np.linspace(least, n_blocks - least, N_SHIFTS).round().astype(int))
        fold = self.fold[self.block]
        return [
            np.stack([_sum_products(h.first, np.roll(h.second, -shift * length, axis=0), fold) for shift in shifts])
            for h in self.halvings
        ]

    def measure_dependence(self, component: int) -> float:
        """Compute the fraction of a component's shared variance that is a quadratic function of earlier components.

        Each half's coordinate is predicted on held-out blocks from the *other* half's earlier coordinates,
        their squares and products. 0: an independent direction; near 1: a curve of the earlier ones, as the
        exponential of a rate adds, not a dimension. Earlier curves are among the predictors: a ring's harmonics are
        products of lower ones, so that all are predicted. Noise in the coordinates biases the fraction down, by
        about half at a reliability of 0.7.
        """
        if component == 0:
            return 0.0
        some = np.unique(np.linspace(0, len(self.block) - 1, FUNCTION_FRAMES).astype(int))
        fold = self.fold[self.block[some]]
        explained = shared = 0.0
        for halving, found in zip(self.halvings, self.directions, strict=True):
            for f, (left, right) in enumerate(found[:FUNCTION_FOLDS]):
                columns, test = slice(component + 1), fold == f
                ends = halving.first[some] @ left[:, columns], halving.second[some] @ right[:, columns]
                # predicted from the other half, whose noise is independent
                for source, target in (ends, ends[::-1]):
                    features, y = _expand_quadratic(source[:, :-1]), target[:, -1]
                    predicted = _predict(features[~test], y[~test], features[test])
                    # a covariance with the noisy coordinate and no square of it: noise adds nothing in the mean
                    explained += float(np.sum((predicted - predicted.mean()) * y[test])) / 2
                a, b = (end[test, -1] for end in ends)
                shared += float(np.sum((a - a.mean()) * b))
        return explained / shared if shared > 0 else 0.0


def _compute_scores(half: Float[np.ndarray, "frame channel"]) -> Float[np.ndarray, "frame axis"]:
    """Coordinates of centred frames on their leading principal axes, at most `AXES`."""
    # few channels need no reduction
    if half.shape[1] <= AXES:
        return np.ascontiguousarray(half)
    axes = np.linalg.eigh(half.T @ half)[1][:, : -AXES - 1 : -1]
    return np.asarray(half @ axes)


def _sum_products(
    first: Float[np.ndarray, "frame first"], second: Float[np.ndarray, "frame second"], block: Int[np.ndarray, " frame"]
) -> Float[np.ndarray, "block first second"]:
    edges = np.searchsorted(block, np.arange(block[-1] + 2))
    return np.stack([first[a:b].T @ second[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)])


def _compute_directions(
    covariance: Float[np.ndarray, "first second"], most: int
) -> tuple[Float[np.ndarray, "first component"], Float[np.ndarray, "second component"]]:
    left, _, right = np.linalg.svd(covariance, full_matrices=False)
    return left[:, :most], right[:most].T


def _measure_gain(
    shared: Float[np.ndarray, "block first second"],
    left: Float[np.ndarray, "first component"],
    right: Float[np.ndarray, "second component"],
) -> Float[np.ndarray, "block component"]:
    """Covariance along pairs of directions."""
    return np.asarray(np.sum((shared @ right) * left, axis=1))


def _remove(
    shared: Float[np.ndarray, "*any first second"],
    left: Float[np.ndarray, "first component"],
    right: Float[np.ndarray, "second component"],
) -> Float[np.ndarray, "*any first second"]:
    """Project directions out of sums of products."""
    rest = shared - left @ (left.T @ shared)
    return np.asarray(rest - (rest @ right) @ right.T)


def _expand_quadratic(z: Float[np.ndarray, "frame component"]) -> Float[np.ndarray, "frame feature"]:
    i, j = np.triu_indices(z.shape[1])
    return np.hstack([z, z[:, i] * z[:, j]])


def _predict(
    features: Float[np.ndarray, "frame feature"],
    y: Float[np.ndarray, " frame"],
    test: Float[np.ndarray, "test feature"],
) -> Float[np.ndarray, " test"]:
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scaled = [(x - mean) / deviation for x in (features, test)]
    return predict_by_ridge(scaled[0], y[:, None], scaled[1], (RIDGE,))[0][:, 0]
