"""What one half of the channels shares with the other half, direction by direction, on held-out blocks.

Noise and signals of a single channel are in one half alone, so the covariance between the halves holds what
channels share and nothing else. Its singular vectors on training blocks are directions; the covariance along
them on held-out blocks is what they share (shared variance component analysis: Stringer et al. 2019, Science
364, eaav7893).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import ndtr

N_HALVINGS = 5
N_FOLDS = 5
N_FLIPS = 999
N_SHIFTS = 24
FIRST_SHIFT = 0.1  # of the recording: nearer than that, slow signals still know each other
AXES = 48  # principal axes of each half, so that a thousand channels cost no more than a hundred
FUNCTION_FRAMES = 4_000
FUNCTION_FOLDS = 2
RIDGE = 1e-2


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

    first: np.ndarray
    second: np.ndarray
    shared: np.ndarray


@dataclass(frozen=True)
class HalvedRecording:
    """Frames of a recording in blocks, divided several times in random halves of the channels.

    Attributes
    ----------
    halvings : list of _Halving
    block : array of int, shape (frame,)
        Block of each frame: the trials, or equal pieces of a long recording.
    fold : array of int, shape (block,)
        Fold of each block; folds are contiguous, so that slow changes are not in training and test alike.
    directions : list of list of (array, array)
        Left and right singular vectors (axis, component) for each halving and fold, largest shared covariance first.
    gain : array, shape (block, component)
        Covariance between the halves along each pair of directions on the blocks that were held out, summed
        over the frames of a block and averaged over halvings.

    References
    ----------
    Stringer et al. 2019, "Spontaneous behaviors drive multidimensional, brainwide activity", Science 364.
    """

    halvings: list[_Halving]
    block: np.ndarray
    fold: np.ndarray
    directions: list[list[tuple[np.ndarray, np.ndarray]]]
    gain: np.ndarray
    seed: int

    @classmethod
    def divide(cls, x: np.ndarray, block: np.ndarray, *, most: int, seed: int) -> Self:
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
        fold = np.arange(n_blocks) * N_FOLDS // n_blocks
        halvings, directions, gain = [], [], np.zeros((n_blocks, most))
        for _ in range(N_HALVINGS):
            order = rng.permutation(n_channels)
            first, second = (_find_scores(centred[:, half]) for half in np.array_split(order, 2))
            halving = _Halving(first, second, _sum_products(first, second, block))
            found = [_find_directions(halving.shared[fold != f].sum(axis=0), most) for f in range(N_FOLDS)]
            for f, (left, right) in enumerate(found):
                gain[fold == f] += _measure_gain(halving.shared[fold == f], left, right) / N_HALVINGS
            halvings.append(halving)
            directions.append(found)
        return cls(halvings, np.asarray(block), fold, directions, gain, seed)

    def flip_signs(self, component: int) -> float:
        """Probability of so large a gain if its sign were random in every block (one-sided).

        For blocks that are trials: under no shared dimension the gain of a trial is as often below zero.
        """
        gain = self.gain[:, component]
        signs = np.random.default_rng([self.seed, component]).choice([-1.0, 1.0], (N_FLIPS, len(gain)))
        return float((1 + (signs @ gain >= gain.sum()).sum()) / (N_FLIPS + 1))

    def shift_halves(self, component: int) -> float:
        """Probability of so large a gain between halves shifted in time against each other (one-sided).

        For equal blocks of a long recording, whose gains are not independent where signals are slow. The
        components before are taken out of both halves first; then the second half is moved round by so many
        blocks, and the best direction found anew. The gains of all shifts give a normal distribution.
        """
        null = np.zeros(len(self._shifted[0]))
        for moved, found in zip(self._shifted, self.directions, strict=True):
            for f, (left, right) in enumerate(found):
                rest = _remove(moved, left[:, :component], right[:, :component])
                held_out = rest[:, f]
                top = np.linalg.svd(rest.sum(axis=1) - held_out)
                null += np.einsum("sd,sde,se->s", top.U[:, :, 0], held_out, top.Vh[:, 0]) / len(self.halvings)
        spread = null.std(ddof=1)
        excess = self.gain[:, component].sum() - null.mean()
        return float(ndtr(-excess / spread)) if spread > 0 else 1.0

    @cached_property
    def _shifted(self) -> list[np.ndarray]:
        """Products between the halves in each fold, one of them moved round: (shift, fold, axis, axis)."""
        n_blocks, length = len(self.gain), len(self.block) // len(self.gain)
        least = max(1, round(FIRST_SHIFT * n_blocks))
        shifts = np.unique(np.linspace(least, n_blocks - least, N_SHIFTS).round().astype(int))
        fold = self.fold[self.block]
        return [
            np.stack([_sum_products(h.first, np.roll(h.second, -shift * length, axis=0), fold) for shift in shifts])
            for h in self.halvings
        ]

    def measure_dependence(self, component: int) -> float:
        """Share of what a component has in common that is a quadratic function of the components before it.

        Each half's coordinate is predicted on held-out blocks from the *other* half's earlier coordinates,
        their squares and products. 0: a direction of its own; near 1: a curve of the earlier ones, as the
        exponential of a rate adds, not a dimension. Earlier curves are among them, so that a ring's harmonics,
        each a product of lower ones, are all known. Noise in the coordinates makes the share too small, by
        about half where they are as reliable as 0.7.
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
                for source, target in (ends, ends[::-1]):
                    features, y = _expand_quadratic(source[:, :-1]), target[:, -1]
                    predicted = _predict_by_ridge(features[~test], y[~test], features[test])
                    explained += float(np.sum((predicted - predicted.mean()) * y[test])) / 2
                a, b = (end[test, -1] for end in ends)
                shared += float(np.sum((a - a.mean()) * b))
        return explained / shared if shared > 0 else 0.0


def _find_scores(half: np.ndarray) -> np.ndarray:
    """Coordinates of centred frames (frame, channel) on their leading principal axes, at most `AXES`."""
    if half.shape[1] <= AXES:
        return np.ascontiguousarray(half)
    axes = np.linalg.eigh(half.T @ half)[1][:, : -AXES - 1 : -1]
    return np.asarray(half @ axes)


def _sum_products(first: np.ndarray, second: np.ndarray, block: np.ndarray) -> np.ndarray:
    edges = np.searchsorted(block, np.arange(block[-1] + 2))
    return np.stack([first[a:b].T @ second[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)])


def _find_directions(covariance: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    left, _, right = np.linalg.svd(covariance, full_matrices=False)
    return left[:, :most], right[:most].T


def _measure_gain(shared: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Covariance along pairs of directions: (block, axis, axis) to (block, component)."""
    return np.asarray(np.sum((shared @ right) * left, axis=1))


def _remove(shared: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    rest = shared - left @ (left.T @ shared)
    return np.asarray(rest - (rest @ right) @ right.T)


def _expand_quadratic(z: np.ndarray) -> np.ndarray:
    i, j = np.triu_indices(z.shape[1])
    return np.hstack([z, z[:, i] * z[:, j]])


def _predict_by_ridge(features: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    mean, spread, level = features.mean(axis=0), features.std(axis=0), y.mean()
    z = (features - mean) / spread
    weight = np.linalg.solve(z.T @ z + RIDGE * len(z) * np.eye(z.shape[1]), z.T @ (y - level))
    return np.asarray(level + (test - mean) / spread @ weight)
