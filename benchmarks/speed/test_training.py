"""The training loop beside its own matrix products, beside the paper's manner, and what a step costs as sizes grow."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from figures import DEVICE, note, replay, take_time
from paper_way import PaperWay, make_start, measure_quality
from torch import Tensor

from nwb_dcf import DCF
from nwb_dcf.config.presets import make_config
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.synthetic import simulate_ball
from nwb_dcf.estimator.initialization import make_heads, start_dynamics, start_model
from nwb_dcf.estimator.train_stages import Training, choose_order
from nwb_dcf.model.parallel import use_threads
from nwb_dcf.model.precision import multiply_in
from nwb_dcf.model.training import train_model
from nwb_dcf.model.training.hardware import choose_products

ON_GPU = DEVICE.type == "cuda"
STEPS, RECORDED, PAPER_STEPS, THEIRS, GROWTH_STEPS = (160, 8, 160, 16, 100) if ON_GPU else (24, 24, 48, 48, 24)
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")


class Loop:
    """The steps of one part of a fit, as `fit` takes them."""

    def __init__(self, recording: xr.Dataset, kind: str, part: int, preset: str = "default", **settings: Any) -> None:
        config = make_config(preset, {"dim": 3, **settings}, kind=kind)
        prepared = fit_preprocessor(recording, config.prepare).apply(recording)
        self.model, self.table, principal = start_model(prepared, config, DEVICE)
        self.learn, self.config = choose_order(config)[part], config.train
        if self.learn == {"v"}:
            start_dynamics(self.model, self.model.v, self.table)  # type: ignore[arg-type]
        self.heads = make_heads(principal, config, DEVICE) if {"coupling", "u"} <= self.learn else None

    def take(self, steps: int = STEPS) -> None:
        """Take some steps."""
        config = dataclasses.replace(self.config, steps=steps)
        train_model(self.model, self.table, config, learn=self.learn, heads=self.heads)

    def time_steps(self, steps: int = STEPS) -> float:
        """Seconds of some steps; what start and end cost, as encoding all frames, cancels."""
        times = [take_time()]
        for n in (steps, 2 * steps):
            self.take(n)
            times.append(take_time())
        return times[2] - 2 * times[1] + times[0]

    def record_products(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
        """Operands of the matrix products of RECORDED steps, by their shapes."""
        activity = torch.profiler.ProfilerActivity.CPU
        found = []
        for steps in (RECORDED, 2 * RECORDED):
            with (
                monkeypatch.context() as patch,
                torch.profiler.profile(activities=[activity], record_shapes=True) as profile,
            ):
                patch.setattr("nwb_dcf.model.training.loop.can_replay", lambda table: False)  # replayed ones go unseen
                self.take(steps)
            shapes = [e.input_shapes for e in profile.events() if e.name in PRODUCTS]
            found.append([tuple(map(tuple, [s for s in every if len(s) >= 2][-2:])) for every in shapes])
        pairs = list(found[1])
        for shapes in found[0]:  # those of start and end are in both
            pairs.remove(shapes)
        return [tuple(torch.randn(*s, device=DEVICE) for s in shapes) for shapes in pairs]  # type: ignore[misc]


SIZES = {
    "counts, code and u": ("counts", 0, {}),
    "counts, v": ("counts", 1, {}),
    "values, u": ("values", 0, {}),
    "MLP 4 x 256, h = 10, u": ("values", 0, {"width": 256, "depth": 4, "history": 10}),
    "MLP 4 x 256, h = 10, v": ("values", 1, {"width": 256, "depth": 4, "history": 10}),
}
LARGE = "MLP 4 x 256, h = 10, u, batch 16,384"
if ON_GPU:
    SIZES[LARGE] = ("values", 0, {"width": 256, "depth": 4, "history": 10, "batch_size": 16_384})


@pytest.mark.parametrize("name", SIZES)
def test_training_beside_its_products(
    benchmark: Any, reach: xr.Dataset, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind, part, settings = SIZES[name]
    loop = Loop(reach, kind, part, **settings)
    pairs = loop.record_products(monkeypatch)

    def multiply() -> None:
        for a, b in pairs:
            torch.matmul(a, b)

    made = choose_products(loop.model, loop.config.precision)
    times: list[float] = []
    alone: dict[str, list[float]] = {made: [], "float32": []}
    for _ in range(3 if ON_GPU else 5):
        times.append(loop.time_steps())
        for products, seconds in alone.items():
            with multiply_in(products):
                run = replay(multiply)
                start = take_time()
                for _ in range(STEPS // RECORDED):
                    run()
                seconds.append(take_time() - start)
    benchmark.pedantic(loop.take, rounds=1)
    rate = STEPS * loop.config.batch_size / float(np.median(times))
    ratio = {products: float(np.median(seconds) / np.median(times)) for products, seconds in alone.items()}
    beside = f"the same matrix products alone, of {made}"
    more = {} if made == "float32" else {"beside those of float32": ratio["float32"]}
    note(f"training, {name}", beside, ratio[made], "0.5" if ON_GPU else "0.6", **{"samples/s": rate, **more})


def test_unet_beside_its_networks(benchmark: Any) -> None:
    """U-Net at 64 x 64: steps beside forward and backward of the networks alone."""
    ball = simulate_ball(4, 20)
    frames = np.kron(ball.truth["frames"].values, np.ones((1, 3, 3)))[:, :64, :64]
    recording = make_recording(
        frames, ball.recording["time"].values, segment_index=ball.recording["segment_index"].values
    )
    loop = Loop(recording, "images", 0)
    batch, network = loop.config.batch_size, loop.model.u.network
    encoder = loop.model.coupling.encoder.network
    seen = torch.randn(batch, 4096, device=DEVICE, requires_grad=True)
    k_max = loop.model.k_max
    code, condition = torch.randn(batch, k_max, device=DEVICE), torch.randn(batch, 16 + k_max, device=DEVICE)

    def run_networks() -> None:
        network.zero_grad()  # training lets go of gradients, those in a graph as well
        encoder.zero_grad()
        out = network([seen, seen], [code], condition).square().mean() + encoder(seen).square().mean()
        out.backward()

    times, networks = [], []
    loop.take(2)
    with multiply_in(choose_products(loop.model, loop.config.precision)):
        run = replay(run_networks)
    for _ in range(3):
        times.append(loop.time_steps())
        start = take_time()
        for _ in range(STEPS):
            run()
        networks.append(take_time() - start)
    benchmark.pedantic(run_networks, rounds=1)
    rate = STEPS * batch / float(np.median(times))
    ratio = float(np.median(networks) / np.median(times))
    note("training, U-Net 64 x 64, code and u", "its networks, forward and backward", ratio, **{"samples/s": rate})


def test_training_beside_the_papers_way(benchmark: Any, reach: xr.Dataset) -> None:
    """Samples per second of the same losses and networks; `paper_way.py` says what the paper's way is."""
    model, table, config = make_start(reach, DEVICE)
    paper = PaperWay(model, table, config)
    for batch in (config.train.batch_size, 4 * config.train.batch_size):
        loop = Loop(reach, "counts", 0, "paper", batch_size=batch)
        times, theirs = [], []
        for _ in range(3):
            times.append(loop.time_steps(PAPER_STEPS))
            start = take_time()
            for _ in range(THEIRS):
                paper.step()
            theirs.append(take_time() - start)
        ours = PAPER_STEPS * batch / float(np.median(times))
        beside = THEIRS * config.train.batch_size / float(np.median(theirs))
        numbers, goal = {"samples/s": ours, "the paper's": beside}, "20" if ON_GPU else "5"
        note(f"training, the paper's networks, batch {batch}", "the paper's way", ours / beside, goal, **numbers)
    loops = [Loop(reach, "counts", part) for part in (0, 1)]  # code and u, then v
    seconds = float(np.median([sum(loop.time_steps(PAPER_STEPS) for loop in loops) for _ in range(3)]))
    ours = PAPER_STEPS * loops[0].config.batch_size / seconds
    numbers = {"samples/s": ours, "the paper's": beside}
    note("training, the default's networks, both parts", "the paper's way", ours / beside, goal, **numbers)
    benchmark.pedantic(paper.step, rounds=1)


