"""The principal axes of wide frames, in whose coordinates the model works; off them u is closed form.

Symbols: x (n, D) frames or states; b (D,) mean; V (D, m) orthonormal axes; f a number; y = f V^T (x - b), (n, m).

A perceptron on the D pixels of an image learned nothing: at tau = 0, where it decodes a few latents, the noise of D
pixels dominates its input. On m axes it learned more than a U-Net, in a fraction of the time (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .principal_axes import PrincipalAxes


class FrameBasis(nn.Module):
    """Orthonormal axes between frames of D numbers and their m coordinates, whose mean variance is 1.

    Parameters
    ----------
    n_channels, n_axes : int
        D and m.
    """

    mean: Tensor
    axes: Tensor
    factor: Tensor

    def __init__(self, n_channels: int, n_axes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("axes", torch.zeros(n_channels, n_axes))
        self.register_buffer("factor", torch.ones(()))

    @torch.no_grad()
    def start_at(self, principal: PrincipalAxes) -> None:
        """Take the first m of the frames' principal axes; `principal` holds at least as many."""
        n = self.axes.shape[1]
        self.mean.copy_(principal.mean)
        self.axes.copy_(principal.axes[:, :n])
        # unit mean variance, at which the networks' initial weights and learning rates were chosen
        self.factor.copy_(principal.variance[:n].mean().rsqrt())

    def turn(self, principal: PrincipalAxes) -> PrincipalAxes:
        """Return the principal axes of the coordinates, for a basis made of `principal`: the unit vectors."""
        n = self.axes.shape[1]
        # principal axes in their own coordinates: no second decomposition of the frames
        variance = principal.variance[:n] * self.factor.square()
        return PrincipalAxes(torch.zeros_like(variance), torch.eye(n).to(variance), variance, float(variance.sum()), n)

    def read(self, x: Tensor) -> Tensor:
        """Coordinates (n, m) of frames (n, D)."""
        return ((x - self.mean) @ self.axes) * self.factor

    def place(self, y: Tensor) -> Tensor:
        """Frames (..., D) of coordinates (..., m): b + V y / f."""
        return self.mean + (y / self.factor) @ self.axes.T

    def compute_rest(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the part of frames (n, D) off the axes, given their coordinates `y`."""
        return x - self.place(y)


def scale_rest(tau_from: float, tau_to: float, rho: float) -> float:
    """Compute the factor of the part off every axis from one tau to another: the exact field of a dropped axis.

    ``u_i = tau / (tau^2 + rho^2) y_i`` whatever the variance, so y_i grows as sqrt(tau^2 + rho^2).
    """
    return math.hypot(tau_to, rho) / math.hypot(tau_from, rho)
