"""Hashes by which one tells whether a source has changed since it was fitted: of arrays, and of video files.

Arrays may be anything with a dtype and a shape that can be sliced: NumPy's, HDF5's, Zarr's. The same values give the
same hash in each of them, whatever their chunks and the order of their bytes.
"""

from __future__ import annotations

import hashlib
import math
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Shaped

LONGEST_ROW = 2**31  # bytes: a file may claim any, and nothing is fitted of which one row is so large
PIECE = 64 * 2**20  # bytes read at once
WHOLE = 2**30  # bytes of an array that are all hashed; of a larger one blocks that lie evenly over it
WHOLE_FILE = 64 * 2**20  # the same of a video file, of which the time of its last change counts then, too
N_BLOCKS, BLOCK = 64, 2**20


def hash_units(columns: Iterable[Any]) -> str:
    """Hash the columns of a Units table that a fit reads, each index before its target."""
    digest = hashlib.sha256()
    for column in columns:
        _add_array(digest, column)
    return digest.hexdigest()


def hash_arrays(arrays: Iterable[tuple[str, Any]]) -> str:
    """Hash arrays with their names, in their order."""
    digest = hashlib.sha256()
    for name, array in arrays:
        digest.update(f"{name} ".encode())
        _add_array(digest, array)
    return digest.hexdigest()


def hash_series(
    data: Any, *, timestamps: Any = None, rate: float | None = None, starting_time: float | None = None
) -> str:
    """Hash the data and the clock of a TimeSeries."""
    digest = hashlib.sha256()
    _add_array(digest, data)
    _add_clock(digest, timestamps, rate, starting_time)
    return digest.hexdigest()


def hash_video(
    files: Sequence[str | Path],
    *,
    timestamps: Any = None,
    rate: float | None = None,
    starting_time: float | None = None,
) -> str:
    """Hash video files and their clock without reading long ones whole.

    A file up to 64 MiB is hashed whole. Of a longer one count its size, the time of its last change in seconds, and 64
    blocks of 1 MiB that lie evenly over it: a copy that did not keep the time counts as changed.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    digest = hashlib.sha256()
    for name in files:
        path = Path(name)
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without end
            raise OSError(f"{path} is no file")
        digest.update(f"file {status.st_size} ".encode())
        with path.open("rb") as file:
            if status.st_size <= WHOLE_FILE:
                digest.update(file.read())
                continue
            digest.update(f"{int(status.st_mtime)} ".encode())
            for start in np.linspace(0, status.st_size - BLOCK, N_BLOCKS).astype(np.int64):
                file.seek(int(start))
                digest.update(file.read(BLOCK))
    _add_clock(digest, timestamps, rate, starting_time)
    return digest.hexdigest()


def _add_clock(digest: Any, timestamps: Any, rate: float | None, starting_time: float | None) -> None:
    if timestamps is not None:
        _add_array(digest, timestamps)
    elif rate is not None:
        digest.update(f"rate {float(rate)!r} starting_time {float(starting_time or 0.0)!r}".encode())


def _add_array(digest: Any, data: Any) -> None:
    """Feed dtype, shape and values, a bounded number of rows at a time."""
    array: Any = data if hasattr(data, "dtype") and hasattr(data, "shape") else np.asarray(data)
    dtype = np.dtype(array.dtype).newbyteorder("<")
    digest.update(f"{dtype.str} {tuple(array.shape)} ".encode())
    if not array.shape:
        digest.update(repr(array[()]).encode())
        return
    row_bytes = max(1, array.dtype.itemsize * math.prod(array.shape[1:]))
    if row_bytes > LONGEST_ROW:
        raise ValueError(f"a row of {array.shape} takes {row_bytes / 1e9:.1f} GB")
    n_rows = len(array)
    if n_rows * row_bytes <= WHOLE:
        rows = max(1, PIECE // row_bytes)
        starts = np.arange(0, n_rows, rows)
    else:
        rows = max(1, BLOCK // row_bytes)
        starts = np.linspace(0, n_rows - rows, N_BLOCKS).astype(np.int64)
    for start in starts:
        digest.update(_to_bytes(np.asarray(array[int(start) : int(start) + rows], dtype=dtype)))


def _to_bytes(values: Shaped[np.ndarray, "*_"]) -> bytes | memoryview:
    if values.dtype.kind in "biuf":
        return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    if values.dtype.kind != "O":
        return np.ascontiguousarray(values).tobytes()
    return "\0".join(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.flat).encode()
