from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort import compressive_flow
from nwb_dcf.cohort.compressive_flow import fit_compressive_flow


def draw(noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Units that latents drive, each with noise of its own; the last never fires."""
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(4000, 2)) * [2.0, 0.5] + 1
    values = latents @ rng.normal(size=(2, 7)) + noise * rng.normal(size=(4000, 7))
    return np.column_stack([values, np.zeros(4000)]), latents


def test_frames_that_latents_explain_stay_where_they_are():
    values, latents = draw(noise=1e-3)
    assert fit_compressive_flow(values, latents).apply(values) == pytest.approx(latents, abs=0.05)


def test_it_carries_the_frames_to_the_covariance_of_the_latents(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compressive_flow, "NOISE", 0.0)
    values, latents = draw(noise=2.0)
    flowed = fit_compressive_flow(values, latents).apply(values)
    # of x^(0), whose distribution is that of the latents where nothing leaks
    assert np.cov(flowed.T) == pytest.approx(np.cov(latents.T), rel=0.02, abs=0.02)
    assert not np.allclose(flowed, latents, atol=0.1)


def test_it_is_the_integral_of_the_expected_direction():
    values, latents = draw(noise=1.0)
    values = values[:, :7]
    flow = fit_compressive_flow(values, latents)
    x, z = values - values.mean(axis=0), latents - latents.mean(axis=0)
    end = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    full, low, both = (a.T @ b / len(x) for a, b in ((x, x), (end, end), (x, end)))
    state, steps = x.copy(), 2000
    for step in range(steps, 0, -1):
        tau = (step - 0.5) / steps
        bridge = (1 - tau) ** 2 * low + tau * (1 - tau) * (both + both.T) + (tau**2 + 0.05**2) * full
        target = tau * full - (1 - tau) * low + (1 - tau) * both - tau * both.T
        state -= state @ np.linalg.solve(bridge, target.T) / steps
    expected = state @ np.linalg.pinv(np.linalg.lstsq(z, x, rcond=None)[0]) + latents.mean(axis=0)
    assert flow.apply(values) == pytest.approx(expected, abs=0.02)
