from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nwb_dcf.config import TrainConfig
from nwb_dcf.errors import TrainingError
from nwb_dcf.model.training import FrameTable, Progress, train_model
from nwb_dcf.model.training.early_stopping import PATIENCE, evaluate_losses, use_parts
from nwb_dcf.model.training.loop import REPORT_EVERY

from .conftest import Problem, draw_frames

Make = Callable[..., Problem]
QUICK = TrainConfig(steps=60, batch_size=64)
FLOWS = ("u", "v")


def copy_weights(problem: Problem) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in problem.model.state_dict().items()}


def differ(one: dict[str, Tensor], two: dict[str, Tensor], part: str) -> bool:
    return any(not torch.equal(one[name], two[name]) for name in one if name.startswith(part + "."))


def make_held_out(problem: Problem) -> FrameTable:
    x, segment = draw_frames((30, 50), seed=0)
    return FrameTable.build(x, segment, torch.arange(len(x)) / 50.0, history=problem.table.history, drop_start=False)


@pytest.mark.parametrize("settings", [{}, {"train_encoder_with_flows": True}, {"start": "random"}])
def test_training_lowers_the_losses(make_problem: Make, settings: dict[str, Any]) -> None:
    problem = make_problem(**settings)
    before = evaluate_losses(problem.model, problem.table, QUICK)
    trained = train_model(problem.model, problem.table, dataclasses.replace(QUICK, steps=150, batch_size=256))
    after = evaluate_losses(problem.model, problem.table, QUICK)
    if not problem.model.config.train_encoder_with_flows:  # a joined code may give way in one loss for the others
        assert after.cf < 0.995 * before.cf
    assert after.total(QUICK) < 0.9 * before.total(QUICK)
    assert trained.samples == 150 * 256
    assert trained.best_step == {"u": 150, "v": 150}
    assert not trained.interrupted
    assert len(trained.curve.step) == len(trained.curve.cf) == len(trained.curve.df) == len(trained.curve.align) == 6


def test_the_known_encoder_is_left_alone(make_problem: Make) -> None:
    problem = make_problem()
    before = copy_weights(problem)
    train_model(problem.model, problem.table, QUICK)
    after = copy_weights(problem)
    for name in before:
        if name.startswith("coupling."):
            np.testing.assert_allclose(after[name], before[name], atol=1e-4, err_msg=name)
    assert not torch.equal(before["coupling.axes"], torch.zeros(1))
    assert differ(before, after, "u")
    assert differ(before, after, "v")


def test_learned_axes_stay_orthonormal(make_problem: Make) -> None:
    problem = make_problem(start="random")
    before = problem.model.coupling.axes.detach().clone()
    on_the_way: list[Tensor] = []

    def look(progress: Progress) -> None:
        on_the_way.append(problem.model.coupling.axes.detach().clone())

    train_model(problem.model, problem.table, dataclasses.replace(QUICK, encoder_learning_rate=0.05), progress=look)
    axes = problem.model.coupling.axes.detach()
    assert float((axes - before).abs().max()) > 0.1
    assert len(on_the_way) > 1
    for seen in (*on_the_way, axes):
        np.testing.assert_allclose(seen.T @ seen, np.eye(4), atol=2e-4)


def test_the_same_seed_gives_the_same_weights_to_the_bit(make_problem: Make) -> None:
    weights = []
    for seed in (5, 5, 6):
        problem = make_problem()
        train_model(problem.model, problem.table, dataclasses.replace(QUICK, seed=seed))
        weights.append(copy_weights(problem))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert differ(weights[0], weights[2], "u")


def test_held_out_losses_repeat_and_do_not_depend_on_how_taus_are_drawn(make_problem: Make) -> None:
    problem = make_problem()
    one = evaluate_losses(problem.model, problem.table, QUICK)
    two = evaluate_losses(problem.model, problem.table, dataclasses.replace(QUICK, tau_in_angle=0.0))
    assert (float(one.cf), float(one.df)) == (float(two.cf), float(two.df))
    own = problem.model.u
    other = copy.deepcopy(torch.nn.ModuleDict({"u": problem.model.u, "v": problem.model.v}))
    torch.nn.init.ones_(other["u"].network.last.weight)  # type: ignore[union-attr, arg-type]
    with use_parts(problem.model, other):
        changed = evaluate_losses(problem.model, problem.table, QUICK)
    assert changed.cf != one.cf
    assert changed.df == one.df
    assert problem.model.u is own


def test_step_zero_is_a_candidate(make_problem: Make) -> None:
    problem = make_problem()
    before = copy_weights(problem)
    hopeless = dataclasses.replace(QUICK, learning_rate=30.0)
    trained = train_model(problem.model, problem.table, hopeless, held_out=make_held_out(problem))
    assert trained.best_step == {"u": 0, "v": 0}
    after = copy_weights(problem)
    assert not differ(before, after, "u")
    assert not differ(before, after, "v")
    assert trained.curve.held_out_step[0] == 0
    assert min(trained.curve.held_out_cf[1:]) > trained.curve.held_out_cf[0]


