"""No step of training waits for the device: what Python reads of tensors is counted."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from nwb_dcf.config import TrainConfig
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.training import ContextHeads, TrainingResult, train_model
from nwb_dcf.model.training.loop import REPORT_EVERY

from .conftest import Problem
from .test_loop import make_held_out

Make = Callable[..., Problem]
READS = ("item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__int__", "__float__", "__index__", "__array__")
KINDS: list[tuple[dict[str, Any], Any]] = [
    ({}, ("u",)),
    ({}, ("v",)),
    ({"train_encoder_with_flows": True, "encoder_window": 1, "encoder_dropout": 0.2}, ("coupling", "u")),
    ({"start": "random"}, ("coupling", "u", "v")),  # learns L: orthonormalised at every step
    (
        {"start": "random", "closed_form": False, "noise_scale": "absolute", "train_encoder_with_flows": True},
        ("coupling", "u", "v"),
    ),
]


@contextmanager
def count_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note the name of everything by which Python asks a tensor for its value, and waits for it."""
    seen: list[str] = []

    def watch(name: str) -> Callable[..., Any]:
        original = getattr(torch.Tensor, name)

        def read(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return original(tensor, *args, **kwargs)

        return read

    with monkeypatch.context() as patch:
        for name in READS:
            patch.setattr(torch.Tensor, name, watch(name))
        yield seen


def make_heads(problem: Problem, learn: Any) -> ContextHeads | None:
    return ContextHeads(compute_principal_axes(problem.table.x), 2, (-1, 1)) if "v" not in learn else None


def run(problem: Problem, learn: Any, steps: int, **more: Any) -> TrainingResult:
    return train_model(problem.model, problem.table, TrainConfig(steps=steps, batch_size=32), learn=learn, **more)


def test_a_read_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with count_reads(monkeypatch) as seen:
        if torch.ones(1) > 0:
            float(torch.ones(1))
    assert seen == ["__bool__", "__float__"]


@pytest.mark.parametrize(("settings", "learn"), KINDS)
def test_training_reads_the_device_once_a_report(
    make_problem: Make, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], learn: Any
) -> None:
    problem = make_problem(**settings)
    heads = make_heads(problem, learn)
    reads = []
    for reports in (1, 3):  # what start and end read cancels
        with count_reads(monkeypatch) as seen:
            run(problem, learn, reports * REPORT_EVERY, heads=heads, progress=lambda progress: None)
        reads.append(sorted(seen))
    assert reads[1] == sorted([*reads[0], "tolist", "tolist"])


def test_each_look_at_held_out_losses_is_one_read(make_problem: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    held_out = make_held_out(problem)
    with count_reads(monkeypatch) as seen:
        curve = run(problem, ("coupling", "u"), REPORT_EVERY, held_out=held_out).curve
    assert len(curve.held_out_step) > 5
    assert seen.count("tolist") == len(curve.held_out_step) + len(curve.step)
    assert len(seen) <= seen.count("tolist") + 2  # the start and the end ask once each


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@pytest.mark.parametrize(("settings", "learn"), KINDS)
def test_no_step_waits_for_the_gpu(make_problem: Make, settings: dict[str, Any], learn: Any) -> None:
    """CUDA itself says where it waited: at the report and nowhere else between the first step and the last."""
    problem = make_problem(**settings)
    problem.model.cuda()
    moved = {
        f.name: getattr(problem.table, f.name).cuda()
        for f in dataclasses.fields(problem.table)
        if isinstance(getattr(problem.table, f.name), torch.Tensor)
    }
    problem = Problem(problem.model, dataclasses.replace(problem.table, **moved))
    heads = make_heads(problem, learn)
    if heads:
        heads.cuda()
    waits = []
    for steps in (REPORT_EVERY, 3 * REPORT_EVERY):  # what start and end wait for cancels
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                run(problem, learn, steps, heads=heads)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchroniz" in str(warning.message) for warning in caught))
    assert waits[1] - waits[0] <= 2
