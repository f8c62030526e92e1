"""The training loop: schedule, early stopping with step 0 as a candidate, progress, Ctrl-C.

Nothing in the loop waits for the device except every `REPORT_EVERY` steps, where progress is reported
and losses are checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..config import TrainConfig
from ..errors import TrainingError
from ..model.dcf import DCFModel
from ..model.nested_dropout import ramp_prefix_p
from ..progress import Progress
from .context import ContextHeads
from .curve import LossCurve
from .judge import PARTS, Judge, Weights, copy_weights
from .objective import Losses, compute_losses
from .windows import FrameTable, WindowSampler

REPORT_EVERY = 25
N_EVALUATIONS = 20  # of the held-out losses over the whole schedule
WARM_UP = 20  # steps over which the rate rises


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
    learn: Collection[str] = PARTS,
    heads: ContextHeads | None = None,
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
    learn : collection of str
        Parts that learn, of ``coupling``, ``u`` and ``v``; the coupling only as far as the model's settings let it.
    heads : ContextHeads, optional
        Of L_context.
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
    learns_code = model.learns_encoder and "coupling" in learn
    flows = {name for name in ("u", "v") if name in learn}
    names = [name for name in PARTS if name in flows or (name == "coupling" and learns_code)]
    parts = nn.ModuleDict({name: getattr(model, name) for name in names})
    optimiser, scheduler = _make_optimiser(model, parts, heads, config)
    averaged = AveragedModel(parts, multi_avg_fn=get_ema_multi_avg_fn(config.ema))  # type: ignore[no-untyped-call]
    kept = nn.ModuleDict(averaged.module)  # type: ignore[arg-type]  # the weights that are judged and left in the model
    if learns_code and not config.ema_encoder:
        kept["coupling"] = model.coupling
    sampler = WindowSampler(table, model, learn)
    judge = Judge(model, kept, held_out, config, heads) if held_out is not None else None
    last_step = max(stop_at.values()) if stop_at else config.steps
    chosen: Weights = {}
    active = set(flows)  # flows that still learn
    curve, first_bad = LossCurve(), torch.full((), -1, device=device)
    evaluate_every = max(1, config.steps // N_EVALUATIONS)
    step, interrupted = 0, False
    if judge:
        judge.look(0, curve, active)
    try:
        while step < last_step:
            active -= _keep_at(stop_at, step, kept, chosen)
            model.train()
            p = ramp_prefix_p(config.prefix_p, step * config.batch, config.prefix_ramp)
            samples, trained = sampler.draw(config.batch, generator), frozenset(active)
            losses = compute_losses(
                model, samples, config, generator, prefix_p=p, flows=trained, heads=heads, table=table
            )
            total = losses.total(config)
            first_bad = torch.where((first_bad < 0) & ~torch.isfinite(total.detach()), step + 1, first_bad)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(total)
            if config.clip:
                for part in parts.values():
                    nn.utils.clip_grad_norm_(part.parameters(), config.clip)
            optimiser.step()
            scheduler.step()
            if learns_code and model.learns_axes:
                model.coupling.orthonormalise()
            averaged.update_parameters(parts)
            step += 1
            if judge and (step % evaluate_every == 0 or step == last_step):
                judge.look(step, curve, active)
                active -= judge.find_settled(step, evaluate_every)
            settled = bool(flows) and not active
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
    _keep_at(stop_at, step, kept, chosen)
    if judge and flows:
        chosen, best_step = judge.best, judge.best_step
    else:
        best_step = {name: min((stop_at or {}).get(name, step), step) for name in flows}
    latest = copy_weights(kept, flows or {"coupling"})
    for name, weights in {**latest, **chosen}.items():
        getattr(model, name).load_state_dict(weights)
    if learns_code:
        _settle_coupling(model, table)
    return Trained(best_step, curve, step * config.batch, interrupted)


@torch.no_grad()
def _settle_coupling(model: DCFModel, table: FrameTable) -> None:
    """Make exact what training keeps only nearly: orthonormal axes, zero mean and unit variance of mu."""
    if model.learns_axes:
        model.coupling.orthonormalise()
    model.coupling.encoder.normalise_over(table.encode(model.coupling))


def _make_optimiser(
    model: DCFModel, parts: nn.ModuleDict, heads: ContextHeads | None, config: TrainConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    groups = [{"params": list(parts[name].parameters()), "lr": config.rate} for name in ("u", "v") if name in parts]
    if heads is not None:
        groups.append({"params": list(heads.parameters()), "lr": config.rate})
    for parameter in model.coupling.parameters():
        parameter.requires_grad_(False)
    if "coupling" in parts:
        axes = [model.coupling.axes, model.coupling.log_variance] if model.learns_axes else []
        learned = [*model.coupling.encoder.learned(), *axes]
        for parameter in learned:
            parameter.requires_grad_(True)
        groups.append({"params": learned, "lr": config.encoder_rate})
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.999), weight_decay=config.weight_decay, fused=True)

    def scale(step: int) -> float:
        warm = min(1.0, (step + 1) / WARM_UP)
        if config.schedule == "constant":
            return warm
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, scale)


def _keep_at(stop_at: dict[str, int] | None, step: int, kept: nn.ModuleDict, chosen: Weights) -> set[str]:
    """Keep the weights of the flows whose own step this is, and return their names."""
    reached = {name for name, stop in (stop_at or {}).items() if stop == step}
    chosen |= copy_weights(kept, reached)
    return reached


def _note(
    curve: LossCurve, step: int, losses: Losses, first_bad: Tensor, total: Tensor, trained: Collection[str]
) -> None:
    bad = int(first_bad)
    if bad >= 0:
        named = {"L_cf": losses.cf, "L_df": losses.df, "L_align": losses.align, "L_context": losses.context}
        names = [name for name, value in named.items() if not math.isfinite(float(value.detach()))]
        raise TrainingError(
            f"the loss is no longer finite at step {bad} ({', '.join(names) or 'total'})",
            fix="some frames are probably far outside the rest, or the rate is too high: look at the data, or try "
            "another scale (--scale soft) or a lower rate (DCF(rate=...))",
        )
    curve.step.append(step)
    curve.cf.append(float(losses.cf.detach()) if "u" in trained else math.nan)
    curve.df.append(float(losses.df.detach()) if "v" in trained else math.nan)
    curve.align.append(float(losses.align.detach()))
    curve.context.append(float(losses.context.detach()))
