"""Where the time of ``nwb-dcf fit`` goes (``python benchmarks/stages.py FILE [--write]``).

A whole fit by the command line's own entry, in a fresh process, with the clock read around each stage. On a machine
that does other work the seconds mean little, and the shares much.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from results import Table, write_section

# Stage: the functions that do it, as the module that calls them knows them.
STAGES = {
    "read and choose": ("nwb_dcf.pipeline.fit", "read_to_fit"),
    "fit": ("nwb_dcf.estimator.fit", "fit"),
    "latents and velocities": ("nwb_dcf.evaluation.result", "build_result"),
    "scores": ("nwb_dcf.evaluation.result", "score_fit"),
    "rollouts": ("nwb_dcf.evaluation.result", "describe_horizon"),
    "write and verify": ("nwb_dcf.pipeline.destination", "write_result"),
}
WITHIN = {"latents and velocities": ("scores", "rollouts")}  # stages whose time holds that of others


def run_timed(arguments: list[str]) -> int:
    """Run the command line with the stages timed; print their seconds as the last line."""
    seconds = dict.fromkeys(STAGES, 0.0)

    def time_stage(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **settings: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **settings)
            finally:
                seconds[stage] += time.perf_counter() - start

        return timed

    start = time.perf_counter()
    from nwb_dcf.cli import main

    for stage, (module, name) in STAGES.items():
        place = importlib.import_module(module)
        setattr(place, name, time_stage(stage, getattr(place, name)))
    imported = time.perf_counter() - start
    code = main(arguments)
    for stage, parts in WITHIN.items():
        seconds[stage] -= sum(seconds[part] for part in parts)
    print(json.dumps({"imports": imported, **seconds}))
    return code


def measure(file: Path, *more: str) -> dict[str, float]:
    """Seconds of each stage of a fit of `file`, those of the whole process, and what is in no stage."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "fit.nwb")
        command = [sys.executable, __file__, "--timed", "fit", str(file), "--output", str(output), *more]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        whole = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    stages: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**stages, "all else": whole - sum(stages.values()), "whole": whole}


def main() -> None:
    if sys.argv[1:2] == ["--timed"]:
        raise SystemExit(run_timed(sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    seconds = measure(arguments.file)
    rows = [{"stage": name, "s": s, "share": s / seconds["whole"]} for name, s in seconds.items()]
    table = Table(f"Where the time of a fit goes: {arguments.file.name}, {os.cpu_count()} cores", rows)
    print(table.to_markdown())
    if arguments.write:
        write_section(table)


if __name__ == "__main__":
    main()
