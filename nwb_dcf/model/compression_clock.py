"""The clock of u: what it sees of tau, and in equal steps of what it is integrated.

Symbols: tau in [0, 1]; rho the bridge's noise relative to each axis; w = arcsinh(tau / rho), along which the rates on
dropped axes are even (see `compressive_flow.ClosedFormCompression`); s the place on the way, which rises with tau.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

ClockName = Literal["way", "angle"]
TAU_WEIGHT = 2.0  # of tau in s: the rates on kept axes, of order 1 per tau, are at most 1 / 2 per s then
NEWTON_STEPS = 6  # to the precision of float64, from the bound that they begin at


@dataclass(frozen=True)
class CompressionClock:
    """Places on the way between data and their compressed endpoints.

    ``way`` is s = w + 2 tau, which is embedded as well. ``angle``, of values, U-Nets and earlier fits, embeds
    arctan(tau / rho), which changes fastest where a solver's steps are longest, and s = w leaves the rates on kept axes
    to grow as tau does. By ``way`` and one frequency two steps of four evaluations each are as exact as four by
    ``angle`` and eight frequencies, and reconstructions as good (benchmarks/RESULTS.md).

    Attributes
    ----------
    rho : float
    tau_weight : float
        Of tau in s.
    by_angle : bool
        Whether the angle is embedded in place of s.
    """

    rho: float
    tau_weight: float
    by_angle: bool

    @classmethod
    def make(cls, name: ClockName, rho: float) -> Self:
        """Make the clock of that name."""
        if name == "way":
            return cls(rho, tau_weight=TAU_WEIGHT, by_angle=False)
        return cls(rho, tau_weight=0.0, by_angle=True)

    def find_place(self, tau: float) -> float:
        """Return s of tau."""
        return math.asinh(tau / self.rho) + self.tau_weight * tau

    def show(self, tau: Tensor) -> Tensor:
        """Return what is embedded of tau, from 0 to 1."""
        if self.by_angle:
            return torch.atan(tau / self.rho) / math.atan(1 / self.rho)
        return (torch.asinh(tau / self.rho) + self.tau_weight * tau) / self.find_place(1.0)

    def find_w(self, s: Tensor) -> Tensor:
        """Return w of s, of any shape and sign."""
        if self.tau_weight == 0:
            return s
        scale = self.tau_weight * self.rho
        # w + scale sinh(w) = s by Newton's method; each term alone bounds w, and from a bound the steps never overshoot
        w = torch.minimum(s.abs(), torch.asinh(s.abs() / scale))
        for _ in range(NEWTON_STEPS):
            w = w - (w + scale * w.sinh() - s.abs()) / (1 + scale * w.cosh())
        return torch.copysign(w, s)

    def weigh(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights at w of the network's output, on all axes and added on the kept ones, in a rate per s."""
        deviation = self.rho * w.cosh()  # sqrt(tau^2 + rho^2) = d tau / dw
        posterior = self.rho / deviation
        pace = 1 / (1 + self.tau_weight * deviation)  # dw / ds
        return pace * posterior, pace * (deviation - posterior)
