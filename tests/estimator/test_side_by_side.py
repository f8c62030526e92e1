"""Work in a thread beside a block: its result, its errors, and its end where the block fails."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from nwb_dcf.config import ModelConfig
from nwb_dcf.config.progress import Listener, Progress
from nwb_dcf.data.synthetic import simulate_lorenz
from nwb_dcf.estimator import smoothing_and_scale
from nwb_dcf.estimator.side_by_side import is_worth_a_thread, run_beside
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.parallel import use_threads
from nwb_dcf.model.precision import multiply_in

STEP = Progress("training", 1, 2)


def test_both_have_one_thread_of_torch_and_the_result_is_awaited() -> None:
    with use_threads(2):
        with run_beside(lambda _listen: (threading.current_thread().name, torch.get_num_threads())) as found:
            assert torch.get_num_threads() == 1
        assert found.result(timeout=0) == ("beside", 1)
        assert torch.get_num_threads() == 2


def test_products_of_numpy_have_one_thread_beside_a_training_and_in_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    def note(*_given: object, **_settings: object) -> None:
        seen.append(count())
        raise RuntimeError("seen")

    seen: list[set[int]] = []
    monkeypatch.setattr(smoothing_and_scale, "score_settings", note)
    with threadpool_limits(2, user_api="blas"):
        if count() != {2}:
            pytest.skip("NumPy's products have no threads of their own here")
        with run_beside(lambda _listen: count()) as found:
            assert count() == {1}
        assert found.result() == {1}
        with pytest.raises(RuntimeError, match="seen"):
            smoothing_and_scale.scan_settings(simulate_lorenz(4, 100, 20, seed=0).recording)
        assert seen == [{1}]
        assert count() == {2}


@pytest.mark.parametrize(("threads", "perceptron", "u_net"), [(1, False, False), (2, True, True), (4, True, False)])
def test_a_u_net_leaves_a_core_of_two_and_none_of_more(threads: int, perceptron: bool, u_net: bool) -> None:
    settings = {"width": 8, "depth": 1, "channels": (4,), "network": "mlp"}
    small = DCFModel(64, 2, ModelConfig(dim=2, **settings))
    images = DCFModel(64, 2, ModelConfig(dim=2, **{**settings, "network": "unet"}), (8, 8))
    with use_threads(threads):
        found = [is_worth_a_thread(model, "float32", 640) for model in (small, images)]
        assert not is_worth_a_thread(small, "float32", 2**24 + 1)
    assert found == [perceptron, u_net]


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


def test_a_block_that_is_left_early_ends_what_runs_beside_it() -> None:
    """As after Ctrl-C that keeps what has been learned: nobody asks for the other training, which may take hours."""
    begun, until = threading.Event(), time.monotonic() + 20

    def train(listen: Listener) -> None:
        while time.monotonic() < until:
            begun.set()
            listen(STEP)

    with run_beside(train) as found:
        begun.wait()
    assert isinstance(found.exception(timeout=0), KeyboardInterrupt)


def test_one_that_puts_its_precision_back_leaves_that_of_the_other() -> None:
    put_back, before = threading.Event(), torch.get_float32_matmul_precision()

    def look(_listen: Listener) -> str:
        put_back.wait(20)
        return torch.get_float32_matmul_precision()

    torch.set_float32_matmul_precision("medium")
    try:
        with run_beside(look) as found:
            with multiply_in("float32"):
                pass
            put_back.set()
        assert found.result() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
