"""Values in blocks of frames, so that what is held of a long recording at a time does not grow with it.

A recording's ``data`` may be a dask array: it is then read block by block, and what is made of it and has to stay lies
in a scratch file that is mapped into memory, from which the system keeps as much at hand as there is room for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

BLOCK_NUMBERS = 2**22  # 32 MB of float64


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation over frames, arrays of the shape of a frame."""

    mean: np.ndarray
    spread: np.ndarray


def is_lazy(data: xr.DataArray) -> bool:
    """Whether the values are a dask array, read when they are asked for."""
    return data.chunks is not None


def map_lazily(values: np.ndarray) -> Any:
    """Turn a memory map into a dask array of blocks; anything else, or where dask is not installed, stays as it is."""
    if not isinstance(values, np.memmap):
        return values
    try:
        import dask.array
    except ImportError:
        return values
    chunks = (count_block_frames(values.shape), *values.shape[1:])
    return dask.array.from_array(values, chunks=chunks, name=False)  # type: ignore[no-untyped-call]


def count_block_frames(shape: tuple[int, ...]) -> int:
    """Frames of a block of data of this shape (time, ...), at least one.

    Examples
    --------
    >>> count_block_frames((10**6, 64, 64))
    1024
    """
    return max(1, BLOCK_NUMBERS // max(1, int(np.prod(shape[1:]))))


def frame_blocks(data: xr.DataArray) -> Iterator[slice]:
    """Yield slices of the ``time`` dim that cover all frames in order."""
    n = count_block_frames(data.shape)
    for start in range(0, len(data), n):
        yield slice(start, min(start + n, len(data)))


def read_frames(data: xr.DataArray, frames: slice) -> np.ndarray:
    """Values of some frames, shape (frame, ...)."""
    return np.asarray(data[frames].values)


def find_moments(blocks: Iterable[np.ndarray]) -> Moments:
    """Mean and standard deviation of all frames of some blocks, in float64.

    Each block is centred at its own mean before squares are summed (Chan et al. 1983), so that a large mean costs no
    digits.
    """
    n, mean, squares = 0, np.zeros(()), np.zeros(())
    for block in blocks:
        values = block.astype(np.float64, copy=False)
        here = values.mean(axis=0)
        around = np.square(values - here).sum(axis=0)
        if n == 0:
            mean, squares = here, around
        else:
            away, share = here - mean, len(values) / (n + len(values))
            mean, squares = mean + away * share, squares + around + np.square(away) * n * share
        n += len(values)
    return Moments(mean, np.sqrt(squares / n))


def make_scratch(shape: tuple[int, ...]) -> np.ndarray:
    """Make a float32 array in a nameless temporary file; the file goes when the array does."""
    with tempfile.TemporaryFile(prefix="nwb-dcf-") as file:
        return np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
