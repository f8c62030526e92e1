"""Two ways of doing something, timed by turns, so that a busy machine slows both."""

from __future__ import annotations

import time
from collections.abc import Callable

ROUNDS = 5
Row = dict[str, object]


def time_by_turns(*functions: Callable[[], object], rounds: int = ROUNDS) -> list[tuple[float, float]]:
    """Least wall and CPU seconds of each function over `rounds` in which all take their turn."""
    best = [(float("inf"), float("inf"))] * len(functions)
    for _ in range(rounds):
        for i, function in enumerate(functions):
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            best[i] = min(best[i][0], wall), min(best[i][1], cpu)
    return best


def describe_ratio(what: str, reading: float, alone: float, *, least: float) -> Row:
    """Return a row of how much of the speed of the least work is reached."""
    return {"what": what, "reading": reading, "least": alone, "ratio": alone / reading, "bound": f"at least {least:g}"}
