"""What a tolerance of the search saves, and what it costs (``python benchmarks/tolerance.py [--write]``).

The schedule ends by itself where a held-out loss has not fallen by more than `tolerance` in five evaluations. Same
recordings, splits and seeds; samples are those of search and refit together; the rebuilding is of held-out blocks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import xarray as xr
from results import Table, write_section

from nwb_dcf import DCF, read_recording
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import simulate_reach

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TOLERANCES = (0.0, 0.001, 0.003, 0.01)
FILES = ("reach_chewie", "linear_track", "celegans_moving", "three_units")


def find_recordings() -> Iterator[tuple[str, xr.Dataset]]:
    """Simulated reaches, and the real recordings that are there."""
    yield "reach", simulate_reach(n_trials=100).recording
    for name in FILES:
        path = DATA / f"{name}.nwb"
        if path.exists():
            yield name, read_recording(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    rows = []
    for name, recording in find_recordings():
        split = split_recording(recording, 0.2, seed=0, gap_s=1.0)
        if split is None:
            continue
        whole = 0.0
        for tolerance in TOLERANCES:
            fit = DCF(dim=3, device="cpu", settings={"tolerance": tolerance}).fit(split.training)
            samples = fit.fitted_.timing["samples_per_s"] * fit.fitted_.timing["seconds"]
            whole = whole or samples
            rows.append(
                {
                    "recording": name,
                    "tolerance": tolerance,
                    "samples seen / those without": samples / whole,
                    "steps": ", ".join(f"{part} {n}" for part, n in fit.steps_.items()),
                    "bottleneck R2": fit.score(split.held_out),
                }
            )
            print(rows[-1], flush=True)
    table = Table("Stopping by itself: what a tolerance saves", rows)
    print(table.to_markdown())
    if arguments.write:
        write_section(table)


if __name__ == "__main__":
    main()
