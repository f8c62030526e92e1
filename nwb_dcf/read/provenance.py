"""Where values came from: enough to find the object again and to see whether it has changed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from pynwb.misc import Units

from .session import Session

CHUNK_BYTES = 64 * 2**20


def describe_source(session: Session, path: str, obj: Any, channel_rows: np.ndarray) -> dict[str, Any]:
    """Describe the object at `path` for ``recording.attrs["source"]``; JSON-able.

    Parameters
    ----------
    session : Session
        The open file. Only its base name is kept, since archives publish what is written.
    path : str
        Path of the object in the file.
    obj : pynwb object
        Units or TimeSeries.
    channel_rows : array of int, shape (channel,)
        Rows of the units table, or columns of the series, that the recording holds.
    """
    return {
        "file": session.path.name,
        "identifier": str(session.nwbfile.identifier),
        "path": path,
        "type": obj.neurodata_type,
        "object_id": obj.object_id,
        "nwb_version": session.nwb_version,
        "sha256": hash_source(obj),
        "channel_rows": [int(row) for row in channel_rows],
    }


def hash_source(obj: Any) -> str:
    """SHA-256 of a source as stored, so that re-sorting or a repaired clock shows.

    For Units: spike times, their index and ``obs_intervals``. For a TimeSeries: data and its clock. The same values
    have the same hash in HDF5 and in Zarr, whatever their chunks and the order of their bytes.
    """
    digest = hashlib.sha256()
    if isinstance(obj, Units):
        for name in ("spike_times", "obs_intervals"):
            if name in obj.colnames:
                index = obj[name]
                for part in (index, index.target) if hasattr(index, "target") else (index,):
                    _add_array(digest, part.data)
        return digest.hexdigest()
    _add_array(digest, obj.data)
    if obj.timestamps is not None:
        _add_array(digest, obj.timestamps)
    else:
        # Formats differ in the type of a scalar, and its repr with it.
        rate, start = np.float64(obj.rate), np.float64(obj.starting_time or 0.0)
        digest.update(f"rate {rate!r} starting_time {start!r}".encode())
    return digest.hexdigest()


def _add_array(digest: Any, data: Any) -> None:
    """Feed dtype, shape and values, a bounded number of rows at a time."""
    array: Any = data if hasattr(data, "dtype") and hasattr(data, "shape") else np.asarray(data)
    dtype = np.dtype(array.dtype).newbyteorder("<")
    digest.update(f"{dtype.str} {tuple(array.shape)} ".encode())
    row_bytes = max(1, dtype.itemsize * int(np.prod(array.shape[1:])))
    rows = max(1, CHUNK_BYTES // row_bytes)
    for start in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[start : start + rows], dtype=dtype).tobytes())
