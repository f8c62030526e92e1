"""Steps on a GPU as graphs of their kernels, recorded once and replayed.

A step of a session-sized fit is some three hundred small kernels: Python takes ten times as long to start them one by
one as the GPU to run them (RESULTS.md). A replay reads its rate and p of the prefix lengths from tensors; its
draws come from the generator, as if the step had been taken.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from .batches import FrameTable

FIRST = 3  # steps taken one by one: they load kernels and set up what these need, which cannot be recorded

Move = Callable[[frozenset[str], float | Tensor, float | Tensor], None]


def can_replay(table: FrameTable) -> bool:
    """Whether steps on `table` can be replayed: on a GPU, with the frames on it as well."""
    return table.device.type == "cuda" and table.x.device == table.device


class StepGraphs:
    """One graph for each set of flows that learn.

    Parameters
    ----------
    generator : torch.Generator
        Of all that steps draw.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator, self.taken = generator, 0
        self.rate, self.prefix_p = torch.zeros(2, device=generator.device).unbind()
        self.graphs: dict[frozenset[str], torch.cuda.CUDAGraph] = {}

    def take(self, move: Move, flows: frozenset[str], rate: float, prefix_p: float) -> None:
        """Let `move` take a step, or replay one that it took.

        Parameters
        ----------
        move : callable
            Takes a step on the device alone: the flows that learn, the fraction of the full rate, p. It is not kept: a
            reference to its owner would be a cycle, collected at any time, and no graph may be freed in a capture.
        flows : frozenset of str
            Those of u and v that learn.
        rate, prefix_p : float
        """
        # graphs read device memory: a Python float would be frozen at its value of the capture
        self.rate.fill_(rate)
        self.prefix_p.fill_(prefix_p)
        if self.taken < FIRST:
            move(flows, self.rate, self.prefix_p)
        else:
            if flows not in self.graphs:
                self.graphs[flows] = self._record(move, flows)
            self.graphs[flows].replay()
        self.taken += 1

    def _record(self, move: Move, flows: frozenset[str]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        stream = torch.cuda.current_stream(self.generator.device)
        with _keep_garbage(), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            move(flows, self.rate, self.prefix_p)
        return graph


@contextmanager
def _keep_garbage() -> Iterator[None]:
    """Let nothing be collected for a while: graphs of a fit that failed may be among it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def use_own_stream(device: torch.device) -> Iterator[None]:
    """Let work for a GPU go into a stream of its own for a while: the common one cannot be recorded."""
    if device.type != "cuda":
        yield
        return
    common, own = torch.cuda.current_stream(device), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    own.wait_stream(common)
    try:
        with torch.cuda.stream(own):
            yield
    finally:
        common.wait_stream(own)
