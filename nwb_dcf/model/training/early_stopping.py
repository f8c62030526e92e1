"""Evaluation of weights on held-out frames: the same draws each time, the best step kept."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ...config import TrainConfig
from ..dcf_model import DCFModel
from .batches import FrameTable, WindowSampler
from .checkpoint import State
from .context_heads import ContextHeads
from .loss_curve import LossCurve
from .objective import Losses, compute_losses

PATIENCE = 3  # evaluations without a fall of the held-out loss before training stops (5 chose the same steps),
LEAST_FRACTION = 0.3  # but not before this fraction of the schedule: a network that starts at zero needs a while
HELD_OUT_SAMPLES = 2048  # 4,096 gave the same scores on counts, Lorenz and the worm, and 8,192 the same steps as those
FEW_SAMPLES = 1024  # of images, and of reconstructions, whose prefix and tau are fixed and vary no loss
UNET_SAMPLES = 512  # cost two or three steps of it
PARTS = ("coupling", "u", "v")

Weights = dict[str, dict[str, Tensor]]


class EarlyStopping:
    """Evaluates held-out losses of the averaged weights, with the same draws each time.

    Parameters
    ----------
    model : DCFModel
    kept : nn.ModuleDict
        The parts that learn, with averaged weights.
    table : FrameTable
        Held-out frames.
    warm : bool
        Whether the flows come trained from another fit, so that they may stop at any step of the schedule.
    """

    def __init__(
        self,
        model: DCFModel,
        kept: nn.ModuleDict,
        table: FrameTable,
        config: TrainConfig,
        heads: ContextHeads | None = None,
        *,
        warm: bool = False,
    ) -> None:
        self.model, self.kept, self.table, self.config, self.heads = model, kept, table, config, heads
        self.least_steps = 0.0 if warm else LEAST_FRACTION * config.steps
        self.learns_latents = "coupling" in kept
        self.at_dim = self.learns_latents and "v" not in kept and config.steps_by == "reconstruction"
        # Compared are steps by the reconstruction that a fit is for: in the whole objective context heads, which are in
        # no result, and prefixes beyond `dim` learn by heart first, and few frames were left half-trained by it.
        if self.at_dim:
            self.config = dataclasses.replace(config, prefix_at_dim=1.0, tau_at_zero=1.0)
        self.start, self.has_fallen = math.inf, False  # objective of the initial model, and whether it fell since
        self.sampler = WindowSampler(table, model, kept.keys())  # once: latents that do not learn are encoded once
        self.best: Weights = {}
        self.best_step: dict[str, int] = {}
        self.best_loss = {"u": math.inf, "v": math.inf}
        self.fallen_to, self.fell_at = dict(self.best_loss), dict.fromkeys(self.best_loss, 0)

    def get_state(self) -> State:
        """Return the best weights and losses so far."""
        names = ("best", "best_step", "best_loss", "fallen_to", "fell_at")
        begun = {"start": self.start, "has_fallen": self.has_fallen}
        return {**{name: dict(getattr(self, name)) for name in names}, **begun}

    def set_state(self, state: State) -> None:
        """Continue from a state of `get_state`."""
        for name, value in state.items():
            setattr(self, name, value)

    def look(self, step: int, curve: LossCurve, active: set[str]) -> None:
        """Evaluate, and keep the weights of each active flow where its loss is the smallest so far."""
        with use_parts(self.model, self.kept):
            losses = evaluate_losses(
                self.model,
                self.table,
                self.config,
                learn=self.kept.keys(),
                sampler=self.sampler,
                # where reconstruction chooses, L_context counts only until the objective has fallen
                heads=None if self.has_fallen else self.heads,
                as_trained=self.learns_latents,
            )
        cf, df, joint = torch.stack([losses.cf, losses.df, losses.total(self.config)]).tolist()
        curve.held_out_step.append(step)
        curve.held_out_cf.append(cf if "u" in self.kept else math.nan)
        curve.held_out_df.append(df if "v" in self.kept else math.nan)
        # While the encoder learns both flows depend on it and have one best step; else each has its own.
        score = {"u": joint, "v": joint} if self.learns_latents else {"u": cf, "v": df}
        if self.at_dim:
            score = dict.fromkeys(score, self._judge(step, cf, joint))
        better = {name for name in active if score[name] < self.best_loss[name] or name not in self.best_step}
        # copied, since averages go on moving
        self.best |= copy_weights(self.kept, better)
        self.best_loss |= {name: score[name] for name in better}
        self.best_step |= dict.fromkeys(sorted(better), step)
        for name in better:
            # a fall below the tolerance is no reason to go on, but its weights are still the best
            if score[name] < (1 - self.config.early_stopping_tolerance) * self.fallen_to[name]:
                self.fallen_to[name], self.fell_at[name] = score[name], step
        if self.at_dim and step < self.least_steps:  # patience begins where steps are compared
            self.fell_at |= dict.fromkeys(sorted(active), step)

    def _judge(self, step: int, reconstruction: float, objective: float) -> float:
        """Return the score of a step by its reconstruction, among steps that are worth comparing."""
        if step == 0:
            self.start = objective
        # once is enough: of a video whose held-out blocks show what no other frame does it fell early and rose far
        # above its start, and PCA's latents were kept for R2 .06 of .37 (benchmarks/RESULTS.md)
        self.has_fallen |= objective < self.start
        # a decoder that starts at PCA's is worse on held-out frames, while its rate is high, before it is better
        return reconstruction if step >= self.least_steps and self.has_fallen else math.inf

    def find_settled(self, step: int, every: int) -> set[str]:
        """Return the flows whose loss has fallen by no more than the tolerance in `PATIENCE` evaluations.

        A fall is measured from the last loss that was one, so that many small ones add up.
        """
        if step < self.least_steps:
            return set()
        return {name for name in self.best_step if step - self.fell_at[name] >= PATIENCE * every}


def copy_weights(kept: nn.ModuleDict, names: Collection[str]) -> Weights:
    """Copy the weights of the flows in `names`, and those of the coupling where it learns."""
    parts = sorted(names) + (["coupling"] if names and "coupling" in kept else [])
    return {name: copy.deepcopy(kept[name].state_dict()) for name in parts}


@contextmanager
def use_parts(model: DCFModel, parts: nn.ModuleDict) -> Iterator[None]:
    """Let `model` run with other parts (u, v, coupling) for a while."""
    # modules are swapped, not copied: an evaluation of large networks would double their memory
    own = {name: getattr(model, name) for name in parts}
    for name, part in parts.items():
        setattr(model, name, part)
    model.eval()
    try:
        yield
    finally:
        for name, part in own.items():
            setattr(model, name, part)


@torch.no_grad()
def evaluate_losses(
    model: DCFModel,
    table: FrameTable,
    config: TrainConfig,
    *,
    learn: Collection[str] = PARTS,
    sampler: WindowSampler | None = None,
    heads: ContextHeads | None = None,
    as_trained: bool = False,
) -> Losses:
    """Compute losses on `table` with fixed draws: the same frames, tau, s, K and noise in every call.

    A `sampler` of the table avoids a second encoding where the encoder does not learn.

    L_cf is defined with tau uniform (paper 2.3); `as_trained` draws tau as training does instead, which is the
    criterion where the encoder learns from it.
    """
    # another seed than training's: the same draws would favour what they trained
    generator = torch.Generator(table.device).manual_seed(config.seed + 1)
    if not as_trained:
        config = dataclasses.replace(config, tau_in_angle=0.0, tau_at_zero=0.0)
    model.eval()
    samples = (sampler or WindowSampler(table, model, learn)).draw(_count_samples(model, config), generator)
    return compute_losses(
        model, samples, config, generator, prefix_p=config.prefix_p, flows=learn, heads=heads, table=table
    )


def _count_samples(model: DCFModel, config: TrainConfig) -> int:
    if model.coupling.encoder.sees_images:
        return UNET_SAMPLES
    return FEW_SAMPLES if model.image_shape is not None or config.prefix_at_dim == 1 else HELD_OUT_SAMPLES
