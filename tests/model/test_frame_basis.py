"""Frames by their coordinates on principal axes: there and back, and what lies off the axes."""

from __future__ import annotations

import pytest
import torch

from nwb_dcf.config import ModelConfig
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.frame_basis import FrameBasis, scale_rest
from nwb_dcf.model.principal_axes import compute_principal_axes

D, M, N = 40, 8, 300


def draw_frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    scale = torch.linspace(3, 0.1, D)
    turn = torch.linalg.qr(torch.randn(D, D, generator=generator)).Q
    return (torch.randn(N, D, generator=generator) * scale) @ turn + 5


def make_model(frames: torch.Tensor, n_axes: int) -> DCFModel:
    config = ModelConfig(dim=2, network="mlp", network_axes=n_axes, width=16, depth=2, history=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DCFModel(D, 4, config, None, n_axes)
    principal = compute_principal_axes(frames)
    if model.basis is None:
        model.start_at(principal)
    else:
        model.basis.start_at(principal)
        model.start_at(model.basis.turn(principal))
    return model.eval()


def test_coordinates_have_mean_variance_one_and_lead_back() -> None:
    frames = draw_frames()
    principal = compute_principal_axes(frames)
    basis = FrameBasis(D, M)
    basis.start_at(principal)
    y = basis.read(frames)
    assert y.shape == (N, M)
    torch.testing.assert_close(y.mean(0), torch.zeros(M), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.var(0, unbiased=False).mean(), torch.ones(()), rtol=1e-4, atol=0)
    torch.testing.assert_close(y.var(0, unbiased=False), basis.turn(principal).variance, rtol=1e-3, atol=1e-5)
    rest = basis.compute_rest(frames, y)
    torch.testing.assert_close(basis.place(y) + rest, frames, rtol=1e-5, atol=1e-4)
    assert float((rest @ basis.axes).abs().max()) < 1e-3


def test_all_axes_change_nothing_of_the_model_at_its_start() -> None:
    """At the start u is closed form on every axis: whether it is a coordinate or off them must not matter."""
    frames = draw_frames()
    plain, few = make_model(frames, 0), make_model(frames, M)
    with torch.no_grad():
        for name in ("compress", "expand"):
            torch.testing.assert_close(
                getattr(few, name)(frames, 2), getattr(plain, name)(frames, 2), rtol=1e-3, atol=2e-3
            )
        torch.testing.assert_close(few.encode(frames, 3), plain.encode(frames, 3), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(few.read(frames), plain.read(frames), rtol=1e-3, atol=1e-3)
        code = plain.encode(frames, 2)
        torch.testing.assert_close(few.reconstruct(code), plain.reconstruct(code), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(few.place(code), plain.place(code), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(few.mean, plain.mean)
    torch.testing.assert_close(few.loadings, plain.loadings, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(few.spectrum, plain.spectrum, rtol=1e-3, atol=1e-5)


def test_flowed_latents_need_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = draw_frames()
    model = make_model(frames, M)
    for parameter in model.u.parameters():  # its last layer starts at zero
        parameter.data.normal_(0, 0.2)
    with torch.no_grad():
        expected = model.read(model.compress(frames, 2))[:, :2]
        monkeypatch.delattr(FrameBasis, "place")
        torch.testing.assert_close(model.flow(frames, 2), expected, rtol=1e-3, atol=1e-3)


def test_the_way_to_tau_0_and_back_is_exact_off_the_axes() -> None:
    frames = draw_frames()
    model = make_model(frames, M)
    assert model.basis is not None
    with torch.no_grad():
        states = model.compress(frames, 2)
        torch.testing.assert_close(model.expand(states, 2), frames, rtol=1e-4, atol=1e-3)
        rest = model.basis.compute_rest(frames, model.basis.read(frames))
        left = model.basis.compute_rest(states, model.basis.read(states))
    torch.testing.assert_close(left, rest * scale_rest(1.0, 0.0, 0.05), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n_axes", [0, M])
def test_weights_of_a_basis_are_stored(n_axes: int) -> None:
    model = make_model(draw_frames(), n_axes)
    names = {name for name in model.state_dict() if name.startswith("basis.")}
    assert names == ({"basis.mean", "basis.axes", "basis.factor"} if n_axes else set())


@pytest.mark.parametrize("n_axes", [0, M])
def test_an_integration_asks_the_network_as_often_as_said_and_makes_its_condition_once_a_time(n_axes: int) -> None:
    """Evaluations are what a flow costs, and the layers of tau and K half of each where networks are narrow."""
    frames, seen = draw_frames(), []
    model = make_model(frames, n_axes)
    model.u.network.embed.register_forward_hook(lambda module, given, out: seen.append(len(given[0])))
    with torch.no_grad():
        model.compress(frames, 2)
        # four evaluations a step of RK4; where frames are wide, all conditions are made at once
        assert sum(seen) == 4 * model.config.solver_steps
        seen.clear()
        model.reconstruct(model.encode(frames, 2))
        assert seen == [1]
