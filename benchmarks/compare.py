"""Fit every method to one data set, seed after seed, and keep a row of figures for each.

Rows are JSON lines, written as they are finished: a run that was stopped goes on where it was, and
``table.py`` makes the table of whatever rows there are. Tasks are ``fit`` (all methods), ``thinned`` (recorded counts
halved, rebuilt from one half, scored against the other), ``starts`` (two seeds; DCF with L, d and mu learned from
a random start) and ``resampled`` (two fits to resampled training segments, read on the same held-out frames).
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measures import measure_agreement, measure_flows, measure_ring, score_fit
from methods import CODE_ALONE, PERCEPTRON, RANDOM_START, Method, find_methods, fit_dcf
from rows import ROWS, Row, read_rows
from sets import SETS, Benchmark, resample_segments, settle_preparation, thin_counts
from tqdm import tqdm

from nwb_dcf.data.recording import frame_shape, is_count

FIRST_SEED = 100  # settings were chosen on lower ones
AGREEMENT_SEEDS = 1  # axes are compared, and recorded counts thinned, for so many of the seeds
TASKS = ("fit", "thinned", "starts", "resampled")
RESAMPLED = ("PCA", "PCA, window", "factor analysis", "DCF")
APART = 10_000  # between the seeds of two runs


def compare(benchmark: Benchmark, method: Method, task: str, quick: bool) -> dict[str, Any]:
    """Do one task and return its scores and figures."""
    dim, settings, seed = benchmark.dim, benchmark.settings, benchmark.seed
    if task in ("fit", "thinned"):
        split = thin_counts(benchmark) if task == "thinned" else benchmark
        fit = method.fit(split.training, dim, settings, seed, quick)
        figures: dict[str, Any] = {"seconds": fit.seconds, "samples": fit.samples}
        if fit.model and task == "fit":
            figures |= measure_flows(split, fit.model)
        if benchmark.name == "ball":
            figures |= measure_ring(split, fit.encode(split.held_out), fit.encode(split.training))
        return {"scores": score_fit(split, fit), "figures": figures}
    fit_one = functools.partial(fit_dcf, **CODE_ALONE) if method.name == "DCF" else method.fit
    if task == "starts":
        if method.name == "DCF":
            fit_one = functools.partial(fit_dcf, **CODE_ALONE, **RANDOM_START)
        first, second = (fit_one(benchmark.training, dim, settings, s, quick) for s in (seed, seed + APART))
        scores = score_fit(benchmark, first) if method.name == "DCF" else {}
        return {"scores": scores, "figures": measure_agreement(first, second, benchmark)}
    first, second = (
        fit_one(resample_segments(benchmark.training, s), dim, settings, seed, quick) for s in (seed, seed + APART)
    )
    return {"scores": {}, "figures": measure_agreement(first, second, benchmark)}


def list_tasks(benchmark: Benchmark, methods: list[Method], agreement: bool) -> Iterator[tuple[Method, str]]:
    """Which tasks there are for one split: quick ones first."""
    recorded_counts = is_count(benchmark.training) and not benchmark.find_truth
    images = frame_shape(benchmark.training) is not None
    yield from ((method, "fit") for method in methods if images or method.name != PERCEPTRON)
    methods = [method for method in methods if method.name != PERCEPTRON]
    if recorded_counts and agreement:
        yield from ((method, "thinned") for method in methods if method.name != "CEBRA-Time")
    if agreement:
        yield from ((method, "starts") for method in methods if method.learned)
        yield from ((method, "resampled") for method in methods if method.name in RESAMPLED)


def run(name: str, arguments: argparse.Namespace) -> Path:
    """Do every task of one set that has no row yet."""
    torch.set_num_threads(arguments.threads)
    kind = "-chosen" * arguments.chosen + "-quick" * arguments.quick
    out = Path(arguments.out or ROWS / f"{name}{kind}.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    done = {row.key for row in read_rows([out]) if "failed" not in row.figures}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    methods = [method for method in find_methods() if method.name in arguments.only or not arguments.only]
    for i in range(1 if arguments.quick else arguments.seeds):
        benchmark = settle_preparation(SETS[name](arguments.first_seed + i), chosen=arguments.chosen)
        tasks = list(list_tasks(benchmark, methods, agreement=i < arguments.agreement_seeds))
        for method, task in tqdm(tasks, desc=f"{name}, seed {benchmark.seed}", file=sys.stderr):
            again = method.name in arguments.again or task in arguments.again
            if arguments.tasks and task not in arguments.tasks:
                continue
            if (name, benchmark.seed, method.name, task) in done and not again:
                continue
            try:
                found = compare(benchmark, method, task, arguments.quick)
            except Exception as error:  # one method's failure is a result of its own, not the end of the run
                found = {"scores": {}, "figures": {"failed": f"{type(error).__name__}: {error}"}}
                tqdm.write(f"{name}, {method.name}, {task}: {found['figures']['failed']}", file=sys.stderr)
            row = Row.make(benchmark, method.name, task, commit.stdout.strip(), **found)
            with out.open("a") as file:
                file.write(json.dumps(row.to_dict()) + "\n")
    return out


def parse(description: str | None) -> argparse.Namespace:
    """Read the command line that all benchmarks have in common."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="splits or simulations")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument(
        "--agreement-seeds",
        type=int,
        default=AGREEMENT_SEEDS,
        help="seeds that axes are compared and counts thinned for",
    )
    parser.add_argument("--quick", action="store_true", help="one seed, few steps: whether it runs, not how well")
    parser.add_argument("--chosen", action="store_true", help="smoothing and scale that the training segments choose")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--out", help="file of finished rows; benchmarks/rows/NAME.jsonl by default")
    parser.add_argument("--only", nargs="*", default=[], metavar="METHOD", help="these methods; all by default")
    parser.add_argument("--tasks", nargs="*", default=[], choices=TASKS, help="these tasks; all by default")
    parser.add_argument("--again", nargs="*", default=[], metavar="METHOD|TASK", help="do these again")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main(name: str, description: str | None) -> None:
    """Run one set and print its table."""
    from results import write_section
    from table import tabulate_set

    arguments = parse(description)
    table = tabulate_set(name, read_rows([run(name, arguments)]))
    print(table.to_markdown())
    if arguments.write:
        write_section(table)
