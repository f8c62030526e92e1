from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from nwb_dcf.config import TrainConfig
from nwb_dcf.config.progress import Progress
from nwb_dcf.model.training import train_model
from nwb_dcf.model.training.hardware import choose_threads

from .conftest import Problem

Make = Callable[..., Problem]


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("width", "batch", "expected"), [(16, 256, 1), (512, 64, 1), (512, 200, 2), (512, 4096, 4)])
def test_a_thread_has_work_to_do(make_problem: Make, width: int, batch: int, expected: int) -> None:
    model = make_problem(width=width).model  # u: some 300,000 weights at a width of 512
    assert choose_threads(model, model.u, batch) == expected


def test_small_steps_take_one_thread_and_leave_the_others_to_what_comes_after(make_problem: Make) -> None:
    problem, seen = make_problem(), []

    def look(progress: Progress) -> None:
        seen.append(torch.get_num_threads())

    train_model(problem.model, problem.table, TrainConfig(steps=2, batch_size=32), progress=look)
    assert seen == [1]
    assert torch.get_num_threads() == 4


def test_threads_come_back_after_an_error(make_problem: Make) -> None:
    problem = make_problem()

    def fail(progress: Progress) -> None:
        raise RuntimeError("as expected")

    with pytest.raises(RuntimeError, match="as expected"):
        train_model(problem.model, problem.table, TrainConfig(steps=2, batch_size=32), progress=fail)
    assert torch.get_num_threads() == 4
