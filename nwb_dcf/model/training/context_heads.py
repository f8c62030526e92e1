"""L_context: the latents of a frame have to predict the frames around it (see `ContextHeads`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...config import TrainConfig
from ..losses import context_loss
from ..principal_axes import PrincipalAxes
from .batches import FRAMES_READ, FrameTable, take_rows
from .optimizer import AdamW, ParameterGroup, scale_rate

N_AXES = 16  # principal axes in which the frames around are read
WIDTH = 64
FOLLOW_STEPS, FOLLOW_RATE = 200, 1e-2


class ContextHeads(nn.Module):
    """Predicts the frames `lags` before and after one from its first `dim` latents.

    Latents that predict neighbouring frames keep what lasts and drop the noise of a single frame. The heads serve
    training alone and are in no result. Not in the paper.

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
        # targets on a few axes: noise of the others would dominate the loss
        self.register_buffer("axes", principal.axes[:, :N_AXES].clone())
        self.register_buffer("mean", principal.mean.clone())
        self.register_buffer("lags", torch.tensor(lags))
        self.read_of: Tensor | None = None
        self.read = self.axes[:0]
        n_out = len(lags) * self.axes.shape[1]
        self.network = nn.Sequential(nn.Linear(dim, WIDTH), nn.SiLU(), nn.Linear(WIDTH, n_out))

    def read_frames(self, table: FrameTable) -> Tensor:
        """Read every frame of `table` on the axes, shape (frame, axis); once, since the axes do not move."""
        if self.read_of is not table.x:
            read = [((part.to(self.axes.device) - self.mean) @ self.axes) for part in table.split(FRAMES_READ)]
            self.read_of, self.read = table.x, torch.cat(read)
        return self.read

    def follow(self, latents: Tensor, table: FrameTable, rho: float, generator: torch.Generator) -> None:
        """Train the heads on fixed latents (frame, k_max) of all frames of `table`.

        For latents of another fit: the gradients of untrained heads would first move them away.
        """
        groups = [ParameterGroup(list(self.parameters()), FOLLOW_RATE, clipped=False)]
        config = TrainConfig(steps=FOLLOW_STEPS, weight_decay=0.0)
        optimiser = AdamW(groups, config)
        for step in range(FOLLOW_STEPS):
            frames = table.draw(config.batch_size, generator)
            optimiser.zero_grad()
            torch.autograd.backward(self.loss(latents[frames], frames, table, rho, generator))
            optimiser.step(scale_rate(step, config))

    def loss(
        self, latents: Tensor, frames: Tensor, table: FrameTable, rho: float, generator: torch.Generator
    ) -> Tensor:
        """Compute L_context of `frames`, shape (n,), from their latents (n, k_max) with the bridge's noise `rho`."""
        around = frames[:, None] + self.lags
        first, last = take_rows(table.first, frames), take_rows(table.last, frames)
        # no target beyond the segment: a repeated edge frame would be easy to predict
        inside = (around >= first[:, None]) & (around <= last[:, None])
        target = take_rows(self.read_frames(table), around.clamp(0, len(table.x) - 1))
        seen = latents[:, : self.dim]
        # the bridge's noise: information below it is not kept by the decoder either
        seen = seen + rho * torch.randn(seen.shape, generator=generator, device=seen.device, dtype=seen.dtype)
        guess = self.network(seen).view(target.shape)
        return context_loss(guess, target, inside.to(seen.dtype), self.n_channels)
