"""Which step is chosen while the encoder learns: by the whole objective, or by what `dim` latents reconstruct."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import nn

from nwb_dcf.config import TrainConfig
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.training import early_stopping
from nwb_dcf.model.training.context_heads import ContextHeads
from nwb_dcf.model.training.early_stopping import EarlyStopping, evaluate_losses
from nwb_dcf.model.training.loss_curve import LossCurve
from nwb_dcf.model.training.objective import Losses

from .conftest import Problem

Make = Callable[..., Problem]
PLAN = TrainConfig(steps=100, gamma=1.0, eta=1.0)
EVERY = 5


def draw_hump(step: int) -> float:
    """Held-out reconstruction of a decoder that starts at PCA's: worse until step 30, best at 75, above its start."""
    return 1.0 + 0.2 * min(step, 30) / 30 - (0.15 * (step - 30) / 50 if step < 80 else 0.1) * (step > 30)


def search(
    problem: Problem,
    plan: TrainConfig,
    monkeypatch: pytest.MonkeyPatch,
    others: Callable[[int], float],
    ended_at: int | None = None,
) -> tuple[int, int]:
    """Look at scripted losses until the search ends; return the chosen step and the last one.

    After `ended_at` another judge goes on from the state of the first.
    """
    at = 0

    def script(*_: object, **__: object) -> Losses:
        return Losses(*torch.tensor([draw_hump(at), 0.0, 0.0, others(at)]))

    monkeypatch.setattr(early_stopping, "evaluate_losses", script)
    kept = nn.ModuleDict({"coupling": problem.model.coupling, "u": problem.model.u})
    judge = EarlyStopping(problem.model, kept, problem.table, plan)
    for at in range(0, plan.steps + 1, EVERY):
        judge.look(at, LossCurve(), {"u"})
        if judge.find_settled(at, EVERY):
            break
        if at == ended_at:
            state, judge = judge.get_state(), EarlyStopping(problem.model, kept, problem.table, plan)
            judge.set_state(state)
    return judge.best_step["u"], at


def overfit(step: int) -> float:
    """Loss of heads that have learned by step 20, and learn by heart from there."""
    return 1.0 - 0.5 * min(step, 20) / 20 + 0.2 * max(step - 20, 0) / 80


@pytest.mark.parametrize(("by", "chosen"), [("objective", 20), ("reconstruction", 75)])
def test_heads_that_learn_by_heart_do_not_choose_the_steps(
    make_problem: Make, monkeypatch: pytest.MonkeyPatch, by: str, chosen: int
) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    step, last = search(problem, dataclasses.replace(PLAN, steps_by=by), monkeypatch, overfit)
    assert step == chosen
    assert last == min(100, max(30, chosen + early_stopping.PATIENCE * EVERY))


def test_the_initial_model_stays_where_the_objective_never_falls(
    make_problem: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    plan = dataclasses.replace(PLAN, steps_by="reconstruction")
    step, last = search(problem, plan, monkeypatch, lambda step: 1.0 + 0.01 * (step > 0))
    assert step == 0
    assert 30 < last < 100


@pytest.mark.parametrize("ended_at", [None, 25])
def test_an_objective_that_fell_before_steps_are_compared_lets_reconstruction_choose(
    make_problem: Make, monkeypatch: pytest.MonkeyPatch, ended_at: int | None
) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    plan = dataclasses.replace(PLAN, steps_by="reconstruction")
    # steps are compared from 30 on, where it is above its start again
    step, _ = search(problem, plan, monkeypatch, lambda step: 0.8 if 5 <= step <= 20 else 1.0 + step / 50, ended_at)
    assert step == 75


def test_heads_are_judged_until_the_objective_has_fallen(make_problem: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, looked = make_problem(train_encoder_with_flows=True), []
    heads = ContextHeads(compute_principal_axes(problem.table.x), 2, (-1, 1))

    def script(*_: object, **given: object) -> Losses:
        looked.append(given["heads"] is heads)
        return Losses(
            *torch.tensor([draw_hump(10 * len(looked)), 0.0, 0.0, (3.0, 3.0, 1.0, 9.0, 9.0)[len(looked) - 1]])
        )

    monkeypatch.setattr(early_stopping, "evaluate_losses", script)
    kept = nn.ModuleDict({"coupling": problem.model.coupling, "u": problem.model.u})
    for by, expected in (("reconstruction", [True, True, True, False, False]), ("objective", [True] * 5)):
        looked.clear()
        judge = EarlyStopping(problem.model, kept, problem.table, dataclasses.replace(PLAN, steps_by=by), heads)
        for step in range(0, 50, 10):
            judge.look(step, LossCurve(), {"u"})
        assert looked == expected


def test_steps_are_judged_by_what_dim_latents_leave_of_held_out_frames(make_problem: Make) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    kept = nn.ModuleDict({"coupling": problem.model.coupling, "u": problem.model.u})
    judge = EarlyStopping(problem.model, kept, problem.table, dataclasses.replace(PLAN, steps_by="reconstruction"))
    curve = LossCurve()
    judge.look(0, curve, {"u"})
    with torch.no_grad():
        latents = problem.table.encode(problem.model.coupling)[:, : problem.model.config.dim]
        left = float((problem.table.x - problem.model.reconstruct(latents)).square().mean())
    # drawn frames and the bridge's noise: near it, and far from the loss of all prefixes and taus
    assert curve.held_out_cf[0] == pytest.approx(left, rel=0.1)
    every = evaluate_losses(problem.model, problem.table, PLAN, learn=("coupling", "u"), as_trained=True)
    assert abs(float(every.cf) - left) > 0.2 * left
