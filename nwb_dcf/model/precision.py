"""How exact the matrix products of networks are while they learn.

A processor with matrix tiles (AMX), like a GPU, multiplies factors of 8 bits' mantissa several times as fast as those
of 24, and adds up in float32 either way. The gradients of a batch are far noisier than that; what must be exact, as
coordinates on the axes, stays so (`in_full`), and nothing but training is ever reduced.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch

if TYPE_CHECKING:
    pass

FULL = "highest"

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def multiply_in(products: str) -> Iterator[None]:
    """Let float32 matrix products be made as `choose_products` says for a while, and on a GPU convolutions as well.

    These reduce by themselves there, and sum in whatever order was first; one seed is to give one result.
    """
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.deterministic
    torch.set_float32_matmul_precision({"bfloat16": "medium", "tf32": "high"}.get(products, FULL))
    cudnn.allow_tf32, cudnn.deterministic = products == "tf32", True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.deterministic = before[1:]


def in_full(function: Callable[P, R]) -> Callable[P, R]:
    """Make the products within `function` in float32, whatever holds around it."""

    @functools.wraps(function)
    def exact(*args: P.args, **kwargs: P.kwargs) -> R:
        before = torch.get_float32_matmul_precision()
        if before == FULL:
            return function(*args, **kwargs)
        torch.set_float32_matmul_precision(FULL)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_float32_matmul_precision(before)

    return exact
