"""Work on the latents of a fit in a thread of its own, while v learns on the last of them.

v learns after the encoder, the axes and u, which it does not move: all that is measured of these need not wait for it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Generic, TypeVar

from ..config.progress import Listener
from ..metrics.rate_calibration import RateCalibration
from .fitted import FittedModel, PreparedFrames
from .side_by_side import is_worth_a_thread, run_beside

T = TypeVar("T")
Rates = RateCalibration | None


class BesideDynamics(Generic[T]):
    """A function of a fit without its v, called while v learns where a second core is free, else when it is asked for.

    Its result is the same wherever it runs, but for the order of sums of torch's threads.

    Parameters
    ----------
    function : callable
        Of a fit whose v has not learned, and of the frames that it was fitted to, as they were prepared; None where v
        did not learn by itself. What it draws has generators of its own.
    """

    def __init__(self, function: Callable[[FittedModel, PreparedFrames | None], T]) -> None:
        self._function = function
        self._prepared: PreparedFrames | None = None
        self._begun: Future[tuple[Rates, T]] | None = None
        self._stack = ExitStack()

    def start(self, fitted: FittedModel, calibrate: Callable[[FittedModel], Rates], prepared: PreparedFrames) -> None:
        """Begin with a copy of the model of `fitted`, which was fitted to `prepared`, if a core is free for it."""
        self._prepared = prepared
        if not is_worth_a_thread(fitted.model, fitted.config.train.precision, prepared.values.size):
            return
        # training switches modules between learning and use, which encoders that hide channels heed
        apart = dataclasses.replace(fitted, model=copy.deepcopy(fitted.model))

        def measure(_listener: Listener) -> tuple[Rates, T]:
            rates = calibrate(apart)
            return rates, self._function(dataclasses.replace(apart, calibration=rates), prepared)

        self._begun = self._stack.enter_context(run_beside(measure))

    def wait(self) -> None:
        """Wait until what was begun has ended."""
        self._stack.close()

    def find_rates(self, fitted: FittedModel, calibrate: Callable[[FittedModel], Rates]) -> Rates:
        """Return the calibration that was made beside v, or make it."""
        return calibrate(fitted) if self._begun is None else self._begun.result()[0]

    def result(self, fitted: FittedModel) -> T:
        """Return what the function gave, or gives of `fitted` where it was not begun."""
        return self._function(fitted, self._prepared) if self._begun is None else self._begun.result()[1]
