"""The paper's manner of training beside ours, in one run and in turn (``python benchmarks/paper_way.py [--write]``).

The paper's: a random start, batches of 256, each window cut out of its trial by itself and stacked, the history
encoded anew for every pair, torch's own AdamW and averages, the axes checked on the host, nothing compiled; on a GPU
(`speed/test_training.py`) windows are cut on the host and sent there. Networks, losses and draws are those of this
package (preset ``paper``: MLP 4 x 256, h = 10): a sample is the same on both sides.
Two figures: samples per second of CPU time of the same losses, and the CPU time that the default takes to the
rebuilding (bottleneck R2 of held-out trials) which the paper's manner has reached after N samples.
"""

from __future__ import annotations

import argparse
import copy
import time
from typing import Any

import numpy as np
import torch
from results import Table, write_section
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from nwb_dcf import DCF
from nwb_dcf.config import FitConfig
from nwb_dcf.config.presets import make_config
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.estimator.initialization import start_model
from nwb_dcf.metrics import r2_score, reconstruct_by_pca
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.nested_dropout import ramp_prefix_p
from nwb_dcf.model.training import FrameTable, train_model
from nwb_dcf.model.training.batches import Samples
from nwb_dcf.model.training.objective import compute_losses

CPU = torch.device("cpu")


class Windows(Dataset[torch.Tensor]):
    """One window a time: h past frames, the current one and the next, oldest first."""

    def __init__(self, table: FrameTable) -> None:
        self.x, self.pairs, self.first = table.x.cpu(), table.pairs.cpu(), table.first.cpu()
        self.h = table.history

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int) -> torch.Tensor:
        now = int(self.pairs[i])
        first = int(self.first[now])
        rows = [max(first, now - lag) for lag in range(self.h, -1, -1)] + [now + 1]
        return torch.stack([self.x[row] for row in rows])


class PaperWay:
    """Training as in the paper; `step` takes one step."""

    def __init__(self, model: DCFModel, table: FrameTable, config: FitConfig) -> None:
        self.model, self.config, self.table, self.taken = model, config, table, 0
        self.generator = torch.Generator(table.device).manual_seed(config.train.seed)
        windows, drawn = Windows(table), torch.Generator().manual_seed(config.train.seed)
        sampler = RandomSampler(windows, replacement=True, num_samples=10**9, generator=drawn)
        self.batches = iter(DataLoader(windows, config.train.batch_size, sampler=sampler))
        self.optimiser = torch.optim.AdamW(model.parameters(), config.train.learning_rate, weight_decay=0.0)
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.train.ema_decay))

    def step(self) -> None:
        model, train = self.model.train(), self.config.train
        device = self.table.device
        windows = next(self.batches).to(device)
        n, length, _ = windows.shape
        x = windows.flatten(0, 1)
        codes = model.coupling.encode(x)
        row, one = torch.arange(n, device=device) * length, torch.ones(n, device=device)
        past = row[:, None] + torch.arange(length - 2, -1, -1, device=device)
        now = row + length - 2
        samples = Samples(x, codes, model.coupling.read(x), now, now + 1, past, one, None, now)
        p = ramp_prefix_p(train.prefix_p, self.taken * n, train.prefix_ramp)
        loss = compute_losses(model, samples, train, self.generator, prefix_p=p).total(train)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            axes = model.coupling.axes
            if (axes.T @ axes - torch.eye(axes.shape[1], device=device)).abs().max() > 1e-4:
                q, r = torch.linalg.qr(axes)
                axes.copy_(torch.where(torch.diagonal(r) < 0, -q, q))
        self.average.update_parameters(model)
        self.taken += 1


def make_start(recording: Any, device: torch.device = CPU, **settings: Any) -> tuple[DCFModel, FrameTable, FitConfig]:
    """A model of the preset ``paper`` at its random start, and its frames."""
    config = make_config("paper", {"dim": 3, "device": str(device), **settings}, kind="counts")
    prepared = fit_preprocessor(recording, config.prepare).apply(recording)
    model, table, _ = start_model(prepared, config, device)
    return model, table, config


def measure_rates(recording: Any, rounds: int = 5, steps: int = 10) -> dict[str, float]:
    """Samples per second of CPU time, both ways in turn; the loop of this package by what more steps take longer."""
    model, table, config = make_start(recording)
    paper = PaperWay(copy.deepcopy(model), table, config)
    paper.step()
    theirs, ours = [], []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(steps):
            paper.step()
        theirs.append(time.process_time() - start)
        spent = []
        for n in (steps, 3 * steps):  # what start and end cost, as encoding all frames, cancels
            shorter = make_config("paper", {"dim": 3, "device": "cpu", "steps": n}, kind="counts").train
            start = time.process_time()
            train_model(model, table, shorter)
            spent.append(time.process_time() - start)
        ours.append((spent[1] - spent[0]) / 2)
    samples = steps * config.train.batch_size
    return {"paper": samples / float(np.median(theirs)), "ours": samples / float(np.median(ours))}


def measure_quality(recording: Any, n_samples: int) -> dict[str, float]:
    """CPU time to the rebuilding that the paper's manner reaches in `n_samples`."""
    split = split_recording(recording, 0.2, seed=0)
    assert split is not None
    model, table, config = make_start(split.training)
    paper = PaperWay(model, table, config)
    start = time.process_time()
    for _ in range(n_samples // config.train.batch_size):
        paper.step()
    spent = time.process_time() - start
    ready = fit_preprocessor(split.training, config.prepare)
    x, seen = (ready.apply(part)["data"].values for part in (split.held_out, split.training))
    averaged: DCFModel = paper.average.module.eval()
    with torch.no_grad():
        codes = averaged.encode(torch.as_tensor(x), 3)
        reached = r2_score(x, averaged.reconstruct(codes, "flow").numpy())
    # Ours: from few steps up, until the fit is as good; the schedule is set before, so each try is a whole fit.
    for steps in (1, 10, 25, 50, 100, 200, 400):
        start = time.process_time()
        fit = DCF(dim=3, device="cpu", steps=steps, early_stopping=False).fit(split.training)
        own = time.process_time() - start
        score = fit.score(split.held_out)
        if score >= reached:
            break
    return {
        "N": n_samples,
        "paper's R2": reached,
        "paper's seconds": spent,
        "R2": score,
        "seconds": own,
        "steps": steps,
        "PCA's R2": r2_score(x, reconstruct_by_pca(seen, x, 3)),
        "ratio": spent / own,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=51_200, help="N, that the paper's manner is given")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    recording = simulate_reach(n_trials=arguments.trials).recording
    rates = measure_rates(recording)
    row = {
        "samples / CPU s, paper's way": rates["paper"],
        "samples / CPU s, ours, same losses": rates["ours"],
        "ratio": rates["ours"] / rates["paper"],
        **{
            f"{name}": value for name, value in measure_quality(recording, arguments.samples).items() if name != "ratio"
        },
    }
    row["time to that R2, ratio"] = row["paper's seconds"] / row["seconds"]  # type: ignore[operator]
    table = Table("The paper's way of training beside ours", [row])
    print(table.to_markdown())
    if arguments.write:
        write_section(table)


if __name__ == "__main__":
    main()
