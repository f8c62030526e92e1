"""The training loop: schedule, early stopping with the initial model as a candidate, progress, checkpoints, Ctrl-C.

No step waits for the device. Every `REPORT_EVERY` steps one read fetches the losses, which are reported and checked;
every evaluation of held-out losses is one more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields

import torch
from torch import Tensor, nn

from ...config import TrainConfig
from ...config.progress import Progress
from ...errors import StoreError, TrainingError
from ..dcf_model import DCFModel
from ..nested_dropout import ramp_prefix_p
from ..parallel import use_threads
from ..precision import multiply_in
from .batches import FrameTable, WindowSampler
from .checkpoint import Run, State, put_into
from .context_heads import ContextHeads
from .cuda_graph import StepGraphs, can_replay, use_own_stream
from .early_stopping import PARTS, EarlyStopping, copy_weights
from .hardware import choose_products, choose_threads
from .loss_curve import LossCurve
from .objective import Losses, compute_losses
from .optimizer import AdamW, ParameterGroup, WeightAverage, scale_rate
from .prefix_balance import PrefixBalance


class TrainingStep:
    """The steps of a training, which move `parts` of the model in place.

    Parameters
    ----------
    model : DCFModel
    parts : nn.ModuleDict
        Those of its parts that learn.
    table : FrameTable
    config : TrainConfig
    learn : collection of str
        Parts that are to learn, of ``coupling``, ``u`` and ``v``.
    heads : ContextHeads, optional
        Of L_context.

    Attributes
    ----------
    taken : int
    average : WeightAverage
        Of the weights of `parts` over the steps.
    losses : Losses
        Of the last step's batch, without their gradients.
    total : Tensor
        The objective that they make up.
    first_bad : Tensor
        Number of the first step whose loss was not finite; infinity where all were.
    """

    losses: Losses
    total: Tensor

    def __init__(
        self,
        model: DCFModel,
        parts: nn.ModuleDict,
        table: FrameTable,
        config: TrainConfig,
        learn: Collection[str],
        heads: ContextHeads | None = None,
    ) -> None:
        self.model, self.table, self.config, self.heads = model, table, config, heads
        self.moves_axes = "coupling" in parts and model.learns_axes
        self.generator = torch.Generator(table.device).manual_seed(config.seed)
        self.sampler = WindowSampler(table, model, learn)
        self.optimiser = _make_optimiser(model, parts, heads, config)
        self.average = WeightAverage(parts, config.ema_decay)
        self.balance = PrefixBalance(model.k_max, table.device) if config.balance_prefixes else None
        self.taken = 0
        self.number = torch.zeros((), device=table.device)
        self.first_bad = torch.full((), math.inf, device=table.device)
        self.graphs = StepGraphs(self.generator) if can_replay(table) else None

    def take(self, flows: frozenset[str]) -> None:
        """Take the next step, in which of u and v only `flows` learn."""
        if not self.model.training:  # an evaluation has switched it off
            self.model.train()
        # the authors let E[K] rise from 1 to 1/p: early steps order the first axes
        p = ramp_prefix_p(self.config.prefix_p, self.taken * self.config.batch_size, self.config.prefix_ramp)
        rate = scale_rate(self.taken, self.config)
        if self.graphs:
            self.graphs.take(self._move, flows, rate, p)
        else:
            self._move(flows, rate, p)
        self.taken += 1

    def _move(self, flows: frozenset[str], rate: float | Tensor, prefix_p: float | Tensor) -> None:
        model, config = self.model, self.config
        samples = self.sampler.draw(config.batch_size, self.generator)
        losses = compute_losses(
            model,
            samples,
            config,
            self.generator,
            prefix_p=prefix_p,
            flows=flows,
            heads=self.heads,
            table=self.table,
            balance=self.balance,
        )
        total = losses.total(config)
        self.optimiser.zero_grad()
        torch.autograd.backward(total)
        self.optimiser.step(rate)
        # L leaves the orthonormal manifold by every gradient step
        if self.moves_axes:
            model.coupling.orthonormalise()
        self.average.update()
        # Detached: a CUDA graph cannot replay a step while the autograd graph of an earlier one is alive.
        self.losses = Losses(*(getattr(losses, field.name).detach() for field in fields(losses)))
        self.total = total.detach()
        # counted on the device: a Python number would not move in a replayed graph
        self.number.add_(1)
        seen = torch.where(torch.isfinite(self.total), self.first_bad, torch.minimum(self.first_bad, self.number))
        self.first_bad.copy_(seen)

    def get_state(self) -> State:
        """Return all that the next step depends on, except the model's own weights."""
        return {
            "taken": self.taken,
            "generator": self.generator.get_state(),
            "number": self.number,
            "first_bad": self.first_bad,
            "optimiser": self.optimiser.get_state(),
            "average": self.average.get_state(),
            **({"balance": [self.balance.level, self.balance.seen]} if self.balance else {}),
            "heads": None if self.heads is None else self.heads.state_dict(),
        }

    def set_state(self, state: State) -> None:
        """Continue from a state of `get_state`."""
        self.taken = state["taken"]
        self.generator.set_state(state["generator"])
        put_into([self.number, self.first_bad], [state["number"], state["first_bad"]])
        self.optimiser.set_state(state["optimiser"])
        self.average.set_state(state["average"])
        if self.balance:
            put_into([self.balance.level, self.balance.seen], state["balance"])
        if self.heads is not None:
            self.heads.load_state_dict(state["heads"])

    def read_losses(self) -> dict[str, float]:
        """Return the last step's losses, their ``total`` and `first_bad`, fetched from the device by one read."""
        named = {field.name: getattr(self.losses, field.name) for field in fields(self.losses)}
        named |= {"total": self.total, "first_bad": self.first_bad}
        return dict(zip(named, torch.stack(list(named.values())).tolist(), strict=True))


