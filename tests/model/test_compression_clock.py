"""The clock of u: places on the way to tau and back, and what it spares a solver."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nwb_dcf import DCF
from nwb_dcf.config import FitConfig
from nwb_dcf.config.presets import make_config
from nwb_dcf.data.synthetic import simulate_lorenz
from nwb_dcf.model.compression_clock import ClockName, CompressionClock

RHOS = (1e-3, 0.05, 0.5, 3.0)


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("name", ["way", "angle"])
def test_places_are_found_again(name: ClockName, rho: float) -> None:
    clock = CompressionClock.make(name, rho)
    tau = np.array([0.0, 1e-6, 0.01, 0.3, 0.99, 1.0, 1.7])
    s = torch.tensor([clock.find_place(t) for t in tau], dtype=torch.float64)
    np.testing.assert_allclose(rho * clock.find_w(s).sinh().numpy(), tau, atol=1e-9)
    np.testing.assert_allclose(clock.find_w(-s).numpy(), -clock.find_w(s).numpy())
    shown = clock.show(torch.tensor([0.0, 1.0], dtype=torch.float64))
    np.testing.assert_allclose(shown.numpy(), [0, 1], atol=1e-12)


@pytest.mark.parametrize("name", ["way", "angle"])
def test_weights_are_those_of_the_rate_per_tau_times_the_pace(name: ClockName) -> None:
    rho, tau, d = 0.05, 0.2, 1e-6
    clock = CompressionClock.make(name, rho)
    pace = 2 * d / (clock.find_place(tau + d) - clock.find_place(tau - d))  # d tau / ds
    deviation = math.hypot(tau, rho)
    every, on_kept = clock.weigh(torch.asinh(torch.tensor(tau / rho, dtype=torch.float64)))
    # u on dropped axes is rho / deviation times the output, in coordinates that are divided by the deviation
    assert float(every) == pytest.approx(rho / deviation**2 * pace, rel=1e-6)
    # and on kept axes the output itself
    assert float(every + on_kept) == pytest.approx(pace, rel=1e-6)


def test_a_fit_of_before_keeps_its_clock_and_its_steps() -> None:
    stored = make_config("default", {}, kind="counts").to_dict()
    assert (stored["model"]["clock"], stored["model"]["solver_steps"]) == ("way", 2)
    del stored["model"]["clock"], stored["model"]["clock_frequencies"]
    stored["model"]["solver_steps"] = 5
    before = FitConfig.from_dict(stored).model
    assert (before.clock, before.clock_frequencies, before.solver_steps) == ("angle", 8, 5)


def test_half_of_the_evaluations_are_as_exact() -> None:
    recording = simulate_lorenz(20, 100, 40, seed=3).recording
    settings = {"beta": 0.0, "steps": 200, "smooth": 0.05, "scale": "soft"}
    errors, scores = {}, {}
    for clock, steps in (("way", 2), ("angle", 4), ("angle", 2)):
        own = {"clock": clock, "clock_frequencies": 1 if clock == "way" else 8, "solver_steps": steps}
        model = DCF(3, settings={**settings, **own}).fit(recording)
        errors[clock, steps] = model.fitted_.solver_error["latents"]
        scores[clock, steps] = model.score(recording)
    assert errors["way", 2] < 1.2 * errors["angle", 4]
    assert errors["way", 2] < 0.4 * errors["angle", 2]
    assert scores["way", 2] > scores["angle", 4] - 0.005
