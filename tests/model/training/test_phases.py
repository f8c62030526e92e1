"""Training part after part, and a code with context: what each frame's mu sees, and whose weights a phase moves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nwb_dcf.config import TrainConfig
from nwb_dcf.model import parallel
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.training import ContextHeads, FrameTable, train_model
from nwb_dcf.model.training.batches import WindowSampler
from nwb_dcf.model.training.objective import compute_losses

from .conftest import LENGTHS, Problem, find_real

Make = Callable[..., Problem]
QUICK = TrainConfig(steps=5, batch_size=64, encoder_learning_rate=5e-3)
STARTS = [
    {"train_encoder_with_flows": True},
    {"start": "random"},
    {"start": "random", "train_encoder_with_flows": True},
]


def copy_parts(model: DCFModel) -> dict[str, dict[str, Tensor]]:
    return {
        name: {key: value.clone() for key, value in getattr(model, name).state_dict().items()}
        for name in ("coupling", "u", "v")
    }


def find_moved(model: DCFModel, before: dict[str, dict[str, Tensor]]) -> set[str]:
    after = copy_parts(model)
    return {name for name in before if any(not torch.equal(before[name][key], after[name][key]) for key in after[name])}


@pytest.mark.parametrize("settings", STARTS)
@pytest.mark.parametrize("learn", [("coupling", "u"), ("v",), ("u",), ("coupling",)])
def test_a_phase_moves_its_own_parts_and_no_other(make_problem: Make, settings: dict[str, Any], learn: Any) -> None:
    problem = make_problem(**settings)
    before = copy_parts(problem.model.eval())
    trained = train_model(problem.model, problem.table, QUICK, learn=learn)
    assert find_moved(problem.model, before) == set(learn)
    assert set(trained.best_step) == set(learn) - {"coupling"}


@pytest.mark.parametrize("settings", [{}, {"train_encoder_with_flows": True}])
def test_axes_that_are_known_stay_where_they_are(make_problem: Make, settings: dict[str, Any]) -> None:
    problem = make_problem(**settings)
    coupling = problem.model.coupling
    axes, scales = coupling.axes.detach().clone(), coupling.variance.detach().clone()
    train_model(problem.model, problem.table, QUICK)
    assert torch.equal(coupling.axes.detach(), axes)
    assert torch.equal(coupling.variance.detach(), scales)


@pytest.mark.parametrize("settings", STARTS)
def test_v_learns_on_a_code_that_stands_still(make_problem: Make, settings: dict[str, Any]) -> None:
    """In its own phase no gradient leaves v for the encoder, and the code is encoded once."""
    problem = make_problem(**settings)
    sampler = WindowSampler(problem.table, problem.model.train(), learn=("v",))
    assert sampler.cached is not None
    generator = torch.Generator().manual_seed(0)
    samples = sampler.draw(64, generator)
    assert not samples.latents.requires_grad
    losses = compute_losses(problem.model, samples, QUICK, generator, prefix_p=0.3, flows=("v",))
    losses.df.backward()
    encoder = problem.model.coupling.encoder
    assert all(p.grad is None or not p.grad.any() for p in encoder.parameters())
    assert problem.model.v.network.last.weight.grad.abs().max() > 0


@pytest.mark.parametrize("settings", STARTS)
def test_a_learned_code_is_left_exactly_normalised(make_problem: Make, settings: dict[str, Any]) -> None:
    problem = make_problem(encoder_window=1, **settings)
    train_model(problem.model, problem.table, QUICK, learn=("coupling", "u"))
    coupling = problem.model.coupling
    with torch.no_grad():
        mu = problem.table.encode(coupling)
    np.testing.assert_allclose(mu.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(mu.var(0, unbiased=False), 1, atol=1e-4)
    np.testing.assert_allclose((coupling.axes.T @ coupling.axes).detach(), np.eye(4), atol=2e-4)


def wake(model: DCFModel) -> None:
    """Give the encoder's network weights that do not vanish."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.coupling.encoder.network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("window", [0, 1, 3])
def test_mu_sees_its_window_within_the_segment(make_problem: Make, window: int) -> None:
    """A frame that is changed changes the codes of the frames around it, and of none in another segment."""
    problem = make_problem(encoder_window=window)
    wake(problem.model.eval())
    table, frame = problem.table, torch.arange(sum(LENGTHS))
    segment = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))
    with torch.no_grad():
        before = table.encode(problem.model.coupling)
        for changed in (0, LENGTHS[0] - 1, LENGTHS[0], LENGTHS[0] + LENGTHS[1], 80):
            x = table.x.clone()
            x[changed] += 1
            after = dataclasses.replace(table, x=x).encode(problem.model.coupling)
            moved = (after - before).abs().amax(1) > 1e-6
            expected = ((frame - changed).abs() <= window) & (segment == segment[changed])
            assert torch.equal(moved, expected)


def test_a_segments_ends_repeat_beyond_it() -> None:
    x = torch.arange(6.0)[:, None]
    table = FrameTable.build(x, torch.tensor([0, 0, 0, 1, 2, 2]), torch.arange(6), history=0, drop_start=False)
    around = table.surround(torch.arange(6), 2)[..., 0]
    expected = [[0, 0, 0, 1, 2], [0, 0, 1, 2, 2], [0, 1, 2, 2, 2], [3, 3, 3, 3, 3], [4, 4, 4, 5, 5], [4, 4, 5, 5, 5]]
    np.testing.assert_array_equal(around, expected)


