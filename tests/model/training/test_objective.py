"""The objective seen from inside: what u and v are shown, what is asked of them, and whose weights learn from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nwb_dcf.config import TrainConfig
from nwb_dcf.model.axes import Axes
from nwb_dcf.model.nested_dropout import mask_prefix
from nwb_dcf.model.training.batches import Samples, WindowSampler
from nwb_dcf.model.training.objective import Losses, compute_losses

from .conftest import Problem

Make = Callable[..., Problem]
UNIFORM = TrainConfig(tau_in_angle=0.0, tau_at_zero=0.0, v_tau_at_zero=0.0)


class Recorder:
    """Stands in for a flow's network: keeps what it was shown and answers with fixed random numbers."""

    def __call__(self, *shown: Any) -> Tensor:
        self.shown = shown
        self.answer = torch.randn(shown[0].shape, generator=torch.Generator().manual_seed(7))
        return self.answer


class Watched:
    """One evaluation of the objective with both flows replaced by recorders."""

    def __init__(self, problem: Problem, config: TrainConfig = UNIFORM, noise: float = 0.0, n: int = 400) -> None:
        self.model, self.table = problem.model.eval(), problem.table
        self.model.noise.size = noise
        self.u, self.v = Recorder(), Recorder()
        self.model.u.forward, self.model.v.forward = self.u, self.v  # type: ignore[assignment, method-assign]
        generator = torch.Generator().manual_seed(0)
        self.samples: Samples = WindowSampler(problem.table, self.model).draw(n, generator)
        with torch.no_grad():
            self.losses: Losses = compute_losses(self.model, self.samples, config, generator, prefix_p=config.prefix_p)
        self.x_u, self.tau_u, self.mask_u, _ = self.u.shown
        self.x_v, self.tau_v, self.s, self.history, self.mask_v, _ = self.v.shown

    def place(self, rows: Tensor, masked: bool = True) -> Tensor:
        """Endpoints b + L D^(1/2) (m_K * mu), written out."""
        coupling = self.model.coupling
        mu = self.samples.latents[rows] * (self.mask_u if masked else 1)
        placed: Tensor = coupling.mean + (mu * coupling.variance.sqrt()) @ coupling.axes.T
        return placed.detach()

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        return self.samples.x[self.samples.now], self.samples.x[self.samples.later]


def test_u_sees_the_bridge_of_one_frame_of_the_pair_and_is_asked_for_data_minus_endpoint(make_problem: Make) -> None:
    watched = Watched(make_problem())
    tau = watched.tau_u
    bridges = [(1 - tau) * watched.place(rows) + tau * watched.samples.x[rows]
               for rows in (watched.samples.now, watched.samples.later)]  # fmt: skip
    off = torch.stack([(watched.x_u - bridge).abs().amax(1) for bridge in bridges])
    np.testing.assert_allclose(off.amin(0), 0, atol=1e-5)
    is_now = off[0] < off[1]
    assert 0.4 < is_now.float().mean() < 0.6
    now, later = watched.pair
    target = torch.where(
        is_now[:, None],
        now - watched.place(watched.samples.now),
        later - watched.place(watched.samples.later),
    )
    expected = (watched.u.answer - target).square().mean()
    assert float(watched.losses.cf) == pytest.approx(float(expected), rel=1e-5)


def test_v_sees_both_interpolations_and_is_asked_for_the_displacement_per_step(make_problem: Make) -> None:
    problem = make_problem()
    problem.table.step.copy_(torch.linspace(0.5, 2, len(problem.table.x)))
    watched = Watched(problem)
    tau, s = watched.tau_v, watched.s
    now, later = watched.pair
    now_tau = (1 - tau) * watched.place(watched.samples.now) + tau * now
    later_tau = (1 - tau) * watched.place(watched.samples.later) + tau * later
    np.testing.assert_allclose(watched.x_v, (1 - s) * now_tau + s * later_tau, atol=1e-5)
    target = (later_tau - now_tau) / watched.samples.step[:, None]
    expected = (watched.v.answer - target).square().mean()
    assert float(watched.losses.df) == pytest.approx(float(expected), rel=1e-5)
    assert watched.samples.step.std() > 0.1


def test_v_sees_its_history_masked_at_its_tau_newest_first(make_problem: Make) -> None:
    watched = Watched(make_problem())
    frames = watched.table.x[watched.table.window(watched.samples.now)]
    mu = watched.model.coupling.encode(frames.flatten(0, 1)).view(*frames.shape[:2], -1)
    read = watched.model.coupling.read(frames)
    tau = watched.tau_v[:, None]
    expected = (1 - tau) * mu * watched.mask_v[:, None] + tau * read
    np.testing.assert_allclose(watched.history, expected.detach(), atol=1e-5)
    assert float((watched.history - watched.history.flip(1)).abs().max()) > 0.1


