"""The compressive flow u(x, tau): carries data (tau = 1) to their compressed endpoints (tau = 0) and back.

Symbols: x (n, D) states; tau (n, 1) and mask (n, k_max), the prefix m_K, or one row of them for all states;
kept (n, k_max) coordinates on the first K axes; dropped (n, D) the rest of x - b; rho the bridge's noise relative
to each axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .axes import Axes
from .compression_clock import ClockName, CompressionClock
from .hidden_integration import PLACES, Gain, HiddenUnits
from .networks import FOURIER_SCALE, N_FOURIER, ConditionedMLP, NetworkSize, ScalarEmbedding
from .ode import integrate
from .precision import in_full


class PlainCompression(nn.Module):
    """u as a network alone (paper 2.3); it sees K only when `conditioned`."""

    def __init__(self, n_channels: int, k_max: int, *, size: NetworkSize, conditioned: bool) -> None:
        super().__init__()
        self.conditioned = conditioned
        self.embed_tau = ScalarEmbedding(N_FOURIER, FOURIER_SCALE)
        n_condition = 2 * N_FOURIER + (k_max if conditioned else 0)
        self.network = size.build(n_channels, n_states=1, n_latents=0, n_condition=n_condition, zero_start=False)

    def forward(self, x: Tensor, tau: Tensor, mask: Tensor, axes: Axes) -> Tensor:
        """Return u, shape (n, D)."""
        # the authors condition u on tau alone; K enters only where the coupling is masked and `conditioned` is set
        condition = self.embed_tau(tau).expand(len(x), -1)
        if self.conditioned:
            condition = torch.cat([condition, mask.expand(len(x), -1)], dim=-1)
        u: Tensor = self.network([x - axes.mean], [], condition)
        return u

    def carry(
        self, x: Tensor, tau_from: float, tau_to: float, mask: Tensor, axes: Axes, *, solver: str, steps: int
    ) -> Tensor:
        """Integrate u from `tau_from` to `tau_to`."""
        return integrate(
            lambda tau, state: self(state, tau.view(1, 1), mask, axes),
            x,
            tau_from,
            tau_to,
            solver=solver,
            steps=steps,
        )

    def carry_to_axes(
        self, x: Tensor, tau_from: float, tau_to: float, mask: Tensor, axes: Axes, *, solver: str, steps: int
    ) -> Tensor:
        """Coordinates on the kept axes, (n, k_max), of what `carry` returns."""
        return axes.read(self.carry(x, tau_from, tau_to, mask, axes, solver=solver, steps=steps)) * mask


class ClosedFormCompression(nn.Module):
    """u as the exact field of a Gaussian with the data's axes, plus a network whose last layer starts at zero.

    For the bridge x^(tau) = (1 - tau) x0 + tau x1 + rho C^(1/2) eps between Gaussian data and their
    projection on the first K axes, the exact field is 0 on kept axes and tau / (tau^2 + rho^2) times the
    state on dropped ones, whatever their variance. What remains for the network is, on dropped
    axes, of the order of the posterior standard deviation rho / sqrt(tau^2 + rho^2); its output is scaled by that.

    In the coordinates kept + dropped / sqrt(tau^2 + rho^2) the closed form is constant. They are integrated in equal
    steps of w = arcsinh(tau / rho), where d tau / dw = sqrt(tau^2 + rho^2): neither the rates on kept axes, of order 1
    per tau, nor those on dropped ones, which all occur within a few rho, exceed the network's own. (Per angle
    arctan(tau / rho) the kept rates grow to 1 / rho towards tau = 1, and the same steps are 70 times less exact.) The
    `CompressionClock` of counts and images adds 2 tau to w.
    """

    def __init__(
        self,
        n_channels: int,
        k_max: int,
        *,
        rho: float,
        size: NetworkSize,
        clock: ClockName = "angle",
        n_frequencies: int = 8,
    ) -> None:
        super().__init__()
        self.rho = rho
        self.clock = CompressionClock.make(clock, rho)
        self.embed_angle = ScalarEmbedding(n_frequencies)  # stored by that name, whatever the clock
        self.network = size.build(
            n_channels,
            n_states=size.count_views(),
            n_latents=k_max,
            n_condition=2 * n_frequencies + k_max,
            zero_start=True,
        )

    def forward(self, x: Tensor, tau: Tensor, mask: Tensor, axes: Axes) -> Tensor:
        """Return u, shape (n, D)."""
        kept, dropped = axes.split(x, mask)
        deviation = (tau.square() + self.rho**2).sqrt()
        # the network sees dropped coordinates at unit variance for every tau, which keeps one set of weights useful
        # for all
        out, along = self._run_network(kept, dropped / deviation, tau, mask, axes)
        posterior = self.rho / deviation
        u = torch.addcmul(tau / deviation.square() * dropped, posterior, out)
        return torch.addcmul(u, 1 - posterior, along)

    def carry(
        self, x: Tensor, tau_from: float, tau_to: float, mask: Tensor, axes: Axes, *, solver: str, steps: int
    ) -> Tensor:
        """Integrate u from `tau_from` to `tau_to`, in scaled coordinates; `mask` (1, k_max) where all have one K."""
        kept, dropped = axes.split(x, mask)
        # scaled coordinates less b, in which the solver integrates the residual network alone
        start = axes.span(kept) + dropped / math.hypot(tau_from, self.rho)
        if self._is_wide(x, mask, solver):
            units = HiddenUnits.make(self.network, axes, mask)  # type: ignore[arg-type]  # asked by `_is_wide`
            gain = self._carry_hidden(units, units.enter(start), tau_from, tau_to, steps)
            end = units.add(start, gain) + axes.mean
        else:
            end = self._carry_frames(start + axes.mean, tau_from, tau_to, mask, axes, solver, steps)
        kept, dropped = axes.split(end, mask)
        return axes.place(kept) + dropped * math.hypot(tau_to, self.rho)

    def carry_to_axes(
        self, x: Tensor, tau_from: float, tau_to: float, mask: Tensor, axes: Axes, *, solver: str, steps: int
    ) -> Tensor:
        """Coordinates on the kept axes, (n, k_max), of the states of `carry`: not made where frames are wide."""
        if not self._is_wide(x, mask, solver):
            return axes.read(self.carry(x, tau_from, tau_to, mask, axes, solver=solver, steps=steps)) * mask
        units = HiddenUnits.make(self.network, axes, mask)  # type: ignore[arg-type]  # asked by `_is_wide`
        kept = axes.read(x) * mask
        z = units.enter_scaled(x - axes.mean, kept, math.hypot(tau_from, self.rho))
        return units.add_on_axes(kept, self._carry_hidden(units, z, tau_from, tau_to, steps))

    def _carry_frames(
        self, start: Tensor, tau_from: float, tau_to: float, mask: Tensor, axes: Axes, solver: str, steps: int
    ) -> Tensor:
        s_from, s_to = (self.clock.find_place(tau) for tau in (tau_from, tau_to))
        return integrate(
            lambda s, state: self._scaled_rate(state, s, mask, axes), start, s_from, s_to, solver=solver, steps=steps
        )

    def _is_wide(self, x: Tensor, mask: Tensor, solver: str) -> bool:
        """Whether frames are wider than the layers of a perceptron, so that its first layer is integrated instead."""
        network = self.network
        if not isinstance(network, ConditionedMLP) or torch.is_grad_enabled():
            return False
        return solver == "rk4" and len(mask) == 1 and x.shape[1] + mask.shape[1] > len(network.last.weight.T)

    @in_full
    def _carry_hidden(self, units: HiddenUnits, z: Tensor, tau_from: float, tau_to: float, steps: int) -> Gain:
        s_from, s_to = (self.clock.find_place(tau) for tau in (tau_from, tau_to))
        begins = torch.linspace(s_from, s_to, steps + 1, dtype=torch.float64)[:-1, None]
        step = (s_to - s_from) / steps
        w = self.clock.find_w(begins + torch.tensor(PLACES, dtype=torch.float64) * step).flatten()
        tau = (self.rho * w.sinh()).to(z)[:, None]
        condition = torch.cat([self.embed_angle(self.clock.show(tau)), units.mask.expand(len(tau), -1)], dim=-1)
        every, kept = self.clock.weigh(w)
        return units.integrate(z, step, list(zip(every.tolist(), kept.tolist(), strict=True)), condition)

    def _scaled_rate(self, state: Tensor, s: Tensor, mask: Tensor, axes: Axes) -> Tensor:
        w = self.clock.find_w(s)
        tau = (self.rho * w.sinh()).view(1, 1)  # one tau for all states: what depends on it alone is computed once
        kept, scaled = axes.split(state, mask)
        out, along = self._run_network(kept, scaled, tau, mask, axes)
        every, on_kept = self.clock.weigh(w)
        return every * out + on_kept * along

    def _run_network(
        self, kept: Tensor, scaled: Tensor, tau: Tensor, mask: Tensor, axes: Axes
    ) -> tuple[Tensor, Tensor]:
        embedded = self.embed_angle(self.clock.show(tau))
        rows = max(len(embedded), len(mask))
        condition = torch.cat([embedded.expand(rows, -1), mask.expand(rows, -1)], dim=-1)
        more = [axes.up] if self.network.sees_images else []
        out = self.network([scaled], [kept], condition, *more)
        # the closed form is 0 on kept axes (paper 2.3 with masked endpoints); what the network adds there is weighted
        # apart
        return out, axes.project(out, mask)
