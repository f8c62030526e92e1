"""Comparison of two groups: speed along the paths of the others, and the field as a whole; animals are permuted.

Speed is the more sensitive to dynamics that run faster or slower. A field that is turned is seen by the second test, a
permutational analysis of variance of the fields, and in part by speed too, since a turned path comes less far: the same
test of the fields divided by the animals' speeds tells these apart.
Couplings absorb part of a difference in speed, so that the ratio is 10 to 15 % too close to 1: a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .anchors import Floats
from .sharing import LEVEL
from .speed import measure_log_speeds
from .vector_field import find_paths, fit_field

if TYPE_CHECKING:
    from jaxtyping import Float

EXACT_LIMIT = 20_000  # divisions of the animals that are tried one by one; beyond, as many at random


@dataclass(frozen=True)
class GroupComparison:
    """Result of `compare_groups`.

    Attributes
    ----------
    groups : tuple of two str
    animals : tuple of str
    is_second : tuple of bool
        Whether an animal is of the second group.
    speed : array, shape (animal,)
        Of each animal along the paths of the others; 1 is as fast as all are in the mean.
    ratio : float
        Speed of the second group over that of the first: a lower bound of the difference.
    p_speed, p_field : float
    p_turned : float
        Of the fields divided by the animals' speeds: small where it is not, or not only, the speed that differs.
    floor : float
        The smallest p that this number of animals allows.
    n_divisions : int
        Ways to divide the animals that were compared.
    exact : bool
        Whether these are all there are.
    difference : array, shape (condition, bin)
        Distance between the mean fields of the groups at each anchor, latent units per bin.
    threshold : float
        The largest distance of any anchor exceeds it in 5 % of the divisions; NaN where the floor is above 5 %.
    """

    groups: tuple[str, str]
    animals: tuple[str, ...]
    is_second: tuple[bool, ...]
    speed: Float[np.ndarray, " animal"]
    ratio: float
    p_speed: float
    p_field: float
    p_turned: float
    floor: float
    n_divisions: int
    exact: bool
    difference: Float[np.ndarray, "condition bin"]
    threshold: float

    @property
    def can_tell(self) -> bool:
        """Whether the design allows a verdict at 5 %."""
        return self.floor <= LEVEL


def compare_groups(
    means: Float[np.ndarray, "session condition bin latent"],
    group: Sequence[str],
    animal: Sequence[str],
    anchors: Float[np.ndarray, "condition bin latent"],
    *,
    rng: np.random.Generator,
    exact_limit: int = EXACT_LIMIT,
) -> GroupComparison:
    """Compare two groups of animals.

    Parameters
    ----------
    means : array, shape (session, condition, bin, latent)
        Mean latents of each session; NaN where it has no trial.
    group, animal : sequence of str
        Of each session. Several sessions of one animal count once.
    anchors : array, shape (condition, bin, latent)
        Where the fields are compared.
    rng : numpy.random.Generator
        Of the divisions, where there are too many to try all.
    exact_limit : int
        Most divisions that are tried one by one.

    Returns
    -------
    GroupComparison

    Raises
    ------
    DataError
        If there are not two groups, an animal is in both, or a group has fewer than two animals.

    References
    ----------
    Anderson, "A new method for non-parametric multivariate analysis of variance", Austral Ecology 2001.
    """
    names = sorted(set(group))
    if len(names) != 2:
        raise DataError(f"{len(names)} groups: {', '.join(names[:5])}", fix="compare two")
    animals = sorted(set(animal))
    member = {name: {g for a, g in zip(animal, group, strict=True) if a == name} for name in animals}
    torn = [name for name, groups in member.items() if len(groups) > 1]
    if torn:
        raise DataError(f"animal {torn[0]} is in both groups", fix="give each animal one group")
    is_second = np.array([member[name] == {names[1]} for name in animals])
    if min(is_second.sum(), (~is_second).sum()) < 2:
        raise DataError("a group has one animal", fix="give two or more animals to each group")

    of = np.array([animals.index(name) for name in animal])
    # logarithms, so that twice as fast and half as fast are equally far from 1
    log_speed = _average(measure_log_speeds(means, of), of)
    points = anchors.reshape(-1, anchors.shape[2])
    fields = _average(np.stack([fit_field([find_paths(one)])(points) for one in means]), of)
    # animals and never frames are exchanged: frames of one animal are not independent
    divisions, exact = list_divisions(is_second, exact_limit, rng)
    counts = divisions.sum(axis=1)[:, None]
    n = len(animals)
    # absolute: which group would be faster was not known before
    gaps = np.abs((divisions * log_speed).sum(1) / counts[:, 0] - (~divisions * log_speed).sum(1) / (n - counts[:, 0]))
    # the couplings have left so much of a difference in speed in the fields as in the speeds
    shapes = fields / np.exp(log_speed)[:, None, None]
    flat = fields.reshape(n, -1)
    maps = np.stack([_compute_map(flat, division, points.shape) for division in divisions])
    floor = _compute_floor_of(is_second, exact, len(divisions))
    # the largest over all anchors of each division: a threshold that holds for the whole map at once
    largest = np.sort(maps.max(axis=1))
    threshold = float(largest[math.ceil((1 - LEVEL) * len(largest)) - 1]) if floor <= LEVEL else float("nan")
    gap = log_speed[is_second].mean() - log_speed[~is_second].mean()
    return GroupComparison(
        groups=(names[0], names[1]),
        animals=tuple(animals),
        is_second=tuple(is_second.tolist()),
        speed=np.exp(log_speed),
        ratio=float(np.exp(gap)),
        # the true division is the first, and counts: p is never 0
        p_speed=float(np.mean(gaps >= gaps[0] - _tie(gaps))),
        p_field=_compute_p_of_fields(fields, divisions),
        p_turned=_compute_p_of_fields(shapes, divisions),
        floor=floor,
        n_divisions=len(divisions),
        exact=exact,
        difference=maps[0].reshape(anchors.shape[:2]),
        threshold=threshold,
    )


def list_divisions(
    is_second: NDArray[np.bool_], exact_limit: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], bool]:
    """List the divisions of the animals into groups of these sizes, the true one first; whether these are all.

    Returns
    -------
    divisions : array of bool, shape (division, animal)
    exact : bool
    """
    n, k = len(is_second), int(is_second.sum())
    if math.comb(n, k) <= exact_limit:
        # all, where they can be counted out: then p is exact
        others = [row for row in _enumerate(n, k) if not np.array_equal(row, is_second)]
        return np.array([is_second, *others]), True
    drawn = np.array([rng.permutation(is_second) for _ in range(exact_limit - 1)])
    return np.concatenate([is_second[None], drawn]), False


def _enumerate(n: int, k: int) -> Iterator[NDArray[np.bool_]]:
    for chosen in combinations(range(n), k):
        row = np.zeros(n, bool)
        row[list(chosen)] = True
        yield row


def _compute_floor_of(is_second: NDArray[np.bool_], exact: bool, n_divisions: int) -> float:
    """Compute the smallest p: with equal groups the exchange of both is as extreme as the division itself."""
    twice = 2 if 2 * is_second.sum() == len(is_second) else 1
    return (twice if exact else 1) / n_divisions


def compute_floor(n_first: int, n_second: int) -> float:
    """Compute the smallest p of an exact test of two groups of these sizes.

    Examples
    --------
    >>> round(compute_floor(3, 3), 3), round(compute_floor(4, 4), 3)
    (0.1, 0.029)
    """
    return (2 if n_first == n_second else 1) / math.comb(n_first + n_second, n_first)


def _average(values: Floats, of: NDArray[np.integer]) -> Floats:
    """Average over the sessions of each animal."""
    return np.stack([values[of == animal].mean(axis=0) for animal in range(of.max() + 1)])


def _compute_p_of_fields(fields: Floats, divisions: NDArray[np.bool_]) -> float:
    """Compute p of a permutational analysis of variance of fields (animal, point, latent)."""
    # pseudo-F and the sum within groups order the divisions alike: the total is the same in all (Anderson 2001)
    squared = np.square(fields[:, None] - fields[None]).sum(axis=(2, 3))
    n_first = divisions.sum(axis=1)
    within = _sum_within(squared, divisions) / n_first
    within += _sum_within(squared, ~divisions) / (len(fields) - n_first)
    return float(np.mean(within <= within[0] + _tie(within)))


def _sum_within(squared: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Sum the squared distances over pairs inside the chosen animals, for each division."""
    rows = chosen.astype(np.float64)
    return np.asarray(np.einsum("di,ij,dj->d", rows, squared, rows, optimize=True) / 2)


def _compute_map(fields: Floats, division: NDArray[np.bool_], shape: tuple[int, ...]) -> Floats:
    gap = fields[division].mean(axis=0) - fields[~division].mean(axis=0)
    return np.asarray(np.linalg.norm(gap.reshape(shape), axis=1))


def _tie(values: Floats) -> float:
    """Return the distance below which statistics differ by rounding alone."""
    return float(1e-9 * max(1.0, np.abs(values).max()))
