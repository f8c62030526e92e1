"""The interpolations between endpoints and their target velocities: pure functions (paper 2.3, 2.4).

Symbols: x0, x1 (..., D) endpoints at tau = 0 and 1; tau and s (..., 1) in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .principal_axes import PrincipalAxes

ROUNDING = 1e-6  # of the variance: less than that off the axes is float32's rounding, and no noise is drawn for it


def interpolate_compression(x0: Tensor, x1: Tensor, tau: Tensor) -> Tensor:
    """x^(tau) = (1 - tau) x0 + tau x1."""
    # paper 2.3: the straight line between the endpoints
    return torch.lerp(x0, x1, tau)


def target_compression(x0: Tensor, x1: Tensor) -> Tensor:
    """u* = d x^(tau) / d tau = x1 - x0."""
    # constant in tau, so that L_cf is a regression on one vector
    return x1 - x0


def interpolate_time(x_now: Tensor, x_next: Tensor, s: Tensor) -> Tensor:
    """x_t^(tau) = (1 - s) x_k^(tau) + s x_{k+1}^(tau) (equation 4)."""
    # the same tau in both frames: equation 4 interpolates within one compression level
    return torch.lerp(x_now, x_next, s)


def target_time(x_now: Tensor, x_next: Tensor, step: Tensor) -> Tensor:
    """v* = (x_{k+1}^(tau) - x_k^(tau)) / dt.

    `step` (..., 1) is dt in units of the recording's median step, so that on a regular clock v is
    the displacement of one step and the three losses are on one scale.
    """
    return (x_next - x_now) / step


class BridgeNoise(nn.Module):
    """Gaussian noise of standard deviation `size` times that of the data along each principal axis.

    With an absolute sigma the exact field leaves sigma_i^2 / (lam_i + sigma_i^2) of every dropped axis'
    variance at tau = 0, and slow axes of v are attenuated by the same fraction; relative noise makes
    both size^2 / (1 + size^2) on all axes. Axes beyond those computed get their mean variance.
    Before `start_at` the noise is absolute: `size` on every channel.
    """

    shape: Tensor
    floor: Tensor

    def __init__(self, n_channels: int, size: float) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.size = size
        self.has_floor = True
        self.register_buffer("shape", torch.zeros(n_channels, 0), persistent=False)
        self.register_buffer("floor", torch.ones(()), persistent=False)

    @torch.no_grad()
    def start_at(self, principal: PrincipalAxes) -> None:
        """Take the standard deviation of each principal axis."""
        # principal axes beyond those kept have no variance of their own; the total says what they have together
        n_rest = self.n_channels - len(principal.variance)
        rest = max(principal.total - float(principal.variance.sum()), 0.0) / n_rest if n_rest else 0.0
        self.floor = torch.as_tensor(rest).sqrt().to(principal.variance)
        self.has_floor = rest * n_rest > ROUNDING * principal.total
        # the floor is drawn on all channels, so that kept axes get the excess above it alone
        deviation = (principal.variance - rest).clamp(min=0).sqrt()
        # in the axes' own coordinates a product of numbers stands for one of matrices
        unit = torch.eye(self.n_channels).to(principal.axes)
        self.shape = deviation if torch.equal(principal.axes, unit) else principal.axes * deviation

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw noise of shape (n, D)."""

        def draw_normal(width: int) -> Tensor:
            return torch.randn(n, width, generator=generator, device=self.shape.device, dtype=self.shape.dtype)

        if self.shape.dim() == 1:
            return self.size * (draw_normal(self.n_channels) * self.shape)
        rank = self.shape.shape[1]
        # no draw where the axes hold all variance: the generator's state then depends on that, and is part of a seed's
        # result
        floor = draw_normal(self.n_channels) * self.floor if self.has_floor else None
        if not rank:
            noise = torch.zeros(n, self.n_channels).to(self.shape) if floor is None else floor
        elif floor is None:
            noise = draw_normal(rank) @ self.shape.T
        else:
            noise = torch.addmm(floor, draw_normal(rank), self.shape.T)
        return self.size * noise
