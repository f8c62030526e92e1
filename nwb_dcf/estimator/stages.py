"""A model trained from its start, part after part: first to find how many steps are best, then on all frames.

Steps of a session-sized fit are too small for two threads, and there the two trainings run side by side: the second
goes on until the first has found the steps, and takes its weights of those.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
import xarray as xr
from torch import nn

from ..config import FitConfig, TrainConfig
from ..config.progress import Progress
from ..data.chunks import is_lazy
from ..data.preprocessing import Preparation
from ..data.split import Split
from ..errors import ParameterError
from ..model.dcf_model import DCFModel
from ..model.dynamical_flow import RidgeStartDynamics
from ..model.parallel import use_threads
from ..model.precision import multiply_in
from ..model.principal_axes import PrincipalAxes
from ..model.training import FoundSteps, FrameTable, Trained, train_model
from ..model.training.hardware import choose_products, leaves_threads
from .initialization import make_heads, start_dynamics, start_model, tabulate_frames, teach_heads

PART_NAMES = {"coupling": "code", "u": "compression", "v": "dynamics"}  # in progress, for people
MOST_BESIDE = 2**28  # bytes of frames that may be in memory twice, for both trainings at once


@dataclass(frozen=True)
class Start:
    """A model at its start, the frames it is to learn from, as prepared and on the device, and their axes."""

    prepared: xr.Dataset
    model: DCFModel
    table: FrameTable
    principal: PrincipalAxes


@dataclass(frozen=True)
class SearchedAndRefitted:
    """What two trainings left: the losses of the search, and the model of the refit.

    After Ctrl-C in the search its own model is all there is, and `trained` is `search`.
    """

    search: Trained
    start: Start
    trained: Trained


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
        Whether Ctrl-C keeps what was learned so far.
    warm : DCFModel, or None
        Whose networks training begins with.
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

    def search_and_refit(self, recording: xr.Dataset, split: Split, preparation: Preparation) -> SearchedAndRefitted:
        """Find the steps on `split`, and train on all of the recording for that many."""
        start = self.start(preparation.apply(split.training))
        held_out = tabulate_frames(
            preparation.apply(split.held_out), self.config, self.device, self.step_s, start.model
        )
        judged = held_out if len(held_out.pairs) else None
        if self._leaves_room(start, recording):
            return self._refit_beside(start, judged, recording, preparation)
        search = self.learn(start, "choosing steps", held_out=judged)
        if search.interrupted:
            return SearchedAndRefitted(search, start, search)
        del start, held_out, judged  # lets go of the frames of the search before those of all are made
        whole = self.start(preparation.apply(recording))
        return SearchedAndRefitted(search, whole, self.learn(whole, "training", stop_at=search.best_step))

    def _leaves_room(self, start: Start, recording: xr.Dataset) -> bool:
        """Whether a second training can go on beside one from `start`: there are threads and the memory for it.

        Parts that learn `jointly` have steps of their own each. The precision of products is torch's global state,
        which two threads cannot change in turn.
        """
        config, model, warm = self.config, start.model, self.warm is not None
        if config.train.jointly or is_lazy(recording["data"]):
            return False
        if recording["data"].nbytes > MOST_BESIDE or choose_products(model, config.train.precision) != "float32":
            return False
        parts = (nn.ModuleList(getattr(model, part) for part in learn) for learn in choose_order(config, warm=warm))
        return all(leaves_threads(model, learned, config.train.batch) for learned in parts)

    def _refit_beside(
        self, start: Start, judged: FrameTable | None, recording: xr.Dataset, preparation: Preparation
    ) -> SearchedAndRefitted:
        found, progress, half = FoundSteps(), self.progress, torch.get_num_threads() // 2

        def report(event: Progress) -> None:
            if progress and found.complete:  # until then it is the search that is reported
                progress(event)

        def refit() -> tuple[Start, Trained]:
            with use_threads(half):
                whole = self.start(preparation.apply(recording))
                return whole, dataclasses.replace(self, progress=report).learn(whole, "training", stop_at=found)

        with use_threads(half), multiply_in("float32"), ThreadPoolExecutor(1, "refit") as pool:
            running = pool.submit(refit)
            try:
                search = self.learn(start, "choosing steps", held_out=judged, tell=found)
                if search.interrupted:
                    return SearchedAndRefitted(search, start, search)
                try:
                    return SearchedAndRefitted(search, *running.result())
                except KeyboardInterrupt:
                    found.interrupt()
                    return SearchedAndRefitted(search, *running.result())
            finally:
                found.interrupt()  # whatever ended the search

    def learn(
        self,
        start: Start,
        stage: str,
        *,
        held_out: FrameTable | None = None,
        stop_at: Mapping[str, int] | FoundSteps | None = None,
        tell: FoundSteps | None = None,
    ) -> Trained:
        """Train the parts of the model in `choose_order`, each on what those before it left; `tell` their steps.

        Raises
        ------
        ParameterError
            If no part is to be trained.
        TrainingError
            If a loss is not finite.
        """
        config, model, table, principal = self.config, start.model, start.table, start.principal
        done: Trained | None = None
        for learn in choose_order(config, warm=self.warm is not None):
            seen, judged = table, held_out
            if learn == {"v"}:
                seen, judged = table.with_whole_history(), held_out.with_whole_history() if held_out else None
            if isinstance(model.v, RidgeStartDynamics) and "v" in learn:
                start_dynamics(model, model.v, seen)
            flows = [name for name in ("u", "v") if name in learn]
            heads = make_heads(model, principal, config, self.device) if {"coupling", "u"} <= learn else None
            if heads is not None and self.warm is not None:
                teach_heads(heads, model, table, config)
            trained = train_model(
                model,
                seen,
                config.train if flows else _plan_alignment(config.train),
                learn=learn,
                heads=heads,
                held_out=judged if flows else None,
                stop_at={name: stop_at[name] for name in flows} if isinstance(stop_at, Mapping) else stop_at,
                stage=stage if config.train.jointly else f"{stage} ({_name_parts(learn)})",
                progress=self.progress,
                keep_partial=self.keep_partial,
                warm=self.warm is not None,
            )
            if tell:
                tell.tell(trained.best_step)
            done = trained if done is None else _join(done, trained)
            if trained.interrupted:
                break
        if done is None:
            raise ParameterError("nothing is to be trained", fix="give alpha or beta above 0")
        if tell:
            tell.tell({}, complete=True)
        return done


def choose_order(config: FitConfig, *, warm: bool = False) -> list[set[str]]:
    """Which parts learn together, in order.

    v learns last, on the finished code, so that it starts at that code's own autoregression. A coupling that starts at
    random first finds its axes alone (L_align), but for a `warm` one. `jointly` trains all at once, as the paper does.
    """
    model = config.model
    if config.train.jointly:
        return [{"coupling", "u", "v"}]
    order = [{"coupling", "u"} if model.joined else {"u"}, *([{"v"}] if config.train.beta else [])]
    return [{"coupling"}, *order] if model.start == "random" and not warm else order


def _name_parts(learn: set[str]) -> str:
    return " and ".join(name for part, name in PART_NAMES.items() if part in learn)


def _plan_alignment(train: TrainConfig) -> TrainConfig:
    """Settings with which the coupling learns alone: only L_align, at its own rate."""
    return dataclasses.replace(
        train, steps=max(1, train.align_steps), encoder_rate=train.align_rate, eta=1.0, weight_decay=0.0
    )


def _join(first: Trained, second: Trained) -> Trained:
    return Trained(
        {**first.best_step, **second.best_step},
        first.curve.join(second.curve) if first.best_step else second.curve,
        first.samples + second.samples,
        first.interrupted or second.interrupted,
        {**first.settled, **second.settled},
    )
