"""Velocities and simulated paths have the clock of the data."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwb_dcf import DCF

from .test_dcf import QUICK, make_dataarray


def test_velocity_is_per_second() -> None:
    """The same frames on a clock ten times as fast have velocities ten times as large, and the same latents."""
    results = []
    for step_s in (1.0, 0.1):
        x = make_dataarray().assign_coords(time=np.arange(300) * step_s)
        dcf = DCF(2, **QUICK).fit(x)
        results.append((dcf.transform(x).values, dcf.velocity(x).values))
    np.testing.assert_allclose(results[1][0], results[0][0], atol=1e-4)
    np.testing.assert_allclose(results[1][1], 10 * results[0][1], atol=2e-3)


def test_velocity_is_the_displacement_to_the_next_latent() -> None:
    phase = np.arange(400) * 2 * np.pi / 40
    rng = np.random.default_rng(0)
    x = np.column_stack([2 * np.cos(phase), np.sin(phase)]) @ rng.normal(size=(2, 6))
    dcf = DCF(2, history=0, **QUICK).fit(x)
    z = dcf.transform(x)
    np.testing.assert_allclose(dcf.velocity(x)[:-1], np.diff(z, axis=0), atol=0.03)
    assert np.abs(np.diff(z, axis=0)).max() > 0.2


def test_simulation_goes_on_from_the_last_frame() -> None:
    phase = np.arange(400) * 2 * np.pi / 40
    rng = np.random.default_rng(0)
    x = np.column_stack([2 * np.cos(phase), np.sin(phase)]) @ rng.normal(size=(2, 6))
    dcf = DCF(2, history=1, **QUICK).fit(x[:320])
    path = dcf.simulate(x[:320], n_frames=20)
    np.testing.assert_allclose(path, dcf.transform(x)[320:340], atol=0.3)
    assert np.ptp(dcf.transform(x)[320:340]) > 2


def test_simulations_of_dataarrays_go_on_with_their_clock() -> None:
    x = make_dataarray()
    dcf = DCF(2, **QUICK).fit(x)
    path = dcf.simulate(x, n_frames=3)
    assert path.dims == ("time", "latent")
    np.testing.assert_allclose(path["time"], x["time"].values[-1] + np.array([0.1, 0.2, 0.3]))
    parts = dcf.simulate([x[:100], x], n_frames=3)
    assert all(isinstance(part, xr.DataArray) for part in parts)
    np.testing.assert_allclose(parts[0]["time"], x["time"].values[99] + np.array([0.1, 0.2, 0.3]))
    np.testing.assert_allclose(parts[1], path, atol=1e-6)
