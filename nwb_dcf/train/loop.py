"""The training loop: schedule, early stopping with step 0 as a candidate, progress, Ctrl-C.

No step waits for the device. Every `REPORT_EVERY` steps one read brings the losses, which are reported and checked;
every evaluation of held-out losses one more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from ..config import TrainConfig
from ..errors import TrainingError
from ..model.dcf import DCFModel
from ..model.precision import choose_products, multiply_in
from ..progress import Progress
from ..spread import use_threads
from .context import ContextHeads
from .curve import LossCurve
from .graph import use_own_stream
from .judge import PARTS, Judge, copy_weights
from .step import Steps
from .stop import FoundSteps, Keeper
from .threads import choose_threads
from .windows import FrameTable

REPORT_EVERY = 25
N_EVALUATIONS = 20  # of the held-out losses over the whole schedule


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
    settled : dict of str to int
        Step at which each flow ended by itself, since its held-out loss fell no more; without those that did not.
    """

    best_step: dict[str, int]
    curve: LossCurve
    samples: int
    interrupted: bool
    settled: dict[str, int] = field(default_factory=dict)


def train_model(
    model: DCFModel,
    table: FrameTable,
    config: TrainConfig,
    *,
    learn: Collection[str] = PARTS,
    heads: ContextHeads | None = None,
    held_out: FrameTable | None = None,
    stop_at: Mapping[str, int] | FoundSteps | None = None,
    stage: str = "training",
    progress: Callable[[Progress], None] | None = None,
    keep_partial: bool = False,
    warm: bool = False,
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
    stop_at : mapping of str to int, or FoundSteps, optional
        Steps at which u and v are taken instead: a refit for the steps that a search has found, or is to find beside
        it. The learning rate follows the same schedule as in the search.
    keep_partial : bool
        Whether Ctrl-C keeps what was learned so far instead of raising KeyboardInterrupt.
    warm : bool
        Whether the flows come trained from another fit.

    Raises
    ------
    TrainingError
        If a loss is not finite; names the first such step.
    """
    learns_code = model.learns_encoder and "coupling" in learn
    flows = {name for name in ("u", "v") if name in learn}
    names = [name for name in PARTS if name in flows or (name == "coupling" and learns_code)]
    parts = nn.ModuleDict({name: getattr(model, name) for name in names})
    steps = Steps(model, parts, table, config, learn, heads)
    kept = steps.average.averaged  # the weights that are judged and left in the model
    if learns_code and not config.ema_encoder:
        kept["coupling"] = model.coupling
    judge = Judge(model, kept, held_out, config, heads, warm=warm) if held_out is not None else None
    active = set(flows)  # flows that still learn
    settled_at: dict[str, int] = {}
    curve = LossCurve()
    evaluate_every = max(1, config.steps // N_EVALUATIONS)
    keeper = Keeper(stop_at, kept, flows, steps=config.steps, every=evaluate_every)
    every_thread, threads = torch.get_num_threads(), choose_threads(model, parts, config.batch)
    step, interrupted = 0, False
    if judge:
        judge.look(0, curve, active)
    try:
        with multiply_in(choose_products(model, config.precision)), use_threads(threads), use_own_stream(table.device):
            while step < (last_step := keeper.find_last(step)):
                active -= keeper.keep(step)
                trained = frozenset(active)
                steps.take(trained)
                step = steps.taken
                if judge and (step % evaluate_every == 0 or step == last_step):
                    with use_threads(every_thread):  # held-out samples are many more than a batch
                        judge.look(step, curve, active)
                    now_settled = active & judge.find_settled(step, evaluate_every) if step < last_step else set()
                    settled_at |= dict.fromkeys(sorted(now_settled), step)
                    active -= now_settled
                settled = bool(flows) and not active
                if step % REPORT_EVERY == 0 or step == last_step or settled or keeper.may_be_last(step):
                    loss = _note(curve, steps, trained, keeper)
                    if progress:
                        progress(Progress(stage, step, last_step, loss))
                if settled:
                    break
    except KeyboardInterrupt:
        if not keep_partial or step == 0:
            raise
        interrupted = True
    model.eval()
    keeper.keep(step)
    chosen = keeper.chosen
    if judge and flows:
        chosen, best_step = judge.best, judge.best_step
    else:
        best_step = {name: min((keeper.stop_at or {}).get(name, step), step) for name in flows}
        step = max(best_step.values(), default=step)
        keeper.cut(curve, REPORT_EVERY)
    latest = copy_weights(kept, flows or {"coupling"})
    for name, weights in {**latest, **chosen}.items():
        getattr(model, name).load_state_dict(weights)
    if learns_code:
        _settle_coupling(model, table)
    return Trained(best_step, curve, step * config.batch, interrupted, settled_at)


@torch.no_grad()
@multiply_in("float32")
def _settle_coupling(model: DCFModel, table: FrameTable) -> None:
    """Make exact what training keeps only nearly: orthonormal axes, zero mean and unit variance of mu."""
    if model.learns_axes:
        model.coupling.orthonormalise()
    model.coupling.encoder.normalise_over(table.encode(model.coupling))


def _note(curve: LossCurve, steps: Steps, trained: Collection[str], keeper: Keeper) -> float:
    """Enter the losses of the last step into `curve` and return their total."""
    read = steps.read_losses()
    if math.isfinite(bad := read["first_bad"]) and not keeper.outlast(bad):
        named = {"L_cf": "cf", "L_df": "df", "L_align": "align", "L_context": "context"}
        names = [name for name, key in named.items() if not math.isfinite(read[key])]
        raise TrainingError(
            f"the loss is no longer finite at step {int(bad)} ({', '.join(names) or 'total'})",
            fix="some frames are probably far outside the rest, or the rate is too high: look at the data, or try "
            "another scale (--scale soft) or a lower rate (DCF(rate=...))",
        )
    curve.step.append(steps.taken)
    curve.cf.append(read["cf"] if "u" in trained else math.nan)
    curve.df.append(read["df"] if "v" in trained else math.nan)
    curve.align.append(read["align"])
    curve.context.append(read["context"])
    return read["total"]
