"""Ridge regression: the one that decoders, forecasts and the tests of shared dimensions are built on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Real


def predict_by_ridge(
    training: Real[np.ndarray, "frame feature"],
    target: Real[np.ndarray, "frame variable"],
    test: Real[np.ndarray, "time feature"],
    penalties: Sequence[float],
) -> list[Float[np.ndarray, "time variable"]]:
    """Predict `target` by ridge regression with a constant, once for each penalty.

    Parameters
    ----------
    training, target : array, shapes (frame, feature), (frame, variable)
    test : array, shape (time, feature)
    penalties : sequence of float
        Each in units of a feature's mean square about its mean.

    Returns
    -------
    list of array, shape (time, variable)

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(5.0)[:, None]
    >>> predict_by_ridge(x, 2 * x + 1, np.array([[10.0]]), (1e-9,))[0].round(3)
    array([[21.]])
    """
    x, y = np.asarray(training, np.float64), np.asarray(target, np.float64)
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    x, y, seen = x - centre, y - mean, np.asarray(test, np.float64) - centre
    size = np.square(x).sum(axis=0).mean()
    # The smallest penalty that still leaves the Gram matrix regular: features that repeat each other get equal weights.
    least = len(x) * x.shape[1] * np.finfo(np.float64).eps
    alphas = np.maximum(penalties, least) * max(size, np.finfo(np.float64).tiny)
    # One decomposition for all penalties and variables. Of more features than frames the products of frames are fewer.
    wide = x.shape[1] > len(x)
    strength, axes = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    along, seen = (axes.T @ y, seen @ x.T @ axes) if wide else (axes.T @ (x.T @ y), seen @ axes)
    strength = np.maximum(strength, 0)[:, None]
    return [mean + seen @ (along / (strength + alpha)) for alpha in alphas]


def fit_ridge_by_leaving_out(
    x: Float[np.ndarray, "frame feature"], y: Float[np.ndarray, "frame variable"], penalties: Sequence[float]
) -> Float[np.ndarray, "feature variable"]:
    """Return the weights of a ridge regression without a constant, at the penalty of least leave-one-out error.

    Parameters
    ----------
    x, y : array, shapes (frame, feature), (frame, variable)
        Fewer features than frames.
    penalties : sequence of float
        Each added to the Gram matrix; the first of those that do equally well is taken.

    Returns
    -------
    array, shape (feature, variable)

    Notes
    -----
    The error of each frame left out follows from a fit to all of them: the residual over one less the leverage
    (Golub, Heath and Wahba 1979). It is scikit-learn's `RidgeCV`, whose import takes a tenth of a short fit.
    """
    strength, axes = np.linalg.eigh(x.T @ x)
    strength, rotated, along = np.maximum(strength, 0), x @ axes, axes.T @ (x.T @ y)
    weights, errors = [], []
    for penalty in penalties:
        shrunk = 1 / (strength + penalty)
        weights.append(shrunk[:, None] * along)
        leverage = np.square(rotated) @ shrunk
        errors.append(np.square((y - rotated @ weights[-1]) / (1 - leverage)[:, None]).mean())
    return np.asarray(axes @ weights[int(np.argmin(errors))])