def test_plain_v_sees_whole_states_of_its_history(make_problem: Make) -> None:
    problem = make_problem(closed_form=False, condition_on_k=False)
    watched = Watched(problem)
    rows = watched.table.window(watched.samples.now)
    past = watched.table.x[rows]
    codes = watched.model.coupling.encode(past.flatten(0, 1)).view(*rows.shape, -1) * watched.mask_v[:, None]
    tau = watched.tau_v[:, None]
    expected = (1 - tau) * watched.model.coupling.place(codes) + tau * watched.table.x[rows]
    np.testing.assert_allclose(watched.history, expected.detach(), atol=1e-5)


def test_both_flows_share_the_prefix_of_a_pair(make_problem: Make) -> None:
    watched = Watched(make_problem())
    assert torch.equal(watched.mask_u, watched.mask_v)
    lengths = watched.mask_u.sum(1)
    assert torch.equal(watched.mask_u, mask_prefix(lengths.long(), 4))
    assert set(lengths.tolist()) == {1, 2, 3, 4}
    assert (lengths == 2).float().mean() > 0.5  # dim


@pytest.mark.parametrize("masked", [True, False])
def test_an_endpoint_that_u_sees_and_alignment_asks_for_is_placed_once(
    make_problem: Make, monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    problem = make_problem(train_encoder_with_flows=True, masked_endpoints=masked)
    model, table = problem.model, problem.table
    model.u.forward = u = Recorder()  # type: ignore[assignment, method-assign]
    generator = torch.Generator().manual_seed(0)
    samples = WindowSampler(table, model, ("coupling", "u")).draw(400, generator)
    placed, own = [], Axes.place
    monkeypatch.setattr(Axes, "place", lambda axes, mu: placed.append(mu) or own(axes, mu))  # type: ignore[func-returns-value]
    with torch.no_grad():
        losses = compute_losses(model, samples, UNIFORM, generator, prefix_p=0.5, flows=("coupling", "u"))
        endpoint = own(model.coupling.make_axes(), samples.latents * u.shown[2])
    aligned = (table.take(samples.frames) - endpoint).square().mean()
    assert float(losses.align) == pytest.approx(float(aligned), rel=1e-5)
    assert len(placed) == (1 if masked else 2)


def test_masked_endpoints_hold_nothing_beyond_the_prefix(make_problem: Make) -> None:
    """At tau = 0 the state shown to u has no coordinate beyond K; unmasked endpoints have."""
    outside = []
    for masked in (True, False):
        watched = Watched(make_problem(masked_endpoints=masked))
        tau = watched.tau_u
        x1 = torch.where(torch.rand(len(tau), 1) < 2, watched.pair[0], watched.pair[1])
        endpoint = (watched.x_u - tau * x1) / (1 - tau)
        is_now = (endpoint - watched.place(watched.samples.now, masked)).abs().amax(1) < 1e-3
        beyond = watched.model.coupling.read(endpoint[is_now]) * (1 - watched.mask_u[is_now])
        assert is_now.sum() > 100
        outside.append(float(beyond.detach().abs().max()))
    assert outside[0] < 1e-2
    assert outside[1] > 1


@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_both_bridges_carry_the_noise_of_the_model(make_problem: Make, rho: float) -> None:
    """The same draws with and without noise: states differ by noise of covariance rho^2 C, targets do not."""
    quiet, noisy = (Watched(make_problem(bridge_noise=rho), noise=size, n=40_000) for size in (0.0, rho))
    x = quiet.table.x.double().numpy()
    covariance = rho**2 * np.cov(x.T, bias=True)
    for one, other in ((quiet.x_u, noisy.x_u), (quiet.x_v, noisy.x_v)):
        difference = (other - one).double().numpy()
        found = difference.T @ difference / len(difference)
        np.testing.assert_allclose(found, covariance, atol=0.05 * covariance.max())
    assert float(quiet.losses.cf) == pytest.approx(float(noisy.losses.cf))
    assert float(quiet.losses.df) == pytest.approx(float(noisy.losses.df))
    np.testing.assert_allclose(quiet.history, noisy.history)


def test_tau_is_uniform_or_uniform_in_angle(make_problem: Make) -> None:
    for share, expected in ((0.0, [0.25, 0.5, 0.75]), (1.0, None)):
        config = dataclasses.replace(UNIFORM, tau_in_angle=share)
        watched = Watched(make_problem(bridge_noise=0.05), config, n=20_000)
        if expected is None:
            expected = (0.05 * np.tan(np.array([0.25, 0.5, 0.75]) * np.arctan(20))).tolist()
        np.testing.assert_allclose(np.quantile(watched.tau_u, [0.25, 0.5, 0.75]), expected, atol=0.02)
        np.testing.assert_allclose(np.quantile(watched.tau_v, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.02)
        np.testing.assert_allclose(np.quantile(watched.s, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.02)
        assert abs(np.corrcoef(watched.tau_v[:, 0], watched.s[:, 0])[0, 1]) < 0.03


def test_v_sees_tau_at_zero_in_its_own_share(make_problem: Make) -> None:
    watched = Watched(make_problem(), dataclasses.replace(UNIFORM, v_tau_at_zero=0.3), n=20_000)
    elsewhere = watched.tau_v[watched.tau_v > 0]
    assert abs((watched.tau_v == 0).float().mean() - 0.3) < 0.02
    np.testing.assert_allclose(np.quantile(elsewhere, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.02)
    assert (watched.tau_u > 0).all()
    assert abs(np.corrcoef(watched.tau_v[:, 0] == 0, watched.s[:, 0])[0, 1]) < 0.03


def test_bridges_without_noise_have_no_angle(make_problem: Make) -> None:
    problem = make_problem(bridge_noise=0.0, closed_form=False)
    watched = Watched(problem, TrainConfig(tau_in_angle=1.0))
    assert watched.tau_u.min() >= 0
    assert watched.tau_u.max() <= 1


def test_alignment_loss_is_that_of_the_masked_code(make_problem: Make) -> None:
    watched = Watched(make_problem())
    now, _ = watched.pair
    expected = (now - watched.place(watched.samples.now)).square().mean()
    assert float(watched.losses.align) == pytest.approx(float(expected), rel=1e-5)


def test_total_is_weighted_as_in_equation_8() -> None:
    losses = Losses(torch.tensor(2.0), torch.tensor(3.0), torch.tensor(5.0), torch.tensor(7.0))
    assert float(losses.total(TrainConfig())) == 10
    assert float(losses.total(TrainConfig(alpha=1, beta=10, eta=0.1, gamma=0.5))) == pytest.approx(36)


def test_a_batch_without_a_pair_is_no_loss_rather_than_nan(make_problem: Make) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    samples = WindowSampler(problem.table, problem.model).draw(64, torch.Generator().manual_seed(0))
    samples.weight.zero_()
    losses = compute_losses(problem.model, samples, UNIFORM, torch.Generator().manual_seed(0), prefix_p=0.125)
    assert float(losses.total(UNIFORM).detach()) == 0


def find_gradients(problem: Problem, loss: str) -> dict[str, float]:
    """Largest gradient that one loss sends to the encoder, the axes and each flow."""
    model = problem.model.train()
    for part in model.u, model.v:  # away from their start at zero, where little reaches what lies below
        nn.init.normal_(part.network.last.weight, std=0.1, generator=torch.Generator().manual_seed(1))
    for parameter in model.coupling.parameters():
        parameter.requires_grad_(False)
    learned = list(model.coupling.encoder.parameters()) if model.learns_encoder else []
    learned += [model.coupling.axes, model.coupling.log_variance] if model.learns_axes else []
    for parameter in learned:
        parameter.requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    samples = WindowSampler(problem.table, model).draw(128, generator)
    losses = compute_losses(model, samples, UNIFORM, generator, prefix_p=0.125)
    value = getattr(losses, loss)
    if value.requires_grad:
        value.backward()
    coupling = model.coupling
    parts = {
        "encoder": list(coupling.encoder.network.parameters()),
        "axes": [coupling.axes, coupling.log_variance],
        "u": list(model.u.parameters()),
        "v": list(model.v.parameters()),
    }
    return {
        name: max((float(p.grad.abs().max()) for p in parameters if p.grad is not None), default=0.0)
        for name, parameters in parts.items()
    }


AUTHORS = {"start": "random", "closed_form": False, "condition_on_k": False, "masked_endpoints": False,
           "noise_scale": "absolute"}  # fmt: skip
PAPER = {**AUTHORS, "train_encoder_with_flows": True, "masked_endpoints": True}
LEARNS: list[tuple[dict[str, Any], str, set[str]]] = [
    ({}, "cf", {"u"}),
    ({}, "df", {"v"}),
    ({}, "align", set()),
    ({"train_encoder_with_flows": True}, "cf", {"u", "encoder"}),
    ({"train_encoder_with_flows": True}, "df", {"v", "encoder"}),
    ({"train_encoder_with_flows": True}, "align", {"encoder"}),
    (AUTHORS, "cf", {"u"}),
    (AUTHORS, "df", {"v"}),
    (AUTHORS, "align", {"encoder", "axes"}),
    (PAPER, "cf", {"u", "encoder", "axes"}),
    (PAPER, "df", {"v", "encoder", "axes"}),
    (PAPER, "align", {"encoder", "axes"}),
    ({"start": "random"}, "cf", {"u"}),
    ({"start": "random"}, "df", {"v"}),
    ({"start": "random"}, "align", {"encoder", "axes"}),
]


@pytest.mark.parametrize(("settings", "loss", "learns"), LEARNS)
def test_gradients_reach_what_is_to_learn_and_nothing_else(
    make_problem: Make, settings: dict[str, Any], loss: str, learns: set[str]
) -> None:
    gradients = find_gradients(make_problem(**settings), loss)
    assert {name for name, value in gradients.items() if value > 0} == learns


def test_a_share_of_taus_is_zero(make_problem: Make) -> None:
    for in_angle in (0.0, 1.0):
        config = TrainConfig(tau_in_angle=in_angle, tau_at_zero=0.3)
        watched = Watched(make_problem(bridge_noise=0.05), config, n=20_000)
        assert float((watched.tau_u == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
