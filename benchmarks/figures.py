"""Figures of speed: how time is taken, and the lines that become a table."""

from __future__ import annotations

import time

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ROWS: list[dict[str, object]] = []


def take_time() -> float:
    """CPU seconds of this process, or on a GPU seconds until it is done."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def note(figure: str, beside: str, ratio: float, goal: str = "", **more: object) -> None:
    """Add a line to the table: `ratio` of the figure to what stands beside it, and the numbers behind it."""
    told = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in more.items()
    )
    ROWS.append({"figure": figure, "beside": beside, "ratio": ratio, "goal": goal, "numbers": told})
