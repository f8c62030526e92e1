"""Frames of which only some are drawn: those that steps are chosen on must not reach what learns from the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from nwb_dcf.config import TrainConfig
from nwb_dcf.model.training import FrameTable, train_model
from nwb_dcf.model.training.batches import WindowSampler

from .conftest import Problem, draw_frames

Make = Callable[..., Problem]


def make_table(history: int = 2, drop_start: bool = False) -> FrameTable:
    x, segment = draw_frames((30, 50), seed=0)
    return FrameTable.build(x, segment, torch.arange(len(x)) / 50.0, history=history, drop_start=drop_start)


ROWS = torch.cat([torch.arange(5, 20), torch.arange(25, 45), torch.arange(60, 80)])  # 25 to 44 cross the segments' edge


@pytest.mark.parametrize("drop_start", [False, True])
def test_a_selection_is_the_table_of_those_frames_alone(drop_start: bool) -> None:
    table = make_table(drop_start=drop_start)
    part = table.select(ROWS)
    segment = torch.zeros(80, dtype=torch.int64)
    segment[30:] = 1
    piece = torch.cumsum((ROWS.diff(prepend=ROWS[:1]) > 1) | (segment[ROWS].diff(prepend=segment[:1]) != 0), 0)
    alone = FrameTable.build(table.x[ROWS], piece, ROWS / 50.0, history=2, drop_start=drop_start)
    place = torch.full((80,), -1)
    place[ROWS] = torch.arange(len(ROWS))
    assert torch.equal(place[part.pairs], alone.pairs)
    assert torch.equal(place[part.window(part.pairs)], alone.window(alone.pairs))
    assert torch.equal(part.surround(ROWS, 3), alone.surround(torch.arange(len(ROWS)), 3))
    drawn = part.draw(2000, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.unique(), ROWS)


@pytest.mark.parametrize("learn", [("coupling", "u"), ("u",), ("v",), ("coupling", "u", "v")])
def test_what_is_not_selected_is_never_seen_in_training(make_problem: Make, learn: tuple[str, ...]) -> None:
    weights = []
    for spoiled in (False, True):
        problem = make_problem(train_encoder_with_flows=True, encoder_window=2)
        table = make_table(problem.table.history)
        rest = torch.ones(len(table.x), dtype=torch.bool)
        rest[ROWS] = False
        if spoiled:
            table.x[rest] = 0.5
        part = table.select(ROWS)
        problem.model.eval()
        samples = WindowSampler(part, problem.model, learn).draw(64, torch.Generator().manual_seed(0))
        assert len(samples.now)
        train_model(problem.model, part, TrainConfig(steps=3, batch_size=64, ema_decay=0.0), learn=learn)
        weights.append([p.detach().clone() for name in learn for p in getattr(problem.model, name).parameters()])
    for one, two in zip(*weights, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
