"""Ridge regression: the one that decoders, and the tests of shared dimensions, are built on."""

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
    from sklearn.linear_model import Ridge  # a third of a second that the command line need not wait for

    x, y = np.asarray(training, np.float64), np.asarray(target, np.float64)
    size = np.square(x - x.mean(axis=0)).sum(axis=0).mean()
    # The smallest penalty that still leaves the Gram matrix regular: features that repeat each other get equal weights.
    least = len(x) * x.shape[1] * np.finfo(np.float64).eps
    alpha = np.repeat(np.maximum(penalties, least) * max(size, np.finfo(np.float64).tiny), y.shape[1])
    # One target for each penalty and variable: scikit-learn then computes the Gram matrix once for all penalties.
    model = Ridge(alpha, solver="cholesky").fit(x, np.tile(y, len(penalties)))
    predicted = np.asarray(model.predict(np.asarray(test, np.float64))).reshape(len(test), len(penalties), y.shape[1])
    return [predicted[:, i] for i in range(len(penalties))]
