"""The interpolations between endpoints and their target velocities: pure functions (paper 2.3, 2.4).

Symbols: x0, x1 (..., D) endpoints at tau = 0 and 1; tau and s (..., 1) in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor


def interpolate_compression(x0: Tensor, x1: Tensor, tau: Tensor) -> Tensor:
    """x^(tau) = (1 - tau) x0 + tau x1."""
    return torch.lerp(x0, x1, tau)


def target_compression(x0: Tensor, x1: Tensor) -> Tensor:
    """u* = d x^(tau) / d tau = x1 - x0."""
    return x1 - x0


def interpolate_time(x_now: Tensor, x_next: Tensor, s: Tensor) -> Tensor:
    """x_t^(tau) = (1 - s) x_k^(tau) + s x_{k+1}^(tau) (equation 4)."""
    return torch.lerp(x_now, x_next, s)


def target_time(x_now: Tensor, x_next: Tensor, step: Tensor) -> Tensor:
    """v* = (x_{k+1}^(tau) - x_k^(tau)) / dt.

    `step` (..., 1) is dt in units of the recording's median step, so that on a regular clock v is
    the displacement of one step and the three losses are on one scale.
    """
    return (x_next - x_now) / step
