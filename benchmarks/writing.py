"""What it costs to write a fit safely into a large file, beside copying that file: python benchmarks/writing.py."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.io.results import remove_result, write_result, write_session
from tests.io.results.synthetic import result_for

ALLOWED_RATIO, ALLOWED_S = 1.5, 5.0  # of cp and fsync, and for the clean processes


def make_large_session(path: Path, megabytes: int) -> None:
    """Make a session whose acquisition holds so many megabytes of noise."""
    simulation = simulate_reach(n_trials=20, n_bins=50, n_units=40, seed=0)
    write_session(simulation.recording, path, truth=simulation.truth)
    rng = np.random.default_rng(0)
    with h5py.File(path, "r+") as file:
        series = file.create_group("acquisition/raw")
        data = series.create_dataset("data", (megabytes * 2**20 // 128, 64), "i2", chunks=(2**14, 64))
        for start in range(0, len(data), 2**17):
            rows = min(2**17, len(data) - start)
            data[start : start + rows] = rng.integers(-1000, 1000, (rows, 64), dtype=np.int16)
        data.attrs.update({"unit": "V", "conversion": 1.0, "resolution": -1.0, "offset": 0.0})
        start_time = series.create_dataset("starting_time", data=0.0)
        start_time.attrs.update({"rate": 30_000.0, "unit": "seconds"})
        kind = {
            "neurodata_type": "TimeSeries",
            "namespace": "core",
            "object_id": "00000000-0000-4000-8000-000000000001",
        }
        series.attrs.update({**kind, "description": "noise", "comments": "none"})


def copy_and_sync(source: Path, target: Path) -> float:
    """Seconds that a copy takes until it is on the disk."""
    started = time.perf_counter()
    shutil.copyfile(source, target)
    handle = os.open(target, os.O_RDWR)
    os.fsync(handle)
    os.close(handle)
    taken = time.perf_counter() - started
    target.unlink()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "large.nwb"
        make_large_session(session, arguments.megabytes)
        result = result_for(session)
        print(f"{session.stat().st_size / 1e6:.0f} MB; seconds")
        for i in range(arguments.repeats):
            copied = copy_and_sync(session, Path(folder) / "copy.nwb")
            started, cpu = time.perf_counter(), sum(os.times()[:4])
            write_result(result, session, name=f"fit_{i}")
            written, cpu = time.perf_counter() - started, sum(os.times()[:4]) - cpu
            started = time.perf_counter()
            remove_result(session, f"fit_{i}")
            removed = time.perf_counter() - started
            allowed = ALLOWED_RATIO * copied + ALLOWED_S
            verdict = "within" if written <= allowed else "over"
            print(
                f"cp and fsync {copied:.2f}; write {written:.2f} (of the CPU {cpu:.2f}), {verdict} "
                f"{allowed:.2f} allowed; remove {removed:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
