"""The dynamical flow v(x, tau, s, history): carries a state from one frame to the next (paper 2.4).

Symbols: x (n, D) state at compression tau (n, 1) and position s (n, 1) between two frames; history: the last
h + 1 frames at the same tau, newest first, the current one included; mask (n, k_max) the prefix m_K.
v is the displacement of one median time step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .compressive_flow import FOURIER_SCALE, N_FOURIER, N_FREQUENCIES
from .coupling import Coupling, in_double
from .velocity import NetworkSize, ScalarEmbedding

RIDGE = 1e-3  # of the linear start, in units of a latent's variance


class PlainDynamics(nn.Module):
    """v as a network alone; history enters as whole states, shape (n, h + 1, D)."""

    def __init__(self, n_channels: int, k_max: int, history: int, *, size: NetworkSize, conditioned: bool) -> None:
        super().__init__()
        self.conditioned = conditioned
        self.embed_tau = ScalarEmbedding(N_FOURIER, FOURIER_SCALE)
        self.embed_s = ScalarEmbedding(N_FOURIER, FOURIER_SCALE)
        n_condition = 4 * N_FOURIER + (k_max if conditioned else 0)
        self.network = size.build(
            n_channels, n_states=history + 2, n_codes=0, n_condition=n_condition, zero_start=False
        )

    def forward(self, x: Tensor, tau: Tensor, s: Tensor, history: Tensor, mask: Tensor, coupling: Coupling) -> Tensor:
        """Return v, shape (n, D), per median step."""
        condition = torch.cat([self.embed_tau(tau), self.embed_s(s), *([mask] if self.conditioned else [])], dim=-1)
        seen = torch.cat([x[:, None], history], dim=1) - coupling.mean
        v: Tensor = self.network(seen.unbind(1), [], condition)
        return v


class RidgeStartDynamics(nn.Module):
    """v as a ridge autoregression in the code, plus a network that begins at zero.

    History enters as coordinates on the axes, shape (n, h + 1, k_max). At tau = 0 every endpoint lies in the
    span of the kept axes, so the network's part off them is multiplied by tau.
    """

    ridge: Tensor

    def __init__(self, n_channels: int, k_max: int, history: int, *, rho: float, size: NetworkSize) -> None:
        super().__init__()
        self.rho = rho
        self.embed_tau = ScalarEmbedding(N_FREQUENCIES)
        self.embed_s = ScalarEmbedding(N_FREQUENCIES)
        self.network = size.build(
            n_channels,
            n_states=size.count_views(),
            n_codes=(history + 2) * k_max,
            n_condition=4 * N_FREQUENCIES + k_max,
            zero_start=True,
        )
        self.register_buffer("ridge", torch.zeros((history + 1) * k_max, k_max, k_max))

    @torch.no_grad()
    def start_at(self, history: Tensor, displacement: Tensor) -> None:
        """Set the autoregression of every prefix from codes.

        Parameters
        ----------
        history : Tensor, shape (pair, h + 1, k_max)
            Codes of each pair's past, newest first.
        displacement : Tensor, shape (pair, k_max)
            Code of the next frame minus that of the current one, per median step.
        """
        n, lags, k_max = history.shape
        flat, target = in_double(history.flatten(1)), in_double(displacement)
        gram, cross = flat.T @ flat / n, flat.T @ target / n
        latent = torch.arange(k_max, device=flat.device).repeat(lags)
        for k in range(1, k_max + 1):
            rows = torch.nonzero(latent < k)[:, 0]
            regular = gram[rows[:, None], rows] + RIDGE * torch.eye(len(rows), device=gram.device, dtype=gram.dtype)
            solved = torch.linalg.solve(regular, cross[rows, :k])
            self.ridge[rows.to(self.ridge.device), k - 1, :k] = solved.to(self.ridge)

    def forward(self, x: Tensor, tau: Tensor, s: Tensor, history: Tensor, mask: Tensor, coupling: Coupling) -> Tensor:
        """Return v, shape (n, D), per median step."""
        kept, dropped = coupling.split(x, mask)
        scaled = dropped / (tau.square() + self.rho**2).sqrt()
        condition = torch.cat([self.embed_tau(tau), self.embed_s(s), mask], dim=-1)
        states = [scaled, coupling.place(kept) - coupling.mean] if self.network.sees_images else [scaled]
        out = self.network(states, [kept, history.flatten(1)], condition)
        along = coupling.project(out, mask)
        prefix = mask.sum(-1).long() - 1
        masked = (history * mask[:, None]).flatten(1)
        every = (masked @ self.ridge.flatten(1)).view(len(x), *self.ridge.shape[1:])
        linear = every[torch.arange(len(x), device=x.device), prefix]
        v = torch.addmm(tau * out, linear, (coupling.axes * coupling.variance.sqrt()).T)
        return torch.addcmul(v, 1 - tau, along)
