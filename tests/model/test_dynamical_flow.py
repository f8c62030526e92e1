"""v against regressions and linear systems whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from torch import Tensor

from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.dynamical_flow import RIDGE
from nwb_dcf.model.rollout import compute_velocity, roll_out_latents
from nwb_dcf.model.training.batches import FrameTable

from .conftest import draw_gaussian, fill_randomly, rotate, to_numpy

Make = Callable[..., DCFModel]


def start_dynamics(model: DCFModel, codes: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Start v at the autoregression of one segment; return histories and displacements."""
    n = len(codes)
    table = FrameTable.build(codes, torch.zeros(n), torch.arange(n), history=model.config.history, drop_start=False)
    past, moved = codes[table.window(table.pairs)], codes[1:] - codes[:-1]
    model.v.start_at(past, moved)  # type: ignore[operator]
    return to_numpy(past), to_numpy(moved)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_ridge_start_is_the_regression_of_each_prefix(make_model: Make, k: int) -> None:
    x = draw_gaussian(400)
    model = make_model(x, k_max=4, history=2)
    codes = model.encode(x, 4).detach()
    codes = (codes + 0.9 * torch.cat([codes[:1], codes[:-1]])).detach()  # so that the past says something
    past, moved = start_dynamics(model, codes)
    design = past[:, :, :k].reshape(len(past), -1)
    gram = design.T @ design / len(design) + RIDGE * np.eye(3 * k)
    weights = np.linalg.solve(gram, design.T @ moved[:, :k] / len(design))
    with torch.no_grad():
        velocity = to_numpy(compute_velocity(model, torch.tensor(past).float(), k))
    np.testing.assert_allclose(velocity, design @ weights, atol=1e-4)
    assert np.abs(velocity).max() > 0.3


def test_untrained_v_is_linear_in_the_history_at_every_tau_and_s(make_model: Make) -> None:
    x = draw_gaussian(400)
    model = make_model(x, k_max=4, history=1)
    codes = model.encode(x, 4).detach()
    past, _ = start_dynamics(model, codes)
    history = torch.tensor(past).float()
    mask = model.mask(3, x[:399])
    first = model.v(x[:399], torch.zeros(399, 1), torch.zeros(399, 1), history, mask, model.coupling.make_axes())
    second = model.v(x[1:], torch.full((399, 1), 0.7), torch.ones(399, 1), history, mask, model.coupling.make_axes())
    np.testing.assert_allclose(to_numpy(first), to_numpy(second), atol=1e-6)


def test_v_stays_on_the_kept_axes_at_tau_zero_alone(make_model: Make) -> None:
    x = draw_gaussian(100)
    model = make_model(x, k_max=4, history=1)
    start_dynamics(model, model.encode(x, 4).detach())
    fill_randomly(model.v, 0.3)
    mask = model.mask(2, x)
    history = torch.randn(100, 2, 4, generator=torch.Generator().manual_seed(0)) * mask[:, None]
    tau = torch.tensor([[0.0], [0.6]]).repeat(50, 1)
    kept = to_numpy(model.coupling.axes)[:, :2]
    v = to_numpy(model.v(x, tau, torch.rand(100, 1), history, mask, model.coupling.make_axes()))
    outside = np.abs(v - v @ kept @ kept.T).max(axis=1)
    assert outside[::2].max() < 1e-5
    assert outside[1::2].min() > 0.01
    assert np.abs(v @ kept)[::2].max() > 0.05
    s = torch.rand(50, 1)
    alone = model.v.at_zero(
        x[::2], s, history[::2], mask[::2], model.coupling.make_axes()
    )  # the other network is not asked
    whole = model.v(x[::2], tau[::2], s, history[::2], mask[::2], model.coupling.make_axes())
    np.testing.assert_allclose(to_numpy(alone), to_numpy(whole), atol=1e-6)


def test_the_network_of_the_data_is_run_for_states_above_tau_zero_alone(make_model: Make) -> None:
    x = draw_gaussian(60)
    model = make_model(x, k_max=4, history=1)
    fill_randomly(model.v, 0.3)
    rows: list[int] = []
    model.v.network.register_forward_hook(lambda _module, _seen, out: rows.append(len(out)))  # type: ignore[union-attr]
    generator = torch.Generator().manual_seed(0)
    tau = torch.rand(60, 1, generator=generator) * (torch.arange(60) % 3 > 0)[:, None]
    history = torch.randn(60, 2, 4, generator=generator)

    def move(some: Tensor) -> np.ndarray:
        mask, axes = model.mask(2, x[some]), model.coupling.make_axes()
        return to_numpy(model.v(x[some], tau[some], tau[some], history[some], mask, axes))

    together, above = move(torch.arange(60)), torch.arange(60)[torch.arange(60) % 3 > 0]
    assert rows == [40]
    # all of them take the other way, that of a GPU
    np.testing.assert_allclose(together[above], move(above), atol=1e-5)
    assert rows == [40, 40]


