"""Values in blocks of frames: memory does not grow with the length of a recording.

A recording's ``data`` may be a dask array, which is read block by block. What is computed from it and has to stay lies
in a scratch file that is mapped into memory, so that the operating system decides how much of it is kept in RAM.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num, Shaped

BLOCK_NUMBERS = 2**22  # 32 MB of float64
SCATTERED_ROWS = 64  # 128 MB, since 2 MB are mapped around each
MOST_IN_MEMORY = 2**28  # bytes of frames as float32; larger recordings are counted, prepared and scored block by block


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation (`sd`) over frames, each of the shape of a frame."""

    mean: Float[np.ndarray, " *frame"]
    sd: Float[np.ndarray, " *frame"]


def is_lazy(data: xr.DataArray) -> bool:
    """Whether the values are a dask array, which is read on demand."""
    return data.chunks is not None


def map_lazily(values: Shaped[np.ndarray, " ..."]) -> Any:
    """Return a memory map as a dask array of blocks; other arrays, and all where dask is missing, as they are."""
    if not isinstance(values, np.memmap):
        return values
    try:
        import dask.array
    except ImportError:
        return values
    # dask would hash the whole map for a name: name=False draws one
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


def frame_blocks(data: xr.DataArray, fraction: float = 1.0) -> Iterator[slice]:
    """Yield slices of the ``time`` dim that cover all frames in order, a `fraction` of a block long."""
    n = max(1, int(fraction * count_block_frames(data.shape)))
    for start in range(0, len(data), n):
        yield slice(start, min(start + n, len(data)))


def read_frames(data: xr.DataArray, frames: slice) -> Num[np.ndarray, " time *frame"]:
    """Return the values of some frames, shape (time, ...)."""
    return np.asarray(data[frames].values)


def count_varying(data: xr.DataArray, enough: int) -> int:
    """Count the channels in which two frames differ; once there are `enough`, no further frames are read."""
    # against the first frame alone: if all equal it, all are alike
    first = read_frames(data, slice(0, 1))
    varies = np.zeros(first.shape[1:], bool)
    for frames in frame_blocks(data):
        varies |= (read_frames(data, frames) != first).any(axis=0)
        if varies.sum() >= enough:
            break
    return int(varies.sum())


def compute_moments(blocks: Iterable[Num[np.ndarray, " _ *frame"]]) -> Moments:
    """Compute mean and standard deviation of all frames of some blocks, in float64.

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
            away, fraction = here - mean, len(values) / (n + len(values))
            mean, squares = mean + away * fraction, squares + around + np.square(away) * n * fraction
        n += len(values)
    return Moments(mean, np.sqrt(squares / n))


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether float32 values of this shape are too many to be held in memory, let alone twice."""
    return int(np.prod(shape)) * np.dtype(np.float32).itemsize > MOST_IN_MEMORY


def needs_scratch(data: xr.DataArray) -> bool:
    """Whether what is computed from all values goes to a scratch file: lazy ones, and those of large recordings."""
    return is_lazy(data) or is_large(data.shape)


_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()  # of the scratch arrays that are alive
_listing = threading.Lock()  # a fit and what is measured beside it make and release them in two threads


def make_scratch(shape: tuple[int, ...]) -> Float[np.ndarray, " ..."]:
    """Make a float32 array in a temporary file without a name; the file is deleted with the array.

    Raises
    ------
    DataError
        If the disk cannot hold it.
    """
    # a map keeps its own handle of the file, which outlives this one; without a name nothing is left behind by a kill
    with tempfile.TemporaryFile(prefix="nwb-dcf-") as file:
        n_bytes = int(np.prod(shape)) * np.dtype(np.float32).itemsize
        try:
            # a map of a file with holes would end the process by a signal once the disk is full
            if hasattr(os, "posix_fallocate") and n_bytes:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            raise DataError(
                f"prepared frames take {n_bytes / 2**30:.1f} GiB in a scratch file, and {tempfile.gettempdir()} does "
                f"not hold them ({error.strerror})",
                fix="name another folder in the variable TMPDIR, or use wider bins or fewer channels",
            ) from None
        values = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
    if isinstance(values._mmap, mmap.mmap):  # type: ignore[attr-defined]
        with _listing:
            _maps.add(values._mmap)  # type: ignore[attr-defined]
    return values


def is_scratch(values: Shaped[np.ndarray, " ..."]) -> bool:
    """Whether values, or those that they are a view of, lie in a file that is mapped into memory."""
    base: object = values
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


def take_scattered(
    values: Shaped[np.ndarray, " time *frame"], rows: Int[np.ndarray, " row"]
) -> Shaped[np.ndarray, " row *frame"]:
    """Copy rows that lie far apart, some at a time where they lie in a scratch file.

    Around each row that is read the system maps up to 2 MB of the file: a few thousand rows are all of it.
    """
    if not is_scratch(values):
        return np.asarray(values[rows])
    found = np.empty((len(rows), *values.shape[1:]), values.dtype)
    for start in range(0, len(rows), SCATTERED_ROWS):
        some = slice(start, start + SCATTERED_ROWS)
        found[some] = values[rows[some]]
        release_scratch()
    return found


def release_scratch() -> None:
    """Take what was read or written of scratch arrays out of this process's memory; their files keep it.

    The system would do so when memory is short. Called block by block, so that a process does not hold all frames.
    """
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    with _listing:
        alive = tuple(_maps)
    for one in alive:
        if not one.closed:
            one.madvise(mmap.MADV_DONTNEED)