def test_the_best_step_of_each_flow_is_kept(make_problem: Make) -> None:
    problem = make_problem()
    held_out = problem.table
    config = dataclasses.replace(QUICK, steps=200, batch_size=128)
    trained = train_model(problem.model, problem.table, config, held_out=held_out)
    curve = trained.curve
    for flow, losses in (("u", curve.held_out_cf), ("v", curve.held_out_df)):
        assert trained.best_step[flow] == curve.held_out_step[int(np.argmin(losses))]
    assert trained.best_step["v"] > 0  # u starts at its optimum here, and gains a thousandth or nothing
    kept = evaluate_losses(problem.model, held_out, config)
    assert float(kept.cf) == pytest.approx(min(curve.held_out_cf), rel=1e-5)
    assert float(kept.df) == pytest.approx(min(curve.held_out_df), rel=1e-5)


def test_joined_flows_share_their_best_step(make_problem: Make) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    trained = train_model(problem.model, problem.table, QUICK, held_out=make_held_out(problem))
    assert trained.best_step["u"] == trained.best_step["v"]


def test_an_encoder_stays_at_its_start_where_every_step_is_worse(make_problem: Make) -> None:
    problem = make_problem(train_encoder_with_flows=True)
    before = copy_weights(problem)
    hopeless = dataclasses.replace(QUICK, learning_rate=30.0, encoder_learning_rate=30.0, steps_by="reconstruction")
    trained = train_model(
        problem.model, problem.table, hopeless, learn=("coupling", "u"), held_out=make_held_out(problem)
    )
    assert trained.best_step == {"u": 0}
    assert not differ(before, copy_weights(problem), "u")


def test_search_ends_early_where_nothing_improves(make_problem: Make) -> None:
    problem = make_problem()
    hopeless = dataclasses.replace(QUICK, steps=400, learning_rate=1.0)
    trained = train_model(problem.model, problem.table, hopeless, held_out=make_held_out(problem))
    assert trained.samples < 400 * 64
    assert len(trained.curve.held_out_step) > PATIENCE


@pytest.mark.parametrize("steps", [REPORT_EVERY, 15, 60])
@pytest.mark.parametrize("search", [False, True])
def test_a_loss_that_is_not_finite_names_its_first_step(make_problem: Make, steps: int, search: bool) -> None:
    problem = make_problem()
    problem.table.x[7] = 1e25  # its square is no float32
    held_out = make_held_out(problem) if search else None
    with pytest.raises(TrainingError, match=r"no longer finite at step 1 \(.*L_cf.*rate") as caught:
        train_model(problem.model, problem.table, dataclasses.replace(QUICK, steps=steps, batch_size=1024),
                    held_out=held_out)  # fmt: skip
    assert "\n" not in str(caught.value)


def test_progress_tells_stage_step_and_loss(make_problem: Make) -> None:
    problem, events = make_problem(), []
    train_model(problem.model, problem.table, QUICK, stage="choosing steps", progress=events.append)
    assert [event.step for event in events] == [25, 50, 60]
    assert {(event.stage, event.steps) for event in events} == {("choosing steps", 60)}
    assert all(isinstance(event, Progress) and math.isfinite(event.loss) and event.loss > 0 for event in events)


def interrupt(progress: Progress) -> None:
    if progress.step >= 50:
        raise KeyboardInterrupt


def test_ctrl_c_ends_training(make_problem: Make) -> None:
    problem = make_problem()
    with pytest.raises(KeyboardInterrupt):
        train_model(problem.model, problem.table, QUICK, progress=interrupt)


def test_ctrl_c_keeps_what_was_learned_where_asked(make_problem: Make) -> None:
    constant = dataclasses.replace(QUICK, schedule="constant")
    cut = make_problem()
    train_model(cut.model, cut.table, dataclasses.replace(constant, steps=50))
    problem = make_problem()
    trained = train_model(problem.model, problem.table, constant, progress=interrupt, keep_partial=True)
    assert trained.interrupted
    assert trained.best_step == {"u": 50, "v": 50}
    assert trained.samples == 50 * 64
    assert not any(differ(copy_weights(problem), copy_weights(cut), part) for part in FLOWS)


def test_weights_are_averaged(make_problem: Make) -> None:
    """With ema = 0 the last weights are kept, with 0.9 an average that lags behind; of the same run."""
    weights = []
    for ema in (0.0, 0.9):
        problem = make_problem()
        start = copy_weights(problem)
        config = dataclasses.replace(QUICK, steps=10, ema_decay=ema, schedule="constant")
        train_model(problem.model, problem.table, config)
        after = copy_weights(problem)
        weights.append(float(torch.linalg.norm(after["u.network.last.weight"] - start["u.network.last.weight"])))
    assert 0 < weights[1] < 0.8 * weights[0]


def test_training_touches_no_global_randomness(make_problem: Make) -> None:
    problem = make_problem()
    state = torch.random.get_rng_state()
    train_model(problem.model, problem.table, QUICK, held_out=make_held_out(problem))
    assert torch.equal(torch.random.get_rng_state(), state)
