"""A session-sized fit: 600 trials x 100 bins x 137 units (``python benchmarks/session.py``).

Seconds of a default fit, its held-out L_cf against that of a fit ten times as long, and its samples per
second against the same matrix products alone: the shapes that one training step multiplies, recorded
by the profiler and replayed with nothing else around them.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

import torch
from results import Table, write_section

from nwb_dcf import DCF
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.estimator.initialization import start_model, tabulate_frames
from nwb_dcf.metrics import r2_score, reconstruct_by_pca
from nwb_dcf.model.training import train_model
from nwb_dcf.model.training.early_stopping import evaluate_losses

PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")
CPU = torch.device("cpu")


def time_products(model_start: Any, config: Any, steps: int) -> float:
    """Return the seconds that the matrix products of `steps` training steps take by themselves."""
    few = dataclasses.replace(config.train, steps=3)
    model, table, _ = model_start
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
        train_model(model, table, few)
    pairs = []
    for event in profile.events():
        if event.name in PRODUCTS:
            shapes = [s for s in event.input_shapes if len(s) >= 2][-2:]
            pairs.append(tuple(torch.randn(*shape) for shape in shapes))
    started = time.perf_counter()
    rounds = max(1, steps // few.steps)
    for _ in range(rounds):
        for a, b in pairs:
            torch.matmul(a, b)
    return (time.perf_counter() - started) * steps / (rounds * few.steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-reference", action="store_true", help="leave the fit ten times as long out")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    split = split_recording(simulate_reach().recording, 0.2, seed=0)
    assert split is not None
    model = DCF(dim=3, seed=0).fit(split.training)
    fitted = model.fitted_
    prepared, unseen = fitted.preparation.apply(split.training), fitted.preparation.apply(split.held_out)
    held_out = tabulate_frames(unseen, fitted.config, CPU)

    def measure_loss(estimator: DCF) -> float:
        return float(evaluate_losses(estimator.fitted_.model, held_out, fitted.config.train).cf)

    n_steps = 150
    start = start_model(prepared, fitted.config, CPU)
    config = fitted.config
    products = time_products(start_model(prepared, config, CPU), config, n_steps)
    started = time.perf_counter()
    train_model(start[0], start[1], dataclasses.replace(config.train, steps=n_steps))
    training = time.perf_counter() - started
    x, seen = unseen["data"].values, prepared["data"].values
    row: dict[str, object] = {
        "seconds": fitted.timing["seconds"],
        "steps u / v": f"{fitted.steps['u']} / {fitted.steps['v']}",
        "samples/s": n_steps * config.train.batch_size / training,
        "rate / products alone": products / training,
        "bottleneck R2": r2_score(x, model.reconstruct(model.transform(split.held_out)["data"].values)),
        "PCA R2": r2_score(x, reconstruct_by_pca(seen, x, 3)),
        "held-out L_cf": measure_loss(model),
    }
    if not arguments.no_reference:
        long = DCF(dim=3, seed=0, steps=10 * config.train.steps, early_stopping=False).fit(split.training)
        row["L_cf, ten times as long"] = measure_loss(long)
        row["L_cf ratio"] = measure_loss(model) / measure_loss(long)
    table = Table("Session: 600 trials x 100 bins x 137 units", [row])
    print(table.to_markdown())
    if arguments.write:
        write_section(table)


if __name__ == "__main__":
    main()
