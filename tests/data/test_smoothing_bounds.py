"""A Gaussian is no wider than its segment, and takes no more time than transforms do."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.gaussian_filter import LONG_REACH, TRUNCATE
from nwb_dcf.data.preprocessing import check_smoothing, fit_preprocessor
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError, ParameterError


def make(n: int, step_s: float = 0.01, *, irregular: bool = False) -> object:
    rng = np.random.default_rng(0)
    clock = np.arange(n) * step_s + (rng.uniform(0, step_s / 2, n) if irregular else 0)
    return make_recording(rng.normal(size=(n, 3)), clock)


@pytest.mark.parametrize("sigma", [0.05, 3.0, 0.01 * (LONG_REACH + 50) / TRUNCATE, 20.0])
def test_a_long_gaussian_by_transforms_equals_the_sum(sigma: float) -> None:
    recording, frames = make(6000), sigma / 0.01
    preparation = fit_preprocessor(recording, PrepareConfig(smooth=sigma, scale="none"))
    expected = gaussian_filter1d(recording["data"].values, frames, axis=0, mode="constant")
    expected /= gaussian_filter1d(np.ones(6000), frames, mode="constant")[:, None]
    np.testing.assert_allclose(preparation.apply(recording)["data"].values, expected, atol=1e-6)


def test_a_gaussian_of_a_thousand_seconds_is_refused_at_once_and_a_wide_one_is_quick() -> None:
    recording = make(20_000)
    with pytest.raises(ParameterError, match=r"smooth is 1000 s, and the longest segment 200 s; give `smooth=50` or"):
        check_smoothing(recording, 1000.0)
    check_smoothing(recording, 150.0)
    started = time.perf_counter()
    fit_preprocessor(recording, PrepareConfig(smooth=150.0))
    assert time.perf_counter() - started < 10


def test_an_irregular_clock_bounds_the_weights() -> None:
    recording = make(30_000, irregular=True)
    check_smoothing(recording, 0.1)
    with pytest.raises(DataError, match=r"irregular in time, and a Gaussian of 100 s takes 9e\+08 weights"):
        check_smoothing(recording, 100.0)
