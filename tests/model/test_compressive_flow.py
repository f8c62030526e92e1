"""u against fields that are known: the exact one of a Gaussian, and the ways there and back."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from nwb_dcf.model.dcf_model import DCFModel

from .conftest import draw_gaussian, fill_randomly, to_numpy

Make = Callable[..., DCFModel]
RHO = 0.1


def evaluate_gaussian_oracle(model: DCFModel, x: Tensor, tau: float, k: int, covariance: np.ndarray) -> np.ndarray:
    """The exact u of Gaussian data and their projection on the first `k` axes (section 9 of the method)."""
    axes = to_numpy(model.coupling.axes)[:, :k]
    project = axes @ axes.T
    s11, s00 = covariance, project @ covariance @ project
    s10, s01 = covariance @ project, project @ covariance
    c = (1 - tau) ** 2 * s00 + tau * (1 - tau) * (s01 + s10) + tau**2 * s11 + RHO**2 * covariance
    gain = (tau * s11 - (1 - tau) * s00 + (1 - tau) * s10 - tau * s01) @ np.linalg.inv(c)
    return np.asarray((to_numpy(x) - to_numpy(model.coupling.mean)) @ gain.T)


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("tau", [0.0, 0.03, 0.5, 1.0])
def test_untrained_u_is_the_exact_field_of_a_gaussian(make_model: Make, k: int, tau: float) -> None:
    x = draw_gaussian()
    model = make_model(x, k_max=4, bridge_noise=RHO)
    covariance = np.cov(x.double().numpy().T, bias=True)
    states = x[:40]
    u = model.u(states, torch.full((40, 1), tau), model.mask(k, states), model.coupling.make_axes())
    expected = evaluate_gaussian_oracle(model, states, tau, k, covariance)
    np.testing.assert_allclose(to_numpy(u), expected, atol=2e-3 * max(1.0, np.abs(expected).max()))
    if tau > 0:
        assert np.abs(expected).max() > 0.5


def test_each_row_has_its_own_tau_and_prefix(make_model: Make) -> None:
    x = draw_gaussian()
    model = make_model(x, k_max=4, bridge_noise=RHO)
    fill_randomly(model.u, 0.3)
    tau = torch.tensor([[0.1], [0.5], [0.9]])
    mask = torch.cat([model.mask(k, x[:1]) for k in (1, 2, 4)])
    together = model.u(x[:3], tau, mask, model.coupling.make_axes())
    apart = torch.cat(
        [model.u(x[i : i + 1], tau[i : i + 1], mask[i : i + 1], model.coupling.make_axes()) for i in range(3)]
    )
    np.testing.assert_allclose(to_numpy(together), to_numpy(apart), atol=1e-5)


@pytest.mark.parametrize("k", [1, 3])
def test_flowed_endpoint_keeps_the_prefix_and_shrinks_the_rest(make_model: Make, k: int) -> None:
    x = draw_gaussian()
    model = make_model(x, k_max=4, bridge_noise=RHO)
    states = to_numpy(model.compress(x, k))
    axes, mean = to_numpy(model.coupling.axes)[:, :k], to_numpy(model.coupling.mean)
    centred = to_numpy(x) - mean
    kept = centred @ axes @ axes.T
    leak = RHO / math.sqrt(1 + RHO**2)
    np.testing.assert_allclose(states - mean, kept + leak * (centred - kept), atol=1e-4)


@pytest.mark.parametrize("solver", ["rk4", "midpoint", "dopri5"])
def test_there_and_back_is_the_identity_where_the_network_is_zero(make_model: Make, solver: str) -> None:
    x = draw_gaussian()[:200]
    model = make_model(x, k_max=4, bridge_noise=RHO)
    back = model.expand(model.compress(x, 2, solver=solver), 2, solver=solver)
    np.testing.assert_allclose(to_numpy(back), to_numpy(x), atol=1e-4)


@pytest.mark.parametrize("clock", ["way", "angle"])
def test_integration_follows_u_in_its_plain_coordinates(make_model: Make, clock: str) -> None:
    """The scaled coordinates of `carry` are another way to write d x / d tau = u, not another flow."""
    x = draw_gaussian()[:50].double()
    model = make_model(draw_gaussian(), k_max=4, bridge_noise=RHO, clock=clock).double()
    fill_randomly(model.u, 0.4)
    mask, steps = model.mask(2, x), 1600
    state = x
    with torch.no_grad():
        for i in range(steps):
            tau = torch.full((50, 1), 1 - (i + 0.5) / steps, dtype=torch.float64)
            half = state - 0.5 / steps * model.u(state, tau + 0.5 / steps, mask, model.coupling.make_axes())
            state = state - model.u(half, tau, mask, model.coupling.make_axes()) / steps
        carried = model.compress(x, 2, steps=400)
        plain = model.compress(x, 2, steps=1)
    assert np.abs(to_numpy(plain - state)).max() > 0.005
    np.testing.assert_allclose(to_numpy(carried), to_numpy(state), atol=1e-3)


@pytest.mark.parametrize(
    ("clock", "solver", "order", "steps"),
    [
        (("way", 1), "midpoint", 2, (8, 16, 32)),
        (("way", 1), "rk4", 4, (2, 4, 8)),
        (("angle", 8), "midpoint", 2, (64, 128, 256)),
        (("angle", 8), "rk4", 4, (16, 32, 64)),
    ],
)
def test_doubling_the_steps_converges_at_the_order_of_the_solver(
    make_model: Make, clock: tuple[str, int], solver: str, order: int, steps: tuple[int, ...]
) -> None:
    x = draw_gaussian()[:100].double()
    own = {"clock": clock[0], "clock_frequencies": clock[1]}
    model = make_model(draw_gaussian(), k_max=4, bridge_noise=RHO, **own).double()
    fill_randomly(model.u, 0.1)
    with torch.no_grad():
        best = model.compress(x, 2, solver="rk4", steps=512)
        errors = [float((model.compress(x, 2, solver=solver, steps=n) - best).abs().max()) for n in steps]
        back = model.expand(model.compress(x, 2, solver=solver, steps=512), 2, solver=solver, steps=512)
        adaptive = model.compress(x, 2, solver="dopri5")
    assert errors[0] > 1e-6
    assert errors[0] / errors[1] > 0.75 * 2**order
    assert errors[1] / errors[2] > 0.75 * 2**order
    np.testing.assert_allclose(to_numpy(back), to_numpy(x), atol=1e-5)
    np.testing.assert_allclose(to_numpy(adaptive), to_numpy(best), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_the_default_steps_are_exact_to_a_hundredth_of_the_data(make_model: Make) -> None:
    x = draw_gaussian()[:100]
    model = make_model(draw_gaussian(), k_max=4, bridge_noise=RHO)
    fill_randomly(model.u, 0.2)  # wilder than any that was trained
    size = float((x - x.mean(0)).square().mean().sqrt())
    for k in (1, 2, 4):
        off = model.compress(x, k) - model.compress(x, k, solver="dopri5")
        assert 0 < float(off.square().mean().sqrt()) < 1e-2 * size


def test_two_ways_to_rebuild(make_model: Make) -> None:
    """The mean is one evaluation of u at tau = 0, the flow its integral; both leave the kept axes of a PCA start."""
    x = draw_gaussian()[:20]
    model = make_model(draw_gaussian(), k_max=4)
    codes = model.encode(x, 2)
    x0 = model.place(codes)
    for decoder in ("mean", "flow"):
        np.testing.assert_allclose(to_numpy(model.reconstruct(codes, decoder)), to_numpy(x0), atol=1e-4)
    fill_randomly(model.u, 0.3)
    at_zero = model.u(x0, torch.zeros(20, 1), model.mask(2, x0), model.coupling.make_axes())
    np.testing.assert_allclose(to_numpy(model.reconstruct(codes, "mean")), to_numpy(x0 + at_zero), atol=1e-6)
    np.testing.assert_allclose(to_numpy(model.reconstruct(codes, "flow")), to_numpy(model.expand(x0, 2)), atol=1e-6)
    np.testing.assert_array_equal(to_numpy(model.reconstruct(codes)), to_numpy(model.reconstruct(codes, "mean")))
    flow = make_model(draw_gaussian(), k_max=4, decoder="flow")
    fill_randomly(flow.u, 0.3)
    np.testing.assert_array_equal(to_numpy(flow.reconstruct(codes)), to_numpy(model.reconstruct(codes, "flow")))
    assert np.abs(to_numpy(model.reconstruct(codes, "flow") - model.reconstruct(codes, "mean"))).max() > 0.05


def test_nothing_beyond_the_prefix_reaches_what_is_rebuilt(make_model: Make) -> None:
    x = draw_gaussian()
    model = make_model(x, k_max=4)
    fill_randomly(model.u, 0.3)
    codes = model.encode(x[:20], 4)
    other = codes.clone()
    other[:, 2:] += 5
    np.testing.assert_array_equal(to_numpy(model.reconstruct(codes[:, :2])), to_numpy(model.reconstruct(other[:, :2])))
    placed = to_numpy(model.place(codes[:, :2]) - model.coupling.mean)
    np.testing.assert_allclose(placed @ to_numpy(model.coupling.axes)[:, 2:], 0, atol=1e-5)
    assert np.abs(to_numpy(model.reconstruct(codes) - model.reconstruct(other))).max() > 0.1


def test_u_sees_how_many_axes_are_kept_only_where_conditioned(make_model: Make) -> None:
    x = draw_gaussian()[:20]
    tau = torch.full((20, 1), 0.4)
    for conditioned in (True, False):
        model = make_model(x, closed_form=False, condition_on_k=conditioned)
        fill_randomly(model.u, 0.3)
        u = [to_numpy(model.u(x, tau, model.mask(k, x), model.coupling.make_axes())) for k in (1, 3)]
        assert (np.abs(u[0] - u[1]).max() > 1e-3) == conditioned


def test_plain_u_sees_tau_and_goes_there_and_back(make_model: Make) -> None:
    x = draw_gaussian()[:50].double()
    model = make_model(draw_gaussian(), closed_form=False, noise_scale="absolute").double()
    with torch.no_grad():
        early, late = (
            model.u(x, torch.full((50, 1), t).double(), model.mask(2, x), model.coupling.make_axes())
            for t in (0.1, 0.7)
        )
        assert float((early - late).abs().max()) > 1e-3
        states = model.compress(x, 2, steps=512)
        assert float((states - x).abs().max()) > 1e-2
        errors = []
        for n in (256, 512):
            back = model.expand(model.compress(x, 2, steps=n), 2, steps=n)
            errors.append(float((back - x).abs().max()))
    assert errors[1] < errors[0]
    assert errors[1] < 1e-2
