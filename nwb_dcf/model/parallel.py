"""Frames in parts, in parallel threads on a CPU.

torch's own threads meet after every operation and spin while they wait: with another job on the machine, a small
network took six to twenty times as long for many frames with two of them as with one (RESULTS.md). Parts need not
wait for one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

FRAMES_AT_ONCE = 2048  # on a processor, in whose cache their layers stay
NUMBERS_AT_ONCE = 2**22  # at most: the system clears larger blocks of memory anew whenever they are asked for
FRAMES_ON_GPU = 2**16  # at most, which takes as long over a few
NUMBERS_ON_GPU = 2**24  # at most, as 4,096 images of 64 x 64

R = TypeVar("R")


@contextmanager
def use_threads(n: int) -> Iterator[None]:
    """Let torch use `n` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def split_frames(n: int, n_channels: int, device: torch.device, most: int = 0) -> list[slice]:
    """Cut `n` frames of `n_channels` numbers into parts to work on at a time.

    `most` of them on a CPU, by default `FRAMES_AT_ONCE` or as many as have `NUMBERS_AT_ONCE`, whatever its number of
    threads: sums of other parts would differ in their last bits.
    """
    size = most or max(1, min(FRAMES_AT_ONCE, NUMBERS_AT_ONCE // n_channels))
    if device.type == "cuda":
        size = max(1, min(FRAMES_ON_GPU, NUMBERS_ON_GPU // n_channels))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def run_parts(
    function: Callable[[slice], R], parts: Sequence[slice], device: torch.device, *, beside: bool = True
) -> list[R]:
    """Call `function` on each of the `parts`, without gradients.

    Parameters
    ----------
    function : callable
        Of a part; its operations are torch's, which release Python's lock.
    parts : sequence of slice
    device : torch.device
        On a CPU as many parts are worked on at a time as torch has threads, with one thread each.
    beside : bool
        False takes one after the other, with all of torch's threads: for networks whose every operation is large.

    Returns
    -------
    list
        In the order of the parts, whichever was done first.
    """

    @torch.no_grad()
    def run(part: slice) -> R:
        return function(part)

    if not beside or device.type != "cpu":
        return [run(part) for part in parts]
    n_threads = min(torch.get_num_threads(), len(parts))
    with use_threads(1):
        if n_threads < 2:
            return [run(part) for part in parts]
        with ThreadPoolExecutor(n_threads, "frames") as pool:  # new threads take torch's number, which is 1 now
            return list(pool.map(run, parts))
