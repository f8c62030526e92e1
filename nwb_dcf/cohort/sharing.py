"""Test whether conditions differ in a common way: conditions are permuted, products are of different trials.

The test concerns conditions and not dynamics: sessions whose conditions merely start alike are significant, whatever
moves them afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .anchors import Floats

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

LEVEL = 0.05
TIE = 1e-9  # of statistics that differ by rounding alone
LEAST_CONDITIONS = 3  # a permutation of two leaves their difference as it is


@dataclass(frozen=True)
class SharingTest:
    """Result of `compute_sharing_test`.

    Attributes
    ----------
    p : float
        Of the cohort: in some sessions conditions differ in a common way.
    p_session : array, shape (session,)
        Of each session against the sum of the others.
    floor, floor_session : float
        The smallest p that the permutations allow.
    similarity : array, shape (session, session)
        Correlation of two sessions' products of conditions.
    n_permutations : int
    """

    p: float
    p_session: Float[np.ndarray, " session"]
    floor: float
    floor_session: Floats
    similarity: Float[np.ndarray, "session session"]
    n_permutations: int

    @property
    def included(self) -> Bool[np.ndarray, " session"]:
        """Sessions that the axes are found with, shape (session,)."""
        # a session whose few conditions allow no small p is no evidence against itself
        sharing = (self.p_session <= LEVEL) | (self.floor_session > LEVEL)
        # one session makes no shared axes: what the test of the whole cohort has found stands for all then
        return sharing if self.p <= LEVEL and sharing.sum() >= 2 else np.ones(len(sharing), bool)


def compute_sharing_test(
    grams: Sequence[Floats],
    usable: Sequence[NDArray[np.bool_]],
    *,
    n_permutations: int = 199,
    rng: np.random.Generator,
) -> SharingTest:
    """Test whether conditions differ in a common way in several sessions.

    Parameters
    ----------
    grams : sequence of array, shape (condition, bin, condition, bin)
        As `nwb_dcf.cohort.anchors.compute_cross_trial_gram` gives them.
    usable : sequence of array of bool, shape (condition,)
        Conditions of each session that the test can use.
    n_permutations : int
        Permutations of the conditions; each session has its own.
    rng : numpy.random.Generator
        One for all sessions: with the same permutation in each, conditions would stay matched.

    Returns
    -------
    SharingTest

    Raises
    ------
    DataError
        If there are fewer than two sessions, or one has fewer than three usable conditions.

    Notes
    -----
    The time course common to all conditions is removed first: it is alike wherever trials begin with an event. The
    statistic of the cohort is the sum over pairs of sessions of the correlation of their Gram matrices, that of a
    session its product with the sum of the others.

    References
    ----------
    Phipson and Smyth, "Permutation p-values should never be zero", Statistical Applications in Genetics and Molecular
    Biology 2010.
    """
    if len(grams) < 2:
        raise DataError("one session has none to compare with", fix="give two sessions or more")
    fewest = min(int(known.sum()) for known in usable)
    if fewest < LEAST_CONDITIONS:
        raise DataError(
            f"a session has {fewest} conditions with two trials or more: there is nothing to permute below three",
            fix="use a column with more conditions",
        )
    # norm 1: a session with clear signals has no more weight than a noisy one
    blocks = np.stack([_normalise(gram, known) for gram, known in zip(grams, usable, strict=True)])
    total = blocks.sum(axis=0)
    statistic, own = _score(total, blocks)
    # counting from 1: the data themselves are one of the permutations (Phipson and Smyth)
    above, above_session = 1, np.ones(len(blocks))
    for _ in range(n_permutations):
        # each session by itself, and trials stay with their condition: noise and time course are those of the data
        permuted = np.stack([_permute(block, known, rng) for block, known in zip(blocks, usable, strict=True)])
        above += _score(permuted.sum(axis=0), permuted)[0] >= statistic - TIE
        # the session permuted against the others as they are
        products = np.einsum("sabij,sabij->s", permuted, total - blocks)
        above_session += products >= own - TIE
    counts = [math.factorial(int(known.sum())) for known in usable]
    least = 1 / (n_permutations + 1)
    # the first may stay: permuting all alike changes nothing, so that one session's permutations do not count
    distinct = math.prod(counts[1:])
    return SharingTest(
        p=above / (n_permutations + 1),
        p_session=above_session / (n_permutations + 1),
        floor=max(least, 1 / distinct),
        floor_session=np.maximum(least, 1 / np.array(counts, np.float64)),
        similarity=np.einsum("sabij,tabij->st", blocks, blocks, optimize=True),
        n_permutations=n_permutations,
    )


def _normalise(gram: Floats, usable: NDArray[np.bool_]) -> Float[np.ndarray, "condition condition bin bin"]:
    """Remove the mean over the usable conditions and divide by the norm: (condition, condition, bin, bin)."""
    n = len(usable)
    # the mean over conditions is taken off both indices: the common time course, large in every session, is gone
    centring = np.diag(usable.astype(np.float64)) - np.outer(usable, usable) / usable.sum()
    blocks = np.einsum("ac,citj,tb->abij", centring, gram, centring, optimize=True)
    norm = np.linalg.norm(blocks)
    if not norm > 0:
        raise DataError(f"nothing differs between {n} conditions")
    return np.asarray(blocks / norm)


def _permute(block: Floats, usable: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Exchange usable conditions at random."""
    order = np.arange(len(usable))
    order[usable] = rng.permutation(order[usable])
    return np.asarray(block[order][:, order])


def _score(total: Floats, blocks: Floats) -> tuple[float, Floats]:
    """Compute the sum over pairs of sessions, and the product of each with the sum of the others."""
    squares = np.einsum("sabij,sabij->s", blocks, blocks)
    own = np.einsum("sabij,abij->s", blocks, total) - squares
    return float(own.sum()), own
