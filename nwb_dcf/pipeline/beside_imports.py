"""Reading and planning in a fork of the process, while the process itself loads what training needs.

torch, torchdiffeq and scikit-learn take as long to load as pynwb takes to load and read a session, and neither needs
the other. Only a process that is ours alone forks: a program that calls the package may have threads and locks.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.chunks import is_lazy
from ..errors import DCFError

if TYPE_CHECKING:
    from ..config.progress import Listener
    from .fit_plan import FitPlan

Planning = Callable[["Listener | None"], "FitPlan"]
LATER = ("torch", "nwb_dcf.estimator.fit", "nwb_dcf.evaluation.result", "sklearn.linear_model")
LARGEST = 2**26
"""Bytes of a file that is read in a fork: of a larger one reading takes far longer than what is loaded beside it."""
MOST_SENT = 2**26
"""Numbers of a recording that is sent from the fork."""
TIDY_S = 5.0
"""For the fork to take away its temporary files where its plan is not waited for."""

_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def own_process(owned: bool = True) -> Iterator[None]:
    """Let `plan_beside_imports` fork for the length of the block, if nothing but this package runs in the process."""
    token = _alone.set(owned)
    try:
        yield
    finally:
        _alone.reset(token)


def plan_beside_imports(plan: Planning, path: str | Path, progress: Listener | None) -> FitPlan:
    """Return ``plan(progress)``, made in a fork where that saves time, and here where it does not.

    Parameters
    ----------
    plan : callable
        Of a progress callback; what it leaves in memory beside its result is lost.
    path : str or Path
        The file that it reads.
    progress : callable, or None

    Raises
    ------
    DCFError
        As `plan` does.
    """
    if not _pays(path):
        return plan(progress)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    hear = _keep_interrupts()
    child = context.Process(target=_answer, args=(plan, receiver, sender, hear), daemon=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, of which `_pays` finds none
            child.start()
        hear()
        sender.close()
        answer = None
        for name in LATER:
            # a file that was refused is reported before anything else is loaded
            if receiver.poll() and (answer := _receive(receiver, progress)):
                break
            importlib.import_module(name)
        while answer is None and (answer := _receive(receiver, progress)) is None:
            pass
    except EOFError:  # it has died, or its plan cannot be sent
        return plan(progress)
    except BaseException:
        # Ctrl-C reaches it too, and a fork that is killed leaves its temporary files
        receiver.close()
        if child.pid:
            child.join(TIDY_S)
        raise
    finally:
        receiver.close()
        if child.pid:
            child.kill()
            child.join()
        else:
            hear()
    kind, value = answer
    if kind == "error":
        raise value
    made, caught = value
    for message, category, filename, line in caught:
        warnings.warn_explicit(message, category, filename, line)
    planned: FitPlan = made
    return planned


def _keep_interrupts() -> Callable[[], None]:
    """Keep interrupts back until what is returned is called: one while a process starts would lose sight of it."""
    kept: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is None:
        return lambda: None  # nothing is raised here
    signal.signal(signal.SIGINT, lambda number, _frame: kept.append(number))

    def hear() -> None:
        signal.signal(signal.SIGINT, usual)
        if kept:
            kept.clear()
            signal.raise_signal(signal.SIGINT)

    return hear


def _pays(path: str | Path) -> bool:
    if not _alone.get() or sys.platform != "linux" or {"torch", "pynwb"} & sys.modules.keys():
        return False
    if threading.active_count() > 1 or len(os.sched_getaffinity(0)) < 2:
        return False
    # addresses and folders of Zarr are read by threads, which hold locks
    return os.path.isfile(path) and os.path.getsize(path) <= LARGEST


def _receive(receiver: Connection, progress: Listener | None) -> tuple[str, Any] | None:
    """Wait for a message: None after one of progress, which is passed on."""
    try:
        kind, value = receiver.recv()
    except OSError as error:  # it has died within a message
        raise EOFError from error
    if kind != "progress":
        return kind, value
    if progress:
        progress(value)
    return None


def _answer(plan: Planning, receiver: Connection, sender: Connection, hear: Callable[[], None]) -> None:
    # with an end of its own it would wait for ever to be read by a process that was killed
    receiver.close()
    # an interrupt reaches both processes, and it is the other one that reports it
    with suppress(KeyboardInterrupt, BrokenPipeError):
        hear()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                made = plan(lambda done: sender.send(("progress", done)))
        except DCFError as error:
            with suppress(Exception):  # one that cannot be sent is raised again by the other process
                pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
                sender.send(("error", error))
            return
        except Exception:
            return
        # what is read on demand, or lies in a scratch file, would be read into memory to be sent
        data = made.recording["data"]
        if is_lazy(data) or data.size > MOST_SENT:
            return
        issued = [(str(one.message), one.category, one.filename, one.lineno) for one in caught]
        with suppress(pickle.PicklingError, TypeError, AttributeError):
            sender.send(("plan", (made, issued)))
