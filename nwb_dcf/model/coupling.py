"""The coupling of data to its compressed endpoint, x0 = b + L D^(1/2) mu(x) (paper 2.2, equations 1 and 2).

Symbols: x (frame, D) data; b (D,) mean; L (D, k_max) orthonormal axes; d (k_max,) variances;
mu (frame, k_max) features of zero mean and unit variance, ordered by importance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .axes import Axes
from .encoder import Encoder
from .precision import in_full
from .principal_axes import PrincipalAxes

LOG_D_FLOOR = math.log(1e-15)
ORTHONORMALITY_TOLERANCE = 1e-4


class Coupling(nn.Module):
    """Pairs each frame x with its compressed endpoint x0 = b + L D^(1/2) (m_K * mu(x)).

    Parameters
    ----------
    encoder : Encoder
        mu.
    n_channels, k_max : int
        D and the number of axes.
    linear_start : bool
        Whether `start_at` sets L, d and mu to the principal axes.
    """

    mean: Tensor

    def __init__(self, encoder: Encoder, n_channels: int, k_max: int, *, linear_start: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.linear_start = linear_start
        self.register_buffer("mean", torch.zeros(n_channels))
        # orthonormal from the start; torch's QR may flip signs, which the prefix structure leaves open (paper 3.1)
        self.axes = nn.Parameter(torch.linalg.qr(torch.randn(n_channels, k_max)).Q)
        # d as log d, so that an optimiser's step cannot make a variance negative (paper 2.2)
        self.log_variance = nn.Parameter(torch.zeros(k_max))

    @property
    def variance(self) -> Tensor:
        """d, shape (k_max,)."""
        return self.log_variance.clamp(min=LOG_D_FLOOR).exp()

    @torch.no_grad()
    def start_at(self, principal: PrincipalAxes) -> None:
        """Set b; and, with a linear start, L, d and mu to the principal axes, the optimum of L_align."""
        # b is the data mean and is not learned (paper 2.2)
        self.mean.copy_(principal.mean)
        if self.linear_start and self.encoder.whitening is not None:
            k_max = self.axes.shape[1]
            self.axes.copy_(principal.axes[:, :k_max])
            self.log_variance.copy_(principal.variance[:k_max].log())
            # whitened scores: zero mean and unit variance, as equation 2 asks of mu
            self.encoder.whitening.copy_(self.axes / self.variance.sqrt())

    def make_axes(self) -> Axes:
        """Return b, L and d as the flows use them; call it again where L or d have moved."""
        return Axes.make(self.mean, self.axes, self.variance)

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Compute mu(x): frames (n, D), or windows of frames (n, 2 window + 1, D), to features (n, k_max).

        A lone frame fills its window, as the first frame of a segment does for those before it. With a
        `generator` channels are dropped as configured.
        """
        # mu sees x - b, so that a linear encoder needs no bias
        mu: Tensor = self.encoder(x - self.mean, generator)
        return mu

    def place(self, mu: Tensor) -> Tensor:
        """Compute b + L D^(1/2) mu (equation 1): features (..., k_max) to states (..., D)."""
        return self.make_axes().place(mu)

    def read(self, x: Tensor) -> Tensor:
        """Compute (L D^(1/2))^+ (x - b): coordinates of states (..., D) on the axes, (..., k_max)."""
        return self.make_axes().read(x)

    @torch.no_grad()
    @in_full
    def orthonormalise(self) -> None:
        """Restore L'L = I where it has drifted, by a QR without pivoting and with a positive diagonal.

        The first K columns then depend on the first K raw columns alone: the prefix structure that
        makes the encoder identifiable up to signs.

        Notes
        -----
        Cholesky QR, twice (Yamamoto et al. 2015): as exact as Householder's for columns that are far from dependent,
        as after the drift of one step, and several times faster. Whether axes are replaced is decided on the device:
        no step of training waits for it.
        """
        q, good = self.axes, torch.ones((), dtype=torch.bool, device=self.axes.device)
        # the authors' rule: re-orthonormalise only above a drift of 1e-4
        drift = (self.axes.T @ self.axes - torch.eye(q.shape[1], device=q.device, dtype=q.dtype)).abs().max()
        for _ in range(2):
            upper, failed = torch.linalg.cholesky_ex(q.T @ q, upper=True)
            q, good = torch.linalg.solve_triangular(upper, q, upper=True, left=False), good & (failed == 0)
        self.axes.copy_(torch.where(good & (drift > ORTHONORMALITY_TOLERANCE), q, self.axes))
