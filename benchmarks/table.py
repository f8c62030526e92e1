"""The table of all benchmarks, of whatever rows are finished (``python benchmarks/table.py [--write]``).

A figure is pooled over the seeds that were run, with its 95 % interval over held-out segments; a stretch that several
seeds held out counts as one. Differences are in pairs, on what both methods were scored on: - and + mark what is
significantly below or above PCA. The best rival is the one that is best on these very frames, which is hard on DCF.
Axes: agreement of two fits, the mean over axes (and the worst axis or plane).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pooling import Pool, compare_pools, pool_rows
from results import Table, write_section
from rows import ROWS, Row, read_rows

from nwb_dcf.metrics import bootstrap_over_segments

SCORES = ("rebuild", "rebuild, truth", "linear", "neighbours")
NETWORKS = ("autoencoder", "VAE")  # the better of them is the goal of rebuilding
WINDOWED = tuple(f"{name}, window" for name in NETWORKS)
LEADS = (1, 5, 20)  # frames after the start
FORECASTS = ("rollout", "ar3", "stay")
NOTHING = Pool({}, "segments")
AGREEMENT = ("starts", "resampled")


def tabulate_set(name: str, rows: Sequence[Row]) -> Table:
    """Make the table of one set: a line for each method."""
    rows = [row for row in rows if row.name == name]
    pools = {score: _pool(rows, score) for score in SCORES}
    methods = dict.fromkeys([*(row.method for row in rows), *(m for score in pools.values() for m in score)])
    lines = []
    for method in sorted(methods, key=lambda m: m.startswith("DCF")):
        line: dict[str, object] = {"method": method, "seeds": len(pools["linear"].get(method, NOTHING).seeds)}
        for score in SCORES:
            line[score] = _show(pools[score], method)
        for task in AGREEMENT:
            line[f"axes, {task}"] = _show_agreement(rows, method, task)
        line["seconds"] = _show_mean(rows, method, "fit", "seconds", "{:.0f}")
        line["samples"] = _show_mean(rows, method, "fit", "samples", "{:,.0f}")
        lines.append(line)
    return Table(f"Benchmark: {name}", lines)


def tabulate_goals(rows: Sequence[Row]) -> Table:
    """Make the table of the goals: DCF in each set, and whether it reaches what is asked."""
    lines = []
    for name in dict.fromkeys(row.name for row in rows):
        mine = [row for row in rows if row.name == name]
        line: dict[str, object] = {"set": name, "seeds": len({row.seed for row in mine if row.method == "DCF"})}
        for score in ("rebuild", "rebuild, truth"):
            line[f"{score} - better network"] = _compare(_pool(mine, score), lambda m: m in NETWORKS)
        best = _pool(mine, "rebuild, truth") or _pool(mine, "rebuild")
        line["the same, networks with a window"] = _compare(best, lambda m: m in WINDOWED)
        for score in ("linear", "neighbours"):
            line[f"{score} - PCA"] = _compare(_pool(mine, score), lambda m: m == "PCA")
        neighbours = _pool(mine, "neighbours")
        line["neighbours - best rival"] = _compare(neighbours, _is_rival)
        line["neighbours: rivals below / above DCF"] = _count_rivals(neighbours)
        for task in AGREEMENT:
            line[f"axes, {task}"] = _show_agreement(mine, "DCF", task)
        line["axes, resampled, PCA"] = _show_agreement(mine, "PCA", "resampled")
        for figure in ("energy outside", "round trip", "round trip, steps doubled"):
            line[figure] = _show_mean(mine, "DCF", "fit", figure, "{:.4f}")
        lines.append(line)
    return Table("The table", lines)


def tabulate_ring(rows: Sequence[Row]) -> Table:
    """Make the table of the loop that latents of the ball form."""
    figures = ("ring, 2 axes", "ring, 3 axes", "ring, largest gap", "ring, smallest radius")
    methods = dict.fromkeys(row.method for row in rows if row.name == "ball" and row.task == "fit")
    lines = [{"method": m, **{f: _show_mean(rows, m, "fit", f) for f in figures}} for m in methods]
    return Table("Benchmark: ring of the ball's latents", lines)


def tabulate_rollouts(rows: Sequence[Row]) -> Table:
    """Make the table of rollouts of DCF's latents: R2 after some frames beside AR(3) and "stay", means over seeds."""
    lines = []
    for name in dict.fromkeys(row.name for row in rows):
        fits = [r.figures.get("rollout", {}) for r in rows if (r.name, r.method, r.task) == (name, "DCF", "fit")]
        curves = [found for found in fits if "rollout" in found]
        line: dict[str, object] = {"set": name}
        for forecast in ("rollout", "ar3"):
            horizons = [str(found["horizon"][forecast]) for found in curves]
            line[f"horizon, {forecast}"] = " ".join(horizons)
        line["of frames"] = " ".join(str(found["leads"]) for found in curves)
        for lead in LEADS:
            known = [found for found in curves if found["leads"] >= lead and found["rollout"][lead - 1] is not None]
            means = [np.mean([found[forecast][lead - 1] for found in known]) for forecast in FORECASTS] if known else []
            line[f"R2 after {lead}: {' / '.join(FORECASTS)}"] = " / ".join(f"{value:.3f}" for value in means)
        lines.append(line)
    return Table("Benchmark: rollouts", lines)


