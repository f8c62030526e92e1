from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable

import pytest
import torch

from nwb_dcf.config import TrainConfig
from nwb_dcf.errors import TrainingError
from nwb_dcf.model.training import FoundSteps, Progress, Trained, train_model

from .conftest import Problem

Make = Callable[..., Problem]
QUICK = TrainConfig(steps=60, batch=64)  # a search may choose every third step


def refit(problem: Problem, config: TrainConfig, at: int, *, told_at: int) -> Trained:
    """Train u, to be taken at step `at`, of which the refit is told when it reports step `told_at`."""
    found = FoundSteps()

    def tell(event: Progress) -> None:
        if event.step >= told_at:
            found.tell({"u": at})

    if told_at == 0:
        found.tell({"u": at})
    return train_model(problem.model, problem.table, config, learn=("u",), stop_at=found, progress=tell)


@pytest.mark.parametrize("told_at", [0, 12, 33, 60])
@pytest.mark.parametrize("at", [0, 12, 33, 60])
def test_a_refit_ends_the_same_however_late_it_is_told(make_problem: Make, at: int, told_at: int) -> None:
    known, told = make_problem(), make_problem()
    expected = train_model(known.model, known.table, QUICK, learn=("u",), stop_at={"u": at})
    trained = refit(told, QUICK, at, told_at=told_at)
    assert trained.best_step == expected.best_step == {"u": at}
    assert trained.samples == expected.samples == at * QUICK.batch
    assert trained.curve.step == expected.curve.step
    assert trained.curve.cf == expected.curve.cf
    weights = told.model.state_dict()
    for name, value in known.model.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_at_the_end_of_the_schedule_a_refit_waits_for_the_search(make_problem: Make) -> None:
    problem, found = make_problem(), FoundSteps()
    timer = threading.Timer(0.5, found.tell, [{"u": 30}])

    def look(event: Progress) -> None:
        if event.step == QUICK.steps:
            timer.start()

    trained = train_model(problem.model, problem.table, QUICK, learn=("u",), stop_at=found, progress=look)
    timer.join()
    assert trained.best_step == {"u": 30}


def test_an_interrupted_refit_ends_as_after_ctrl_c(make_problem: Make) -> None:
    for keep_partial in (False, True):
        problem, found = make_problem(), FoundSteps()

        def stop(event: Progress, found: FoundSteps = found) -> None:
            if event.step == 30:
                found.interrupt()

        def train(problem: Problem = problem, found: FoundSteps = found, keep: bool = keep_partial) -> Trained:
            return train_model(
                problem.model, problem.table, QUICK, learn=("u",), stop_at=found, progress=stop, keep_partial=keep
            )

        if keep_partial:
            trained = train()
            assert trained.interrupted
            assert trained.best_step == {"u": 30}
        else:
            with pytest.raises(KeyboardInterrupt):
                train()


def test_a_loss_that_is_lost_beyond_the_step_that_is_taken_does_no_harm(make_problem: Make) -> None:
    """A refit that waited would not have gone there."""
    hopeless = dataclasses.replace(QUICK, rate=1e18, clip=0.0)
    with pytest.raises(TrainingError, match="no longer finite"):
        refit(make_problem(), hopeless, 60, told_at=0)
    problem, found = make_problem(), FoundSteps()
    timer = threading.Timer(1.0, found.tell, [{"u": 0}])
    timer.start()
    trained = train_model(problem.model, problem.table, hopeless, learn=("u",), stop_at=found)
    assert trained.best_step == {"u": 0}
    assert not trained.curve.step
    assert all(math.isfinite(float(p.detach().sum())) for p in problem.model.u.parameters())
