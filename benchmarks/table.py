"""The table of all benchmarks, of whatever rows are finished (``python benchmarks/table.py [--write]``).

A figure is pooled over seeds, with its 95 % interval over held-out segments; a stretch that several seeds held out
counts as one. Differences are in pairs on the same segments: - and + mark what is significantly below or above PCA.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from results import Table, write_section
from rows import ROWS, Row, pool_scores, read_rows

from nwb_dcf.evaluate import Interval, SegmentSums, bootstrap_over_segments, compare_paired

SCORES = ("rebuild", "rebuild, truth", "linear", "neighbours")
NETWORKS = ("autoencoder", "VAE")  # the better of them is the goal of rebuilding
LEADS = (1, 5, 20)  # frames after the start
FORECASTS = ("rollout", "ar3", "stay")
AGREEMENT = ("starts", "resampled")


def tabulate_set(name: str, rows: Sequence[Row]) -> Table:
    """Make the table of one set: a line for each method."""
    rows = [row for row in rows if row.name == name]
    scores = {score: _pool(rows, score) for score in SCORES}
    methods = list(dict.fromkeys(m for score in scores.values() for m in score))
    lines = []
    for method in [*(m for m in methods if not m.startswith("DCF")), *(m for m in methods if m.startswith("DCF"))]:
        line: dict[str, object] = {"method": method}
        for score in SCORES:
            line[score] = _show(scores[score], method)
        for task in AGREEMENT:
            line[f"axes, {task}"] = _show_mean(rows, method, task, "agreement")
        line["seconds"] = _show_mean(rows, method, "fit", "seconds", "{:.0f}")
        line["samples"] = _show_mean(rows, method, "fit", "samples", "{:,.0f}")
        lines.append(line)
    return Table(f"Benchmark: {name}", lines)


def tabulate_goals(rows: Sequence[Row]) -> Table:
    """Make the table of the goals: DCF in each set, and whether it reaches what is asked."""
    lines = []
    for name in dict.fromkeys(row.name for row in rows):
        mine = [row for row in rows if row.name == name]
        rebuild = _pool(mine, "rebuild, truth") or _pool(mine, "rebuild")
        line: dict[str, object] = {"set": name, "seeds": len({row.seed for row in mine if row.method == "DCF"})}
        line["rebuild - better network"] = _compare(rebuild, lambda m: m in NETWORKS)
        for score in ("linear", "neighbours"):
            found = _pool(mine, score)
            line[f"{score} - PCA"] = _compare(found, lambda m: m == "PCA")
            line[f"{score} - best rival"] = _compare(found, lambda m: not m.startswith("DCF"))
        line["axes, random starts"] = _show_mean(mine, "DCF", "starts", "agreement")
        line["axes, resampled (PCA)"] = (
            f"{_show_mean(mine, 'DCF', 'resampled', 'agreement')} ({_show_mean(mine, 'PCA', 'resampled', 'agreement')})"
        )
        for figure, form in (
            ("energy outside", "{:.4f}"),
            ("round trip", "{:.4f}"),
            ("round trip, steps doubled", "{:.4f}"),
        ):
            line[figure] = _show_mean(mine, "DCF", "fit", figure, form)
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


def _pool(rows: Sequence[Row], score: str) -> dict[str, SegmentSums]:
    """Pool a score by method; DCF's random starts and flowed latents are methods of their own here."""
    fits = [row for row in rows if row.task == "fit"]
    pooled = pool_scores(fits, score)
    if score == "rebuild, truth":
        pooled |= pool_scores([row for row in rows if row.task == "thinned"], score)
    flowed = pool_scores(fits, f"{score}, flowed").get("DCF")
    starts = pool_scores([row for row in rows if row.task == "starts"], score).get("DCF")
    return {
        **pooled,
        **({"DCF, flowed": flowed} if flowed else {}),
        **({"DCF, random start": starts} if starts else {}),
    }


def _show(pooled: dict[str, SegmentSums], method: str) -> str:
    """Value and interval; a mark where the paired difference from PCA is significantly below (-) or above (+) 0."""
    if method not in pooled:
        return ""
    interval = bootstrap_over_segments(pooled[method])
    difference = _differ(pooled, method, "PCA") if method != "PCA" else None
    mark = " -" if difference and difference.is_below() else " +" if difference and difference.is_above() else ""
    return f"{interval}{mark}"


def _differ(pooled: dict[str, SegmentSums], method: str, other: str) -> Interval | None:
    """Paired difference where both methods were scored on the same pieces."""
    if other not in pooled or len(pooled[method].part) != len(pooled[other].part):
        return None
    return compare_paired(pooled[method], pooled[other])


def _compare(pooled: dict[str, SegmentSums], is_rival: Callable[[str], bool]) -> str:
    """DCF less the best of those rivals, with the interval of the difference."""
    rivals = {m: s.value for m, s in pooled.items() if is_rival(m)}
    if not rivals or "DCF" not in pooled:
        return ""
    best = max(rivals, key=lambda m: rivals[m])
    difference = _differ(pooled, "DCF", best)
    named = "" if best == "PCA" else f" ({best})"
    if difference is None:
        return f"{pooled['DCF'].value - rivals[best]:+.3f}{named}"
    verdict = " below" if difference.is_below() else " above" if difference.is_above() else ""
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]{verdict}{named}"


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
    tables = [tabulate_goals(rows), *(tabulate_set(name, rows) for name in names)]
    tables.append(tabulate_rollouts(rows))
    if "ball" in names:
        tables.append(tabulate_ring(rows))
    for table in tables:
        print(table.to_markdown())
        if arguments.write:
            write_section(table)
    print("rows of commits", *sorted({row.commit for row in rows}))


if __name__ == "__main__":
    main()
