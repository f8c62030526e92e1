"""Start-up: what the command line takes before it answers, beside an empty Python and beside `import pynwb`."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figures import DEVICE, note

from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.io.results import write_session

pytestmark = pytest.mark.skipif(DEVICE.type != "cpu", reason="start-up is a matter of the CPU")

FIT = """
import resource, sys
import numpy as np
from nwb_dcf import DCF
values = np.lib.format.open_memmap(sys.argv[1], mode="r")
fit = DCF(dim=3, steps=20, early_stopping=False).fit(values)
assert fit.transform(values).shape == (len(values), 3)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
"""


def run(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def take_cpu(*arguments: str) -> float:
    """Least CPU seconds of a process of Python."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("start") / "session.nwb"
    simulation = simulate_reach(n_trials=20)
    write_session(simulation.recording, path, truth=simulation.truth)
    return str(path)


@pytest.mark.parametrize(
    ("command", "beside", "allowed"),
    [(("--help",), "pass", 0.25), (("info",), "import pynwb", 1.2), (("list",), "import pynwb", 1.2)],
)
def test_start_up(benchmark: Any, session: str, command: tuple[str, ...], beside: str, allowed: float) -> None:
    file = () if command == ("--help",) else (session,)
    ours, least = take_cpu("-m", "nwb_dcf", *command, *file), take_cpu("-c", beside)
    note(
        f"nwb-dcf {command[0]}: seconds above `python -c '{beside}'`",
        f"{allowed:g} s",
        (ours - least) / allowed,
        "at most 1",
        seconds=ours,
        **{"seconds beside": least},
    )
    benchmark.pedantic(lambda: None, rounds=1)


def test_memory_as_frames_grow(benchmark: Any, tmp_path: Path) -> None:
    """Peak memory of a fit and its latents from a file on the disk, 1e5 frames and 1e6 of 50 channels."""
    pytest.importorskip("dask.array")
    peaks = []
    for n in (100_000, 1_000_000):
        path = tmp_path / f"{n}.npy"
        mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, 50))
        rng = np.random.default_rng(0)
        for i in range(0, n, 100_000):
            mapped[i : i + 100_000] = rng.standard_normal((100_000, 50), dtype=np.float32)
        mapped.flush()
        peaks.append(float(run("-c", FIT, str(path))))
    size = 1_000_000 * 50 * 4 / 2**20
    note(
        "peak memory of a fit from disk, mapped files included, 1e5 to 1e6 frames x 50",
        "the smaller",
        peaks[1] / peaks[0],
        "",
        MiB=peaks[1],
        **{"MiB of 1e5": peaks[0], "MiB of the data": size},
    )
    benchmark.pedantic(lambda: None, rounds=1)
