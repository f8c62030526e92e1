"""Smoothing of some rows by several widths is that of the preparation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from nwb_dcf.metrics.segment_smoothing import smooth_rows


@pytest.mark.parametrize("n", [50, 900])  # by a matrix, and by Fourier transform
def test_smoothing_is_that_of_the_preparation(n):
    values = np.random.default_rng(0).normal(size=(2 * n, 3)).astype(np.float32)
    segment = np.repeat([0, 1], n)
    rows = np.arange(0, 2 * n, 3)
    (smoothed,) = smooth_rows(values, segment, [5.0], rows)
    expected = []
    for part in (values[:n], values[n:]):
        total = gaussian_filter1d(part.astype(float), 5.0, axis=0, mode="constant")
        expected.append((total.T / gaussian_filter1d(np.ones(n), 5.0, mode="constant")).T)
    np.testing.assert_allclose(smoothed, np.concatenate(expected)[rows], atol=1e-5)
