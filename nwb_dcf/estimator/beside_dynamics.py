"""Work on the latents of a fit in a thread of its own, while v learns on the last of them.

v learns after the encoder, the axes and u, which it does not move: all that is measured of these need not wait for it.
"""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

import torch

from ..metrics.rate_calibration import RateCalibration
from ..model.dcf_model import DCFModel
from ..model.parallel import use_threads
from ..model.training.hardware import choose_products
from .fitted import FittedModel

MOST_NUMBERS = 2**24  # of the frames: an interrupted fit waits for what is measured of them

T = TypeVar("T")


class BesideDynamics(Generic[T]):
    """A function of a fit without its v, called while v learns where a second core is free, else when it is asked for.

    Its result is the same wherever it runs, but for the order of sums of torch's threads.

    Parameters
    ----------
    function : callable
        Of a fit whose v has not learned. What it draws has generators of its own.
    """

    def __init__(self, function: Callable[[FittedModel], T]) -> None:
        self._function = function
        self._found: Future[T] = Future()
        self._thread: threading.Thread | None = None

    def start(self, fitted: FittedModel, calibrate: Callable[[FittedModel], RateCalibration | None]) -> bool:
        """Begin, with a copy of the model of `fitted`; False where nothing was begun, as no core is free for it."""
        if not _is_worth_a_thread(fitted.model, fitted.config.train.precision):
            return False
        # training switches modules between learning and use, which encoders that hide channels heed
        apart = dataclasses.replace(fitted, model=copy.deepcopy(fitted.model).eval())
        self.calibration: Future[RateCalibration | None] = Future()

        def work() -> None:
            try:
                with use_threads(1):  # the other core is for training
                    self.calibration.set_result(calibrate(apart))
                    ready = dataclasses.replace(apart, calibration=self.calibration.result())
                    self._found.set_result(self._function(ready))
            except BaseException as error:
                for future in (self.calibration, self._found):
                    if not future.done():
                        future.set_exception(error)

        self._thread = threading.Thread(target=work, name="beside dynamics")
        self._thread.start()
        return True

    def wait(self) -> None:
        """Wait until what was begun has ended."""
        if self._thread is not None:
            self._thread.join()
            # threads that are made from now on take the number that was set last, here or there
            torch.set_num_threads(torch.get_num_threads())

    def result(self, fitted: FittedModel) -> T:
        """Return what the function gave, or gives of `fitted` where it was not begun."""
        if self._thread is None:
            return self._function(fitted)
        return self._found.result()


def _is_worth_a_thread(model: DCFModel, precision: str) -> bool:
    # precision is the process's own, so that another one in training would be that of the measures too
    on_cpu = model.coupling.mean.device.type == "cpu"
    return (
        on_cpu
        and model.image_shape is None
        and torch.get_num_threads() > 1
        and choose_products(model, precision) == "float32"
    )
