"""Checkpoints: the whole state of a fit's trainings, from which one that was ended goes on as if it had not been.

A fit trains several times: it searches for the number of steps, trains on all frames for that many, and perhaps does so
again for shifted or resampled data. Each training is a run with a name of its own, and one document holds them all:
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


class Checkpoints:
    """The runs of a fit, written together whenever one of them is due.

    Runs may be in threads of their own. What a run has left is copied when it is left, so that the run can go on.

    Parameters
    ----------
    write : callable
        Puts bytes where they stay, in place of those before; an OSError of it does not end the training.
    about : mapping
        What the fit is, JSON-able: kept in the document.
    stored : bytes, optional
        A document to go on from.
    every_s : float
        Seconds between two of them.

    Attributes
    ----------
    failure : str
        Why the last document could not be written; empty where it was.
    trains : bool
        Whether a training goes on, which ends at its next step once it is asked to.
    resumed : dict of str to int
        Runs that were stored, and the step that each had come to.

    Raises
    ------
    StoreError
        If `stored` is no such document.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        about: Mapping[str, Any],
        *,
        stored: bytes | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._write, self._about, self._every_s = write, dict(about), every_s
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._runs: dict[str, dict[str, Any]] = {} if stored is None else unpack(stored)["runs"]
        self._written_s = time.monotonic()
        self.resumed = {name: run.get("step") for name, run in self._runs.items()}
        self.failure = ""
        self.trains = False
        self._fits = 0

    def run(self, name: str) -> Run:
        """Return the run of that name, with what is stored of it."""
        return Run(self, name)

    def request_stop(self) -> None:
        """Let every run leave its state at its next step and end with `Terminated`."""
        self._stop.set()

    def begin_fit(self) -> int:
        """Count a fit whose trainings begin, and return its number."""
        self._fits += 1
        self.trains = True
        return self._fits

    def end_fit(self) -> None:
        """Note that no training goes on that would heed `request_stop`."""
        self.trains = False

    @property
    def stops(self) -> bool:
        """Whether the runs are to end."""
        return self._stop.is_set()

    def is_due(self) -> bool:
        """Whether it is time for the next document."""
        return self.stops or time.monotonic() - self._written_s >= self._every_s

    def find(self, name: str) -> dict[str, Any] | None:
        """What is stored of a run; None where nothing is."""
        with self._lock:
            return self._runs.get(name)

    def leave(self, name: str, state: dict[str, Any]) -> None:
        """Keep the state of a run, in place of what was kept of it."""
        copied = _copy(state)
        with self._lock:
            self._runs[name] = copied

    def write(self) -> None:
        """Write what all runs have left."""
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

    Who trains is many calls away from who knows where checkpoints go, and the fits between are in no need to know.
    """
    token = _kept.set(checkpoints)
    try:
        yield
    finally:
        _kept.reset(token)


@contextmanager
def name_runs() -> Iterator[Callable[[str], Run | None]]:
    """Give the trainings of one fit their runs by name; None where no checkpoints are kept.

    Fits are told apart by their number: they follow one another in the same order each time.
    """
    checkpoints = _kept.get()
    if checkpoints is None:
        yield lambda name: None
        return
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

    def find(self) -> dict[str, Any] | None:
        """The state that it was left in; None where it was not."""
        return self.checkpoints.find(self.name)

    def visit(self, collect: Callable[[], dict[str, Any]]) -> None:
        """Leave the state that `collect` gives, between two steps, if it is time to.

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

    def leave(self, state: dict[str, Any]) -> None:
        """Keep the state; it is written with the next document."""
        self.checkpoints.leave(self.name, state)


def pack(document: Mapping[str, Any]) -> bytes:
    """Turn JSON-able values, and tensors anywhere among them, into safetensors bytes."""
    tensors: dict[str, Tensor] = {}

    def take_out(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = str(len(tensors))
            tensors[name] = value.detach().cpu().contiguous().clone()  # none may share memory with another
            return {_TENSOR: name}
        if isinstance(value, Mapping):
            return {str(key): take_out(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [take_out(inner) for inner in value]
        return value

    text = json.dumps(take_out(document))
    return safetensors.torch.save(tensors, metadata={"nwb_dcf": text})


def unpack(data: bytes) -> dict[str, Any]:
    """Turn what `pack` gave back into values and tensors.

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
            raise StoreError("the checkpoint is of a newer nwb_dcf", fix="upgrade nwb_dcf to go on from it")
        if not isinstance(document["runs"], dict):
            raise TypeError("no runs")
        restored: dict[str, Any] = put_back(document)
        return restored
    except (KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:
        if isinstance(error, StoreError):
            raise
        what = f"the checkpoint cannot be read ({type(error).__name__}: {error})"
        raise StoreError(what, fix="fit again without --resume") from error


def _copy(value: Any) -> Any:
    """Copy a state, its tensors to the host: what is kept must not move on with the training."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list | tuple) else value


@torch.no_grad()
def put_into(tensors: list[Tensor], stored: list[Tensor]) -> None:
    """Copy stored values into tensors that others hold.

    Raises
    ------
    StoreError
        If number or shapes differ.
    """
    if [t.shape for t in tensors] != [t.shape for t in stored]:
        raise StoreError("the checkpoint is of another model", fix="fit again without --resume")
    for tensor, value in zip(tensors, stored, strict=True):
        tensor.copy_(value)
