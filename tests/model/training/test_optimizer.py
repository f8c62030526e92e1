"""The update and what it bounds, beside torch's own classes."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor, nn

from nwb_dcf.config import TrainConfig
from nwb_dcf.model.training import optimizer as optimiser
from nwb_dcf.model.training.optimizer import BETAS, AdamW, ParameterGroup, WeightAverage, clip_norm, cut, scale_rate

CONFIG = TrainConfig(steps=50, learning_rate=1e-2, max_grad_norm=0.3, weight_decay=0.05)


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 5)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def make_loss(network: nn.Module, step: int) -> Tensor:
    x = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(step))
    loss: Tensor = network(x).square().sum()
    return loss


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tensors on a GPU are cut into, here of 7 numbers."""

    class OnGpu(Tensor):
        @property
        def is_cuda(self) -> bool:  # type: ignore[override]
            return True

    def cut_all(tensors: list[Tensor]) -> list[Tensor]:
        return [piece.as_subclass(Tensor) for piece in cut([t.as_subclass(OnGpu) for t in tensors])]

    monkeypatch.setattr(optimiser, "PIECE", 7)
    monkeypatch.setattr(optimiser, "cut", cut_all)
    monkeypatch.setattr("nwb_dcf.model.training.optimizer.cut", cut_all)


def train_both(network: nn.Module, n_steps: int = 30) -> tuple[nn.Module, list[nn.Module]]:
    """Our update on `network`, with its average, and torch's on a copy."""
    other = copy.deepcopy(network)
    average = WeightAverage(nn.ModuleDict({"u": network}), 0.9)
    averaged = torch.optim.swa_utils.AveragedModel(
        other,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9),  # type: ignore[no-untyped-call]
    )
    ours = AdamW([ParameterGroup(list(network.parameters()), CONFIG.learning_rate, clipped=True)], CONFIG)
    theirs = torch.optim.AdamW(other.parameters(), betas=BETAS, weight_decay=CONFIG.weight_decay)
    for step in range(n_steps):
        ours.zero_grad()
        torch.autograd.backward(make_loss(network, step))
        ours.step(scale_rate(step, CONFIG))
        average.update()
        theirs.zero_grad()
        torch.autograd.backward(make_loss(other, step))
        nn.utils.clip_grad_norm_(other.parameters(), CONFIG.max_grad_norm)
        theirs.param_groups[0]["lr"] = CONFIG.learning_rate * scale_rate(step, CONFIG)
        theirs.step()
        averaged.update_parameters(other)
    return average.averaged["u"], [other, averaged.module]


def check_alike(network: nn.Module) -> None:
    kept, (other, averaged) = train_both(network)
    for ours, theirs in ((network, other), (kept, averaged)):
        for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, two)


def test_an_average_has_the_latest_buffers() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    average = WeightAverage(nn.ModuleDict({"u": network}), 0.9)
    for step in range(3):
        network(torch.randn(5, 3, generator=torch.Generator().manual_seed(step)))
        average.update()
    for kept, own in zip(average.averaged.buffers(), network.buffers(), strict=True):
        assert torch.equal(kept, own)
    assert int(network[0].num_batches_tracked) == 3  # type: ignore[arg-type]


def test_the_update_is_that_of_torch() -> None:
    check_alike(make_network())


@pytest.mark.usefixtures("in_pieces")
def test_tensors_in_pieces_are_moved_alike() -> None:
    network = make_network()
    pieces = optimiser.cut(list(network.parameters()))
    assert [len(piece) for piece in pieces[:12]] == [*[7] * 10, 2, 4]  # 72 weights, 4 of a bias
    check_alike(network)


def test_tensors_on_a_processor_stay_whole() -> None:
    parameters = list(make_network().parameters())
    assert all(kept is parameter for kept, parameter in zip(cut(parameters), parameters, strict=True))


@pytest.mark.parametrize("most", [0.5, 1e6])
def test_a_norm_is_bounded_as_by_torch(most: float) -> None:
    gradients = [torch.randn(3, 4), torch.randn(5)]
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    nn.utils.clip_grad_norm_(parameters, most)
    clip_norm(gradients, most)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert torch.equal(gradient, parameter.grad)  # type: ignore[arg-type]


def test_a_parameter_without_a_gradient_stays() -> None:
    moved, still = (nn.Parameter(torch.ones(3)) for _ in range(2))
    update = AdamW([ParameterGroup([moved, still], 0.1, clipped=False)], dataclasses.replace(CONFIG, weight_decay=0.1))
    moved.grad = torch.ones(3)
    update.step(1.0)
    assert not torch.equal(moved, torch.ones(3))
    assert torch.equal(still, torch.ones(3))
