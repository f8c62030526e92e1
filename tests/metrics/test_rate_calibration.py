"""Calibrated rates have the mean of the counts, whatever the counts' variance."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.errors import DataError
from nwb_dcf.metrics import rate_calibration
from nwb_dcf.metrics.rate_calibration import RateCalibration, calibrate_rates


def draw(fano=1.0, n=20_000, units=6, seed=0):
    rng = np.random.default_rng(seed)
    rate = np.exp(0.5 * rng.standard_normal((n, units))) * rng.uniform(0.1, 2.0, units)
    # negative binomial of the given variance over mean
    return rate, rng.poisson(rng.gamma(rate / (fano - 1), fano - 1)) if fano > 1 else rng.poisson(rate)


@pytest.mark.parametrize("fano", [1.0, 2.6])
@pytest.mark.parametrize("factor", [0.68, 1.0, 1.3])
def test_mean_rate_is_mean_count(fano, factor):
    rate, counts = draw(fano)
    calibrated = calibrate_rates(rate * factor, counts).apply(rate * factor)
    np.testing.assert_allclose(calibrated.mean(axis=0), counts.mean(axis=0), rtol=1e-6)


def test_true_rates_are_left_alone():
    rate, counts = draw()
    calibration = calibrate_rates(rate, counts)
    np.testing.assert_allclose(calibration.slope, 1, atol=0.05)
    np.testing.assert_allclose(calibration.bias, 0, atol=0.05)


def test_a_modulation_that_is_too_strong_is_taken_back():
    rate, counts = draw()
    strong = rate**2
    calibration = calibrate_rates(strong, counts)
    np.testing.assert_allclose(calibration.slope, 0.5, atol=0.05)
    np.testing.assert_allclose(calibration.apply(strong), rate, rtol=0.3)


def test_a_rate_that_says_nothing_becomes_the_mean():
    rate, counts = draw(units=2)
    shuffled = np.random.default_rng(1).permutation(rate)
    calibrated = calibrate_rates(shuffled, counts).apply(shuffled)
    assert calibrated.std(axis=0).max() < 0.1 * counts.mean(axis=0).max()


def test_silent_units_have_rate_zero_and_a_single_spike_does_no_harm():
    rate, counts = draw(n=500, units=3)
    counts = counts.copy()
    counts[:, 0] = 0
    counts[:, 1] = 0
    counts[7, 1] = 1
    rate[:, 2] = 0
    calibration = calibrate_rates(rate, counts)
    calibrated = calibration.apply(rate)
    assert (calibrated[:, 0] == 0).all()
    assert np.isfinite(calibrated).all()
    np.testing.assert_allclose(calibrated.mean(axis=0), counts.mean(axis=0), rtol=1e-6)


def test_it_goes_through_json():
    rate, counts = draw(n=300)
    counts[:, 0] = 0
    one = calibrate_rates(rate, counts)
    other = RateCalibration.from_dict(one.to_dict())
    np.testing.assert_array_equal(one.apply(rate), other.apply(rate))


@pytest.mark.parametrize(
    ("expected", "counts"),
    [
        (np.ones((3, 2)), np.ones((3, 1))),
        (-np.ones((3, 2)), np.ones((3, 2))),
        (np.ones((3, 2)), np.full((3, 2), np.nan)),
    ],
)
def test_what_does_not_match_is_refused(expected, counts):
    with pytest.raises(DataError):
        calibrate_rates(expected, counts)


def test_another_number_of_units_is_refused():
    with pytest.raises(DataError, match="shape"):
        calibrate_rates(np.ones((9, 2)), np.ones((9, 2))).apply(np.ones((9, 3)))


def test_units_are_calibrated_alike_whatever_is_beside_them(monkeypatch):
    rate, counts = draw(n=3_000, units=7)
    counts = counts.copy()
    counts[:, 4] = 0
    alone = [calibrate_rates(rate[:, [i]] ** 1.5, counts[:, [i]]) for i in range(7)]
    for at_once in (1, 2 * 3_000, 2**30):
        monkeypatch.setattr(rate_calibration, "NUMBERS_AT_ONCE", at_once)
        together = calibrate_rates(rate**1.5, counts)
        np.testing.assert_allclose(together.slope, [one.slope[0] for one in alone], rtol=1e-9)
        np.testing.assert_allclose(together.bias, [one.bias[0] for one in alone], rtol=1e-9)
