"""The axes of the data, as flows use them: coordinates of a state, states of coordinates, the part off the axes.

Symbols: x (..., D) states; b (D,) mean; L (D, k_max) orthonormal axes; d (k_max,) their variances; mu (..., k_max)
coordinates, of unit variance in the data; mask (n, k_max) the prefix m_K.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .precision import in_full


@dataclass(frozen=True)
class Axes:
    """b, L and d with the products that every step of training and of an integration needs, computed once.

    Attributes
    ----------
    mean : Tensor, shape (D,)
    directions : Tensor, shape (D, k_max)
        L.
    up : Tensor, shape (k_max, D)
        D^(1/2) L^T, from coordinates to states.
    down : Tensor, shape (D, k_max)
        L D^(-1/2), from states to coordinates.
    """

    mean: Tensor
    directions: Tensor
    up: Tensor
    down: Tensor

    @classmethod
    def make(cls, mean: Tensor, directions: Tensor, variance: Tensor) -> Axes:
        """Make the products of b, L and d."""
        # L has orthonormal columns, so that (L D^(1/2))^+ is D^(-1/2) L^T: no pseudo-inverse is computed
        scale = variance.sqrt()
        return cls(mean, directions, (directions * scale).T, directions / scale)

    def detach(self) -> Axes:
        """Return the axes without gradients, for flows whose losses must not move L and d."""
        return Axes(*(getattr(self, field.name).detach() for field in fields(self)))

    @in_full
    def span(self, mu: Tensor) -> Tensor:
        """L D^(1/2) mu: coordinates (..., k_max) to the directions they stand for, (..., D)."""
        return mu @ self.up

    @in_full
    def place(self, mu: Tensor) -> Tensor:
        """b + L D^(1/2) mu: coordinates (..., k_max) to states (..., D)."""
        # addmm adds b in the same kernel; it takes matrices alone
        if mu.dim() == 2:
            return torch.addmm(self.mean, mu, self.up)
        return self.mean + mu @ self.up

    @in_full
    def read(self, x: Tensor) -> Tensor:
        """(L D^(1/2))^+ (x - b): coordinates of states (..., D) on the axes, (..., k_max)."""
        return (x - self.mean) @ self.down

    @in_full
    def split(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (n, k_max) on the kept axes and the rest of x - b, (n, D), off them; x (n, D)."""
        centred = x - self.mean
        kept = (centred @ self.down) * mask
        # the dropped part stays in D coordinates: a basis of it would cost D x D
        return kept, torch.addmm(centred, kept, self.up, alpha=-1)

    @in_full
    def project(self, vector: Tensor, mask: Tensor) -> Tensor:
        """The part of vectors (n, D) along the kept axes."""
        return ((vector @ self.directions) * mask) @ self.directions.T
