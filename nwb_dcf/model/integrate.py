"""Ordinary differential equations of the flows, solved by torchdiffeq."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchdiffeq import odeint

DOPRI5_TOLERANCE = (1e-3, 1e-5)  # relative, absolute: 38 to 68 evaluations on recordings


def integrate(
    rate: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    t0: float,
    t1: float,
    *,
    solver: str = "midpoint",
    steps: int = 16,
) -> Tensor:
    """Carry `start`, shape (n, D), from t0 to t1 along dx/dt = rate(t, x).

    Parameters
    ----------
    rate : callable
        ``rate(t, x)`` with t a scalar tensor.
    solver : {"midpoint", "dopri5"}
        ``midpoint`` takes `steps` equal steps; ``dopri5`` (section 4 of the paper) adapts its own.

    Returns
    -------
    Tensor, shape (n, D)
    """
    times = torch.tensor([t0, t1], dtype=start.dtype, device=start.device)
    if solver == "midpoint":
        end: Tensor = odeint(rate, start, times, method="midpoint", options={"step_size": abs(t1 - t0) / steps})[-1]
    else:
        rtol, atol = DOPRI5_TOLERANCE
        end = odeint(rate, start, times, method="dopri5", rtol=rtol, atol=atol)[-1]
    return end