@pytest.mark.parametrize("learn", [("coupling", "u", "v"), ("coupling", "u"), ("v",)])
def test_drawn_codes_are_those_of_the_frame_in_its_window(make_problem: Make, learn: Any) -> None:
    problem = make_problem(encoder_window=2, train_encoder_with_flows=True)
    wake(problem.model.eval())
    every = problem.table.encode(problem.model.coupling).detach()
    samples = WindowSampler(problem.table, problem.model, learn).draw(80, torch.Generator().manual_seed(0))
    real = find_real(samples)
    torch.testing.assert_close(samples.latents[samples.now[real]].detach(), every[samples.frames[real]])
    torch.testing.assert_close(samples.x[samples.now[real]], problem.table.x[samples.frames[real]])
    if "v" in learn:
        torch.testing.assert_close(samples.latents[samples.later[real]].detach(), every[samples.frames[real] + 1])


def test_the_linear_part_sees_the_frame_alone(make_problem: Make) -> None:
    problem = make_problem(encoder_window=2)
    coupling = problem.model.eval().coupling
    with torch.no_grad():
        torch.testing.assert_close(problem.table.encode(coupling), coupling.read(problem.table.x))


def test_channels_are_dropped_in_training_alone_in_all_frames_of_a_window(make_problem: Make) -> None:
    problem = make_problem(encoder_window=1, encoder_dropout=0.5, train_encoder_with_flows=True)
    encoder = problem.model.eval().coupling.encoder
    shown: list[Tensor] = []
    encoder.network.register_forward_hook(lambda module, inputs, output: shown.append(inputs[0].detach()))
    sampler = WindowSampler(problem.table, problem.model)
    sampler.draw(1500, torch.Generator().manual_seed(0))
    with torch.no_grad():
        sampler.draw(1500, torch.Generator().manual_seed(0))
    dropped, whole = (part.view(len(part), 3, -1) for part in shown)
    hidden = dropped == 0
    assert 0.45 < hidden.float().mean() < 0.55
    assert torch.equal(hidden.all(1), hidden.any(1))
    ratio = (dropped / whole)[~hidden]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 2.0))
    assert (whole != 0).all()


def test_context_is_read_from_the_first_numbers_of_the_code_within_the_segment(make_problem: Make) -> None:
    """Heads that answer nothing have the mean square of the frames around; frames beyond the segment do not count."""
    problem = make_problem(train_encoder_with_flows=True)
    table, principal = problem.table, compute_principal_axes(problem.table.x)
    heads = ContextHeads(principal, 2, (-1, 2))
    frames = torch.tensor([0, 10, LENGTHS[0] - 1, LENGTHS[0] - 2])
    codes = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))

    def find_loss(codes: Tensor, rho: float) -> float:
        with torch.no_grad():
            return float(heads.loss(codes, frames, table, rho, torch.Generator().manual_seed(0)))

    base, other = find_loss(codes, 0.0), codes.clone()
    other[:, 2:] += 3
    assert find_loss(other, 0.0) == base
    other[:, :2] += 3
    assert find_loss(other, 0.0) != base
    assert find_loss(codes, 0.5) != base
    for parameter in heads.parameters():
        torch.nn.init.zeros_(parameter)
    around = [2, 9, 12, LENGTHS[0] - 2, LENGTHS[0] - 3]
    expected = (table.x[around] - principal.mean).square().sum(1).mean() / 5
    assert find_loss(codes, 0.1) == pytest.approx(float(expected), rel=1e-4)


def test_context_reaches_the_encoder_only_where_it_learns(make_problem: Make) -> None:
    for joined in (False, True):
        problem = make_problem(train_encoder_with_flows=joined, encoder_window=1)
        model = problem.model.train()
        heads = ContextHeads(compute_principal_axes(problem.table.x), 2, (-2, 2))
        generator = torch.Generator().manual_seed(0)
        for parameter in model.coupling.encoder.learned():
            parameter.requires_grad_(joined)
        samples = WindowSampler(problem.table, model).draw(128, generator)
        losses = compute_losses(
            model, samples, QUICK, generator, prefix_p=0.3, flows=(), heads=heads, table=problem.table
        )
        losses.context.backward()
        gradients = [p.grad for p in model.coupling.encoder.network.parameters() if p.grad is not None]
        assert bool(gradients) == joined
        assert all(p.grad is not None for p in heads.parameters())
        config = dataclasses.replace(QUICK, alpha=0.0, beta=0.0, eta=0.0, gamma=0.5)
        assert float(losses.total(config).detach()) == pytest.approx(0.5 * float(losses.context.detach()))


def test_a_known_code_is_not_moved_by_encoding_a_long_recording_in_pieces(
    make_problem: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model fresh from its start, and frames that drift: each piece has a mean of its own."""
    monkeypatch.setattr(parallel, "FRAMES_AT_ONCE", 16)
    problem = make_problem()
    coupling = problem.model.train().coupling
    train_model(problem.model, problem.table, QUICK, learn=("u",))
    with torch.no_grad():
        torch.testing.assert_close(problem.table.encode(coupling), coupling.read(problem.table.x), atol=1e-3, rtol=1e-3)


def test_heads_learn_to_read_a_code_that_stands_still(make_problem: Make) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    heads = ContextHeads(compute_principal_axes(problem.table.x), 2, (-1, 1))
    with torch.no_grad():
        codes = problem.table.encode(problem.model.coupling)
    frames = torch.arange(len(codes))

    def measure() -> float:
        with torch.no_grad():
            return float(heads.loss(codes, frames, problem.table, 0.05, torch.Generator().manual_seed(1)))

    before = measure()
    heads.follow(codes, problem.table, 0.05, torch.Generator().manual_seed(0))
    assert measure() < 0.5 * before
    assert not codes.requires_grad