def test_search_and_refit_side_by_side(benchmark: Any, reach: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of the clock, with two threads, beside one training after the other."""
    if ON_GPU:
        pytest.skip("side by side is for threads")
    leaves_room, took = Training._leaves_room, {True: [], False: []}

    def fit(beside: bool) -> None:
        monkeypatch.setattr(Training, "_leaves_room", leaves_room if beside else lambda *_: False)
        start = time.perf_counter()
        DCF(dim=3, device="cpu").fit(reach)
        took[beside].append(time.perf_counter() - start)

    with use_threads(2):
        for _ in range(3):
            fit(True)
            fit(False)
    benchmark.pedantic(lambda: None, rounds=1)
    ours, other = (float(np.median(took[beside])) for beside in (True, False))
    numbers = {"seconds": ours, "seconds beside": other}
    note("a fit of counts, search and refit side by side, clock", "one after the other", ours / other, "", **numbers)


def test_time_to_quality(benchmark: Any, reach: xr.Dataset) -> None:
    """Until held-out trials are rebuilt from three numbers as well as by the paper's way after N samples."""
    if ON_GPU:
        pytest.skip("paper_way.py runs on the CPU")
    n = 51_200
    found = measure_quality(reach, n)
    numbers = {f"the paper's R2 after {n:,} samples": found["paper's R2"], "ours": found["R2"]}
    times = {"steps": int(found["steps"]), "seconds": found["seconds"], "the paper's": found["paper's seconds"]}
    note(
        "time to the quality of the paper's way", "its own time", 1 / found["ratio"], "at most 0.02", **numbers, **times
    )
    benchmark.pedantic(lambda: None, rounds=1)


GROWTH: dict[str, tuple[Callable[[Any], dict[str, Any]], tuple[Any, ...]]] = {
    "frames": (lambda n: {"n": n}, (10_000, 100_000, 1_000_000)),
    "channels": (lambda d: {"width_of_frame": d}, (32, 256, 4096)),
    "history": (lambda h: {"history": h}, (0, 3, 30)),
    "k_max": (lambda k: {"k_max": k}, (8, 16, 64)),
}


@pytest.mark.parametrize("what", GROWTH)
def test_a_step_as_sizes_grow(benchmark: Any, what: str) -> None:
    """Seconds of a step of u and of v together, beside those of the smallest size."""
    make, sizes = GROWTH[what]
    rng, seconds = np.random.default_rng(0), []
    for size in sizes:
        settings = {"n": 10_000, "width_of_frame": 64, **make(size)}
        n, width = settings.pop("n"), settings.pop("width_of_frame")
        values = rng.standard_normal((min(n, 20_000), width)).astype(np.float32)
        values = np.resize(values, (n, width))
        recording = make_recording(values, np.arange(n, dtype=np.float64))
        loops = [Loop(recording, "values", part, **settings) for part in (0, 1)]
        [loop.take(2) for loop in loops]
        times = [sum(loop.time_steps(GROWTH_STEPS) for loop in loops) for _ in range(3)]
        seconds.append(float(np.median(times)))
    benchmark.pedantic(loops[0].take, rounds=1)
    told = "; ".join(f"{size:,}: {s / seconds[0]:.2f}" for size, s in zip(sizes, seconds, strict=True))
    note(
        f"a training step, {what} {sizes[0]:,} to {sizes[-1]:,}",
        "the smallest",
        seconds[-1] / seconds[0],
        "",
        growth=told,
    )
