"""Parts of a task side by side: each by a thread of its own, in order, and the same whatever the threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from nwb_dcf import DCF
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.estimator import fitted as codec
from nwb_dcf.model import parallel
from nwb_dcf.model.parallel import split_frames, use_threads

CPU = torch.device("cpu")
PARTS = [slice(start, start + 2) for start in range(0, 12, 2)]


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with use_threads(2):
        yield
        assert torch.get_num_threads() == 2


def test_two_parts_are_worked_on_at_a_time_with_one_thread_each() -> None:
    together = threading.Barrier(2, timeout=30)

    def run(part: slice) -> tuple[int, int, bool]:
        together.wait()
        return part.start, torch.get_num_threads(), torch.is_grad_enabled()

    assert parallel.run_parts(run, PARTS, CPU) == [(start, 1, False) for start in range(0, 12, 2)]


@pytest.mark.parametrize(("parts", "beside", "threads"), [(PARTS, False, 2), (PARTS[:1], True, 1)])
def test_others_are_worked_on_where_they_are_asked_for(parts: list[slice], beside: bool, threads: int) -> None:
    found = parallel.run_parts(lambda part: (threading.get_ident(), torch.get_num_threads()), parts, CPU, beside=beside)
    assert found == [(threading.get_ident(), threads)] * len(parts)


def test_an_error_is_told_and_what_was_not_begun_is_left() -> None:
    begun: list[int] = []

    def fail(part: slice) -> None:
        begun.append(part.start)
        if part.start == 2:
            raise ValueError("as expected")
        threading.Event().wait(0.1)

    with pytest.raises(ValueError, match="as expected"):
        parallel.run_parts(fail, split_frames(200, 5, CPU, 2), CPU)
    assert len(begun) < 50


def test_parts_are_alike_whatever_the_threads() -> None:
    for threads in (1, 2):
        with use_threads(threads):
            assert split_frames(5000, 137, CPU) == [slice(0, 2048), slice(2048, 4096), slice(4096, 5000)]
    assert split_frames(5000, 137, CPU, 4000) == [slice(0, 4000), slice(4000, 5000)]
    # of wide frames fewer: larger blocks of memory are cleared anew for every operation
    assert [split_frames(10**6, n, CPU)[0].stop for n in (2048, 2049, 2**22, 2**23)] == [2048, 2047, 1, 1]


def test_a_gpu_takes_more_of_small_frames_and_fewer_of_large_ones() -> None:
    sizes = [split_frames(10**6, n, torch.device("cuda"))[0].stop for n in (3, 137, 64 * 64, 10**9)]
    assert sizes == [2**16, 2**16, 4096, 1]


def test_latents_are_the_same_to_the_bit_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "FRAMES_AT_ONCE", 150)
    monkeypatch.setattr(codec, "PATHS_AT_ONCE", 3)
    recording = simulate_reach(n_trials=10).recording
    fit = DCF(dim=3, steps=20, early_stopping=False, device="cpu").fit(recording)
    found: dict[int, list[np.ndarray]] = {}
    for threads in (1, 2):
        with use_threads(threads):
            latents = fit.transform(recording)
            parts = [
                latents,
                fit.flow(recording),
                fit.velocity(recording),
                fit.simulate(recording, n_frames=5, n_paths=4),
            ]
            found[threads] = [*(part["data"].values for part in parts), fit.reconstruct(latents["data"].values)]
    for one, other in zip(*found.values(), strict=True):
        np.testing.assert_array_equal(one, other)