@pytest.mark.parametrize("history", [0, 1, 3])
def test_a_linear_system_rolls_out_along_its_matrix_exponential(make_model: Make, history: int) -> None:
    a, dt, n = np.array([[0.0, -2.0], [0.5, 0.0]]), 2 * np.pi / 60, 360  # six whole turns: zero mean
    powers = [expm(a * dt * i) for i in range(n)]
    truth = np.array([p @ [3.0, 0.0] for p in powers])
    x = torch.tensor(truth @ rotate(5, 2).numpy()[:2]).float()
    model = make_model(x, k_max=2, history=history)
    codes = model.encode(x, 2).detach()
    start_dynamics(model, codes)
    with torch.no_grad():
        lags = torch.clamp(torch.tensor([[50 - lag for lag in range(history + 1)]]), 0)
        path = to_numpy(roll_out_latents(model, codes[lags], 30))[0]
    np.testing.assert_allclose(path, to_numpy(codes[51:81]), atol=0.05)
    assert np.ptp(to_numpy(codes[51:81]), axis=0).min() > 1


def test_rolling_out_reads_history_newest_first(make_model: Make) -> None:
    """A field made by hand: each frame moves by the code of the frame before the current one."""
    model = make_model(draw_gaussian(50), k_max=2, history=2)
    ridge = model.v.ridge  # type: ignore[union-attr]
    ridge.zero_()
    for prefix in range(2):
        for latent in range(prefix + 1):
            ridge[1 * 2 + latent, prefix, latent] = 1.0  # rows are lag by lag, newest first
    codes = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]])
    with torch.no_grad():
        path = to_numpy(roll_out_latents(model, codes, 3))[0]
        np.testing.assert_allclose(to_numpy(compute_velocity(model, codes, 2)), [[2.0, 20.0]], atol=1e-5)
        np.testing.assert_allclose(to_numpy(compute_velocity(model, codes, 1)), [[2.0]], atol=1e-5)
    # 1 + 2 = 3, then 3 + 1 = 4, then 4 + 3 = 7
    np.testing.assert_allclose(path, [[3, 30], [4, 40], [7, 70]], rtol=1e-5)


def test_rolling_out_a_prefix_needs_nothing_beyond_it(make_model: Make) -> None:
    x = draw_gaussian(100)
    model = make_model(x, k_max=4, history=1)
    fill_randomly(model.v, 0.2)
    codes = model.encode(x, 4).detach()
    start_dynamics(model, codes)
    window = torch.stack([codes[1:], codes[:-1]], dim=1)
    other = window.clone()
    other[..., 2:] += 7
    with torch.no_grad():
        assert roll_out_latents(model, window[..., :2], 5).shape == (99, 5, 2)
        np.testing.assert_allclose(
            to_numpy(compute_velocity(model, window, 2)), to_numpy(compute_velocity(model, other, 2)), atol=1e-6
        )
        assert float((compute_velocity(model, window, 4) - compute_velocity(model, other, 4)).abs().max()) > 1e-2


def test_rolling_out_integrates_over_s(make_model: Make) -> None:
    """A network that says 6 s (1 - s) everywhere would move one unit a frame; a wrong s would not."""

    class Parabola(torch.nn.Module):
        def at_zero(self, x: Tensor, s: Tensor, history: Tensor, mask: Tensor, coupling: object) -> Tensor:
            axes = model.coupling.axes * model.coupling.variance.sqrt()
            return (6 * s * (1 - s)) * (mask @ axes.T)

    model = make_model(draw_gaussian(50), k_max=2)
    model.v = Parabola()  # type: ignore[assignment]
    path = to_numpy(roll_out_latents(model, torch.zeros(1, 2, 2), 2))[0]
    # two midpoint steps see s = 1/4 and 3/4
    np.testing.assert_allclose(path, [[1.125] * 2, [2.25] * 2], rtol=1e-4)


def test_plain_v_sees_state_history_tau_and_s(make_model: Make) -> None:
    x = draw_gaussian(20)
    model = make_model(x, closed_form=False, history=1)
    past = torch.stack([x, x.flip(0)], dim=1)
    tau, s, mask = torch.full((20, 1), 0.3), torch.full((20, 1), 0.6), model.mask(2, x)
    base = model.v(x, tau, s, past, mask, model.coupling.make_axes())
    for changed in (
        model.v(x + 1, tau, s, past, mask, model.coupling.make_axes()),
        model.v(x, tau + 0.3, s, past, mask, model.coupling.make_axes()),
        model.v(x, tau, s + 0.3, past, mask, model.coupling.make_axes()),
        model.v(x, tau, s, past.flip(1), mask, model.coupling.make_axes()),
        model.v(x, tau, s, past, model.mask(3, x), model.coupling.make_axes()),
    ):
        assert np.abs(to_numpy(changed - base)).max() > 1e-4
