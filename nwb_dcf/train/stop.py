"""The steps at which a refit takes its weights: known before it, or found by a search that runs beside it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from torch import nn

from .curve import LossCurve
from .judge import Weights, copy_weights


class FoundSteps:
    """Steps that a search in another thread finds for u and v, and a refit takes as they become known."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._steps: dict[str, int] = {}
        self._interrupted = False
        self.complete = False

    def tell(self, steps: Mapping[str, int], *, complete: bool = False) -> None:
        """Make steps known; `complete` says that the search is over."""
        with self._news:
            self._steps |= steps
            self.complete |= complete
            self._news.notify_all()

    def interrupt(self) -> None:
        """End the refit as Ctrl-C would, which reaches the main thread alone."""
        with self._news:
            self._interrupted = True
            self._news.notify_all()

    def ask(self, flows: Collection[str], *, wait: bool = False) -> dict[str, int] | None:
        """Return the steps of `flows`; None where they are not known yet and none is to `wait`.

        Raises
        ------
        KeyboardInterrupt
            After `interrupt`.
        """
        with self._news:
            if wait:
                self._news.wait_for(lambda: self._interrupted or self._steps.keys() >= set(flows))
            if self._interrupted:
                raise KeyboardInterrupt
            return {name: self._steps[name] for name in flows} if self._steps.keys() >= set(flows) else None


class Keeper:
    """Keeps the weights of u and v at the steps where a refit is to take them.

    While a search beside it has yet to find them, the refit goes on, and the weights of every step that may be found
    are kept: what is chosen is the same as if the refit had waited.

    Parameters
    ----------
    stop_at : mapping of str to int, FoundSteps, or None
        None takes the whole schedule.
    kept : nn.ModuleDict
        The parts that learn, with averaged weights.
    flows : collection of str
        Those of u and v that learn.
    steps, every : int
        Of the schedule, and between steps that a search may choose.
    """

    def __init__(
        self,
        stop_at: Mapping[str, int] | FoundSteps | None,
        kept: nn.ModuleDict,
        flows: Collection[str],
        *,
        steps: int,
        every: int,
    ) -> None:
        self.found = stop_at if isinstance(stop_at, FoundSteps) else None
        self.stop_at = None if stop_at is None or isinstance(stop_at, FoundSteps) else dict(stop_at)
        self.kept, self.flows, self.steps, self.every = kept, flows, steps, every
        self.passed: dict[int, Weights] = {}
        self.chosen: Weights = {}

    def find_last(self, step: int) -> int:
        """Return the last step there is to take, as far as it is known at `step`; wait for it at the schedule's end.

        Raises
        ------
        KeyboardInterrupt
            After `FoundSteps.interrupt`.
        """
        if self.found:
            self.stop_at = self.found.ask(self.flows, wait=step >= self.steps)
        return max(self.stop_at.values()) if self.stop_at else self.steps

    def may_be_last(self, step: int) -> bool:
        """Whether a search may yet choose `step`."""
        return self.found is not None and self.stop_at is None and (step % self.every == 0 or step == self.steps)

    def keep(self, step: int) -> set[str]:
        """Keep the weights of `step` where they may be wanted; return the flows whose own step has come."""
        if self.may_be_last(step):
            self.passed[step] = copy_weights(self.kept, self.flows)
        reached = {name for name, stop in (self.stop_at or {}).items() if stop <= step and name not in self.chosen}
        for name in reached:
            stop = (self.stop_at or {})[name]
            self.chosen |= self.passed[stop] if stop < step else copy_weights(self.kept, {name})
        return reached

    def cut(self, curve: LossCurve, regular: int) -> None:
        """Take out of `curve` what a refit noted beyond its last step, or while it might have been the last.

        `regular` is the number of steps from one regular note to the next.
        """
        if self.found and self.stop_at:
            last = max(self.stop_at.values())
            curve.select(lambda step: step == last or (step < last and step % regular == 0))

    def outlast(self, bad_step: float) -> bool:
        """Whether the weights that are taken come before `bad_step`; waits until that is known."""
        return self.found is not None and self.find_last(self.steps) < bad_step
