"""Work in a thread beside a block: its result, its errors, and its end where the block fails."""

from __future__ import annotations

import threading

import pytest
import torch

from nwb_dcf.config.progress import Listener, Progress
from nwb_dcf.estimator.side_by_side import run_beside
from nwb_dcf.model.parallel import use_threads

STEP = Progress("training", 1, 2)


def test_both_have_one_thread_of_torch_and_the_result_is_awaited() -> None:
    with use_threads(2):
        with run_beside(lambda _listen: (threading.current_thread().name, torch.get_num_threads())) as found:
            assert torch.get_num_threads() == 1
        assert found.result(timeout=0) == ("beside", 1)
        assert torch.get_num_threads() == 2


def test_what_fails_beside_is_raised_when_it_is_asked_for() -> None:
    def refuse(_listen: Listener) -> None:
        raise ValueError("no")

    with run_beside(refuse) as found:
        pass
    with pytest.raises(ValueError, match="no"):
        found.result()


def test_a_block_that_fails_ends_what_runs_beside_it() -> None:
    begun = threading.Event()

    def train(listen: Listener) -> None:
        while True:
            begun.set()
            listen(STEP)

    def fail() -> None:
        with run_beside(train):
            begun.wait()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert "beside" not in {thread.name for thread in threading.enumerate()}
