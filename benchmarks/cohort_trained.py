"""u and v trained on top of a cohort's closed coupling: does training gain, and does a common v beat one's own?

``python benchmarks/cohort_trained.py [--seeds FIRST STOP] [--parts v u]``: simulated cohorts of five animals whose true
state is known, and pseudo-animals of reach_chewie.nwb (thirds). Of each condition's trials three fifths are fitted and
one fifth decides when a training stops. What is printed is of the last fifth (``u``) or of both (``v``).

``v``: one animal is left out; axes and the common v are the others', and the animal is coupled alone. Its own v is
fitted to its own trials in the same axes. Both are quadratic in closed form, and then get a residual network. Scores:
R2 of velocities on mean paths of its held-out trials, and how much nearer than persistence a path is h bins later.
``u``: a residual network for each session's coupling, and one for v, are trained together, held to the anchors.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from cohort import SIMULATED_BINS, align, draw_animals, find_axes, read_linear

from nwb_dcf.cohort.anchors import AlignedFrames, compute_condition_means
from nwb_dcf.cohort.coupling import WINDOW, fit_coupling, gather_window
from nwb_dcf.cohort.vector_field import Paths, QuadraticField, find_paths, fit_field, score_field
from nwb_dcf.data.synthetic import simulate_cohort

HIDDEN, STEPS, CHECK, PATIENCE, BATCH = 32, 600, 20, 5, 512
RATE_V, RATE_U = 1e-3, 1e-4  # at larger rates the common space is lost
DYNAMICS_WEIGHT = 0.1
KINDS = ("simulated", "reach")
Field = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Session:
    """Labelled frames, what is decoded from the latents, and the part of each frame's trial: 0 fitted, 1, 2."""

    frames: AlignedFrames
    target: np.ndarray
    part: np.ndarray

    def select(self, *parts: int) -> AlignedFrames:
        return self.frames.select_trials(np.unique(self.frames.trial[np.isin(self.part, parts)]))


def divide(frames: AlignedFrames, target: np.ndarray, seed: int) -> Session:
    rng = np.random.default_rng(seed)
    part = np.zeros(len(frames.trial), np.int64)
    for condition in range(frames.n_conditions):
        trials = rng.permutation(np.unique(frames.trial[frames.condition == condition]))
        for i, trial in enumerate(trials):
            part[frames.trial == trial] = (0, 1, 2, 0, 0)[i % 5]
    return Session(frames, target, part)


def draw_sessions(kind: str, seed: int) -> list[Session]:
    if kind == "simulated":
        animals = simulate_cohort(5, 3, n_bins=SIMULATED_BINS, seed=seed)
        pairs = zip(align(animals), (animal.truth["latents"].values for animal in animals), strict=True)
        return [divide(frames, truth, seed) for frames, truth in pairs]
    return [divide(animal.frames, animal.velocity, seed) for animal in draw_animals(seed, 3)]


def read_paths(frames: AlignedFrames, read: Callable[[AlignedFrames], np.ndarray]) -> tuple[Paths, np.ndarray]:
    means = compute_condition_means(frames.with_values(read(frames))).means
    return find_paths(means), means


