"""The loss of a batch: L = alpha L_cf + beta L_df + eta L_align (paper equation 8), and that of the context heads."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from ...config import ModelConfig, TrainConfig
from ..axes import Axes
from ..bridge import interpolate_compression, interpolate_time, target_compression, target_time
from ..dcf_model import DCFModel
from ..losses import alignment_loss, compression_loss, dynamics_loss
from ..nested_dropout import draw_prefix_lengths, mask_prefix
from .batches import FrameTable, Samples, take_rows
from .context_heads import ContextHeads
from .prefix_balance import PrefixBalance


@dataclass(frozen=True)
class Losses:
    """The named losses of one batch, scalar tensors."""

    cf: Tensor
    df: Tensor
    align: Tensor
    context: Tensor

    def total(self, config: TrainConfig) -> Tensor:
        """L of equation 8, and L_context."""
        # equation 8
        paper = config.alpha * self.cf + config.beta * self.df + config.eta * self.align
        return paper + config.gamma * self.context


def compute_losses(
    model: DCFModel,
    samples: Samples,
    config: TrainConfig,
    generator: torch.Generator,
    *,
    prefix_p: float | Tensor,
    flows: Collection[str] = ("u", "v"),
    heads: ContextHeads | None = None,
    table: FrameTable | None = None,
    balance: PrefixBalance | None = None,
) -> Losses:
    """Draw tau, s, K and noise for every pair of `samples` and return the losses.

    Both frames of a pair have the same K (paper 3.1). u sees one frame of each pair, either with equal chance, so that
    the last frame of a segment is seen as well. The loss of a flow that is not in `flows` is 0 and costs
    nothing; the draws do not depend on it. L_context needs its `heads` and the `table` of all frames. With a
    `balance` each prefix is weighted in L_cf by the inverse of its running loss.
    """
    n, device = len(samples.now), samples.now.device
    settings = model.config
    # paper 3.1: one prefix for both frames of a pair, since v* is the difference of masked endpoints
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
    uniform = torch.rand(n, 3, 1, generator=generator, device=device).unbind(1)
    noise = model.noise.draw(n, generator)  # one draw for both bridges, whose networks have no weight in common

    axes = model.coupling.make_axes()
    endpoints = Endpoints.make(samples, mask, axes, settings, one_prefix=not config.prefix_per_sample)
    # the authors detach the coupling from both flow losses; L_align alone then trains it
    flow_axes = axes if settings.train_encoder_with_flows else axes.detach()
    tau = _draw_tau(n, settings.bridge_noise, config, generator)
    cf, df, align, context = torch.zeros(4, device=device).unbind()
    if "u" in flows:
        rows = samples.now if samples.single else torch.where(uniform[0][:, 0] < 0.5, samples.now, samples.later)
        x1, x0 = samples.pick(samples.x, rows), endpoints.place(rows)
        blur = noise
        if settings.kept_noise != 1:  # on kept axes, where u's target does not depend on it
            blur = noise - (1 - settings.kept_noise) * axes.detach().project(noise, mask)
        u = model.u(interpolate_compression(x0, x1, tau) + blur, tau, mask, flow_axes)
        # the noise is not part of the target: u regresses the conditional mean of x1 - x0
        target = target_compression(x0, x1)
        importance = balance.weigh((u - target).square().mean(-1), lengths) if balance else None
        cf = compression_loss(u, target, samples.weight, importance)

    if "v" in flows:
        at_zero = uniform[0] < config.v_tau_at_zero  # where velocity and rollouts of latents read v
        tau, s = uniform[1].masked_fill(at_zero, 0.0), uniform[2]
        now, later = (
            interpolate_compression(endpoints.place(rows), samples.pick(samples.x, rows), tau)
            for rows in (samples.now, samples.later)
        )
        if settings.closed_form:  # v sees the history as coordinates, else as whole states
            past, data = endpoints.mask_latents(samples.past), take_rows(samples.reads, samples.past)
        else:
            past, data = endpoints.place(samples.past), take_rows(samples.x, samples.past)
        history = interpolate_compression(past, data, tau[:, None])
        if not settings.train_encoder_with_flows:
            history = history.detach()  # its coordinates at tau = 1 move with the axes
        v = model.v(interpolate_time(now, later, s) + noise, tau, s, history, mask, flow_axes)
        # paper 2.4, per median step instead of per second, on one scale with the other losses
        df = dynamics_loss(v, target_time(now, later, samples.step[:, None]), samples.weight)

    if model.learns_encoder or not torch.is_grad_enabled():  # else constant: at its optimum
        # u's endpoint itself, where u sees the frame that is aligned and its gradients reach the encoder
        seen = "u" in flows and samples.single and settings.masked_endpoints and settings.train_encoder_with_flows
        aligned = x0 if seen else axes.place(samples.pick(samples.latents, samples.now) * mask)
        align = alignment_loss(samples.pick(samples.x, samples.now), aligned, samples.weight)
        if balance and "u" in flows:
            align = balance.hold(align)
    if heads is not None and table is not None:
        latents = samples.pick(samples.latents, samples.now)
        context = heads.loss(latents, samples.frames, table, settings.bridge_noise, generator)
    return Losses(cf, df, align, context)


@dataclass(frozen=True)
class Endpoints:
    """The compressed endpoints x0 = b + L D^(1/2) (m_K * mu) of a batch, as the flows see them (equation 1).

    Without `train_encoder_with_flows` the gradients of the flow losses do not reach the encoder, as in the authors'
    default; without `masked_endpoints` flows see all latents and nothing is masked.

    Attributes
    ----------
    samples : Samples
    latents : Tensor, shape (row, k_max)
        Of the samples, detached where no gradient may reach them.
    mask : Tensor, shape (n, k_max), or None
        m_K of each pair.
    axes : Axes
    placed : Tensor, shape (row, D), or None
        x0 of all rows, where every pair has the same prefix and rows serve several pairs.
    """

    samples: Samples
    latents: Tensor
    mask: Tensor | None
    axes: Axes
    placed: Tensor | None

    @classmethod
    def make(cls, samples: Samples, mask: Tensor, axes: Axes, settings: ModelConfig, *, one_prefix: bool) -> Endpoints:
        """Make the endpoints of `samples`; `one_prefix`: all rows of `mask` are the same."""
        latents = samples.latents if settings.train_encoder_with_flows else samples.latents.detach()
        axes = axes if settings.train_encoder_with_flows else axes.detach()
        shown = mask if settings.masked_endpoints else None
        few = len(samples.x) < samples.past.numel()
        placed = None
        if few and (one_prefix or shown is None):
            placed = axes.place(latents if shown is None else latents * shown[:1])
        return cls(samples, latents, shown, axes, placed)

    def mask_latents(self, rows: Tensor) -> Tensor:
        """m_K * mu of `rows`, (n,) or (n, any), to (..., k_max)."""
        latents = self.samples.pick(self.latents, rows)
        if self.mask is None:
            return latents
        return latents * (self.mask if rows.dim() == 1 else self.mask[:, None])

    def place(self, rows: Tensor) -> Tensor:
        """x0 of `rows`, (n,) or (n, any), to (..., D)."""
        return self.axes.place(self.mask_latents(rows)) if self.placed is None else take_rows(self.placed, rows)


def _draw_tau(n: int, rho: float, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """Draw tau, shape (n, 1): uniform, or uniform in arctan(tau / rho), or 0, in the configured fractions.

    From tau = 0 on, dropped axes unfold within a few rho; uniform draws hardly visit that interval.
    With draws uniform in angle even the L_cf of uniform draws fell faster.
    """
    uniform, fraction = torch.rand(n, 2, 1, generator=generator, device=generator.device).unbind(1)
    steep = rho * torch.tan(uniform * math.atan(1 / rho)) if rho > 0 else uniform
    tau = torch.where(fraction < config.tau_in_angle, steep, uniform)
    return tau.masked_fill(fraction < config.tau_at_zero, 0.0)  # torch.where would send the 0 to a GPU, and wait
