"""Nested dropout (paper 3.1): prefixes of random length order the latents by importance."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def draw_prefix_lengths(
    n: int,
    k_max: int,
    p: float | Tensor,
    *,
    generator: torch.Generator,
    at_dim: float = 0.0,
    dim: int = 1,
    per_sample: bool = True,
) -> Tensor:
    """Draw K from Geometric(p) truncated to [1, k_max], on the generator's device.

    Parameters
    ----------
    n, k_max : int
        How many, and the longest: the number of axes.
    p : float or scalar Tensor
        Parameter of the geometric distribution, E[K] = 1/p before truncation; 1 gives K = 1 always.
    generator : torch.Generator
        On whose device the lengths are.
    at_dim : float
        Fraction of the draws that are `dim` instead.
    dim : int
        Number of latents that are kept; with ``at_dim`` 0 it has no part.
    per_sample : bool
        False gives all n the same K, as the paper does.

    Returns
    -------
    Tensor of int64, shape (n,)
    """
    device = generator.device
    # paper 3.1 draws one K for each step; one a sample lowers the variance of the gradient
    shape = n if per_sample else 1
    uniform = torch.rand(shape, generator=generator, device=device)
    if not isinstance(p, Tensor) and p >= 1:
        lengths = torch.ones(shape, dtype=torch.int64, device=device)
    else:
        # Inverse of the truncated distribution function: no rejection, no pile-up at k_max.
        log_q = torch.log1p(-p) if isinstance(p, Tensor) else math.log1p(-p)
        inside = -torch.expm1(k_max * log_q) if isinstance(log_q, Tensor) else -math.expm1(k_max * log_q)
        lengths = (torch.log1p(-uniform * inside) / log_q).floor().to(torch.int64).add(1).clamp(1, k_max)
    if at_dim > 0:
        fixed = torch.rand(shape, generator=generator, device=device) < at_dim
        # half of the draws at dim by default: reports are made from that prefix
        lengths = lengths.masked_fill(fixed, dim)  # torch.where would send the number to a GPU, and wait
    return lengths.expand(n)


def mask_prefix(lengths: Tensor, k_max: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """m_K: ones in the first K of k_max places; lengths (n,) to masks (n, k_max)."""
    return (torch.arange(k_max, device=lengths.device) < lengths[:, None]).to(dtype)


def ramp_prefix_p(p: float, samples_seen: int, ramp: int) -> float:
    """Parameter p while E[K] rises linearly from 1 to 1/p over the first `ramp` samples."""
    if ramp <= 0 or samples_seen >= ramp:
        return p
    return 1.0 / (1.0 + (1.0 / p - 1.0) * samples_seen / ramp)
