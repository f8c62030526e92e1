"""AdamW with a schedule of its rate, for parts that may stop learning one by one."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ...config import TrainConfig
from .checkpoint import State, put_into

WARM_UP = 20  # steps over which the rate rises
BETAS = (0.9, 0.999)
PIECE = 2**13  # numbers that a block of a GPU's threads is given at a time


def scale_rate(step: int, config: TrainConfig) -> float:
    """Compute the fraction of the full rate at `step`: a short rise, then half a cosine or a constant."""
    # Adam's second moments are poor estimates in the first steps: full rates would move the initial model far off
    warm = min(1.0, (step + 1) / WARM_UP)
    if config.schedule == "constant":
        return warm
    return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))


def cut(tensors: list[Tensor]) -> list[Tensor]:
    """Tensors on a GPU as flat pieces of the same memory, others as they are.

    Kernels for many tensors at once give 65,536 numbers to a block: the weights of a perceptron kept twenty of 132
    multiprocessors busy, four times as long.
    """
    if not tensors or not tensors[0].is_cuda:
        return tensors
    flat = (tensor.detach().as_strided((tensor.numel(),), (1,)) for tensor in tensors)
    return [piece for tensor in flat for piece in torch.split(tensor, PIECE)]


def clip_norm(gradients: list[Tensor], most: float) -> None:
    """Scale all `gradients` alike where their joint norm is above `most`.

    As ``torch.nn.utils.clip_grad_norm_``, which asks parameters for theirs.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (most / (norm + 1e-6)).clamp(max=1.0))


@dataclass
class ParameterGroup:
    """Parameters of one rate, their moments, and how often they were moved: all together, or not at all.

    Attributes
    ----------
    parameters : sequence of Tensor
    rate : float
        Before the schedule.
    clipped : bool
        Whether the norm of their gradients is bounded.
    """

    parameters: Sequence[Tensor]
    rate: float
    clipped: bool
    first: list[Tensor] = field(init=False)
    second: list[Tensor] = field(init=False)
    steps: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.first, self.second = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))
        self.steps = torch.zeros((), device=next(iter(self.parameters)).device if self.parameters else "cpu")


class AdamW:
    """One fused update of all parameters of a group; those without a gradient do not change.

    torch's own optimiser classes import its compiler when they are made, seconds of a small fit, and count the steps
    of every parameter separately, a tenth of a small step. The update is the kernel that they call.

    Parameters
    ----------
    groups : iterable of ParameterGroup
    config : TrainConfig
        Decay and the bound on each clipped group's gradient.
    """

    def __init__(self, groups: Iterable[ParameterGroup], config: TrainConfig) -> None:
        self.groups, self.config = list(groups), config

    def get_state(self) -> list[State]:
        """Return moments and steps of each group."""
        return [{"first": group.first, "second": group.second, "steps": group.steps} for group in self.groups]

    def set_state(self, state: list[State]) -> None:
        """Continue from a state of `get_state`."""
        for group, stored in zip(self.groups, state, strict=True):
            put_into([*group.first, *group.second, group.steps], [*stored["first"], *stored["second"], stored["steps"]])

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = None

    @torch.no_grad()
    def step(self, scale: float | Tensor) -> None:
        """Clip, and update every parameter with a gradient at `scale` times its rate; no wait for the device."""
        for group in self.groups:
            moved = [i for i, parameter in enumerate(group.parameters) if parameter.grad is not None]
            if not moved:
                continue
            parameters = [group.parameters[i] for i in moved]
            values, gradients = cut(parameters), cut([p.grad for p in parameters if p.grad is not None])
            if group.clipped and self.config.max_grad_norm:
                clip_norm(gradients, self.config.max_grad_norm)
            group.steps += 1
            torch._fused_adamw_(
                values,
                gradients,
                cut([group.first[i] for i in moved]),
                cut([group.second[i] for i in moved]),
                [],
                [group.steps] * len(values),
                amsgrad=False,
                lr=group.rate * scale,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=self.config.weight_decay,
                eps=1e-8,
                maximize=False,
            )


class WeightAverage:
    """Exponential moving average of the parameters of `parts`, kept where they are.

    torch's AveragedModel counts its updates in a tensor on the CPU and sends it to the device at every step, which
    makes a GPU wait; here the first update is known to Python.

    Parameters
    ----------
    parts : nn.ModuleDict
    decay : float
        Fraction of the average that a step keeps.
    """

    def __init__(self, parts: nn.ModuleDict, decay: float) -> None:
        self.parts = parts
        self.averaged = copy.deepcopy(parts)
        self._mix = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self._kept, self._new = (cut(list(module.parameters())) for module in (self.averaged, parts))
        self._kept_buffers, self._new_buffers = (list(module.buffers()) for module in (self.averaged, parts))
        self._started = False

    def get_state(self) -> State:
        """Return the averages, and whether there are any yet."""
        return {"averaged": self.averaged.state_dict(), "started": self._started}

    def set_state(self, state: State) -> None:
        """Continue from a state of `get_state`."""
        self.averaged.load_state_dict(state["averaged"])
        self._started = state["started"]

    @torch.no_grad()
    def update(self) -> None:
        """Update the averages by the weights of this step; the first step sets them. Buffers are copied."""
        if self._started:
            self._mix(self._kept, self._new, None)
        else:
            torch._foreach_copy_(self._kept, self._new)
            self._started = True
        if self._kept_buffers:
            torch._foreach_copy_(self._kept_buffers, self._new_buffers)
