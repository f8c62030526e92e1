"""Figures of speed: how time is taken, and the lines that become a table."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ROWS: list[dict[str, object]] = []


def take_time() -> float:
    """CPU seconds of this process, or on a GPU seconds until it is done."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def replay(function: Callable[[], object]) -> Callable[[], object]:
    """`function` itself, or on a GPU the graph of its kernels, so that it is not Python's speed that is measured."""
    if DEVICE.type != "cuda":
        return function
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()
        function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def note(figure: str, beside: str, ratio: float, goal: str = "", **more: object) -> None:
    """Add a line to the table: `ratio` of the figure to what stands beside it, and the numbers behind it."""
    told = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in more.items()
    )
    ROWS.append({"figure": figure, "beside": beside, "ratio": ratio, "goal": goal, "numbers": told})