def _pool(rows: Sequence[Row], score: str) -> dict[str, Pool]:
    """Pool a score by method; DCF's random starts and flowed latents are methods of their own here."""
    pools = pool_rows(rows, score)
    if score == "rebuild, truth":
        pools |= pool_rows(rows, score, "thinned")
    others = {
        "DCF, flowed": pool_rows(rows, f"{score}, flowed").get("DCF"),
        "DCF, random start": pool_rows(rows, score, "starts").get("DCF"),
    }
    return {**pools, **{name: pool for name, pool in others.items() if pool}}


def _is_rival(method: str) -> bool:
    return not method.startswith("DCF")


def _show(pools: dict[str, Pool], method: str) -> str:
    """Value and interval; a mark where the paired difference from PCA is significantly below (-) or above (+) 0."""
    if method not in pools:
        return ""
    difference = compare_pools(pools[method], pools["PCA"]) if method != "PCA" and "PCA" in pools else None
    mark = " -" if difference and difference.is_below() else " +" if difference and difference.is_above() else ""
    return f"{bootstrap_over_segments(pools[method].add_up())}{mark}"


def _compare(pools: dict[str, Pool], wanted: Callable[[str], bool]) -> str:
    """DCF less the best of the `wanted` methods on what both were scored on, with the interval of the difference."""
    found = {m: compare_pools(pools["DCF"], pool) for m, pool in pools.items() if wanted(m) and "DCF" in pools}
    differences = {m: difference for m, difference in found.items() if difference}
    if not differences:
        return ""
    best = min(differences, key=lambda m: differences[m].value)
    least = differences[best]
    verdict = " below" if least.is_below() else " above" if least.is_above() else ""
    named = "" if best == "PCA" else f" ({best})"
    return f"{least.value:+.3f} [{least.low:+.3f}, {least.high:+.3f}]{verdict}{named}"


def _count_rivals(pools: dict[str, Pool]) -> str:
    """How many rivals are significantly below and above DCF, of how many."""
    found = [compare_pools(pools["DCF"], pool) for m, pool in pools.items() if _is_rival(m) and "DCF" in pools]
    differences = [difference for difference in found if difference]
    below, above = sum(d.is_above() for d in differences), sum(d.is_below() for d in differences)
    return f"{below} / {above} of {len(differences)}" if differences else ""


def _show_agreement(rows: Sequence[Row], method: str, task: str) -> str:
    mean, worst = (_show_mean(rows, method, task, figure) for figure in ("mean agreement", "agreement"))
    return f"{mean} ({worst})" if mean else ""


def _show_mean(rows: Sequence[Row], method: str, task: str, figure: str, form: str = "{:.3f}") -> str:
    values = [r.figures[figure] for r in rows if (r.method, r.task) == (method, task) and figure in r.figures]
    return form.format(np.mean(values)) if values else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=Path, help="files of rows; all in benchmarks/rows by default")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    paths = arguments.rows or sorted(p for p in ROWS.glob("*.jsonl") if not p.stem.endswith("-quick"))
    rows = read_rows(paths)
    names = dict.fromkeys(row.name for row in rows)
    tables = [tabulate_goals(rows), *(tabulate_set(name, rows) for name in names), tabulate_rollouts(rows)]
    if "ball" in names:
        tables.append(tabulate_ring(rows))
    for table in tables:
        print(table.to_markdown())
        if arguments.write:
            write_section(table, keep_lines=True)  # what has no rows here stays
    for row in rows:
        if "failed" in row.figures:
            print(f"failed: {row.name}, seed {row.seed}, {row.method}, {row.task}: {row.figures['failed']}")
    print("rows of commits", *sorted({row.commit for row in rows}))


if __name__ == "__main__":
    main()
