"""Noise on the bridges: of one size, or of a size relative to each axis of the data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .coupling import PrincipalAxes


class BridgeNoise(nn.Module):
    """Gaussian noise of standard deviation `size` times that of the data along each principal axis.

    With an absolute sigma the exact field leaves sigma_i^2 / (lam_i + sigma_i^2) of every dropped axis'
    variance at tau = 0, and slow axes of v are attenuated by the same share; relative noise makes
    both size^2 / (1 + size^2) on all axes. Axes beyond those found share their mean variance.
    Before `start_at` the noise is absolute: `size` on every channel.
    """

    shape: Tensor
    floor: Tensor

    def __init__(self, n_channels: int, size: float) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.size = size
        self.register_buffer("shape", torch.zeros(n_channels, 0), persistent=False)
        self.register_buffer("floor", torch.ones(()), persistent=False)

    @torch.no_grad()
    def start_at(self, principal: PrincipalAxes) -> None:
        """Take the standard deviation of each principal axis."""
        n_rest = self.n_channels - len(principal.variance)
        rest = max(principal.total - float(principal.variance.sum()), 0.0) / n_rest if n_rest else 0.0
        self.floor = torch.as_tensor(rest).sqrt().to(principal.variance)
        self.shape = principal.axes * (principal.variance - rest).clamp(min=0).sqrt()

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw noise of shape (n, D)."""
        device, dtype = self.shape.device, self.shape.dtype
        rank = self.shape.shape[1]
        noise = torch.zeros(n, self.n_channels, device=device, dtype=dtype)
        if rank < self.n_channels:
            noise = torch.randn(n, self.n_channels, generator=generator, device=device, dtype=dtype) * self.floor
        if rank:
            noise = torch.addmm(
                noise, torch.randn(n, rank, generator=generator, device=device, dtype=dtype), self.shape.T
            )
        return self.size * noise
