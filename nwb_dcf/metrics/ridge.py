"""Ridge regression: the one that decoders, and the tests of shared dimensions, are built on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Real


@dataclass(frozen=True)
class RidgeReadout:
    """A ridge regression with a constant from known features, as a linear map of whatever it is to predict.

    For many targets of the same frames, of whose predictions only the squared errors are asked for: these come from
    sums of products, and no prediction is formed.

    Attributes
    ----------
    solve : array, shape (feature + 1, frame)
        From targets of the training frames to their mean and weights.
    features : array, shape (time, feature + 1)
        Of the test frames: 1, and the features less their means in training.
    """

    solve: Float[np.ndarray, "weight frame"]
    features: Float[np.ndarray, "time weight"]

    @classmethod
    def of(
        cls, training: Real[np.ndarray, "frame feature"], test: Real[np.ndarray, "time feature"], penalty: float
    ) -> RidgeReadout:
        """Make the readout that `predict_by_ridge` makes with one `penalty`."""
        x = np.asarray(training, np.float64)
        mean = x.mean(axis=0)
        centred = x - mean
        gram = centred.T @ centred + _scale_penalties(centred, (penalty,)) * np.eye(x.shape[1])
        solve = np.vstack([np.full(len(x), 1 / len(x)), np.linalg.solve(gram, centred.T)])
        return cls(solve, np.column_stack([np.ones(len(test)), test - mean]))

    def sum_errors(
        self, learned: Float[np.ndarray, "frame variable"], truth: Float[np.ndarray, "time variable"]
    ) -> float:
        """Sum the squared errors on test frames, whose targets are `truth`, from `learned` targets of training."""
        weights = self.solve @ learned
        shared, gram = self.features.T @ truth, self.features.T @ self.features
        return float(np.square(truth).sum() - (weights * (2 * shared - gram @ weights)).sum())


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
    alpha = np.repeat(_scale_penalties(x - x.mean(axis=0), penalties), y.shape[1])
    # One target for each penalty and variable: scikit-learn then computes the Gram matrix once for all penalties.
    model = Ridge(alpha, solver="cholesky").fit(x, np.tile(y, len(penalties)))
    predicted = np.asarray(model.predict(np.asarray(test, np.float64))).reshape(len(test), len(penalties), y.shape[1])
    return [predicted[:, i] for i in range(len(penalties))]


def _scale_penalties(
    centred: Float[np.ndarray, "frame feature"], penalties: Sequence[float]
) -> Float[np.ndarray, " penalty"]:
    size = np.square(centred).sum(axis=0).mean()
    # The smallest penalty that still leaves the Gram matrix regular: features that repeat each other get equal weights.
    least = centred.size * np.finfo(np.float64).eps
    return np.asarray(np.maximum(penalties, least) * max(size, np.finfo(np.float64).tiny))
