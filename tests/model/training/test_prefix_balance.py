"""Prefixes that count by what they leave unexplained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from nwb_dcf.config import TrainConfig
from nwb_dcf.config.presets import make_config
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.losses import compression_loss
from nwb_dcf.model.training.batches import WindowSampler
from nwb_dcf.model.training.loop import scale_rate_by_axes
from nwb_dcf.model.training.objective import compute_losses
from nwb_dcf.model.training.prefix_balance import LEAST, PrefixBalance

from .conftest import Problem

Make = Callable[..., Problem]


def test_levels_follow_each_prefix_and_weights_undo_them() -> None:
    truth = torch.tensor([1.0, 0.5, 0.01, 0.01])
    balance, generator = PrefixBalance(4, torch.device("cpu")), torch.Generator().manual_seed(0)
    for _ in range(200):
        lengths = torch.randint(1, 4, (64,), generator=generator)  # never 4
        errors = truth[lengths - 1] * torch.rand(64, generator=generator) * 2
        weights = balance.weigh(errors, lengths)
    torch.testing.assert_close(balance.level[:3], truth[:3], rtol=0.2, atol=0)
    assert balance.level[3] == 0
    levels = balance.level[lengths - 1]
    torch.testing.assert_close(weights * levels, levels.mean().expand(64))  # all alike, and as large as before


def test_the_first_batch_sets_the_levels_and_none_counts_without_bound() -> None:
    balance = PrefixBalance(2, torch.device("cpu"))
    weights = balance.weigh(torch.tensor([3.0, 1.0, 0.0]), torch.tensor([1, 1, 2]))
    torch.testing.assert_close(balance.level, torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2 / 3, 1 / LEAST]))


def test_importance_multiplies_the_errors_of_samples() -> None:
    u, target = torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.zeros(2, 2)
    ones, weight, importance = torch.ones(2), torch.tensor([1.0, 0.0]), torch.tensor([3.0, 0.5])
    assert compression_loss(u, target, None, ones) == compression_loss(u, target) == 1.5
    assert compression_loss(u, target, None, importance) == (3 * 1 + 0.5 * 2) / 2
    assert compression_loss(u, target, weight, importance) == 3


def test_a_balanced_loss_is_the_mean_of_weighted_errors_and_noise_on_kept_axes_is_as_said(make_problem: Make) -> None:
    """With no noise on the kept axes u is shown endpoints at tau = 0, and their coordinates exactly."""
    problem = make_problem()
    model = problem.model
    samples = WindowSampler(problem.table, model, ("u",)).draw(128, torch.Generator().manual_seed(0))
    config = TrainConfig(tau_in_angle=0.0, tau_at_zero=1.0)
    seen: list[torch.Tensor] = []
    model.u.register_forward_pre_hook(lambda module, given: seen.append(model.coupling.read(given[0]) * given[2]))
    shown = []
    for kept_noise in (1.0, 0.5, 0.0):
        model.config = dataclasses.replace(model.config, kept_noise=kept_noise)
        generator = torch.Generator().manual_seed(1)
        losses = compute_losses(model, samples, config, generator, prefix_p=0.3, flows=("u",))
        shown.append(seen.pop())
    torch.testing.assert_close(shown[1], (shown[0] + shown[2]) / 2, rtol=1e-4, atol=1e-5)
    assert float((shown[0] - shown[2]).detach().abs().max()) > 0.01
    balance = PrefixBalance(model.k_max, torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    balanced = compute_losses(model, samples, config, generator, prefix_p=0.3, flows=("u",), balance=balance)
    torch.testing.assert_close(balanced.cf, losses.cf, rtol=0.02, atol=0)  # of a first batch, whose levels are its own


def test_images_are_balanced_and_channels_are_not() -> None:
    for kind, expected in (("images", (True, 0.2)), ("counts", (False, 1.0)), ("values", (False, 1.0))):
        config = make_config("default", {}, kind=kind)
        assert (config.train.balance_prefixes, config.model.kept_noise) == expected


@pytest.mark.parametrize(("unexplained", "factor"), [(0.5, 1.0), (0.1, 4.0), (1e-3, 10.0)])
def test_a_code_from_which_all_can_be_read_is_held_to_the_axes(unexplained: float, factor: float) -> None:
    balance = PrefixBalance(4, torch.device("cpu"))
    balance.weigh(torch.full((8,), unexplained), torch.full((8,), 2))
    align = torch.tensor(0.8, requires_grad=True)
    held = balance.hold(align)
    held.backward()
    assert float(held.detach()) == pytest.approx(0.8)
    assert float(align.grad or 0) == pytest.approx(factor)


def test_rates_rise_where_networks_see_few_axes_and_a_rate_that_was_given_stays() -> None:
    config = make_config("default", {}, kind="images")
    rates = [
        scale_rate_by_axes(DCFModel(300, 2, config.model, n_axes=n), config.train) for n in (16, 64, 144, 256, 300, 0)
    ]
    assert rates == pytest.approx([2.0, 2.0, 4 / 3, 1.0, 1.0, 1.0])
    given = make_config("default", {"learning_rate": 1e-3}, kind="images")
    assert scale_rate_by_axes(DCFModel(300, 2, given.model, n_axes=16), given.train) == 1.0
