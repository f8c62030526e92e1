"""This build, an earlier one and the rivals in turn on the same splits: processor seconds, and quality beside each.

``python benchmarks/beside.py [--sets video reach_chewie] [--splits 5] [--methods autoencoder] [--files F.nwb ...]``

The earlier build is checked out into a folder of its own (``git worktree``) and run from there with the same packages.
Every fit is a process of its own with one thread, and what is told is its user and system time, which other work on
the machine changes far less than the clock. Builds alternate split by split. Rows are JSON lines in ``beside.jsonl``,
written as they come: a run that was stopped goes on where it was. ``--write`` puts the table into RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
EARLIER = "47c9fed"
FIRST_SEED = 100  # settings were chosen on lower ones
SCORES = ("rebuild", "linear", "neighbours")
OURS = "DCF"
LATER_SETS = {"ball_radii"}  # that earlier builds do not have: there this build is beside the rivals alone


@contextmanager
def check_out(commit: str) -> Iterator[Path]:
    """A folder with the files of `commit`, which goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="beside-") as folder:
        tree = Path(folder) / commit
        git = ["git", "-C", str(HERE.parent), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=False)


def run(command: Sequence[str], tree: Path) -> tuple[float, str]:
    """Run Python with the package and the benchmarks of `tree`; its processor seconds and what it printed."""
    paths = os.pathsep.join([str(tree), str(tree / "benchmarks")])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    data = {"NWB_DCF_TEST_DATA": os.environ.get("NWB_DCF_TEST_DATA", str(HERE.parents[1] / "shared" / "data"))}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # -P: the folder of this very script, which would be first, holds the sets of this build
    done = subprocess.run(
        [sys.executable, "-P", *command],
        env={**os.environ, **threads, **data, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} in {tree}: {done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def fit_once(name: str, seed: int, method: str) -> dict[str, Any]:
    """Fit one method to one split, in whichever build this process runs; processor seconds of the fit, and scores."""
    import time

    import methods
    import sets
    import torch
    from measures import score_fit

    torch.set_num_threads(1)
    benchmark = sets.SETS[name](seed)
    if hasattr(sets, "settle_preparation"):  # which the earlier build does without: its defaults are these
        benchmark = sets.settle_preparation(benchmark, chosen=False)
    # earlier builds have rivals alone
    find = getattr(methods, "find_timed_methods", methods.find_methods)
    chosen = next(each for each in find() if each.name == method)
    started = time.process_time()
    fit = chosen.fit(benchmark.training, benchmark.dim, benchmark.settings, seed, False)
    seconds = time.process_time() - started
    scores = score_fit(benchmark, fit)
    return {"fit": seconds, **{key: float(scores[key].value) for key in SCORES if key in scores}}


def measure(args: argparse.Namespace, rows: list[dict[str, Any]], path: Path) -> None:
    """Add the rows that are missing."""
    done = {(row["what"], row["seed"], row["build"], row["method"]) for row in rows}

    def add(what: str, seed: int, build: str, method: str, command: list[str], tree: Path) -> None:
        if (what, seed, build, method) in done:
            return
        seconds, told = run(command, tree)
        figures = json.loads(told.splitlines()[-1]) if what in args.sets else {}
        row = {"what": what, "seed": seed, "build": build, "method": method, "whole": seconds, **figures}
        rows.append(row)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)

    script = str(Path(__file__).resolve())
    with check_out(args.earlier) as earlier, tempfile.TemporaryDirectory() as out:
        builds = {"this": HERE.parent, args.earlier: earlier}
        for seed in range(FIRST_SEED, FIRST_SEED + args.splits):
            for name in args.sets:
                for build, tree in builds.items():
                    if build != "this" and name in LATER_SETS:
                        continue
                    add(name, seed, build, OURS, [script, "--worker", name, str(seed), OURS], tree)
                for method in args.methods:
                    add(name, seed, "this", method, [script, "--worker", name, str(seed), method], builds["this"])
            for file in args.files:
                for build, tree in builds.items():
                    target = str(Path(out) / f"{build}-{seed}-{Path(file).name}")
                    command = ["-m", "nwb_dcf", "fit", file, *args.options.split(), "-o", target, "--overwrite"]
                    add(Path(file).name, seed, build, OURS, command, tree)


def tabulate(rows: list[dict[str, Any]], earlier: str) -> list[dict[str, object]]:
    """One line for each set or file: medians with their ranges, ratios pair by pair, and quality beside them."""
    lines: list[dict[str, object]] = []
    for what in dict.fromkeys(row["what"] for row in rows):
        own = [row for row in rows if row["what"] == what]
        ours = {row["seed"]: row for row in own if (row["build"], row["method"]) == ("this", OURS)}
        for build, method in dict.fromkeys((row["build"], row["method"]) for row in own):
            them = {row["seed"]: row for row in own if (row["build"], row["method"]) == (build, method)}
            pairs = [(ours[seed], them[seed]) for seed in ours.keys() & them.keys()]
            key = "fit" if all("fit" in row for row in them.values()) else "whole"
            lines.append(
                {
                    "what": what,
                    "method": f"{method}, {earlier}" if build == earlier else method,
                    "splits": len(them),
                    "CPU s": _spread([row[key] for row in them.values()]),
                    "this build / it": _spread([a[key] / b[key] for a, b in pairs]) if pairs else "",
                    **{name: _spread([row[name] for row in them.values() if name in row]) for name in SCORES},
                    **{
                        f"{name}, this - it": _spread([a[name] - b[name] for a, b in pairs if name in a and name in b])
                        for name in SCORES
                    },
                }
            )
    return lines


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    return f"{statistics.median(values):.4g} [{min(values):.4g}, {max(values):.4g}]"


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--sets", nargs="*", default=["lorenz", "reach_chewie", "linear_track", "ball", "ball_radii", "video"]
    )
    parser.add_argument("--methods", nargs="*", default=["autoencoder, tuned"], help="rivals, as methods.py names them")
    parser.add_argument("--files", nargs="*", default=[], help="NWB files for nwb-dcf fit as a whole")
    parser.add_argument("--options", default="", help="of nwb-dcf fit")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--earlier", default=EARLIER)
    parser.add_argument("--rows", type=Path, default=Path("beside.jsonl"))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--worker", nargs=3, metavar=("SET", "SEED", "METHOD"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        name, seed, method = args.worker
        print(json.dumps(fit_once(name, int(seed), method)))
        return
    rows = [json.loads(line) for line in args.rows.read_text().splitlines()] if args.rows.exists() else []
    measure(args, rows, args.rows)
    sys.path.insert(0, str(HERE))
    from results import Table, write_section

    table = Table("This build beside an earlier one and the rivals", tabulate(rows, args.earlier))
    print(table.to_markdown())
    if args.write:
        write_section(table)


if __name__ == "__main__":
    main()
