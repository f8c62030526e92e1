"""The dynamical flow v(x, tau, s, history): carries a state from one frame to the next (paper 2.4).

Symbols: x (n, D) state at compression tau (n, 1) and position s (n, 1) between two frames; history: the last
h + 1 frames at the same tau, newest first, the current one included; mask (n, k_max) the prefix m_K.
v is the displacement of one median time step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .axes import Axes
from .networks import FOURIER_SCALE, N_FOURIER, N_FREQUENCIES, ConditionedMLP, NetworkSize, ScalarEmbedding
from .principal_axes import in_double

RIDGE = 1e-3  # of the linear start, in units of a latent's variance


class PlainDynamics(nn.Module):
    """v as a network alone; history enters as whole states, shape (n, h + 1, D)."""

    def __init__(self, n_channels: int, k_max: int, history: int, *, size: NetworkSize, conditioned: bool) -> None:
        super().__init__()
        self.conditioned = conditioned
        self.embed_tau = ScalarEmbedding(N_FOURIER, FOURIER_SCALE)
        self.embed_s = ScalarEmbedding(N_FOURIER, FOURIER_SCALE)
        # tau and s are embedded apart: sine and cosine for each of their frequencies
        n_condition = 4 * N_FOURIER + (k_max if conditioned else 0)
        self.network = size.build(
            n_channels, n_states=history + 2, n_latents=0, n_condition=n_condition, zero_start=False
        )

    def forward(self, x: Tensor, tau: Tensor, s: Tensor, history: Tensor, mask: Tensor, axes: Axes) -> Tensor:
        """Return v, shape (n, D), per median step."""
        condition = torch.cat([self.embed_tau(tau), self.embed_s(s), *([mask] if self.conditioned else [])], dim=-1)
        v: Tensor = self.network([x - axes.mean, (history - axes.mean).flatten(1)], [], condition)
        return v

    def at_zero(self, x: Tensor, s: Tensor, history: Tensor, mask: Tensor, axes: Axes) -> Tensor:
        """Return v at tau = 0, shape (n, D), per median step."""
        v: Tensor = self(x, torch.zeros_like(s), s, history, mask, axes)
        return v


class RidgeStartDynamics(nn.Module):
    """v as a ridge autoregression of the latents, plus two networks whose last layers start at zero.

    At tau = 0 every endpoint lies in the span of the kept axes, and v depends on the latents alone: one network learns
    it there, undisturbed by the pixels or units that the other adds, whose output is multiplied by tau.
    History enters as coordinates on the axes, shape (n, h + 1, k_max).

    Both networks see the history of the kept coordinates whitened: successive frames are alike, and velocity and
    curvature, which determine a rollout, are small differences between them. A triangular matrix whitens every prefix
    at once, latent by latent: the first K depend on none beyond them.
    """

    ridge: Tensor
    whitening: Tensor

    def __init__(self, n_channels: int, k_max: int, history: int, *, rho: float, size: NetworkSize) -> None:
        super().__init__()
        self.rho = rho
        self.embed_tau = ScalarEmbedding(N_FREQUENCIES)
        self.embed_s = ScalarEmbedding(N_FREQUENCIES)
        n_latents, n_condition = (history + 2) * k_max, 4 * N_FREQUENCIES + k_max
        self.latent = ConditionedMLP(n_latents, k_max, n_condition, width=size.width, depth=size.depth, zero_start=True)
        self.network = size.build(
            n_channels, n_states=size.count_views(), n_latents=n_latents, n_condition=n_condition, zero_start=True
        )
        n_past = (history + 1) * k_max
        self.register_buffer("ridge", torch.zeros(n_past, k_max, k_max))
        self.register_buffer("whitening", torch.eye(n_past))

    @torch.no_grad()
    def start_at(self, history: Tensor, displacement: Tensor) -> None:
        """Set the autoregression of every prefix, and the whitening, from latents.

        Parameters
        ----------
        history : Tensor, shape (pair, h + 1, k_max)
            Latents of each pair's past, newest first.
        displacement : Tensor, shape (pair, k_max)
            Latents of the next frame minus those of the current one, per median step.
        """
        n, lags, k_max = history.shape
        # successive frames are nearly collinear: normal equations in float32 lose the velocity
        flat, target = in_double(history.flatten(1)), in_double(displacement)
        gram, cross = flat.T @ flat / n, flat.T @ target / n
        latent = torch.arange(k_max, device=flat.device).repeat(lags)
        # one regression for each prefix: v may see only the first K latents (paper 3.1), and zeros would bias the
        # others
        for k in range(1, k_max + 1):
            rows = torch.nonzero(latent < k)[:, 0]
            regular = gram[rows[:, None], rows] + RIDGE * torch.eye(len(rows), device=gram.device, dtype=gram.dtype)
            solved = torch.linalg.solve(regular, cross[rows, :k])
            self.ridge[rows.to(self.ridge.device), k - 1, :k] = solved.to(self.ridge)
        by_latent = torch.argsort(latent, stable=True)
        regular = gram[by_latent[:, None], by_latent] + RIDGE * torch.eye(len(gram)).to(gram)
        # a Cholesky factor is triangular: latent k is whitened by latents up to k alone
        self.whitening.copy_(torch.linalg.inv(torch.linalg.cholesky(regular)).T)

    def forward(self, x: Tensor, tau: Tensor, s: Tensor, history: Tensor, mask: Tensor, axes: Axes) -> Tensor:
        """Return v, shape (n, D), per median step."""
        kept, dropped = axes.split(x, mask)
        latents = [kept, self._whiten(history, mask)]
        condition = self._condition(tau, s, mask)
        v = self._along_axes(latents, history, condition, mask, axes)
        # Posterior mean of the data off the axes given the state: 0 at tau = 0, where the state there is noise.
        posterior = tau / (tau.square() + self.rho**2) * dropped
        states, more = [posterior], [axes.up] if self.network.sees_images else []
        if x.device.type == "cpu":  # others would wait to learn how many rows there are
            rows = torch.nonzero(tau[:, 0])[:, 0]
            # in training half of all states are at tau = 0, where the network would be multiplied by 0
            if len(rows) < len(x):
                states, latents = ([part.index_select(0, rows) for part in parts] for parts in (states, latents))
                tau, condition = (part.index_select(0, rows) for part in (tau, condition))
                return v.index_add(0, rows, tau * self.network(states, latents, condition, *more))
        return torch.addcmul(v, tau, self.network(states, latents, condition, *more))

    def at_zero(self, x: Tensor, s: Tensor, history: Tensor, mask: Tensor, axes: Axes) -> Tensor:
        """Return v at tau = 0, shape (n, D), where the network of the data is multiplied by 0 and not run."""
        latents = [axes.read(x) * mask, self._whiten(history, mask)]
        return self._along_axes(latents, history, self._condition(torch.zeros_like(s), s, mask), mask, axes)

    def _condition(self, tau: Tensor, s: Tensor, mask: Tensor) -> Tensor:
        return torch.cat([self.embed_tau(tau), self.embed_s(s), mask], dim=-1)

    def _along_axes(
        self, latents: list[Tensor], history: Tensor, condition: Tensor, mask: Tensor, axes: Axes
    ) -> Tensor:
        """The part of v along the kept axes, (n, D)."""
        every = ((history * mask[:, None]).flatten(1) @ self.ridge.flatten(1)).view(len(mask), *self.ridge.shape[1:])
        # each sample has its own prefix; all are computed in one product and one is picked
        linear = every[torch.arange(len(mask), device=mask.device), mask.sum(-1).long() - 1]
        # the network's output on dropped latents is masked: v must stay within the prefix
        rate = torch.addcmul(linear, mask, self.latent([], latents, condition))
        return axes.span(rate)

    def _whiten(self, history: Tensor, mask: Tensor) -> Tensor:
        """Whiten the history for the networks, (n, k_max * (h + 1)): kept coordinates alone, others unchanged."""
        by_latent = history.transpose(1, 2)
        kept = mask[..., None]
        white = ((by_latent * kept).flatten(1) @ self.whitening).view_as(by_latent)
        # dropped latents are independent noise of unit variance already
        return torch.lerp(by_latent, white, kept).flatten(1)
