"""Speed of each session: how fast time runs along the mean paths of the other animals for them to be its own.

A session's mean path is taken to be the others' at the times ``t + a + d t``, after a linear map of its own: ``1 + d``
is its speed. The delay ``a`` keeps a session that only begins later from looking slow. The others' paths are the
regressors and its own, with the noise of its few trials, what is explained: noise in what is explained makes the
speed less sure but moves it to neither side, where velocities along a field at noisy states would look slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .anchors import Floats

if TYPE_CHECKING:
    from jaxtyping import Float

ROUNDS = 6  # of Gauss and Newton; from the third on the speed stays as it is
FURTHEST = 0.6  # delay and difference in speed, in trials and of 1: beyond, paths are not the others' at other times
LEAST_BINS = 4  # of a path, whose map, delay and speed would fit whatever there is otherwise


@dataclass(frozen=True)
class TimeFit:
    """Result of `fit_time`.

    Attributes
    ----------
    difference : float
        How much faster than 1 time runs.
    gradient : array, shape (condition, bin, latent)
        Change of ``difference`` with the own path, to the first order: two kinds of trials of one session, whose mean
        is the own path, are compared by it with nothing fitted anew.
    """

    difference: float
    gradient: Float[np.ndarray, "condition bin latent"]


def measure_log_speeds(
    means: Float[np.ndarray, "session condition bin latent"], animal: NDArray[np.integer]
) -> Float[np.ndarray, " session"]:
    """Measure the logarithm of the speed of each session; 0 is as fast as all animals are in the mean.

    Parameters
    ----------
    means : array, shape (session, condition, bin, latent)
        Mean latents; NaN where a session has no trial.
    animal : array of int, shape (session,)
        An animal's other sessions are not compared with: it would be measured by itself.

    Returns
    -------
    array, shape (session,)

    Raises
    ------
    DataError
        If a session has no condition in common with other animals, or too few bins.
    """
    refuse_few_bins(means.shape[2])
    # whole conditions: where the sessions in a mean change from bin to bin, it jumps and seems to move
    whole = np.isfinite(means).all(axis=(2, 3))
    filled = np.where(whole[:, :, None, None], means, 0.0)
    speeds = np.empty(len(means))
    for i in range(len(means)):
        others = animal != animal[i]
        counts = whole[others].sum(axis=0)
        common = whole[i] & (counts > 0)
        if not common.any():
            raise DataError("a session has no condition in common with other animals", fix="leave it out")
        path = filled[others][:, common].sum(axis=0) / counts[common, None, None]
        # beside all others it is further from them than from the mean of all, to which it belongs
        n = len(np.unique(animal))
        speeds[i] = np.log1p(fit_time(means[i][common], path).difference) * (n - 1) / n
    return speeds


def refuse_few_bins(n_bins: int) -> None:
    """Refuse paths that are too short for a speed.

    Raises
    ------
    DataError
        If they are.
    """
    if n_bins < LEAST_BINS:
        raise DataError(f"speed cannot be had from {n_bins} bins", fix="choose narrower bins or a longer window")


def fit_time(
    own: Float[np.ndarray, "condition bin latent"], others: Float[np.ndarray, "condition bin latent"]
) -> TimeFit:
    """Fit how much faster than 1 time has to run along the others' path for it to be the own one.

    Returns
    -------
    TimeFit
        Of difference 0 where both are as fast.

    Notes
    -----
    Least squares of ``own = c + (path + (a + d t) path') A`` by Gauss and Newton on a and d alone, with the map A
    solved at each step (variable projection). To the first order in time, so that nothing is read beyond the ends.

    References
    ----------
    Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate", SIAM Journal on Numerical Analysis 1973.

    Examples
    --------
    >>> time = np.linspace(0, 1, 20)
    >>> circle = lambda t: np.stack([np.cos(3 * t), np.sin(3 * t)], axis=-1)[None]
    >>> round(fit_time(circle(0.9 * time), circle(time)).difference, 2)
    -0.1
    """
    n_conditions, n_bins, dim = others.shape
    time = np.tile(np.arange(n_bins) / n_bins, n_conditions)[:, None]
    path = others.reshape(-1, dim)
    velocity = np.gradient(others, axis=1).reshape(-1, dim) * n_bins  # per trial
    target = own.reshape(-1, dim)
    constant = np.ones_like(time)
    bends = (constant, time - time.mean())  # of time: a delay, and a speed about the middle of a trial
    found = np.zeros(2)
    for _ in range(ROUNDS):
        design = np.column_stack([constant, path + (found[0] + found[1] * bends[1]) * velocity])
        solution = np.linalg.lstsq(design, target, rcond=None)[0]
        # what a change of the times adds beyond what another map could do: without this the rounds creep
        left_vectors, sizes, _ = np.linalg.svd(design, full_matrices=False)
        basis = left_vectors[:, sizes > 1e-9 * sizes[0]]
        moved = np.stack([_leave_out(basis, bend * velocity @ solution[1:]).ravel() for bend in bends], axis=1)
        left = (target - design @ solution).ravel()
        # a delay of linear dynamics is a linear map, and no fit separates them: the smallest is taken
        inverse = np.linalg.pinv(moved, rcond=1e-6)
        found = np.clip(found + inverse @ left, -FURTHEST, FURTHEST)
    # what the linear map explains of a change is no change of the times
    gradient = _leave_out(basis, inverse[1].reshape(target.shape))
    return TimeFit(float(found[1]), gradient.reshape(own.shape))


def _leave_out(basis: Floats, values: Floats) -> Floats:
    """Leave out of each column what an orthonormal basis explains."""
    return np.asarray(values - basis @ (basis.T @ values))
