"""Coupling of a session: the linear readout of its units into the shared space, in closed form.

How well sessions agree depends less on how the shared axes are found than on this readout: ridge regression from single
frames (not from means), of all units in a short window, with a strong penalty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .anchors import AlignedFrames, Floats, Ints

if TYPE_CHECKING:
    from jaxtyping import Float, Int

WINDOW = 2  # bins on either side
RIDGE = 3.0  # in units of the mean eigenvalue of the inputs' covariance
RIDGE_FEW_TRIALS = 10.0
FEW_TRIALS = 20
RIDGE_SINGLE_FRAME = 1.0
LEAST_SLOPE = 0.05  # a readout with a smaller slope is divided by this: noise would be amplified more than 20 times


@dataclass(frozen=True)
class Coupling:
    """Linear readout of one session into the shared space.

    Attributes
    ----------
    weights : array, shape (2 * window + 1, unit, latent)
        From the earliest frame of the window to the latest.
    centre : array, shape (2 * window + 1, unit)
        Mean of the inputs over the frames fitted.
    offset : array, shape (latent,)
        Mean of the anchors over the same frames.
    ridge : float
        Penalty in units of the mean eigenvalue of the inputs' covariance.
    slope : array, shape (latent,)
        Slope of the penalised readout on the anchors, by which it was divided.
    """

    weights: Float[np.ndarray, "lag unit latent"]
    centre: Float[np.ndarray, "lag unit"]
    offset: Float[np.ndarray, " latent"]
    ridge: float
    slope: Float[np.ndarray, " latent"]

    @property
    def window(self) -> int:
        """Bins on either side that a latent depends on."""
        return len(self.weights) // 2

    def transform(self, values: NDArray[np.floating], trial: Ints) -> Float[np.ndarray, "frame latent"]:
        """Read latents, shape (frame, latent), out of prepared values (frame, unit).

        At the ends of a trial its first or last frame is repeated.

        Raises
        ------
        DataError
            If the number of units differs.
        """
        if values.shape[1] != self.weights.shape[1]:
            raise DataError(
                f"the session has {values.shape[1]} units and its coupling {self.weights.shape[1]}",
                fix="give the units that were coupled, in their order",
            )
        inputs = gather_window(values, trial, self.window) - self.centre.reshape(-1)
        return np.asarray(inputs @ self.weights.reshape(-1, self.weights.shape[2]) + self.offset)


def choose_ridge(n_trials: int, window: int = WINDOW) -> float:
    """Choose the penalty by the number of trials: larger where they are few, smaller for single frames."""
    if n_trials <= FEW_TRIALS:
        return RIDGE_FEW_TRIALS
    return RIDGE if window else RIDGE_SINGLE_FRAME


def fit_coupling(
    frames: AlignedFrames,
    anchors: Float[np.ndarray, "condition bin latent"],
    *,
    window: int = WINDOW,
    ridge: float | None = None,
) -> Coupling:
    """Fit the readout of a session to fixed anchors.

    Parameters
    ----------
    frames : AlignedFrames
    anchors : array, shape (condition, bin, latent)
    window : int
        Bins on either side whose units are inputs too.
    ridge : float, optional
        Penalty in units of the mean eigenvalue of the inputs' covariance; `choose_ridge` by default.

    Returns
    -------
    Coupling

    Raises
    ------
    DataError
        If fewer than two frames belong to anchors, or the units do not vary.

    Notes
    -----
    A strong penalty shrinks the readout, in each session by another factor. Dividing each column by its slope on the
    anchors gives sessions one scale.
    """
    from sklearn.linear_model import Ridge

    # single frames and not means: the noise of single trials is what the penalty has to see
    labelled = frames.is_anchor
    if labelled.sum() < 2:
        raise DataError("fewer than two frames have a condition", where=frames.name or None)
    inputs = gather_window(frames.values, frames.trial, window)[labelled]
    target = anchors[frames.condition[labelled], frames.bin[labelled]]
    centre, offset = inputs.mean(axis=0), target.mean(axis=0)
    # trace over number: so the penalty does not depend on the unit of counts or the number of inputs
    mean_eigenvalue = inputs.var(axis=0).mean()
    if not mean_eigenvalue > 0:
        raise DataError("no unit varies over the frames that have a condition", where=frames.name or None)
    ridge = choose_ridge(frames.n_trials, window) if ridge is None else ridge
    inputs = inputs - centre
    # times the frames: scikit-learn penalises the sum of squares
    model = Ridge(alpha=ridge * mean_eigenvalue * len(inputs), fit_intercept=False).fit(inputs, target - offset)
    weights = np.atleast_2d(model.coef_).T
    slope = _compute_slope(inputs @ weights, target - offset)
    weights = weights / np.maximum(slope, LEAST_SLOPE)
    n_units = frames.values.shape[1]
    return Coupling(weights.reshape(-1, n_units, weights.shape[1]), centre.reshape(-1, n_units), offset, ridge, slope)


def _compute_slope(readout: Floats, target: Floats) -> Floats:
    """Compute the slope of each column of the readout on its target, 0 where the target does not vary."""
    energy = np.square(target).sum(axis=0)
    # by infinity gives 0: a latent whose anchors do not vary has no slope
    return np.asarray((readout * target).sum(axis=0) / np.where(energy > 0, energy, np.inf))


def gather_window(
    values: Float[np.ndarray, "frame unit"], trial: Int[np.ndarray, " frame"], window: int
) -> Float[np.ndarray, "frame input"]:
    """Put the units of neighbouring frames of the same trial side by side.

    Parameters
    ----------
    values : array, shape (frame, unit)
    trial : array of int, shape (frame,)
        Contiguous.
    window : int

    Returns
    -------
    array, shape (frame, (2 * window + 1) * unit)
        Earliest frame first.

    Examples
    --------
    >>> gather_window(np.array([[1.0], [2.0], [5.0]]), np.array([0, 0, 1]), 1).tolist()
    [[1.0, 1.0, 2.0], [1.0, 2.0, 2.0], [5.0, 5.0, 5.0]]
    """
    if window == 0:
        return np.asarray(values, np.float64)
    n = len(values)
    edges = np.flatnonzero(np.diff(trial)) + 1
    first = np.concatenate([[0], edges])
    last = np.concatenate([edges, [n]]) - 1
    # number of the trial that each frame is in, from 0, whatever their labels
    which = np.searchsorted(first, np.arange(n), side="right") - 1
    steps = np.arange(-window, window + 1)
    # (frame, lag): clipped to the trial, so that its ends are repeated and no other trial is looked into
    at = np.clip(np.arange(n)[:, None] + steps, first[which][:, None], last[which][:, None])
    inputs: Floats = np.asarray(values, np.float64)[at].reshape(n, -1)
    return inputs