def train_residual(field: QuadraticField, fitted: Sequence[Paths], checked: Sequence[Paths], seed: int) -> Field:
    """Add a network to a closed field; the closed one stays where validation is not better."""
    torch.manual_seed(seed)
    scale = torch.tensor(field.scale, dtype=torch.float32)

    def prepare(paths: Sequence[Paths]) -> tuple[torch.Tensor, torch.Tensor]:
        state = np.concatenate([path.state for path in paths])
        left = np.concatenate([path.velocity for path in paths]) - field(state)
        return (
            torch.tensor((state - field.centre) / field.scale, dtype=torch.float32),
            torch.tensor(left, dtype=torch.float32) / scale,
        )

    net = make_network(len(field.centre), len(field.centre))
    (x, y), (x_checked, y_checked) = prepare(fitted), prepare(checked)
    best = train(
        net, lambda: (net(x) - y).square().mean(), lambda: (net(x_checked) - y_checked).square().mean(), RATE_V
    )

    def call(state: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            more = best(torch.tensor((state - field.centre) / field.scale, dtype=torch.float32)) * scale
        return np.asarray(field(state) + more.numpy())

    return call


def make_network(n_in: int, n_out: int) -> torch.nn.Module:
    last = torch.nn.Linear(HIDDEN, n_out)
    # nothing at the start: what is trained begins as the closed form
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    return torch.nn.Sequential(torch.nn.Linear(n_in, HIDDEN), torch.nn.GELU(), last)


def train(
    net: torch.nn.Module, loss: Callable[[], torch.Tensor], check: Callable[[], torch.Tensor], rate: float
) -> torch.nn.Module:
    """Train until validation no longer falls; return the best state, which may be the start."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-2)
    with torch.no_grad():
        best, state, since = float(check()), copy.deepcopy(net.state_dict()), 0
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        if step % CHECK == 0:
            with torch.no_grad():
                now = float(check())
            since = 0 if now < best else since + 1
            if now < best:
                best, state = now, copy.deepcopy(net.state_dict())
            if since >= PATIENCE:
                break
    net.load_state_dict(state)
    return net


def score_ahead(field: Field, means: np.ndarray, ahead: int) -> float:
    """1 - squared error of the path `ahead` bins later over that of persistence."""
    start, end = means[:, :-ahead].reshape(-1, means.shape[2]), means[:, ahead:].reshape(-1, means.shape[2])
    known = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    state = start[known]
    for _ in range(2 * ahead):
        middle = state + 0.25 * field(state)
        state = state + 0.5 * field(middle)
    # a field that leaves the data is as wrong as can be, and no worse
    error = np.nan_to_num(np.square(np.clip(state, -1e6, 1e6) - end[known]), nan=1e12).sum()
    return float(max(-1.0, 1 - error / np.square(start[known] - end[known]).sum()))


def measure_v(kind: str, seed: int, ahead: Sequence[int], few: int | None) -> list[list[list[float]]]:
    """Scores of each animal left out, of each of four fields; with `few` it has so many trials alone."""
    sessions, rows = draw_sessions(kind, seed), []
    for i, left_out in enumerate(sessions):
        others = [one for j, one in enumerate(sessions) if j != i]
        axes = find_axes([one.select(0, 1) for one in others], 3)
        fitted_frames = left_out.select(0)
        if few is not None:
            trials = np.random.default_rng(seed).permutation(np.unique(fitted_frames.trial))[:few]
            fitted_frames = fitted_frames.select_trials(trials)

        def couple(frames: AlignedFrames, anchors: np.ndarray = axes.anchors) -> Callable[[AlignedFrames], np.ndarray]:
            coupling = fit_coupling(frames, anchors)
            return lambda frames: coupling.transform(frames.values, frames.trial)

        fitted = [read_paths(one.select(0), couple(one.select(0)))[0] for one in others]
        checked = [read_paths(one.select(1), couple(one.select(0)))[0] for one in others]
        read = couple(fitted_frames)
        own_fitted, own_checked = read_paths(fitted_frames, read)[0], read_paths(left_out.select(1), read)[0]
        paths, means = read_paths(left_out.select(1, 2), read)
        common, own = fit_field(fitted), fit_field([own_fitted])
        fields = [
            common,
            train_residual(common, fitted, checked, seed),
            own,
            train_residual(own, [own_fitted], [own_checked], seed),
        ]
        rows.append([[score_field(v, paths), *(score_ahead(v, means, h) for h in ahead)] for v in fields])  # type: ignore[arg-type]
    return rows


def run_v(kind: str, seeds: range) -> None:
    ahead = (3, 6, 12) if kind == "simulated" else (2, 4)
    for few in (None, 10):
        table = np.array([measure_v(kind, seed, ahead, few) for seed in seeds])  # seed, animal, field, score
        given = "three fifths of its trials" if few is None else f"{few} trials"
        print(f"\n{kind}, {len(seeds)} seeds, v, the animal left out has {given}: R2; over persistence in {ahead} bins")
        names = ("common v, closed", "common v, trained", "own v, closed", "own v, trained")
        for k, name in enumerate(names):
            print(f"{name:26s} " + " / ".join(f"{x:.3f}" for x in np.median(table[:, :, k], axis=(0, 1))))
        pairs = (("common - own, closed", 0, 2), ("common, trained - closed", 1, 0), ("own, trained - closed", 3, 2))
        for what, one, other in pairs:
            gap = np.median(table[:, :, one] - table[:, :, other], axis=1)
            error = gap.std(axis=0, ddof=1) / np.sqrt(len(gap))
            print(f"  {what:24s} " + " / ".join(f"{m:+.3f}+-{e:.3f}" for m, e in zip(gap.mean(0), error, strict=True)))
        able = table[:, :, 2, 0] >= 0.3
        ratio = np.median(table[:, :, 0, 0][able] / table[:, :, 2, 0][able]) if able.any() else np.nan
        print(f"  ratio common / own where own >= .3: {ratio:.2f} ({able.sum()} of {able.size} animals)", flush=True)


class Joint(torch.nn.Module):
    """A residual of each session's coupling, and the residual of the common v."""

    def __init__(self, n_inputs: Sequence[int], dim: int) -> None:
        super().__init__()
        self.u = torch.nn.ModuleList(make_network(n, dim) for n in n_inputs)
        self.v = make_network(dim, dim)


def measure_u(kind: str, seed: int) -> tuple[float, float]:
    """Score of a decoder across animals with the closed coupling, and after u and v were trained together."""
    sessions = draw_sessions(kind, seed)
    axes = find_axes([one.select(0) for one in sessions], 3)
    d = torch.tensor(axes.variance, dtype=torch.float32)
    closed, inputs, anchors, following = [], [], [], []
    for one in sessions:
        f = one.frames
        coupling = fit_coupling(one.select(0), axes.anchors)
        closed.append(torch.tensor(coupling.transform(f.values, f.trial), dtype=torch.float32))
        x = gather_window(f.values, f.trial, WINDOW)
        fitted = one.part == 0
        inputs.append(torch.tensor((x - x[fitted].mean(0)) / np.sqrt(x[fitted].var(0).mean()), dtype=torch.float32))
        anchors.append(torch.tensor(axes.anchors[f.condition, f.bin], dtype=torch.float32))
        following.append(np.flatnonzero(f.trial[1:] == f.trial[:-1]))
    torch.manual_seed(seed)
    net, rng = Joint([x.shape[1] for x in inputs], 3), np.random.default_rng(seed)

    def encode(i: int, rows: np.ndarray) -> torch.Tensor:
        return closed[i][rows] + net.u[i](inputs[i][rows])

    def compute_loss(i: int, rows: np.ndarray) -> torch.Tensor:
        loss = ((encode(i, rows) - anchors[i][rows]).square() / d).mean()
        pairs = rows[np.isin(rows, following[i])]
        here = encode(i, pairs)
        step = encode(i, pairs + 1) - here - net.v(here / d.sqrt()) * d.sqrt()
        return loss + DYNAMICS_WEIGHT * (step.square() / d).mean()

    parts = [[np.flatnonzero(one.part == k) for k in range(3)] for one in sessions]

    def draw_loss() -> torch.Tensor:
        drawn = [rng.choice(p[0], min(BATCH, len(p[0])), replace=False) for p in parts]
        return torch.stack([compute_loss(i, rows) for i, rows in enumerate(drawn)]).sum()

    def check() -> torch.Tensor:
        errors = [((encode(i, p[1]) - anchors[i][p[1]]).square() / d).mean() for i, p in enumerate(parts)]
        return torch.stack(errors).sum()

    train(net, draw_loss, check, RATE_U)
    with torch.no_grad():
        trained = [encode(i, np.arange(len(z))).numpy() for i, z in enumerate(closed)]
    return score_latents(sessions, [z.numpy() for z in closed]), score_latents(sessions, trained)


def run_u(kind: str, seeds: range) -> None:
    closed, trained = np.array([measure_u(kind, seed) for seed in seeds]).T
    gap = trained - closed
    what = "true state" if kind == "simulated" else "velocity of the hand"
    print(
        f"\n{kind}, {len(seeds)} seeds, u: {what} by a linear decoder of the others: closed {closed.mean():.3f}, "
        f"u and v trained {trained.mean():.3f}, difference {gap.mean():+.4f}"
        f"+-{gap.std(ddof=1) / np.sqrt(len(gap)):.4f} (largest {gap.max():+.4f})",
        flush=True,
    )


def score_latents(sessions: Sequence[Session], latents: Sequence[np.ndarray]) -> float:
    scores = []
    for i, one in enumerate(sessions):
        others = [j for j in range(len(sessions)) if j != i]
        z = np.concatenate([latents[j][sessions[j].part == 0] for j in others])
        y = np.concatenate([sessions[j].target[sessions[j].part == 0] for j in others])
        tested = one.part == 2
        scores.append(read_linear(z, y, latents[i][tested], one.target[tested]))
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(200, 210), metavar=("FIRST", "STOP"))
    parser.add_argument("--parts", nargs="+", choices=("v", "u"), default=("v", "u"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in arguments.parts:
        for kind in arguments.kinds:
            {"v": run_v, "u": run_u}[part](kind, range(*arguments.seeds))


if __name__ == "__main__":
    main()