def _make_optimiser(model: DCFModel, parts: nn.ModuleDict, heads: ContextHeads | None, config: TrainConfig) -> AdamW:
    rate = config.learning_rate * scale_rate_by_axes(model, config)
    groups = [
        ParameterGroup(list(parts[name].parameters()), rate, clipped=True) for name in ("u", "v") if name in parts
    ]
    if heads is not None:
        groups.append(ParameterGroup(list(heads.parameters()), config.learning_rate, clipped=False))
    for parameter in model.coupling.parameters():
        # frozen parts take no memory for gradients, and no time in backward
        parameter.requires_grad_(False)
    if "coupling" in parts:
        axes = [model.coupling.axes, model.coupling.log_variance] if model.learns_axes else []
        learned = [*model.coupling.encoder.learned(), *axes]
        for parameter in learned:
            parameter.requires_grad_(True)
        groups.append(ParameterGroup(learned, config.encoder_learning_rate, clipped=True))
    return AdamW(groups, config)


def scale_rate_by_axes(model: DCFModel, config: TrainConfig) -> float:
    """Return the factor of the rate of u and v for the number of axes that their networks see.

    A step of Adam moves every weight by the rate, so that a layer's output moves with the number of its inputs: on few
    axes the same rate learns more slowly.
    """
    if model.basis is None or not config.rate_axes:
        return 1.0
    return min(FASTEST, max(1.0, math.sqrt(config.rate_axes / model.n_inputs)))


FASTEST = 2.0  # of `scale_rate_by_axes`
REPORT_EVERY = 25
N_EVALUATIONS = 20  # of the held-out losses over the whole schedule


