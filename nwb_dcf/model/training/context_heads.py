"""L_context: the code of a frame is to say what surrounds it (see `ContextHeads`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...config import TrainConfig
from ..losses import context_loss
from ..principal_axes import PrincipalAxes
from .batches import FrameTable, take_rows
from .optimizer import AdamW, ParameterGroup, scale_rate

N_AXES = 16  # principal axes in which the frames around are read
WIDTH = 64
FOLLOW_STEPS, FOLLOW_RATE = 200, 1e-2


class ContextHeads(nn.Module):
    """Reads the frames `lags` before and after one from the first `dim` numbers of its code.

    A code that must tell its surroundings as well keeps what lasts and drops what is noise in one frame. The heads
    serve training alone: no result holds them.

    Parameters
    ----------
    principal : PrincipalAxes
        Of the training frames; the frames around are read in the first `N_AXES` of them.
    dim : int
    lags : tuple of int
        Frames before (negative) and after.
    """

    axes: Tensor
    mean: Tensor
    lags: Tensor

    def __init__(self, principal: PrincipalAxes, dim: int, lags: tuple[int, ...]) -> None:
        super().__init__()
        self.dim = dim
        self.n_channels = len(principal.mean)
        self.register_buffer("axes", principal.axes[:, :N_AXES].clone())
        self.register_buffer("mean", principal.mean.clone())
        self.register_buffer("lags", torch.tensor(lags))
        n_out = len(lags) * self.axes.shape[1]
        self.network = nn.Sequential(nn.Linear(dim, WIDTH), nn.SiLU(), nn.Linear(WIDTH, n_out))

    def follow(self, codes: Tensor, table: FrameTable, rho: float, generator: torch.Generator) -> None:
        """Learn to read codes (frame, k_max) that stand still, of all frames of `table`.

        Where a code comes from another fit: heads that know nothing would first spoil it.
        """
        groups = [ParameterGroup(list(self.parameters()), FOLLOW_RATE, clipped=False)]
        config = TrainConfig(steps=FOLLOW_STEPS, weight_decay=0.0)
        optimiser = AdamW(groups, config)
        for step in range(FOLLOW_STEPS):
            frames = table.draw(config.batch_size, generator)
            optimiser.zero_grad()
            torch.autograd.backward(self.loss(codes[frames], frames, table, rho, generator))
            optimiser.step(scale_rate(step, config))

    def loss(self, codes: Tensor, frames: Tensor, table: FrameTable, rho: float, generator: torch.Generator) -> Tensor:
        """L_context of `frames`, shape (n,), from their codes (n, k_max) with the bridge's noise `rho`."""
        around = frames[:, None] + self.lags
        first, last = take_rows(table.first, frames), take_rows(table.last, frames)
        inside = (around >= first[:, None]) & (around <= last[:, None])
        target = (take_rows(table.x, around.clamp(0, len(table.x) - 1)) - self.mean) @ self.axes
        seen = codes[:, : self.dim]
        seen = seen + rho * torch.randn(seen.shape, generator=generator, device=seen.device, dtype=seen.dtype)
        guess = self.network(seen).view(target.shape)
        return context_loss(guess, target, inside.to(seen.dtype), self.n_channels)
