"""The paper's settings beside the default, on the ball and on simulated reach (perceptrons, not the U-Net).

``python benchmarks/presets.py [--samples 300000] [--write] [--quick]``. The paper saw 55.7 million samples; E[K] rises
to 1/p over the same share of the samples given here as of its own, and the learning rate, which it does not state, is
``--rate``. For each fit: how its first three axes agree with the principal ones, in order; the loop of the ball, read
from flowed latents; what lies outside those axes at tau = 0; K_eff beside PCA's 95 % count; what it cost.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from results import Table, write_section
from sets import SETS, Benchmark
from tqdm import tqdm

from nwb_dcf import DCF
from nwb_dcf.metrics import (
    compute_pca_axes,
    count_variance_axes,
    decode_linearly,
    measure_consistency,
    measure_energy_outside,
    r2_score,
)

PRESETS = ("default", "paper", "authors")
PAPER_SAMPLES, PAPER_RAMP, BATCH = 55_700_000, 1_000_000, 256
SEED = 100


def set_length(samples: int, rate: float) -> dict[str, Any]:
    """Settings of a run of the paper's kind for so many samples."""
    return {
        "steps": max(1, samples // BATCH),
        "prefix_ramp": round(PAPER_RAMP * samples / PAPER_SAMPLES),
        "rate": rate,
        "encoder_learning_rate": rate,
    }


def measure(benchmark: Benchmark, preset: str, settings: dict[str, Any]) -> dict[str, object]:
    """Fit one preset and measure it on held-out frames."""
    started = time.perf_counter()
    model = DCF(benchmark.dim, preset=preset, seed=SEED, settings={**benchmark.settings, **settings})
    model.fit(benchmark.training)
    seconds = time.perf_counter() - started
    timing, dim = model.fitted_.timing, benchmark.dim
    seen, x = model.prepare(benchmark.training), model.prepare(benchmark.held_out)
    mean, axes = compute_pca_axes(seen, min(seen.shape))
    spectrum = np.square((seen - mean) @ axes).mean(axis=0)
    codes = np.asarray(model.transform(benchmark.held_out)["data"].values)
    flowed, flowed_seen = (np.asarray(model.flow(r)["data"].values) for r in (benchmark.held_out, benchmark.training))
    agreement = measure_consistency((x - mean) @ axes[:, :dim], codes, spectrum[:dim])
    in_order = np.abs((axes[:, :dim] * model.loadings_[:, :dim]).sum(axis=0))
    row: dict[str, object] = {
        "set": benchmark.name,
        "preset": preset,
        "cosine of L with principal axes": " ".join(f"{c:.2f}" for c in in_order),
        "codes with PCA's": " ".join(f"{c:.2f}" for c in agreement.planes),
        "d falls": bool((np.diff(model.spectrum_[:dim]) <= 0).all()),
        "target from flowed, 2 axes": _decode(benchmark, flowed_seen[:, :2], flowed[:, :2]),
        "3 axes": _decode(benchmark, flowed_seen, flowed),
        "rebuilt from 3": r2_score(x, model.reconstruct(codes)),
        "PCA": r2_score(x, mean + (x - mean) @ axes[:, :dim] @ axes[:, :dim].T),
        "energy outside": measure_energy_outside(model.compress(benchmark.held_out), model.mean_, model.loadings_, dim),
        "K_eff": model.k_eff_,
        "PCA's 95 %": count_variance_axes(spectrum),
        "samples": f"{timing['seconds'] * timing['samples_per_s']:,.0f}",
        "rate": model.config_.train.learning_rate,
        "seconds": seconds,
    }
    return row


def _decode(benchmark: Benchmark, training: np.ndarray, test: np.ndarray) -> float:
    return r2_score(benchmark.targets[1], decode_linearly(training, benchmark.targets[0], test))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300_000, help="frames shown to each of the paper's presets")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--sets", nargs="*", default=["ball", "reach"], choices=list(SETS))
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=PRESETS)
    parser.add_argument("--quick", action="store_true", help="few steps: whether it runs, not how well")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    samples = 5 * BATCH if arguments.quick else arguments.samples
    rows = []
    for name in arguments.sets:
        benchmark = SETS[name](SEED)
        for preset in tqdm(arguments.presets, desc=name):
            quick = {"steps": 5} if arguments.quick else {}
            settings = quick if preset == "default" else set_length(samples, arguments.rate)
            rows.append(measure(benchmark, preset, settings))
            tqdm.write(str(rows[-1]))
    table = Table("Presets: the paper's settings beside the default", rows)
    print(table.to_markdown())
    if arguments.write:
        write_section(table)


if __name__ == "__main__":
    main()
