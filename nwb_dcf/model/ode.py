"""Ordinary differential equations of the flows, solved by torchdiffeq."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchdiffeq import odeint

DOPRI5_TOLERANCE = (1e-5, 1e-7)  # relative, absolute: 31 to 55 evaluations on recordings, off by 1e-6
DOPRI5_FIRST = 16  # its first step is that part of the way: found by itself, it may try times far outside it


def integrate(
    rate: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    t0: float,
    t1: float,
    *,
    solver: str = "rk4",
    steps: int = 4,
) -> Tensor:
    """Carry `start`, shape (n, D), from t0 to t1 along dx/dt = rate(t, x).

    Parameters
    ----------
    rate : callable
        ``rate(t, x)`` with t a scalar tensor.
    start : Tensor, shape (n, D)
    t0, t1 : float
        Of tau or s; t1 may lie below t0.
    solver : {"rk4", "midpoint", "dopri5"}
        ``rk4`` and ``midpoint`` take `steps` equal steps, of four and two evaluations each; ``dopri5`` (section 4 of
        the paper) adapts its own.
    steps : int
        Of the solvers with equal steps.

    Returns
    -------
    Tensor, shape (n, D)
    """
    times = torch.tensor([t0, t1], dtype=start.dtype, device=start.device)
    if solver == "dopri5":
        rtol, atol = DOPRI5_TOLERANCE
        # torchdiffeq's own guess of the first step evaluates u far outside the data
        options = {"first_step": abs(t1 - t0) / DOPRI5_FIRST}
        end: Tensor = odeint(rate, start, times, method="dopri5", rtol=rtol, atol=atol, options=options)[-1]
    else:
        end = odeint(rate, start, times, method=solver, options={"step_size": abs(t1 - t0) / steps})[-1]
    return end