@dataclass(frozen=True)
class TrainingResult:
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
        Step at which each flow was stopped early, its held-out loss falling no more; without those that were not.
    finished : dict of str to int
        Steps on all frames that followed the chosen one; without the flows that took none.
    taken : int
        Steps of all parts together, whose batches may differ.
    """

    best_step: dict[str, int]
    curve: LossCurve
    samples: int
    interrupted: bool
    settled: dict[str, int] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    taken: int = 0


def train_model(
    model: DCFModel,
    table: FrameTable,
    config: TrainConfig,
    *,
    learn: Collection[str] = PARTS,
    heads: ContextHeads | None = None,
    held_out: FrameTable | None = None,
    stage: str = "training",
    progress: Callable[[Progress], None] | None = None,
    keep_partial: bool = False,
    warm: bool = False,
    run: Run | None = None,
) -> TrainingResult:
    """Train `model` in place and leave the averaged weights of the chosen step in it.

    Parameters
    ----------
    model : DCFModel
    table : FrameTable
        Training frames.
    config : TrainConfig
    learn : collection of str
        Parts that learn, of ``coupling``, ``u`` and ``v``; the coupling only as far as the model's settings let it.
    heads : ContextHeads, optional
        Of L_context.
    held_out : FrameTable, optional
        Frames whose losses choose the step, the initial model included.
    stage : str
        Its name for `progress`.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps.
    keep_partial : bool
        Whether Ctrl-C keeps the partly trained model instead of raising KeyboardInterrupt.
    warm : bool
        Whether the flows come trained from another fit.
    run : Run, optional
        Where the state of this training is stored between steps. A stored state is continued, to the bit as if the
        training had not been ended.

    Raises
    ------
    TrainingError
        If a loss is not finite; names the first such step.
    Terminated
        If the process is to end; the state has been stored then.
    StoreError
        If the stored state is of another training.
    """
    stored = run.find() if run else None
    if stored is not None and stored.get("finished"):
        return _restore_outcome(model, heads, stored)
    learns_latents = model.learns_encoder and "coupling" in learn
    flows = {name for name in ("u", "v") if name in learn}
    names = [name for name in PARTS if name in flows or (name == "coupling" and learns_latents)]
    parts = nn.ModuleDict({name: getattr(model, name) for name in names})
    steps = TrainingStep(model, parts, table, config, learn, heads)
    kept = steps.average.averaged  # the weights that are evaluated and left in the model
    if learns_latents and not config.ema_encoder:
        kept["coupling"] = model.coupling
    judge = EarlyStopping(model, kept, held_out, config, heads, warm=warm) if held_out is not None else None
    active = set(flows)  # flows that still learn
    settled_at: dict[str, int] = {}
    curve = LossCurve()
    evaluate_every = max(1, config.steps // N_EVALUATIONS)
    every_thread, threads = torch.get_num_threads(), choose_threads(model, parts, config.batch_size)
    step, interrupted = 0, False

    def collect() -> State:
        return {
            "finished": False,
            "step": step,
            "active": sorted(active),
            "settled_at": settled_at,
            "curve": asdict(curve),
            "model": model.state_dict(),
            "steps": steps.get_state(),
            "judge": judge.get_state() if judge else None,
        }

    if stored is not None:
        with _explain_other():
            step, active, settled_at = stored["step"], set(stored["active"]), dict(stored["settled_at"])
            curve = LossCurve(**stored["curve"])
            model.load_state_dict(stored["model"])
            steps.set_state(stored["steps"])
            if judge:
                judge.set_state(stored["judge"])
    # the initial model is a candidate: no training is kept that is not better on held-out frames
    elif judge:
        judge.look(0, curve, active)
    try:
        with multiply_in(choose_products(model, config.precision)), use_threads(threads), use_own_stream(table.device):
            while step < config.steps:
                if run:
                    run.visit(collect)
                trained = frozenset(active)
                steps.take(trained)
                step = steps.taken
                if judge and (step % evaluate_every == 0 or step == config.steps):
                    with use_threads(every_thread):  # held-out samples are many more than a batch
                        judge.look(step, curve, active)
                    # settled flows keep their best weights; the other one learns on
                    now_settled = active & judge.find_settled(step, evaluate_every) if step < config.steps else set()
                    settled_at |= dict.fromkeys(sorted(now_settled), step)
                    active -= now_settled
                settled = bool(flows) and not active
                if step % REPORT_EVERY == 0 or step == config.steps or settled:
                    loss = _note(curve, steps, trained)
                    if progress:
                        progress(Progress(stage, step, config.steps, loss))
                if settled:
                    break
    except KeyboardInterrupt:
        if not keep_partial or step == 0:
            raise
        interrupted = True
    model.eval()
    chosen, best_step = (judge.best, judge.best_step) if judge and flows else ({}, dict.fromkeys(sorted(flows), step))
    latest = copy_weights(kept, flows or {"coupling"})
    for name, weights in {**latest, **chosen}.items():
        getattr(model, name).load_state_dict(weights)
    if learns_latents:
        _settle_coupling(model, table)
    outcome = TrainingResult(best_step, curve, step * config.batch_size, interrupted, settled_at, taken=step)
    if run and not interrupted:
        left = {"finished": True, "step": step, "model": model.state_dict(), "outcome": asdict(outcome)}
        run.leave({**left, "heads": None if heads is None else heads.state_dict()})
    return outcome


def _restore_outcome(model: DCFModel, heads: ContextHeads | None, stored: State) -> TrainingResult:
    """Put back the weights of a training that had finished, and return its outcome."""
    with _explain_other():
        model.load_state_dict(stored["model"])
        if heads is not None:
            heads.load_state_dict(stored["heads"])
        model.eval()
        outcome = stored["outcome"]
        return TrainingResult(**{**outcome, "curve": LossCurve(**outcome["curve"])})


@contextmanager
def _explain_other() -> Iterator[None]:
    """Turn errors while a state is restored into one that names the checkpoint."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        what = f"the checkpoint is of another model ({' '.join(str(error).split())[:200]})"
        raise StoreError(what, fix="fit again without --resume") from error


@torch.no_grad()
@multiply_in("float32")
def _settle_coupling(model: DCFModel, table: FrameTable) -> None:
    """Make exact what training keeps only nearly: orthonormal axes, zero mean and unit variance of mu."""
    if model.learns_axes:
        model.coupling.orthonormalise()
    model.coupling.encoder.normalise_over(table.encode(model.coupling))


def _note(curve: LossCurve, steps: TrainingStep, trained: Collection[str]) -> float:
    """Enter the losses of the last step into `curve` and return their total."""
    read = steps.read_losses()
    if math.isfinite(bad := read["first_bad"]):
        named = {"L_cf": "cf", "L_df": "df", "L_align": "align", "L_context": "context"}
        names = [name for name, key in named.items() if not math.isfinite(read[key])]
        raise TrainingError(
            f"the loss is no longer finite at step {int(bad)} ({', '.join(names) or 'total'})",
            fix="some frames are probably far outside the rest, or the rate is too high: look at the data, or try "
            "another scale (--scale soft) or a lower `learning_rate=`",
        )
    curve.step.append(steps.taken)
    curve.cf.append(read["cf"] if "u" in trained else math.nan)
    curve.df.append(read["df"] if "v" in trained else math.nan)
    curve.align.append(read["align"])
    curve.context.append(read["context"])
    return read["total"]
