"""CPU seconds and peak memory of whole fits against their size: ``python benchmarks/growth.py frames 1e4 1e5 1e6``.

What grows is ``frames`` (one segment, 50 units), ``channels`` (20,000 frames) or ``trials`` (50 frames, 50 units), of
simulated units with three slow latents in bins of 20 ms. Each fit is ``nwb-dcf fit --bin 0.02 OPTIONS`` in a process of
its own; seconds count its children. The slope between two sizes is that of the logarithms: 1 is linear, 0 is constant.

``sessions`` are files of 50 units and 40 trials of 50 frames under eight conditions, fitted each by itself
(``nwb-dcf fit FOLDER``); ``cohort`` puts as many, 2 or more, into one space (``nwb-dcf cohort fit FOLDER``). Memory is
that of the largest process.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from hdmf.common import ElementIdentifiers, VectorData, VectorIndex
from pynwb import NWBHDF5IO, NWBFile
from pynwb.epoch import TimeIntervals
from pynwb.misc import Units
from scipy.ndimage import gaussian_filter1d

STEP_S, RATE_HZ = 0.02, 2.0
TRIAL_FRAMES = 50
SESSION_TRIALS, CONDITIONS = 40, 8


def write_units(path: Path, n_units: int, n_frames: int, n_trials: int, seed: int = 0, conditions: int = 0) -> None:
    """Write a session of units that follow three latents, with trials where `n_trials` is above 0.

    With `conditions` trials have one each, at random, and latents that are half those of their condition, which all
    sessions have in common.
    """
    rng = np.random.default_rng(seed)
    latents = simulate_latents(rng, n_frames)
    condition = rng.integers(conditions, size=n_trials) if conditions else None
    if condition is not None:
        common = simulate_latents(np.random.default_rng(2**31), conditions * TRIAL_FRAMES)
        of_condition = common.reshape(3, conditions, TRIAL_FRAMES)[:, condition].reshape(3, -1)
        latents = (latents + of_condition) / np.sqrt(2)
    weights = 0.5 * rng.normal(size=(n_units, 3))
    mean = RATE_HZ * STEP_S * np.exp(0.5 * rng.normal(size=n_units))
    times = []
    for weight, rate in zip(weights, mean, strict=True):
        counts = rng.poisson(rate * np.exp(weight @ latents - weight @ weight / 2))
        spikes = np.repeat(np.arange(n_frames), counts) + rng.uniform(0, 1, counts.sum())
        times.append(np.sort(spikes) * STEP_S)
    nwbfile = NWBFile("growth", path.stem, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    column = VectorData(name="spike_times", description="seconds", data=np.concatenate(times))
    ends = VectorIndex(name="spike_times_index", data=np.cumsum([len(t) for t in times]), target=column)
    ids = ElementIdentifiers(name="id", data=list(range(n_units)))
    nwbfile.units = Units(name="units", description="simulated", columns=[column, ends], id=ids)
    if n_trials:
        edges = np.linspace(0, n_frames * STEP_S, n_trials + 1)
        columns = {"start_time": edges[:-1], "stop_time": edges[1:]}
        columns |= {} if condition is None else {"condition": np.array([f"c{k}" for k in condition])}
        vectors = [VectorData(name=name, description=name, data=data) for name, data in columns.items()]
        nwbfile.trials = TimeIntervals(name="trials", description="simulated", columns=vectors)
    with NWBHDF5IO(path, "w") as io:
        io.write(nwbfile)


def simulate_latents(rng: np.random.Generator, n_frames: int) -> np.ndarray:
    """Three slow latents of unit variance, shape (3, frame)."""
    latents = np.stack([gaussian_filter1d(rng.normal(size=n_frames), s / STEP_S) for s in (0.3, 0.6, 1.2)])
    return latents / latents.std(axis=1, keepdims=True)


def choose_size(axis: str, size: int) -> tuple[int, int, int]:
    """Units, frames and trials of a session that has `size` of what grows."""
    sizes = {"frames": (50, size, 0), "channels": (size, 20_000, 0), "trials": (50, size * TRIAL_FRAMES, size)}
    return sizes[axis]


def write_sessions(folder: Path, axis: str, size: int) -> list[str]:
    """Write what is to be fitted to `folder`; return the command that fits it."""
    if axis not in ("sessions", "cohort"):
        path = folder / "s.nwb"
        write_units(path, *choose_size(axis, size))
        return ["fit", str(path)]
    inside = folder / "sessions"
    inside.mkdir()
    for i in range(size):
        write_units(inside / f"s{i:03}.nwb", 50, SESSION_TRIALS * TRIAL_FRAMES, SESSION_TRIALS, i, CONDITIONS)
    if axis == "sessions":
        return ["fit", str(inside)]
    return ["cohort", "fit", str(inside), "--align-on", "trials.condition", "-o", str(folder / "cohort.nwb")]


def measure(what: list[str], options: list[str]) -> tuple[float, float]:
    """CPU seconds and peak MiB of ``nwb-dcf WHAT``, its children included."""
    command = [sys.executable, "-m", "nwb_dcf", *what, "--bin", str(STEP_S), "--quiet", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("axis", choices=("frames", "channels", "trials", "sessions", "cohort"))
    parser.add_argument("sizes", nargs="+", type=float)
    args, options = parser.parse_known_args()
    print(f"| {args.axis} | CPU s | slope | peak MiB | slope |\n| --- | --- | --- | --- | --- |")
    last: tuple[float, float, float] | None = None
    for size in map(int, args.sizes):
        with tempfile.TemporaryDirectory() as folder:
            found = (size, *measure(write_sessions(Path(folder), args.axis, size), options))
        slopes = ["", ""]
        if last is not None:
            slopes = [f"{math.log(found[i] / last[i]) / math.log(found[0] / last[0]):.2f}" for i in (1, 2)]
        print(f"| {size:,} | {found[1]:.1f} | {slopes[0]} | {found[2]:.0f} | {slopes[1]} |", flush=True)
        last = found


if __name__ == "__main__":
    main()
