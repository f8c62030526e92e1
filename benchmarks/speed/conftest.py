"""Speed, by figures beside one another: ``python -m pytest -n 0 benchmarks/speed [--write] [-k training]``.

Seconds mean little on a machine that does other work, so every figure is a ratio: what is measured and what stands
beside it run in turn, A B A B, each in CPU time of this process (on a GPU: time until the device is done). `--write`
puts the table of this device into RESULTS.md; lines of benchmarks that were not run again stay.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from figures import ROWS, note, take_time
from results import Table, describe_machine, write_section

from nwb_dcf.data.synthetic import simulate_reach


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", action="store_true", help="put the table into RESULTS.md")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("figures are compared within one process: give -n 0")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not ROWS:
        return
    name = describe_machine().split(",")[0]
    table = Table(f"Speed: figures beside one another, {name}", sorted(ROWS, key=lambda row: str(row["figure"])))
    print("\n" + table.to_markdown())
    if session.config.getoption("--write"):
        write_section(table, keep_lines=True)


@pytest.fixture
def compare(benchmark: Any) -> Callable[..., float]:
    """Return a function that times `ours` and `other` in turn, notes the ratio of the medians and returns it."""

    def run(
        figure: str,
        beside: str,
        ours: Callable[[], Any],
        other: Callable[[], Any],
        *,
        rounds: int = 5,
        goal: str = "",
        scale: float = 1.0,
        **more: object,
    ) -> float:
        others = []

        def time_other() -> None:
            start = take_time()
            other()
            others.append(take_time() - start)

        benchmark._timer = take_time
        benchmark.pedantic(ours, setup=time_other, rounds=rounds, warmup_rounds=1)
        own, theirs = benchmark.stats.stats.median, statistics.median(others[1:])
        ratio = scale * own / theirs
        benchmark.extra_info.update(beside=beside, ratio=ratio)
        note(figure, beside, ratio, goal, seconds=own, **{"seconds beside": theirs}, **more)
        return ratio

    return run


@pytest.fixture(scope="session")
def reach() -> xr.Dataset:
    """100 trials x 100 bins x 137 units of spike counts."""
    return simulate_reach(n_trials=100).recording
