"""The objective of one batch: L = alpha L_cf + beta L_df + eta L_align (paper equation 8)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import TrainConfig
from ..model.bridge import interpolate_compression, interpolate_time, target_compression, target_time
from ..model.dcf import DCFModel
from ..model.loss import alignment_loss, compression_loss, dynamics_loss
from ..model.nested_dropout import draw_prefix_lengths, mask_prefix
from .context import ContextHeads
from .windows import FrameTable, Samples


@dataclass(frozen=True)
class Losses:
    """The named losses of one batch, scalar tensors."""

    cf: Tensor
    df: Tensor
    align: Tensor
    context: Tensor

    def total(self, config: TrainConfig) -> Tensor:
        """L of equation 8, and L_context."""
        paper = config.alpha * self.cf + config.beta * self.df + config.eta * self.align
        return paper + config.gamma * self.context


def compute_losses(
    model: DCFModel,
    samples: Samples,
    config: TrainConfig,
    generator: torch.Generator,
    *,
    prefix_p: float,
    flows: Collection[str] = ("u", "v"),
    heads: ContextHeads | None = None,
    table: FrameTable | None = None,
) -> Losses:
    """Draw tau, s, K and noise for every pair of `samples` and return the losses.

    Both frames of a pair share K. u sees one frame of each pair, either with equal chance, so that
    the last frame of a segment is seen as well. The loss of a flow that is not in `flows` is 0 and costs
    nothing; what is drawn does not depend on it. L_context needs its `heads` and the `table` of all frames.
    """
    n, device = len(samples.now), samples.x.device
    settings = model.config
    lengths = draw_prefix_lengths(
        n,
        model.k_max,
        prefix_p,
        generator=generator,
        at_dim=config.prefix_at_dim,
        dim=settings.dim,
        per_sample=config.prefix_per_sample,
    )
    mask = mask_prefix(lengths, model.k_max, samples.x.dtype)
    seen_mask = mask if settings.masked_endpoints else torch.ones_like(mask)
    flow_codes = samples.codes if settings.joined else samples.codes.detach()

    uniform = torch.rand(n, 3, 1, generator=generator, device=device).unbind(1)
    noise = model.noise.draw(n, generator)  # one draw serves both bridges, whose networks share nothing

    def place(rows: Tensor) -> Tensor:
        placed = model.coupling.place(flow_codes[rows] * seen_mask)
        return placed if settings.joined else placed.detach()

    coupling = model.coupling if settings.joined else model.coupling.detached()
    now, later = samples.x[samples.now], samples.x[samples.later]
    now_0, later_0 = place(samples.now), place(samples.later)

    tau = _draw_tau(n, settings.noise, config, generator)
    cf, df, align, context = torch.zeros(4, device=device).unbind()
    if "u" in flows:
        first = uniform[0] < 0.5
        x1, x0 = torch.where(first, now, later), torch.where(first, now_0, later_0)
        u = model.u(interpolate_compression(x0, x1, tau) + noise, tau, mask, coupling)
        cf = compression_loss(u, target_compression(x0, x1), samples.weight)

    if "v" in flows:
        at_zero = uniform[0] < config.v_tau_at_zero  # where velocity and rollouts of latents read v
        tau, s = torch.where(at_zero, 0.0, uniform[1]), uniform[2]
        x_now, x_later = interpolate_compression(now_0, now, tau), interpolate_compression(later_0, later, tau)
        past_codes = flow_codes[samples.past] * seen_mask[:, None]
        past_frames = None if settings.closed_form else samples.x[samples.past]
        history = model.see_history(tau, past_codes, samples.reads[samples.past], past_frames)
        if not settings.joined:
            history = history.detach()
        v = model.v(interpolate_time(x_now, x_later, s) + noise, tau, s, history, mask, coupling)
        df = dynamics_loss(v, target_time(x_now, x_later, samples.step[:, None]), samples.weight)

    if model.learns_encoder or not torch.is_grad_enabled():
        aligned = model.coupling.place(samples.codes[samples.now] * mask)
        align = alignment_loss(samples.x[samples.now], aligned, samples.weight)  # else constant: at its optimum
    if heads is not None and table is not None:
        context = heads.loss(samples.codes[samples.now], samples.frames, table, settings.noise, generator)
    return Losses(cf, df, align, context)


def _draw_tau(n: int, rho: float, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """Draw tau, shape (n, 1): uniform, or uniform in arctan(tau / rho), or 0, in the configured shares.

    On the way from tau = 0 dropped axes unfold within a few rho; uniform draws hardly visit that stretch.
    Uniform in angle, even the L_cf of uniform draws fell faster.
    """
    uniform, share = torch.rand(n, 2, 1, generator=generator, device=generator.device).unbind(1)
    steep = rho * torch.tan(uniform * math.atan(1 / rho)) if rho > 0 else uniform
    tau = torch.where(share < config.tau_in_angle, steep, uniform)
    return torch.where(share < config.tau_at_zero, 0.0, tau)
