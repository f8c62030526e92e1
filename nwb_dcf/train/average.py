"""Averages of the weights over the steps of training."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from .optimiser import cut


class WeightAverage:
    """Exponential moving average of the parameters of `parts`, kept where they are.

    torch's AveragedModel counts its updates in a tensor on the CPU and sends it to the device at every step, which
    makes a GPU wait; here the first update is known to Python.

    Parameters
    ----------
    parts : nn.ModuleDict
    decay : float
        Share of the average that a step keeps.
    """

    def __init__(self, parts: nn.ModuleDict, decay: float) -> None:
        self.parts = parts
        self.averaged = copy.deepcopy(parts)
        self._mix = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self._kept, self._new = (cut(list(module.parameters())) for module in (self.averaged, parts))
        self._kept_buffers, self._new_buffers = (list(module.buffers()) for module in (self.averaged, parts))
        self._started = False

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of this step in; those of the first step whole. Buffers are copied."""
        if self._started:
            self._mix(self._kept, self._new, None)
        else:
            torch._foreach_copy_(self._kept, self._new)
            self._started = True
        if self._kept_buffers:
            torch._foreach_copy_(self._kept_buffers, self._new_buffers)
