"""Integration of a perceptron's residual flow in the units of its first layer, and not in those of the frames.

In scaled coordinates c the rate is linear in the last hidden layer h, and the first layer linear in c. So the first
layer's z = c F obeys an equation of its own, dz/ds = f(z, s), with a matrix of width x width in place of the first and
the last layer and of the projections on the axes. The same steps are taken, and what h has added is sent back to the
frames once, at the end, or to the axes alone where no more is asked for: for 137 channels half of the time, and the
same numbers but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from .axes import Axes
from .networks import ConditionedMLP
from .precision import in_full

# torchdiffeq's rk4, the 3/8 rule: where in a step the rate is evaluated, and with which weight it counts
PLACES, WEIGHTS = (0.0, 1 / 3, 2 / 3, 1.0), (1 / 8, 3 / 8, 3 / 8, 1 / 8)


@dataclass(frozen=True)
class Gain:
    """What the network has added to scaled states on their way.

    Attributes
    ----------
    hidden, along : Tensor, shape (n, width)
        In units of its last hidden layer: on all axes, and added on the kept ones.
    biases, biases_along : float
        How often its last bias was added.
    """

    hidden: Tensor
    along: Tensor
    biases: float
    biases_along: float


@dataclass(frozen=True)
class HiddenUnits:
    """The linear maps between scaled frames and the first layer, for one prefix.

    Attributes
    ----------
    network : ConditionedMLP
        From coordinates on the kept axes and the rest of a frame to the residual.
    into : Tensor, shape (D, width)
        F.
    back : Tensor, shape (width, D)
        The last layer.
    loop, loop_along : Tensor, shape (width, width)
        `back` and then F: of the whole residual, and of its part along the kept axes.
    axes : Axes
    mask : Tensor, shape (1, k_max)
    """

    network: ConditionedMLP
    into: Tensor
    back: Tensor
    loop: Tensor
    loop_along: Tensor
    axes: Axes
    mask: Tensor

    @classmethod
    @in_full
    def make(cls, network: ConditionedMLP, axes: Axes, mask: Tensor) -> Self:
        """Make the maps for the prefix `mask`, (1, k_max)."""
        first: Tensor = network.layers[0].weight  # type: ignore[assignment]  # modules in a list have lost their type
        of_kept, of_rest = first.T[: mask.shape[1]], first.T[mask.shape[1] :]
        # kept = c down, and the rest = c - kept up
        into = torch.addmm(of_rest, axes.down * mask, of_kept - axes.up @ of_rest)
        back = network.last.weight.T
        return cls(network, into, back, back @ into, axes.project(back, mask) @ into, axes, mask)

    @in_full
    def enter(self, start: Tensor) -> Tensor:
        """z of scaled states less b, (n, D) to (n, width)."""
        return start @ self.into

    @in_full
    def enter_scaled(self, centred: Tensor, kept: Tensor, scale: float) -> Tensor:
        """z of states less b whose part off the kept axes is divided by `scale`: the two parts are not made."""
        of_kept = (1 - 1 / scale) * (self.axes.up @ self.into)
        return torch.addmm(kept @ of_kept, centred, self.into, alpha=1 / scale)

    def integrate(self, z: Tensor, step: float, weights: Sequence[tuple[float, float]], condition: Tensor) -> Gain:
        """Carry states in units of the first layer over equal steps of the clock.

        Parameters
        ----------
        z : Tensor, shape (n, width)
        step : float
            Of the clock's s.
        weights : sequence of (float, float)
            Of the network's output in the rate, on all axes and added on the kept ones, for each of the `PLACES` of
            each step.
        condition : Tensor, shape (4 * steps, any)
            Of the network, in the same order.
        """
        network = self.network
        embedded = network.embed(condition)
        shifts = [shift(embedded) for shift in network.shifts]
        added, along = (torch.zeros_like(z) for _ in range(2))
        biases, biases_along = 0.0, 0.0
        bias = network.last.bias[None]
        bias_loop, bias_loop_along = ((part @ self.into)[0] for part in (bias, self.axes.project(bias, self.mask)))
        n_places, last = len(PLACES), len(weights) - 1
        rates: list[Tensor] = []
        for at, (every, on_kept) in enumerate(weights):
            hidden = nn.functional.silu(_advance(z, shifts[0][at], rates, step), inplace=True)
            for layer, shift in zip(network.layers[1:], shifts[1:], strict=True):
                of_layer: Tensor = layer.weight  # type: ignore[assignment]  # as above
                hidden = nn.functional.silu(torch.addmm(shift[at], hidden, of_layer.T), inplace=True)
            weight = WEIGHTS[at % n_places] * step
            added.add_(hidden, alpha=weight * every)
            along.add_(hidden, alpha=weight * on_kept)
            biases, biases_along = biases + weight * every, biases_along + weight * on_kept
            if at == last:  # the state after the last step is not asked for in these units
                break
            shifted = every * bias_loop + on_kept * bias_loop_along
            rates.append(torch.addmm(shifted, hidden, every * self.loop + on_kept * self.loop_along))
            if len(rates) == n_places:
                weighed = rates[0].add_(rates[3]).add_(rates[1].add_(rates[2]), alpha=3)
                z, rates = torch.add(z, weighed, alpha=step / 8), []
        return Gain(added, along, biases, biases_along)

    @in_full
    def add(self, start: Tensor, gain: Gain) -> Tensor:
        """Scaled states less b, (n, D), at the end."""
        bias = self.network.last.bias
        whole = torch.addmm(start + gain.biases * bias, gain.hidden, self.back)
        return whole + self.axes.project(gain.along @ self.back + gain.biases_along * bias, self.mask)

    @in_full
    def add_on_axes(self, kept: Tensor, gain: Gain) -> Tensor:
        """Their coordinates on the kept axes, (n, k_max), from those at the start."""
        onto = self.axes.down * self.mask
        constant = (gain.biases + gain.biases_along) * (self.network.last.bias @ onto)
        return torch.addmm(kept + constant, gain.hidden + gain.along, self.back @ onto)


def _advance(z: Tensor, shift: Tensor, rates: list[Tensor], h: float) -> Tensor:
    """The state at which the next rate of a step is evaluated, and the first layer's shift."""
    place = z + shift
    match rates:
        case []:
            return place
        case [first]:
            return place.add_(first, alpha=h / 3)
        case [first, second]:
            return place.add_(second, alpha=h).sub_(first, alpha=h / 3)
        case _:
            return place.add_(rates[0], alpha=h).sub_(rates[1], alpha=h).add_(rates[2], alpha=h)
