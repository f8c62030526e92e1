"""Checkpoints: the whole state of a fit's trainings, from which an interrupted one continues to the bit.

A fit trains several times: it chooses the number of steps, trains on all frames for that many, and perhaps does so
again for shifted or resampled data. Each training is a run with a unique name, and one document holds them all:
of a finished run its outcome, of another all that its next step depends on. It is safetensors bytes with JSON beside
the tensors, so that nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ...errors import StoreError, Terminated

EVERY_S = 60.0  # between two checkpoints: at most this much of the training is repeated
FORMAT = 1
_TENSOR = "$tensor"

State = dict[str, Any]
"""JSON-able values with tensors anywhere among them."""


class Checkpoints:
    """The runs of a fit, written together whenever one of them is due.

    Runs may be in different threads. A state is copied when it is stored, so that the run can continue.

    Parameters
    ----------
    write : callable
        Stores bytes in place of those before; an OSError of it does not end the training.
    about : mapping
        Identity of the fit, JSON-able: kept in the document.
    stored : bytes, optional
        A document to continue from.
    every_s : float
        Seconds between two of them.

    Attributes
    ----------
    failure : str
        Why the last document could not be written; empty where it was.
    trains : bool
        Whether a training is running, which ends at its next step after `request_stop`.
    resumed : dict of str to int
        Runs that were stored, and the step of each.

    Raises
    ------
    StoreError
        If `stored` is no such document.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        about: Mapping[str, object],
        *,
        stored: bytes | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._write, self._about, self._every_s = write, dict(about), every_s
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._runs: dict[str, State] = {} if stored is None else unpack(stored)["runs"]
        self._written_s = time.monotonic()
        self.resumed = {name: run.get("step") for name, run in self._runs.items()}
        self.failure = ""
        self.trains = False
        self._fits = 0

    def run(self, name: str) -> Run:
        """Return the run of that name, with its stored state."""
        return Run(self, name)

    def request_stop(self) -> None:
        """Make every run store its state at its next step and end with `Terminated`."""
        self._stop.set()

    def begin_fit(self) -> int:
        """Count a fit at its first training, and return its number."""
        self._fits += 1
        self.trains = True
        return self._fits

    def end_fit(self) -> None:
        """Record that no training is running that `request_stop` could end."""
        self.trains = False

    @property
    def stops(self) -> bool:
        """Whether the runs are to end."""
        return self._stop.is_set()

    def is_due(self) -> bool:
        """Whether it is time for the next document."""
        return self.stops or time.monotonic() - self._written_s >= self._every_s

    def find(self, name: str) -> State | None:
        """Return the stored state of a run; None where there is none."""
        with self._lock:
            return self._runs.get(name)

    def leave(self, name: str, state: State) -> None:
        """Store the state of a run in place of an earlier one."""
        # outside the lock: copying from a GPU waits for the step in progress
        copied = _copy(state)
        with self._lock:
            self._runs[name] = copied

    def write(self) -> None:
        """Write the states of all runs."""
        with self._lock:
            if not self._runs:
                return
            document = pack({"format": FORMAT, "about": self._about, "runs": self._runs})
            try:
                self._write(document)
                self.failure = ""
            except OSError as error:  # a full disk is no reason to lose the training too
                self.failure = str(error.strerror or error)
            self._written_s = time.monotonic()


_kept: ContextVar[Checkpoints | None] = ContextVar("checkpoints", default=None)


@contextmanager
def keep_checkpoints(checkpoints: Checkpoints) -> Iterator[None]:
    """Let every fit inside the block leave checkpoints, those that figures are compared with too.

    A context variable, since training is many calls below the pipeline that knows where checkpoints go.
    """
    token = _kept.set(checkpoints)
    try:
        yield
    finally:
        _kept.reset(token)


@contextmanager
def name_runs() -> Iterator[Callable[[str], Run | None]]:
    """Give the trainings of one fit their runs by name; None where no checkpoints are kept.

    Fits are identified by their number: they follow one another in the same order each time.
    """
    checkpoints = _kept.get()
    if checkpoints is None:
        yield lambda name: None
        return
    # names of stages repeat from fit to fit of one job: nulls and resampled fits train alike
    number = checkpoints.begin_fit()
    try:
        yield lambda name: Run(checkpoints, f"fit {number}: {name}")
    finally:
        checkpoints.end_fit()


class Run:
    """One training among the checkpoints of a fit.

    Parameters
    ----------
    checkpoints : Checkpoints
    name : str
    """

    def __init__(self, checkpoints: Checkpoints, name: str) -> None:
        self.checkpoints, self.name = checkpoints, name

    def find(self) -> State | None:
        """Return its stored state; None where there is none."""
        return self.checkpoints.find(self.name)

    def visit(self, collect: Callable[[], State]) -> None:
        """Store the state of `collect` between two steps, if a checkpoint is due.

        Raises
        ------
        Terminated
            If the runs are to end.
        """
        if self.checkpoints.is_due():
            self.leave(collect())
            self.checkpoints.write()
        if self.checkpoints.stops:
            raise Terminated

    def leave(self, state: State) -> None:
        """Store the state; it is written with the next document."""
        self.checkpoints.leave(self.name, state)


def pack(document: State) -> bytes:
    """Turn JSON-able values, and tensors anywhere among them, into safetensors bytes."""
    tensors: dict[str, Tensor] = {}

    def take_out(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = str(len(tensors))
            tensors[name] = value.detach().cpu().contiguous().clone()  # safetensors refuses tensors with common memory
            return {_TENSOR: name}
        if isinstance(value, Mapping):
            return {str(key): take_out(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [take_out(inner) for inner in value]
        return value

    text = json.dumps(take_out(document))
    return safetensors.torch.save(tensors, metadata={"nwb_dcf": text})


def unpack(data: bytes) -> State:
    """Turn the bytes of `pack` back into values and tensors.

    Raises
    ------
    StoreError
        If it is something else, or of a newer format.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        document = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["nwb_dcf"])
        tensors = safetensors.torch.load(data)

        def put_back(value: Any) -> Any:
            if isinstance(value, dict):
                if value.keys() == {_TENSOR}:
                    return tensors[value[_TENSOR]]
                return {key: put_back(inner) for key, inner in value.items()}
            return [put_back(inner) for inner in value] if isinstance(value, list) else value

        if document["format"] > FORMAT:
            raise StoreError("the checkpoint is of a newer nwb_dcf", fix="upgrade nwb_dcf to continue from it")
        if not isinstance(document["runs"], dict):
            raise TypeError("no runs")
        restored: State = put_back(document)
        return restored
    except (KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:
        if isinstance(error, StoreError):
            raise
        what = f"the checkpoint cannot be read ({type(error).__name__}: {error})"
        raise StoreError(what, fix="fit again without --resume") from error


def _copy(value: Any) -> Any:
    """Copy a state, its tensors to the host: training changes tensors in place."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list | tuple) else value


@torch.no_grad()
def put_into(tensors: list[Tensor], stored: list[Tensor]) -> None:
    """Copy stored values into existing tensors.

    Raises
    ------
    StoreError
        If number or shapes differ.
    """
    # copy_ would broadcast a wrong shape in silence
    if [t.shape for t in tensors] != [t.shape for t in stored]:
        raise StoreError("the checkpoint is of another model", fix="fit again without --resume")
    for tensor, value in zip(tensors, stored, strict=True):
        tensor.copy_(value)
