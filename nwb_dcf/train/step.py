"""One step of training after the other: a batch, its losses, their gradients, and all that these move.

Nothing here waits for the device, and nothing that changes from step to step is a number of Python's on a GPU: there
the steps are replayed (see `StepGraphs`).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import fields

import torch
from torch import Tensor, nn

from ..config import TrainConfig
from ..model.dcf import DCFModel
from ..model.nested_dropout import ramp_prefix_p
from .average import WeightAverage
from .context import ContextHeads
from .graph import StepGraphs, can_replay
from .objective import Losses, compute_losses
from .optimiser import AdamW, ParameterGroup, scale_rate
from .windows import FrameTable, WindowSampler


class Steps:
    """The steps of a training, which move `parts` of the model in place.

    Parameters
    ----------
    model : DCFModel
    parts : nn.ModuleDict
        Those of its parts that learn.
    table : FrameTable
    config : TrainConfig
    learn : collection of str
        Parts that are to learn, of ``coupling``, ``u`` and ``v``.
    heads : ContextHeads, optional
        Of L_context.

    Attributes
    ----------
    taken : int
    average : WeightAverage
        Of the weights of `parts` over the steps.
    losses : Losses
        Of the last step's batch, without their gradients.
    total : Tensor
        The objective that they make up.
    first_bad : Tensor
        Number of the first step whose loss was not finite; infinity where all were.
    """

    losses: Losses
    total: Tensor

    def __init__(
        self,
        model: DCFModel,
        parts: nn.ModuleDict,
        table: FrameTable,
        config: TrainConfig,
        learn: Collection[str],
        heads: ContextHeads | None = None,
    ) -> None:
        self.model, self.table, self.config, self.heads = model, table, config, heads
        self.moves_axes = "coupling" in parts and model.learns_axes
        self.generator = torch.Generator(table.device).manual_seed(config.seed)
        self.sampler = WindowSampler(table, model, learn)
        self.optimiser = _make_optimiser(model, parts, heads, config)
        self.average = WeightAverage(parts, config.ema)
        self.taken = 0
        self.number = torch.zeros((), device=table.device)
        self.first_bad = torch.full((), math.inf, device=table.device)
        self.graphs = StepGraphs(self.generator) if can_replay(table) else None

    def take(self, flows: frozenset[str]) -> None:
        """Take the next step, in which of u and v only `flows` learn."""
        if not self.model.training:  # judging ends it
            self.model.train()
        p = ramp_prefix_p(self.config.prefix_p, self.taken * self.config.batch, self.config.prefix_ramp)
        rate = scale_rate(self.taken, self.config)
        if self.graphs:
            self.graphs.take(self._move, flows, rate, p)
        else:
            self._move(flows, rate, p)
        self.taken += 1

    def _move(self, flows: frozenset[str], rate: float | Tensor, prefix_p: float | Tensor) -> None:
        model, config = self.model, self.config
        samples = self.sampler.draw(config.batch, self.generator)
        losses = compute_losses(
            model, samples, config, self.generator, prefix_p=prefix_p, flows=flows, heads=self.heads, table=self.table
        )
        total = losses.total(config)
        self.optimiser.zero_grad()
        torch.autograd.backward(total)
        self.optimiser.step(rate)
        if self.moves_axes:
            model.coupling.orthonormalise()
        self.average.update()
        # Without their graph: what lives on from an earlier step could not be replayed in a later one.
        self.losses = Losses(*(getattr(losses, field.name).detach() for field in fields(losses)))
        self.total = total.detach()
        self.number.add_(1)
        seen = torch.where(torch.isfinite(self.total), self.first_bad, torch.minimum(self.first_bad, self.number))
        self.first_bad.copy_(seen)

    def read_losses(self) -> dict[str, float]:
        """All of the last step's losses, their ``total`` and `first_bad`, brought from the device by one read."""
        named = {field.name: getattr(self.losses, field.name) for field in fields(self.losses)}
        named |= {"total": self.total, "first_bad": self.first_bad}
        return dict(zip(named, torch.stack(list(named.values())).tolist(), strict=True))


def _make_optimiser(model: DCFModel, parts: nn.ModuleDict, heads: ContextHeads | None, config: TrainConfig) -> AdamW:
    groups = [
        ParameterGroup(list(parts[name].parameters()), config.rate, clipped=True)
        for name in ("u", "v")
        if name in parts
    ]
    if heads is not None:
        groups.append(ParameterGroup(list(heads.parameters()), config.rate, clipped=False))
    for parameter in model.coupling.parameters():
        parameter.requires_grad_(False)
    if "coupling" in parts:
        axes = [model.coupling.axes, model.coupling.log_variance] if model.learns_axes else []
        learned = [*model.coupling.encoder.learned(), *axes]
        for parameter in learned:
            parameter.requires_grad_(True)
        groups.append(ParameterGroup(learned, config.encoder_rate, clipped=True))
    return AdamW(groups, config)
