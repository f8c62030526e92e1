"""Training of a model part after part: steps chosen on held-out frames, then finished on all of them.

A second training from the start, on all frames for the chosen steps, took as long as the first. Instead each part
continues from the weights that were best on held-out frames, now with those frames too, while the rate falls to 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from ..config import FitConfig, TrainConfig
from ..config.progress import Progress
from ..errors import ParameterError
from ..model.dcf_model import DCFModel
from ..model.dynamical_flow import RidgeStartDynamics
from ..model.principal_axes import PrincipalAxes
from ..model.training import ContextHeads, FrameTable, TrainingResult, train_model
from ..model.training.checkpoint import Run, name_runs
from ..model.training.optimizer import scale_rate
from .initialization import make_heads, start_dynamics, start_model, teach_heads

Runs = Callable[[str], Run | None]
PART_NAMES = {"coupling": "encoder", "u": "compression", "v": "dynamics"}  # in progress and notes
LEAST_RATE = 0.25  # of the full rate, from which it falls while a part is finished: new frames must have an effect
FINISH_PASSES = 2  # over the frames, below which more frames give no more than more steps would


@dataclass(frozen=True)
class Start:
    """An initial model, its training frames, as prepared and on the device, and their axes."""

    prepared: xr.Dataset
    model: DCFModel
    table: FrameTable
    principal: PrincipalAxes


@dataclass(frozen=True)
class FrameGroups:
    """Frames that networks learn from while steps are chosen, and those held out to choose them.

    Attributes
    ----------
    training, held_out : array of int
        Frames of the whole recording, rising.
    """

    training: np.ndarray
    held_out: np.ndarray


@dataclass(frozen=True)
class ChosenPart:
    """Parts of a model that learned together, their steps chosen on held-out frames, and not yet finished on all.

    Attributes
    ----------
    trained : TrainingResult
    heads : ContextHeads or None
        Of L_context, as they are by then.
    judged : FrameTable or None
        The held-out frames; None where nothing was held out.
    """

    trained: TrainingResult
    heads: ContextHeads | None
    judged: FrameTable | None


@dataclass(frozen=True)
class Training:
    """How the parts of a model are trained.

    Attributes
    ----------
    config : FitConfig
    device : torch.device
    step_s : float
        Of the whole recording, see `FrameTable.build`.
    progress : callable, or None
    keep_partial : bool
        Whether Ctrl-C keeps the partly trained model.
    warm : DCFModel, or None
        Whose networks training starts from.
    """

    config: FitConfig
    device: torch.device
    step_s: float
    progress: Callable[[Progress], None] | None
    keep_partial: bool
    warm: DCFModel | None

    def start(self, prepared: xr.Dataset) -> Start:
        """Build the model on `prepared` frames."""
        return Start(prepared, *start_model(prepared, self.config, self.device, self.step_s, self.warm))

    def learn(
        self,
        start: Start,
        groups: FrameGroups | None = None,
        first: ChosenPart | None = None,
        before_dynamics: Callable[[], None] | None = None,
    ) -> TrainingResult:
        """Train the parts of the model in `choose_order`, each given those before it.

        With `groups` the steps of u and v are chosen on its held-out frames, and each part is then finished on all
        frames. b, L and d are those of all frames from the start. The `first` part may come from `choose_first`.
        Before v learns alone, on a model that is final but for v, `before_dynamics` is called.

        Raises
        ------
        ParameterError
            If no part is to be trained.
        TrainingError
            If a loss is not finite.
        """
        with name_runs() as run:
            return self._learn_in_order(start, groups, first, run, before_dynamics)

    def choose_first(self, start: Start, groups: FrameGroups, run: Runs) -> ChosenPart:
        """Train the first part of `choose_order` as far as its steps are chosen, for `learn` to go on from there.

        Raises
        ------
        TrainingError
            If a loss is not finite.
        """
        return self._choose_steps(start, groups, choose_order(self.config, warm=self.warm is not None)[0], run)

    def _learn_in_order(
        self,
        start: Start,
        groups: FrameGroups | None,
        first: ChosenPart | None,
        run: Runs,
        before_dynamics: Callable[[], None] | None,
    ) -> TrainingResult:
        done: TrainingResult | None = None
        for learn in choose_order(self.config, warm=self.warm is not None):
            if learn == {"v"} and before_dynamics:
                before_dynamics()
            part, first = first or self._choose_steps(start, groups, learn, run), None
            trained = part.trained
            if part.judged is not None and not trained.interrupted:
                trained = self._finish(start.model, self._take_table(start, learn), trained, learn, part.heads, run)
            done = trained if done is None else _join(done, trained)
            if trained.interrupted:
                break
        if done is None:
            raise ParameterError("nothing is to be trained", fix="give alpha or beta above 0")
        return done

    def _choose_steps(self, start: Start, groups: FrameGroups | None, learn: set[str], run: Runs) -> ChosenPart:
        """Train parts together; their steps are those that held-out frames choose, where there are any."""
        config, model, principal, warm = self.config, start.model, start.principal, self.warm is not None
        every = self._take_table(start, learn)
        flows = [name for name in ("u", "v") if name in learn]
        seen, judged = every, None
        if groups is not None and flows:
            seen, judged = (every.select(torch.from_numpy(rows)) for rows in (groups.training, groups.held_out))
            # held-out segments may all be shorter than the history
            judged = judged if len(judged.pairs) else None
        # after the encoder has learned: the ridge is exact for its final latents only
        if isinstance(model.v, RidgeStartDynamics) and "v" in learn:
            start_dynamics(model, model.v, every)
        heads = make_heads(model, principal, config, self.device) if {"coupling", "u"} <= learn else None
        if heads is not None and warm:
            teach_heads(heads, model, start.table, config)
        train = plan_part(config.train, learn)
        return ChosenPart(self._train(model, seen, train, learn, heads, judged, run), heads, judged)

    def _take_table(self, start: Start, learn: set[str]) -> FrameTable:
        # u uses single frames, so that pairs without a history matter to v alone
        return start.table.with_whole_history() if learn == {"v"} else start.table

    def _finish(
        self,
        model: DCFModel,
        table: FrameTable,
        chosen: TrainingResult,
        learn: set[str],
        heads: ContextHeads | None,
        run: Runs,
    ) -> TrainingResult:
        """Continue from the chosen weights on all frames, unless the initial model was chosen."""
        config = plan_part(self.config.train, learn)
        # both flows finish together, for a fraction of the longer schedule
        last = max(chosen.best_step.values())
        steps = round(config.finish * last)
        if steps == 0 or last * config.batch_size < FINISH_PASSES * len(table.x):
            return chosen
        # a part whose initial model was best on held-out frames is not trained further
        still = {name for name, step in chosen.best_step.items() if step == 0}
        fraction = max(LEAST_RATE, scale_rate(last, config))
        # the prefix ramp is over, and the rate continues where the chosen step left it
        plan = dataclasses.replace(
            config,
            steps=steps,
            learning_rate=fraction * config.learning_rate,
            encoder_learning_rate=fraction * config.encoder_learning_rate,
            prefix_ramp=0,
            seed=config.seed + 1,  # other draws than those of the first steps
        )
        more = self._train(model, table, plan, learn - still, heads, None, run)
        return dataclasses.replace(
            chosen,
            samples=chosen.samples + more.samples,
            taken=chosen.taken + more.taken,
            interrupted=more.interrupted,
            finished=more.best_step,
        )

    def _train(
        self,
        model: DCFModel,
        table: FrameTable,
        config: TrainConfig,
        learn: set[str],
        heads: ContextHeads | None,
        held_out: FrameTable | None,
        run: Runs,
    ) -> TrainingResult:
        stage = "training" if held_out is None else "choosing steps"
        return train_model(
            model,
            table,
            config,
            learn=learn,
            heads=heads,
            held_out=held_out,
            stage=stage if config.single_stage else f"{stage} ({_name_parts(learn)})",
            progress=self.progress,
            keep_partial=self.keep_partial,
            warm=self.warm is not None,
            run=run(f"{stage} ({_name_parts(learn)})"),
        )


def choose_order(config: FitConfig, *, warm: bool = False) -> list[set[str]]:
    """List which parts learn together, in order.

    v learns last, on final latents, so that it starts at their own autoregression. A coupling with a random start first
    learns its axes alone (L_align), unless it is `warm`. ``single_stage`` trains all at once, as the paper does
    (equation 8).
    """
    model = config.model
    if config.train.single_stage:
        return [{"coupling", "u", "v"}]
    order = [{"coupling", "u"} if model.train_encoder_with_flows else {"u"}, *([{"v"}] if config.train.beta else [])]
    return [{"coupling"}, *order] if model.start == "random" and not warm else order


def _name_parts(learn: set[str]) -> str:
    return " and ".join(name for part, name in PART_NAMES.items() if part in learn)


def plan_part(train: TrainConfig, learn: Collection[str]) -> TrainConfig:
    """Return the settings by which the parts in `learn` are trained together.

    The coupling alone learns from L_align at its own rate; v alone takes its own fraction of the steps, and
    its own batches.
    """
    if learn == {"coupling"}:
        return dataclasses.replace(
            train, steps=max(1, train.align_steps), encoder_learning_rate=train.align_rate, eta=1.0, weight_decay=0.0
        )
    if learn == {"v"}:
        steps, batch = max(1, round(train.dynamics_fraction * train.steps)), train.dynamics_batch_size
        return dataclasses.replace(train, steps=steps, batch_size=batch or train.batch_size)
    return train


def _join(first: TrainingResult, second: TrainingResult) -> TrainingResult:
    return TrainingResult(
        {**first.best_step, **second.best_step},
        first.curve.join(second.curve) if first.best_step else second.curve,
        first.samples + second.samples,
        first.interrupted or second.interrupted,
        {**first.settled, **second.settled},
        {**first.finished, **second.finished},
        first.taken + second.taken,
    )
