"""Measures of every fit against the libraries whose import they do without."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge, RidgeCV

from nwb_dcf.metrics import SegmentSums, bootstrap_over_segments, compute_pca_axes
from nwb_dcf.metrics.ridge import fit_ridge_by_leaving_out, predict_by_ridge


@pytest.mark.parametrize("shape", [(200, 7), (12, 30)])
def test_ridge_is_that_of_scikit_learn(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, y, test = rng.normal(3, 1, shape), rng.normal(size=(shape[0], 2)), rng.normal(size=(5, shape[1]))
    size = np.square(x - x.mean(0)).sum(0).mean()
    for found, penalty in zip(predict_by_ridge(x, y, test, (1e-3, 1.0)), (1e-3, 1.0), strict=True):
        np.testing.assert_allclose(found, Ridge(penalty * size).fit(x, y).predict(test), atol=1e-9)


def test_the_penalty_of_least_error_left_out_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6))
    y, penalties = x[:, :2] + rng.normal(size=(40, 2)), np.logspace(-3, 3, 9)
    found = RidgeCV(penalties, fit_intercept=False).fit(x, y)
    assert penalties[0] < found.alpha_ < penalties[-1]
    np.testing.assert_allclose(fit_ridge_by_leaving_out(x, y, penalties), found.coef_.T, atol=1e-12)


def test_axes_have_the_signs_of_scikit_learn() -> None:
    x = np.random.default_rng(0).normal(size=(90, 6)) * np.linspace(3, 1, 6)
    np.testing.assert_allclose(compute_pca_axes(x, 4)[1].T, PCA(4).fit(x).components_, atol=1e-12)


def test_draws_are_those_of_scipy() -> None:
    part, whole = np.random.default_rng(0).random((2, 9))

    def pool(part: np.ndarray, whole: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(part.sum(axis) / whole.sum(axis))

    drawn = bootstrap(
        (part, whole), pool, paired=True, n_resamples=250, batch=100, random_state=np.random.default_rng(0)
    )
    found = bootstrap_over_segments(SegmentSums(part, whole), n_draws=250)
    expected = np.quantile(drawn.bootstrap_distribution, [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-12)


def test_none_of_them_is_imported() -> None:
    code = """
import sys
import numpy as np
from nwb_dcf.metrics import SegmentSums, bootstrap_over_segments, compute_pca_axes, decode_linearly
from nwb_dcf.metrics.forecast import Autoregression
x = np.random.default_rng(0).normal(size=(50, 4))
compute_pca_axes(x, 2), decode_linearly(x, x, x), Autoregression([x]), bootstrap_over_segments(SegmentSums(x[0], x[1]))
assert not {"sklearn", "scipy.stats"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
