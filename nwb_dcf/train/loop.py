"""The training loop: schedule, early stopping with step 0 as a candidate, progress, Ctrl-C.

Nothing in the loop waits for the device except every `REPORT_EVERY` steps, where progress is reported
and losses are checked.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..config import TrainConfig
from ..errors import TrainingError
from ..model.dcf import DCFModel
from ..model.nested_dropout import ramp_prefix_p
from .objective import Losses, compute_losses
from .windows import FrameTable, WindowSampler

REPORT_EVERY = 25
N_EVALUATIONS = 20  # of the held-out losses over the whole schedule
PATIENCE = 5  # evaluations without a new best before the schedule ends early,
LEAST_SHARE = 0.3  # but not before this share of it: a network that starts at zero needs a while
HELD_OUT_SAMPLES = 8192
WARM_UP = 20  # steps over which the rate rises


@dataclass(frozen=True)
class Progress:
    """What a progress callback is told.

    Attributes
    ----------
    stage : str
        ``"choosing steps"`` or ``"training"``.
    step, steps : int
        Step reached and steps planned.
    loss : float
        Total loss of the last batch.
    """

    stage: str
    step: int
    steps: int
    loss: float


@dataclass
class LossCurve:
    """Losses noted during training, one entry per noted step."""

    step: list[int] = field(default_factory=list)
    cf: list[float] = field(default_factory=list)
    df: list[float] = field(default_factory=list)
    align: list[float] = field(default_factory=list)
    held_out_step: list[int] = field(default_factory=list)
    held_out_cf: list[float] = field(default_factory=list)
    held_out_df: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """Outcome of `train_model`.

    Attributes
    ----------
    best_step : dict of str to int
        Step of the smallest held-out loss for each flow (``"u"``, ``"v"``); the last step where
        nothing was held out.
    curve : LossCurve
    samples : int
        Pairs seen.
    interrupted : bool
        Whether Ctrl-C ended the loop.
    """

    best_step: dict[str, int]
    curve: LossCurve
    samples: int
    interrupted: bool


def train_model(
    model: DCFModel,
    table: FrameTable,
    config: TrainConfig,
    *,
    held_out: FrameTable | None = None,
    stop_at: dict[str, int] | None = None,
    stage: str = "training",
    progress: Callable[[Progress], None] | None = None,
    keep_partial: bool = False,
) -> Trained:
    """Train `model` in place and leave the averaged weights of the chosen step in it.

    Parameters
    ----------
    table : FrameTable
        Training frames.
    held_out : FrameTable, optional
        Frames whose losses choose the step, step 0 included.
    stop_at : dict of str to int, optional
        Steps at which u and v are taken instead: a refit for the steps found. The learning rate
        follows the same schedule as in the search.
    keep_partial : bool
        Whether Ctrl-C keeps what was learned so far instead of raising KeyboardInterrupt.

    Raises
    ------
    TrainingError
        If a loss is not finite; names the first such step.
    """
    device = table.x.device
    generator = torch.Generator(device).manual_seed(config.seed)
    flows = nn.ModuleDict({"u": model.u, "v": model.v})
    optimiser, scheduler = _make_optimiser(model, flows, config)
    averaged = AveragedModel(flows, multi_avg_fn=get_ema_multi_avg_fn(config.ema))  # type: ignore[no-untyped-call]
    sampler = WindowSampler(table, model)
    judge = _Judge(model, averaged.module, held_out, config) if held_out is not None else None
    last_step = max(stop_at.values()) if stop_at else config.steps
    chosen: dict[str, dict[str, Tensor]] = {}
    active = set(flows)  # flows that still learn
    curve, first_bad = LossCurve(), torch.full((), -1, device=device)
    evaluate_every = max(1, config.steps // N_EVALUATIONS)
    step, interrupted = 0, False
    if judge:
        judge.look(0, curve, active)
    try:
        while step < last_step:
            active -= _keep_at(stop_at, step, model, averaged.module, chosen)
            model.train()
            p = ramp_prefix_p(config.prefix_p, step * config.batch, config.prefix_ramp)
            samples, trained = sampler.draw(config.batch, generator), frozenset(active)
            losses = compute_losses(model, samples, config, generator, prefix_p=p, flows=trained)
            total = losses.total(config)
            first_bad = torch.where((first_bad < 0) & ~torch.isfinite(total.detach()), step + 1, first_bad)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(total)
            if config.clip:
                for part in (model.u, model.v, model.coupling):
                    nn.utils.clip_grad_norm_(part.parameters(), config.clip)
            optimiser.step()
            scheduler.step()
            averaged.update_parameters(flows)
            if model.learns_axes:
                model.coupling.orthonormalise()
            step += 1
            if judge and (step % evaluate_every == 0 or step == last_step):
                judge.look(step, curve, active)
                active -= judge.find_settled(step, evaluate_every)
            settled = not active
            if step % REPORT_EVERY == 0 or step == last_step or settled:
                _note(curve, step, losses, first_bad, total, trained)
                if progress:
                    progress(Progress(stage, step, last_step, float(total.detach())))
            if settled:
                break
    except KeyboardInterrupt:
        if not keep_partial or step == 0:
            raise
        interrupted = True
    model.eval()
    _keep_at(stop_at, step, model, averaged.module, chosen)
    if judge:
        chosen, best_step = judge.best, judge.best_step
    else:
        best_step = {name: min((stop_at or {}).get(name, step), step) for name in flows}
    latest = _copy_weights(model, averaged.module, set(flows))
    for name, weights in {**latest, **chosen}.items():
        getattr(model, name).load_state_dict(weights)
    return Trained(best_step, curve, step * config.batch, interrupted)


def _make_optimiser(
    model: DCFModel, flows: nn.Module, config: TrainConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    groups = [{"params": list(flows.parameters()), "lr": config.rate}]
    encoder = list(model.coupling.encoder.parameters())
    axes = [model.coupling.axes, model.coupling.log_variance]
    for parameter in model.coupling.parameters():
        parameter.requires_grad_(False)
    learned = (encoder if model.learns_encoder else []) + (axes if model.learns_axes else [])
    for parameter in learned:
        parameter.requires_grad_(True)
    if learned:
        groups.append({"params": learned, "lr": config.encoder_rate})
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.999), weight_decay=config.weight_decay, fused=True)

    def scale(step: int) -> float:
        warm = min(1.0, (step + 1) / WARM_UP)
        if config.schedule == "constant":
            return warm
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, scale)


def _copy_weights(model: DCFModel, averaged: nn.Module, names: set[str]) -> dict[str, dict[str, Tensor]]:
    """Copy the averaged weights of the flows in `names`, and those of the coupling where it learns."""
    weights = {name: copy.deepcopy(averaged[name].state_dict()) for name in sorted(names)}  # type: ignore[index]
    if names and model.learns_encoder:
        weights["coupling"] = copy.deepcopy(model.coupling.state_dict())
    return weights


def _keep_at(
    stop_at: dict[str, int] | None,
    step: int,
    model: DCFModel,
    averaged: nn.Module,
    chosen: dict[str, dict[str, Tensor]],
) -> set[str]:
    """Keep the weights of the flows whose own step this is, and return their names."""
    reached = {name for name, stop in (stop_at or {}).items() if stop == step}
    chosen |= _copy_weights(model, averaged, reached)
    return reached


def _note(
    curve: LossCurve, step: int, losses: Losses, first_bad: Tensor, total: Tensor, trained: Collection[str]
) -> None:
    bad = int(first_bad)
    if bad >= 0:
        parts = {"L_cf": losses.cf, "L_df": losses.df, "L_align": losses.align}
        names = [name for name, value in parts.items() if not math.isfinite(float(value.detach()))]
        raise TrainingError(
            f"the loss is no longer finite at step {bad} ({', '.join(names) or 'total'})",
            fix="some frames are probably far outside the rest, or the rate is too high: look at the data, or try "
            "another scale (--scale soft) or a lower rate (DCF(rate=...))",
        )
    curve.step.append(step)
    curve.cf.append(float(losses.cf.detach()) if "u" in trained else math.nan)
    curve.df.append(float(losses.df.detach()) if "v" in trained else math.nan)
    curve.align.append(float(losses.align.detach()))


class _Judge:
    """Looks at held-out losses of the averaged weights, with the same draws each time."""

    def __init__(self, model: DCFModel, averaged: nn.Module, table: FrameTable, config: TrainConfig) -> None:
        self.model, self.averaged, self.table, self.config = model, averaged, table, config
        self.best: dict[str, dict[str, Tensor]] = {}
        self.best_step: dict[str, int] = {}
        self.best_loss = {"u": math.inf, "v": math.inf}

    def look(self, step: int, curve: LossCurve, active: set[str]) -> None:
        """Evaluate, and keep the weights of each active flow where its loss is the smallest so far."""
        losses = evaluate_losses(self.model, self.table, self.config, flows=self.averaged)
        cf, df = float(losses.cf), float(losses.df)
        curve.held_out_step.append(step)
        curve.held_out_cf.append(cf)
        curve.held_out_df.append(df)
        # While the encoder learns both flows depend on it and share one best step; else each has its own.
        joint = float(losses.total(self.config))
        score = {"u": joint, "v": joint} if self.model.learns_encoder else {"u": cf, "v": df}
        better = {name for name in active if score[name] < self.best_loss[name]}
        self.best |= _copy_weights(self.model, self.averaged, better)
        self.best_loss |= {name: score[name] for name in better}
        self.best_step |= dict.fromkeys(sorted(better), step)

    def find_settled(self, step: int, every: int) -> set[str]:
        """Flows without a new best for `PATIENCE` evaluations, well into the schedule: they need learn no more."""
        if step < LEAST_SHARE * self.config.steps:
            return set()
        return {name for name, best in self.best_step.items() if step - best >= PATIENCE * every}


@contextmanager
def _flows_of(model: DCFModel, flows: nn.Module | None) -> Iterator[None]:
    """Let `model` run with other weights for a while."""
    own = model.u, model.v
    if flows is not None:
        model.u, model.v = flows["u"], flows["v"]  # type: ignore[index]
    model.eval()
    try:
        yield
    finally:
        model.u, model.v = own


@torch.no_grad()
def evaluate_losses(
    model: DCFModel, table: FrameTable, config: TrainConfig, *, flows: nn.Module | None = None
) -> Losses:
    """Losses on `table` with fixed draws: the same frames, tau, s, K and noise whenever it is called."""
    generator = torch.Generator(table.x.device).manual_seed(config.seed + 1)
    config = dataclasses.replace(config, tau_in_angle=0.0, tau_at_zero=0.0)  # L_cf is defined with tau uniform
    with _flows_of(model, flows):
        sampler = WindowSampler(table, model)
        samples = sampler.draw(HELD_OUT_SAMPLES, generator)
        return compute_losses(model, samples, config, generator, prefix_p=config.prefix_p)
