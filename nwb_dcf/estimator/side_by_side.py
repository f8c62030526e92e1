"""Two small trainings at a time, one of them in a thread: torch lets go of Python's lock within its operations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from ..config.progress import Listener, Progress
from ..model.dcf_model import DCFModel
from ..model.parallel import use_threads
from ..model.precision import multiply_in
from ..model.training.hardware import choose_products

MOST_NUMBERS = 2**24  # of the frames: what is interrupted waits for the thread

T = TypeVar("T")


def is_worth_a_thread(model: DCFModel, precision: str, n_numbers: int) -> bool:
    """Whether another thread is free for work of the size of this model's and of `n_numbers` of frames.

    On a CPU whose second core torch may use. A U-Net keeps more than two cores busy by itself. With two, one core for
    each work is as fast as both for one after the other, and takes less processor time (benchmarks/RESULTS.md). The
    precision of products is the process's own, so that a reduced one in one thread would be that of the other.
    """
    n_threads = torch.get_num_threads()
    if model.coupling.mean.device.type != "cpu" or n_numbers > MOST_NUMBERS or n_threads < 2:
        return False
    if model.image_shape is not None and n_threads > 2:
        return False
    return choose_products(model, precision) == "float32"


@contextmanager
def run_beside(function: Callable[[Listener], T]) -> Iterator[Future[T]]:
    """Call `function` in a thread beside the block, at whose end it is awaited; each has one of torch's threads.

    Parameters
    ----------
    function : callable
        Of a progress callback, which ends it by a KeyboardInterrupt once the block has: what needs the result has asked
        for it by then, and what leaves early, as after Ctrl-C, needs none.

    Yields
    ------
    Future
        Of its result.
    """
    found: Future[T] = Future()
    ended = threading.Event()

    def listen(_progress: Progress) -> None:
        if ended.is_set():
            raise KeyboardInterrupt

    def work() -> None:
        try:
            with use_threads(1):
                found.set_result(function(listen))
        except BaseException as error:
            found.set_exception(error)

    # checkpoints are kept for what the context says
    thread = threading.Thread(target=copy_context().run, args=(work,), name="beside")
    # A second thread of torch, or of NumPy's products, would wait, and spin, for the core that the other one works on.
    # The precision of products is the process's: each would put back what it found, in the midst of the other's work.
    with use_threads(1), threadpool_limits(1, user_api="blas"), multiply_in("float32"):
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()
