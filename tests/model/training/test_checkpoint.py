"""A training that was ended goes on from its checkpoint as if it had not been, to the bit."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from nwb_dcf.config import TrainConfig
from nwb_dcf.errors import StoreError, Terminated
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.training import ContextHeads, FrameTable, Progress, TrainingResult, train_model
from nwb_dcf.model.training.checkpoint import Checkpoints, pack, unpack

from .conftest import Problem, draw_frames

Make = Callable[..., Problem]
Collect = Callable[[], dict[str, Any]]
STEPS = 40
PLAN = TrainConfig(steps=STEPS, batch_size=64, early_stopping_tolerance=0.0)


class Shelf:
    """Where checkpoints are put; how often, and the last."""

    def __init__(self) -> None:
        self.documents: list[bytes] = []

    def __call__(self, document: bytes) -> None:
        self.documents.append(document)


def make_held_out(problem: Problem) -> FrameTable:
    x, segment = draw_frames((30, 50), seed=0)
    return FrameTable.build(x, segment, torch.arange(len(x)) / 50.0, history=problem.table.history, drop_start=False)


def train(
    make_problem: Make, settings: dict[str, Any], plan: TrainConfig, *, judged: bool, with_heads: bool, **more: Any
) -> tuple[Problem, TrainingResult]:
    problem = make_problem(**settings)
    heads = None
    if with_heads:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            heads = ContextHeads(compute_principal_axes(problem.table.x), 2, (-1, 1))
    held_out = make_held_out(problem) if judged else None
    trained = train_model(problem.model, problem.table, plan, held_out=held_out, heads=heads, **more)
    return problem, trained


def assert_same(one: tuple[Problem, TrainingResult], other: tuple[Problem, TrainingResult]) -> None:
    for (name, a), b in zip(one[0].model.state_dict().items(), other[0].model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert repr(one[1]) == repr(other[1])  # NaN as well


@pytest.mark.parametrize("ended_at", [(0,), (37,), (5, 6, 29)])
@pytest.mark.parametrize(
    ("settings", "changes", "judged", "with_heads"),
    [
        ({}, {}, True, False),
        ({"train_encoder_with_flows": True}, {"gamma": 0.5}, True, True),
        ({"start": "random"}, {"ema_encoder": False}, False, False),
        ({"train_encoder_with_flows": True}, {"schedule": "constant", "prefix_ramp": 1000}, False, False),
    ],
)
def test_a_training_that_was_ended_goes_on_to_the_bit(
    make_problem: Make,
    settings: dict[str, Any],
    changes: dict[str, Any],
    judged: bool,
    with_heads: bool,
    ended_at: tuple[int, ...],
) -> None:
    plan = dataclasses.replace(PLAN, **changes)
    given: dict[str, Any] = {"judged": judged, "with_heads": with_heads}
    whole = train(make_problem, settings, plan, **given)
    shelf, stored = Shelf(), None
    for at in ended_at:
        checkpoints = Checkpoints(shelf, {"fit": "x"}, stored=stored)
        run = checkpoints.run("training")
        on = run.visit

        def visit(collect: Collect, at: int = at, checkpoints: Checkpoints = checkpoints, on: Any = on) -> None:
            if collect()["step"] == at:
                checkpoints.request_stop()
            on(collect)

        run.visit = visit  # type: ignore[method-assign]
        with pytest.raises(Terminated):
            train(make_problem, settings, plan, **given, run=run)
        stored = shelf.documents[-1]
        assert unpack(stored)["runs"]["training"]["step"] == at
    checkpoints = Checkpoints(shelf, {"fit": "x"}, stored=stored)
    assert_same(whole, train(make_problem, settings, plan, **given, run=checkpoints.run("training")))
    # What has finished is not trained again.
    checkpoints.write()
    again = Checkpoints(shelf, {"fit": "x"}, stored=shelf.documents[-1]).run("training")
    again.visit = None  # type: ignore[method-assign, assignment]
    assert_same(whole, train(make_problem, settings, plan, **given, run=again))


def test_checkpoints_change_nothing_and_come_by_the_clock(make_problem: Make) -> None:
    given: dict[str, Any] = {"judged": True, "with_heads": False}
    whole = train(make_problem, {}, PLAN, **given)
    for every_s, n in ((0.0, STEPS), (math.inf, 0)):
        shelf = Shelf()
        run = Checkpoints(shelf, {}, every_s=every_s).run("training")
        assert_same(whole, train(make_problem, {}, PLAN, **given, run=run))
        assert len(shelf.documents) == n


def test_a_full_disk_does_not_end_the_training(make_problem: Make) -> None:
    def fail(document: bytes) -> None:
        raise OSError(28, "No space left on device")

    checkpoints = Checkpoints(fail, {}, every_s=0.0)
    train(make_problem, {}, PLAN, judged=False, with_heads=False, run=checkpoints.run("training"))
    assert checkpoints.failure == "No space left on device"


def test_after_ctrl_c_the_last_checkpoint_is_there(make_problem: Make) -> None:
    shelf = Shelf()

    def interrupt(event: Progress) -> None:
        if event.step == 25:
            raise KeyboardInterrupt

    run = Checkpoints(shelf, {}, every_s=0.0).run("training")
    with pytest.raises(KeyboardInterrupt):
        train(make_problem, {}, PLAN, judged=False, with_heads=False, progress=interrupt, run=run)
    whole = train(make_problem, {}, PLAN, judged=False, with_heads=False)
    again = Checkpoints(shelf, {}, stored=shelf.documents[-1]).run("training")
    assert_same(whole, train(make_problem, {}, PLAN, judged=False, with_heads=False, run=again))


def test_documents_hold_every_value_as_it_was() -> None:
    state = {
        "a": [1, 2.5, math.inf, None, True, "text"],
        "b": {"c": torch.arange(6.0).reshape(2, 3).T, "d": [torch.tensor(3), torch.tensor([True])]},
        "e": torch.zeros(0, 4),
    }
    back = unpack(pack({"format": 1, "runs": {"r": state}}))["runs"]["r"]
    assert back["a"] == state["a"]
    assert torch.equal(back["b"]["c"], torch.arange(6.0).reshape(2, 3).T)
    assert back["b"]["d"][0].item() == 3
    assert back["b"]["d"][1].dtype == torch.bool
    assert back["e"].shape == (0, 4)


def spoil(document: bytes, how: str) -> bytes:
    if how == "shorter":
        return document[: len(document) // 2]
    if how == "text":
        return b"not a checkpoint"
    if how == "empty":
        return b""
    text = {"newer": {"format": 99, "runs": {}}, "no runs": {"format": 1}, "list": [1]}[how]
    header = json.dumps({"__metadata__": {"nwb_dcf": json.dumps(text)}}).encode()
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize("how", ["shorter", "text", "empty", "newer", "no runs", "list"])
def test_what_is_no_checkpoint_is_said_in_one_line(how: str) -> None:
    document = pack({"format": 1, "about": {}, "runs": {"r": {"x": torch.ones(100)}}})
    with pytest.raises(StoreError, match="the checkpoint") as caught:
        Checkpoints(Shelf(), {}, stored=spoil(document, how))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_model_is_refused(make_problem: Make) -> None:
    shelf = Shelf()
    train(
        make_problem, {"width": 8}, PLAN, judged=True, with_heads=False, run=Checkpoints(shelf, {}, every_s=0).run("t")
    )
    for state in ({"finished": False}, {"finished": True}, unpack(shelf.documents[-1])["runs"]["t"]):
        checkpoints = Checkpoints(shelf, {})
        checkpoints.leave("t", copy.deepcopy(state))
        with pytest.raises(StoreError, match="the checkpoint is of another model") as caught:
            train(make_problem, {}, PLAN, judged=True, with_heads=False, run=checkpoints.run("t"))
        assert "\n" not in str(caught.value)
