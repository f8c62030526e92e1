"""Networks for u and v: a multilayer perceptron whose layers are shifted by a condition, or on images a U-Net.

Both are called with states, (n, D) each or several side by side, latents (n, any) and a condition (n, n_condition),
and return (n, D). A network that `sees_images` also gets the directions that the first latents stand for: it sees the
kept part of a state as an image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .unet import ConditionedUNet

N_FREQUENCIES = 8
FOURIER_SCALE = 30.0  # of the paper's Gaussian-Fourier embedding
N_FOURIER = 32
N_EMBEDDING = 64


@dataclass(frozen=True)
class NetworkSize:
    """Size of the networks of u and v.

    Attributes
    ----------
    width, depth : int
        Of the perceptron.
    frame_shape : (int, int) or None
        Height and width of images; None takes the perceptron.
    channels, patch
        Of the U-Net; see `ConditionedUNet`.
    """

    width: int
    depth: int
    frame_shape: tuple[int, int] | None = None
    channels: tuple[int, ...] = ()
    patch: int = 0

    def build(
        self, n_channels: int, *, n_states: int, n_latents: int, n_condition: int, zero_start: bool
    ) -> ConditionedMLP | ConditionedUNet:
        """Build a network to (n, `n_channels`) from `n_states` states and `n_latents` latents in all."""
        if self.frame_shape is not None:
            return ConditionedUNet(
                self.frame_shape,
                n_states,
                n_latents,
                n_condition,
                channels=self.channels,
                patch=self.patch,
                zero_start=zero_start,
            )
        # a perceptron takes everything side by side
        n_in = n_latents + n_states * n_channels
        return ConditionedMLP(n_in, n_channels, n_condition, width=self.width, depth=self.depth, zero_start=zero_start)

    def count_views(self) -> int:
        """Count the states that stand for one whose kept part enters as latents: the rest, or on images both parts."""
        return 1 if self.frame_shape is None else 2


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
            # drawn once and stored: the embedding is part of the model
            frequencies = 2 * math.pi * scale * torch.randn(n_frequencies)
        self.register_buffer("frequencies", frequencies)

    def forward(self, scalar: Tensor) -> Tensor:
        angle = scalar * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class ConditionedMLP(nn.Module):
    """MLP from states and latents, n_in numbers in all, to (n, n_out), an embedded condition at each level.

    The condition shifts every level. A scale as well (the paper's FiLM, there on images) cost a quarter of
    the time and changed no score. The last layer starts at zero when `zero_start`: the initial model is then its
    closed form alone.
    """

    sees_images: ClassVar[bool] = False

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_condition: int,
        *,
        width: int,
        depth: int,
        zero_start: bool,
    ) -> None:
        super().__init__()
        sizes = [n_in, *([width] * depth)]
        self.embed = nn.Sequential(nn.Linear(n_condition, N_EMBEDDING), nn.SiLU())
        # no bias: the shift of the condition is one
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.shifts = nn.ModuleList(nn.Linear(N_EMBEDDING, width) for _ in range(depth))
        self.last = nn.Linear(width, n_out)
        if zero_start:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, states: Sequence[Tensor], latents: Sequence[Tensor], condition: Tensor) -> Tensor:
        """Return (n, n_out) from states, latents (the first those of the states themselves) and a condition.

        A condition of one row holds for all of them; its layers, half of the work of a narrow network, are run once.
        """
        x = torch.cat([*latents[:1], *states, *latents[1:]], dim=-1)
        embedded = self.embed(condition)
        for layer, shift in zip(self.layers, self.shifts, strict=True):
            weight: Tensor = layer.weight  # type: ignore[assignment]  # modules in a list have lost their type
            # addmm adds the shift in the product's own kernel, and broadcasts a condition of one row
            x = nn.functional.silu(torch.addmm(shift(embedded), x, weight.T))
        out: Tensor = self.last(x)
        return out
