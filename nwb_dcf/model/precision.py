"""Precision of the matrix products of networks in training.

A CPU with matrix tiles (AMX), like a GPU, multiplies factors of 8 bits' mantissa several times as fast as those of 24,
and adds up in float32 either way. The gradients of a batch are far noisier than that. Products that must be exact, as
coordinates on the axes, stay so (`in_full`), and only training is ever reduced.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch

FULL = "highest"

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def multiply_in(products: str) -> Iterator[None]:
    """Set the precision of float32 matrix products, see `choose_products`, and on a GPU of convolutions, for a while.

    Convolutions reduce by default there, and choose the order of a sum by what is fastest; one seed must give one
    result.
    """
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.deterministic
    torch.set_float32_matmul_precision({"bfloat16": "medium", "tf32": "high"}.get(products, FULL))
    # convolutions have switches of their own, which set_float32_matmul_precision does not touch
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
