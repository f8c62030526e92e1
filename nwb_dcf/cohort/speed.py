"""Speed of each session beside the others, by two measures of it: velocity at the same moment, and a factor of time.

Both compare mean paths with the mean path of all other animals. Velocities see how fast a session moves. The factor by
which time has to run for the path to go over into the others', after the best linear map, sees how far it comes, and
takes back a part of what the coupling has absorbed. Errors of the two differ, so that their mean is surer than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .anchors import Floats
from .vector_field import Paths

if TYPE_CHECKING:
    from jaxtyping import Float

LEAST_SPEED = 1e-3  # a session that runs against the others has no logarithm
TIME_FACTORS = np.exp(np.linspace(-0.7, 0.7, 71))  # half to twice as fast
LEAST_BINS = 4  # of the others' path that a factor must leave to compare with


def measure_speeds(
    paths: Sequence[Paths], animal: NDArray[np.integer], shape: tuple[int, int]
) -> Float[np.ndarray, " session"]:
    """Measure the speed of each session in units of that of all other animals.

    Parameters
    ----------
    paths : sequence of Paths
        Of each session.
    animal : array of int, shape (session,)
        An animal's other sessions are not compared with: it would be measured by itself.
    shape : (int, int)
        Number of conditions and of bins.

    Returns
    -------
    array, shape (session,)
        1 is as fast as they are.

    Raises
    ------
    DataError
        If a session has no anchor in common with other animals.
    """
    states, velocities = (np.stack([_fill_places(path, values, shape) for path, values in pairs]) for pairs in (
        [(path, path.state) for path in paths], [(path, path.velocity) for path in paths]
    ))  # fmt: skip
    speeds = np.empty(len(paths))
    for i in range(len(paths)):
        others = animal != animal[i]
        state, velocity = _average(states[others]), _average(velocities[others])
        by_velocity = _compare_velocities(velocities[i], velocity)
        speeds[i] = np.sqrt(by_velocity * find_time_factor(states[i], state))
    return speeds


def find_time_factor(own: Floats, others: Floats) -> float:
    """Find how many times as fast a path (condition, bin, latent) goes through the others', by the best linear map.

    Examples
    --------
    >>> time = np.linspace(0, 1, 20)
    >>> circle = lambda t: np.stack([np.cos(3 * t), np.sin(3 * t)], axis=-1)[None]
    >>> round(find_time_factor(circle(0.9 * time), circle(time)), 2)
    0.9
    """
    scores = np.array([_score_time_factor(own, others, factor) for factor in TIME_FACTORS])
    best = int(np.nanargmax(scores)) if np.isfinite(scores).any() else len(scores) // 2
    place = float(best)
    # a parabola through the three around the best: finer than the grid
    if 0 < best < len(scores) - 1 and np.isfinite(scores[best - 1 : best + 2]).all():
        before, here, after = scores[best - 1 : best + 2]
        bend = before + after - 2 * here
        place += (before - after) / (2 * bend) if bend < 0 else 0.0
    return float(np.exp(np.interp(place, np.arange(len(scores)), np.log(TIME_FACTORS))))


def _score_time_factor(own: Floats, others: Floats, factor: float) -> float:
    """R2 of the others' path at the times that the own one has come to, from the own states by a linear map."""
    n_bins = own.shape[1]
    at = np.arange(n_bins) * factor
    reached = at <= n_bins - 1
    low = np.minimum(at[reached].astype(int), n_bins - 2)
    weight = (at[reached] - low)[None, :, None]
    target = (1 - weight) * others[:, low] + weight * others[:, low + 1]
    source = own[:, reached]
    known = np.isfinite(target).all(axis=2) & np.isfinite(source).all(axis=2)
    # what is left of a path when most of it lies beyond the end fits at any factor
    if known.any(axis=0).sum() < LEAST_BINS:
        return float("nan")
    x, y = source[known] - source[known].mean(axis=0), target[known] - target[known].mean(axis=0)
    energy = np.square(y).sum()
    if not energy > 0:
        return float("nan")
    return float(1 - np.square(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).sum() / energy)


def _compare_velocities(own: Floats, others: Floats) -> float:
    known = np.isfinite(own).all(axis=2) & np.isfinite(others).all(axis=2)
    energy = np.square(others[known]).sum()
    if not energy > 0:
        raise DataError("a session has no anchor in common with other animals", fix="leave it out")
    # least squares through the origin: 1 where the session moves as the others do
    return max(LEAST_SPEED, float((own[known] * others[known]).sum() / energy))


def _fill_places(path: Paths, values: Floats, shape: tuple[int, int]) -> Float[np.ndarray, "condition bin latent"]:
    """Put the points of a path in their places; NaN where there is none."""
    filled = np.full((shape[0] * shape[1], values.shape[1]), np.nan)
    filled[path.where] = values
    # the first and last bin of a path have no velocity
    return filled.reshape(*shape, -1)[:, 1:-1]


def _average(values: Floats) -> Floats:
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis=0) / known.sum(axis=0))
