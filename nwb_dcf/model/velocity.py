"""Networks for u and v: a multilayer perceptron whose layers are shifted by a condition."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

N_EMBEDDING = 64


class ScalarEmbedding(nn.Module):
    """Embed a scalar in [0, 1], shape (n, 1), as sines and cosines, shape (n, 2 * n_frequencies).

    ``scale=None`` takes the frequencies pi, 2 pi, ... (smooth in the scalar); a number draws them from a
    Gaussian of that scale, as the authors do (30).
    """

    frequencies: Tensor

    def __init__(self, n_frequencies: int, scale: float | None = None) -> None:
        super().__init__()
        if scale is None:
            frequencies = math.pi * torch.arange(1, n_frequencies + 1, dtype=torch.float32)
        else:
            frequencies = 2 * math.pi * scale * torch.randn(n_frequencies)
        self.register_buffer("frequencies", frequencies)

    def forward(self, scalar: Tensor) -> Tensor:
        angle = scalar * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class ConditionedMLP(nn.Module):
    """MLP (n, n_in) -> (n, n_out) that sees an embedded condition (n, n_condition) at each level.

    The condition shifts every level. A scale as well (the paper's FiLM, there on images) cost a quarter of
    the time and changed no figure here. The last layer starts at zero when `zero_start`, so that a
    closed-form start stays as it is until the network has learned something.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_condition: int,
        *,
        width: int,
        depth: int,
        zero_start: bool,
        N_EMBEDDING: int = 64,
    ) -> None:
        super().__init__()
        sizes = [n_in, *([width] * depth)]
        self.embed = nn.Sequential(nn.Linear(n_condition, N_EMBEDDING), nn.SiLU())
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.shifts = nn.ModuleList(nn.Linear(N_EMBEDDING, width) for _ in range(depth))
        self.last = nn.Linear(width, n_out)
        if zero_start:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        embedded = self.embed(condition)
        for layer, shift in zip(self.layers, self.shifts, strict=True):
            x = nn.functional.silu(layer(x) + shift(embedded))
        out: Tensor = self.last(x)
        return out
