"""Default settings of spike counts, before and now, without labels (``python benchmarks/defaults.py rule|fits``).

``rule`` asks how much decoding is lost by the smoothing and scale that are taken, against the best of all settings on
the same recording: PCA's first three axes, position or latents decoded by ridge regression and by 30 nearest
neighbours, cross-validated over blocks of time. Recordings are simulations drawn at random from seeds that the rule was
not made on, and real ones. Before: 0.04 s, one scale for all units.

``fits`` fits DCF with the settings before and now to a random four fifths of the units, five splits of the time each:
decoding of held-out time, bits per spike of the units that were left out, and the rebuilding.

Finished lines are kept in ``benchmarks/rows/defaults-*.jsonl``; ``--write`` puts the tables into RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from results import Table, write_section
from scipy.spatial import cKDTree
from sets import DATA

from nwb_dcf import DCF, read_recording
from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.recording import flatten_frames, make_recording
from nwb_dcf.data.spike_binning import merge_bins
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import simulate_lorenz, simulate_navigation, simulate_reach
from nwb_dcf.estimator.smoothing_and_scale import choose_smoothing_and_scale, suggest_bin_width
from nwb_dcf.io.recordings.behavior import read_behavior
from nwb_dcf.metrics import compute_pca_axes, score_cosmoothing, score_decoding_on

ROWS = Path(__file__).with_name("rows")
SIGMAS_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SCALES = ("global", "soft", "zscore")
BEFORE = (0.04, "global")
FIXED = {"always 0.1 s, soft": (0.1, "soft"), "always 0.2 s, soft": (0.2, "soft")}
FAMILIES = ("track", "box", "grid", "head_direction", "lorenz", "reach")
FIRST_SEED = 7_000  # the rule was made on others
N_FOLDS, N_NEIGHBOURS, MOST_FRAMES = 5, 30, 8_000
FRAME_S = 0.1  # fits are decoded at frames no nearer than this, whatever their bins


@dataclass(frozen=True)
class Set:
    """A recording in its finest bins, and what is decoded from it, on its frames; no target where there is none."""

    name: str
    recording: xr.Dataset
    target: NDArray[np.float64] | None


def draw_simulation(seed: int) -> Set:
    """Draw a family, a number of units and everything else at random."""
    rng, family = np.random.default_rng(FIRST_SEED + seed), FAMILIES[seed % len(FAMILIES)]
    n_units = int(rng.choice([10, 20, 40, 80, 160]))
    if family == "lorenz":
        speed, rate = float(rng.choice([0.5, 1, 2, 4])), float(rng.choice([8, 15, 30]))
        made = simulate_lorenz(40, 150, n_units, speed=speed, mean_rate_hz=rate, seed=FIRST_SEED + seed)
    elif family == "reach":
        made = simulate_reach(150, 100, n_units, mean_rate_hz=float(rng.choice([6, 12])), seed=FIRST_SEED + seed)
    else:
        made = simulate_navigation(
            family,  # type: ignore[arg-type]
            n_units,
            duration_s=float(rng.choice([400, 900])),
            peak_rate_hz=float(rng.choice([6, 12, 20])),
            field_width=float(rng.choice([0.06, 0.1, 0.15])),
            lap_s=float(rng.choice([4, 8, 15])),
            n_interneurons=int(rng.choice([0, 1, 3])) if n_units >= 20 else 0,
            gain=float(rng.choice([0, 0.4, 0.8])),
            seed=FIRST_SEED + seed,
        )
    return Set(f"{family}, {n_units} units, seed {seed}", made.recording, made.truth["latents"].values)


@cache
def read_real(name: str, bin_width_s: float) -> Set:
    recording = read_recording(DATA / f"{name}.nwb", bin_width_s=bin_width_s)
    paths = {"linear_track": "Position/led_position", "reach_chewie": "hand_velocity"}
    if name not in paths:
        return Set(name, recording, None)
    time_s = recording["time"].values
    return Set(name, recording, read_behavior(DATA / f"{name}.nwb", paths[name], time_s).values)


# -- the rule ----------------------------------------------------------------------------------------


def score_set(data: Set) -> dict[str, Any]:
    """Decode with every setting; say what the rule takes, and what that and others lose."""
    started = time.process_time()
    choice = choose_smoothing_and_scale(data.recording)
    seconds = time.process_time() - started
    taken = (choice.smooth_s, choice.scale) if choice.chosen else BEFORE
    line: dict[str, Any] = {"set": data.name, "taken": f"{taken[0]:g} s {taken[1]}", "chosen": choice.chosen}
    line |= {"seconds": round(seconds, 1)}
    if data.target is None:
        return line
    points = [*((sigma, scale) for sigma in SIGMAS_S for scale in SCALES), BEFORE]
    found = {point: decode_pca(data, *point) for point in points}
    best = np.max(list(found.values()), axis=0)
    others = {"before": BEFORE, "now": taken, **FIXED}
    line["best"] = best.tolist()
    line["lost"] = {name: (best - found[point]).tolist() for name, point in others.items()}
    return line


def decode_pca(data: Set, smooth_s: float, scale: str) -> list[float]:
    """R2 by ridge regression and by nearest neighbours from PCA's first three axes, cross-validated, 0 at least."""
    recording, target = data.recording, data.target
    assert target is not None
    config = PrepareConfig(smooth=smooth_s, scale=scale)  # type: ignore[arg-type]
    x = flatten_frames(fit_preprocessor(recording, config).apply(recording))
    mean, axes = compute_pca_axes(x, 3)
    some = np.arange(0, len(x), max(1, len(x) // MOST_FRAMES))
    known = some[np.isfinite(target[some]).all(axis=1)]
    z, y, segment = (x[known] - mean) @ axes, target[known], recording["segment_index"].values[known]
    z = z / z.std(axis=0)
    n_segments = recording.sizes["segment"]
    fold = segment % N_FOLDS if n_segments >= 20 else known * 20 // len(x) % N_FOLDS
    by_ridge, by_neighbours = np.empty_like(y), np.empty_like(y)
    for k in range(N_FOLDS):
        test, training = fold == k, fold != k
        design = np.column_stack([np.ones(training.sum()), z[training]])
        penalty = 1e-3 * len(design) * np.diag([0.0, 1, 1, 1])
        weights = np.linalg.solve(design.T @ design + penalty, design.T @ y[training])
        by_ridge[test] = np.column_stack([np.ones(test.sum()), z[test]]) @ weights
        by_neighbours[test] = y[training][cKDTree(z[training]).query(z[test], k=N_NEIGHBOURS)[1]].mean(axis=1)
    total = np.square(y - y.mean(axis=0)).sum()
    return [max(0.0, float(1 - np.square(y - guess).sum() / total)) for guess in (by_ridge, by_neighbours)]


def tabulate_rule(lines: list[dict[str, Any]]) -> list[Table]:
    """One table of means over families, one of every set."""
    scored = [line for line in lines if "lost" in line]
    means = []
    for name in scored[0]["lost"]:
        row: dict[str, object] = {"settings": name}
        every = []
        for family in dict.fromkeys(line["set"].split(",")[0] for line in scored):
            lost = np.array([line["lost"][name] for line in scored if line["set"].split(",")[0] == family])
            row[f"{family} ({len(lost)})"] = f"{lost[:, 0].mean():.2f}/{lost[:, 1].mean():.2f}"
            every.append(lost)
        simulated = np.concatenate([lost for lost in every if len(lost) > 1] or every)
        row |= {"mean": round(float(simulated.mean()), 3), "worst": round(float(simulated.max()), 2)}
        row["within .05"] = f"{(simulated.mean(axis=1) <= 0.05).sum()} of {len(simulated)}"
        means.append(row)
    each = [
        {
            "set": line["set"],
            "taken": line["taken"] if line["chosen"] else f"{line['taken']} (nothing shared)",
            "best of all": "/".join(f"{v:.2f}" for v in line["best"]) if "best" in line else "-",
            "lost before": "/".join(f"{v:.2f}" for v in line["lost"]["before"]) if "lost" in line else "-",
            "lost now": "/".join(f"{v:.2f}" for v in line["lost"]["now"]) if "lost" in line else "-",
            "CPU seconds": line["seconds"],
        }
        for line in lines
    ]
    return [
        Table("Defaults: R2 of decoding lost against the best setting (ridge/neighbours, PCA)", means),
        Table("Defaults: what the rule takes, set by set", each),
    ]


# -- fits --------------------------------------------------------------------------------------------


def list_fits() -> dict[str, Callable[[], Set]]:
    """Sets that are fitted."""
    return {
        "linear_track": lambda: read_real("linear_track", 0.01),
        "reach_chewie": lambda: read_real("reach_chewie", 0.1),
        "human_mtl_000207": lambda: read_real("human_mtl_000207", 0.01),
        "reach": lambda: _of(simulate_reach(150, 100, 80, bin_width_s=0.01, seed=FIRST_SEED), "reach"),
        "lorenz": lambda: _of(simulate_lorenz(60, 200, 60, bin_width_s=0.01, seed=FIRST_SEED), "lorenz"),
        "grid": lambda: _of(simulate_navigation("grid", 120, bin_width_s=0.01, lap_s=8.0, seed=FIRST_SEED), "grid"),
        "track": lambda: _of(simulate_navigation("track", 40, bin_width_s=0.01, seed=FIRST_SEED), "track"),
    }


def _of(simulation: Any, name: str) -> Set:
    return Set(name, simulation.recording, simulation.truth["latents"].values)


def fit_split(data: Set, which: str, seed: int) -> dict[str, Any]:
    """Fit DCF to four fifths of the units, and score what it says of the held-out time and of the other units."""
    rng = np.random.default_rng(seed)
    fine, target = data.recording, data.target
    width = float(fine.attrs["bin_width_s"])
    n_units = fine.sizes["unit"]
    left_out = np.zeros(n_units, bool)
    left_out[rng.permutation(n_units)[: max(1, round(0.2 * n_units))]] = True
    started = time.process_time()
    marked = fine if target is None else fine.assign(target=(("time", "variable"), target))
    if which == "before":
        settings, bin_width_s = {"smooth": BEFORE[0], "scale": BEFORE[1]}, max(0.02, width)
    else:
        rough = _split(_merge(marked, max(1, round(0.04 / width))), seed, 1.0)
        choice = choose_smoothing_and_scale(rough.training.isel(unit=~left_out), seed=seed)
        settings = {"smooth": choice.smooth_s, "scale": choice.scale}
        bin_width_s = max(suggest_bin_width(choice.smooth_s), width) if choice.chosen else max(0.02, width)
    split = _split(_merge(marked, max(1, round(bin_width_s / width))), seed, max(1.0, 4 * settings["smooth"]))
    parts = [part.drop_vars("target", errors="ignore") for part in (split.training, split.held_out)]
    seen = [part.isel(unit=~left_out) for part in parts]
    other = [flatten_frames(part)[:, left_out] for part in parts]
    model = DCF(dim=3, seed=seed, settings=settings).fit(seen[0])
    codes = [model.transform(part)["data"].values for part in seen]
    x = [model.prepare(part) for part in seen]
    mean, axes = compute_pca_axes(x[0], 3)
    pca = [(part - mean) @ axes for part in x]
    pca = [part / pca[0].std(axis=0) for part in pca]
    every = max(1, round(FRAME_S / float(parts[0].attrs["bin_width_s"])))
    line: dict[str, Any] = {"set": data.name, "which": which, "seed": seed}
    line |= {"taken": f"{settings['smooth']:g} s {settings['scale']}, bins {parts[0].attrs['bin_width_s']:g} s"}
    line["rebuilt"] = [
        model.score(seen[1]),
        1 - np.square(x[1] - mean - (pca_back(x[1], mean, axes))).sum() / _total(x[1]),
    ]
    for name, (training, test) in {"DCF": codes, "PCA": pca}.items():
        segment = parts[1]["segment_index"].values
        line[f"{name} bits"] = score_cosmoothing(training, other[0], test, other[1], segment).value
        if target is None:
            continue
        given: list[NDArray[Any]] = []
        for code, part in ((training, split.training), (test, split.held_out)):
            truth = part["target"].values[::every]
            known = np.isfinite(truth).all(axis=1)  # a tracked position has gaps
            given += [code[::every][known], truth[known], part["segment_index"].values[::every][known]]
        for method in ("ridge", "neighbours"):
            line[f"{name} {method}"] = score_decoding_on(*given, method=method, seed=seed).value  # type: ignore[arg-type]
    line["seconds"] = round(time.process_time() - started, 1)
    return line


def pca_back(x: NDArray[np.floating], mean: NDArray[np.floating], axes: NDArray[np.floating]) -> NDArray[np.floating]:
    return (x - mean) @ axes @ axes.T


def _total(x: NDArray[np.floating]) -> float:
    return float(np.square(x - x.mean(axis=0)).sum())


def _merge(recording: xr.Dataset, n: int) -> xr.Dataset:
    """Merge `n` bins into one, within segments; targets are averaged."""
    values, target = flatten_frames(recording), recording.get("target")
    segment, time_s = recording["segment_index"].values, recording["time"].values
    counts, index, start = merge_bins(values, segment, n)
    merged = make_recording(
        counts.astype(np.float32),
        time_s[start] + (n - 1) * recording.attrs["bin_width_s"] / 2,
        channel_dim="unit",
        channel=recording["unit"].values,
        segment_index=index,
        units="count",
        kind="units",
        source=recording.attrs["source"],
        bin_width_s=n * recording.attrs["bin_width_s"],
    )
    if target is None:
        return merged
    mean = np.mean([target.values[start + i] for i in range(n)], axis=0)
    return merged.assign(target=(("time", "variable"), mean))


def _split(recording: xr.Dataset, seed: int, gap_s: float) -> Any:
    split = split_recording(recording, 0.2, seed=seed, gap_s=gap_s)
    assert split is not None
    return split


def tabulate_fits(lines: list[dict[str, Any]]) -> Table:
    """Means over splits, before and now, DCF's and PCA's beside each other."""
    rows = []
    for name in dict.fromkeys(line["set"] for line in lines):
        for which in ("before", "now"):
            mine = [line for line in lines if (line["set"], line["which"]) == (name, which)]
            if not mine:
                continue
            row: dict[str, object] = {"set": name, "settings": which, "splits": len(mine)}
            row["taken"] = "; ".join(dict.fromkeys(line["taken"] for line in mine))
            for figure in ("ridge", "neighbours", "bits"):
                pair = [[line[f"{m} {figure}"] for line in mine if f"{m} {figure}" in line] for m in ("DCF", "PCA")]
                row[f"{figure}, DCF / PCA"] = " / ".join(f"{np.mean(p):.3f}" for p in pair) if pair[0] else "-"
            row["rebuilt, DCF / PCA"] = " / ".join(
                f"{v:.3f}" for v in np.mean([line["rebuilt"] for line in mine], axis=0)
            )
            row["splits with less than before"] = _count_worse(lines, name) if which == "now" else "-"
            rows.append(row)
    return Table("Defaults: DCF with the settings before and now", rows)


def _count_worse(lines: list[dict[str, Any]], name: str) -> str:
    """In how many splits decoding is worse now, by ridge regression and by neighbours."""
    pairs = {
        seed: {line["which"]: line for line in lines if (line["set"], line["seed"]) == (name, seed)}
        for seed in {line["seed"] for line in lines}
    }
    both = [pair for pair in pairs.values() if {"before", "now"} <= pair.keys() and "DCF ridge" in pair["now"]]
    if not both:
        return "-"
    counts = [sum(pair["now"][key] < pair["before"][key] for pair in both) for key in ("DCF ridge", "DCF neighbours")]
    return f"{counts[0]}, {counts[1]} of {len(both)}"


# -- running -----------------------------------------------------------------------------------------


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _append(path: Path, line: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rule", "fits"))
    parser.add_argument("--simulations", type=int, default=24)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--sets", nargs="*", help="of fits; all by default")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    path = ROWS / f"defaults-{arguments.what}.jsonl"
    done = _read_lines(path)
    if arguments.what == "rule":
        known = {line["set"] for line in done}
        for name, width in (("linear_track", 0.05), ("reach_chewie", 0.1), ("human_mtl_000207", 0.05)):
            if name not in known:
                _append(path, score_set(read_real(name, width)))
        for seed in range(arguments.simulations):
            if not any(name.endswith(f"seed {seed}") for name in known):
                _append(path, score_set(draw_simulation(seed)))
        tables = tabulate_rule(_read_lines(path))
    else:
        finished = {(line["set"], line["which"], line["seed"]) for line in done}
        for seed in range(arguments.splits):
            for name, load in list_fits().items():
                if arguments.sets and name not in arguments.sets:
                    continue
                for which in ("before", "now"):
                    if (name, which, seed) not in finished:
                        _append(path, fit_split(load(), which, seed))
        tables = [tabulate_fits(_read_lines(path))]
    for table in tables:
        print(table.to_markdown())
        if arguments.write:
            write_section(table, keep_lines=True)


if __name__ == "__main__":
    main()
