"""What may be given to the estimator, and how an answer goes back in the kind that came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from .errors import DataError
from .recording import CHANNEL_DIMS, channel_dim, make_recording, segment_slices, validate_recording

Input = xr.Dataset | xr.DataArray | np.ndarray | Sequence[Any]
Kind = Literal["recording", "dataarray", "array", "list"]


@dataclass(frozen=True)
class Given:
    """An input as a recording, with what is needed to answer in its kind."""

    recording: xr.Dataset
    kind: Kind
    original: Any

    def answer(self, values: np.ndarray, dim: str, ids: np.ndarray, units: str) -> Any:
        """Return `values`, shape (frame, number), in the kind that came in.

        A recording gives a recording whose channel dim is `dim`, a DataArray a DataArray (time, `dim`),
        an array an array, a list a list of whatever its items were.
        """
        if self.kind == "array":
            return values
        if self.kind == "list":
            parts = [values[frames] for frames in segment_slices(self.recording)]
            return [
                _as_dataarray(part, item, dim, ids, units) if isinstance(item, xr.DataArray) else part
                for part, item in zip(parts, self.original, strict=True)
            ]
        if self.kind == "dataarray":
            return _as_dataarray(values, self.original, dim, ids, units)
        old = self.recording
        answer = old.drop_vars(["data", *(n for n in old.coords if channel_dim(old) in old[n].dims)])
        answer = answer.assign_coords({dim: ids})
        return answer.assign(data=(("time", dim), values, {"units": units}))


def as_recording(x: Input) -> Given:
    """Read `x` as a recording.

    Parameters
    ----------
    x : recording, DataArray (time, channel), array (time, channel), or list of arrays or DataArrays
        Bare arrays get the time 0, 1, 2, ... of step 1; each item of a list is a segment. Integers are
        counts.

    Raises
    ------
    DataError
        If `x` is none of these, is empty, or holds values that are not finite.
    """
    if isinstance(x, xr.Dataset):
        return Given(validate_recording(x), "recording", x)
    if isinstance(x, xr.DataArray):
        return Given(_recording_of([x]), "dataarray", x)
    if isinstance(x, np.ndarray) and x.dtype != object:
        return Given(_recording_of([x]), "array", x)
    if isinstance(x, Sequence) and not isinstance(x, (str, bytes)) and len(x):
        items = [item if isinstance(item, xr.DataArray) else np.asarray(item) for item in x]
        if all(item.ndim == 2 for item in items):
            return Given(_recording_of(items), "list", items)
    raise DataError(
        f"cannot fit an object of type {type(x).__name__}",
        fix="give a recording, a DataArray or array (time, channel), or a list of those",
    )


def _recording_of(items: Sequence[np.ndarray | xr.DataArray]) -> xr.Dataset:
    widths = {item.shape[-1] for item in items if item.ndim == 2}
    if len(widths) != 1 or any(item.ndim != 2 for item in items):
        raise DataError(
            f"shapes are {', '.join(str(item.shape) for item in items[:5])}",
            fix="give arrays (time, channel) of the same channels",
        )
    arrays = [np.asarray(item) for item in items]
    times, start = [], 0.0
    for item, array in zip(items, arrays, strict=True):
        own = _read_time(item) if isinstance(item, xr.DataArray) else None
        times.append(start + np.arange(len(array), dtype=np.float64) if own is None else own)
        start += len(array) if own is None else 0
    first = items[0]
    name, ids = "channel", None
    if isinstance(first, xr.DataArray):
        last = str(first.dims[1])
        name = last if last in CHANNEL_DIMS else "channel"
        ids = first.coords[last].values if last in first.coords else None
        others = [item for item in items if isinstance(item, xr.DataArray) and str(item.dims[1]) in item.coords]
        if ids is not None and any(not np.array_equal(item.coords[item.dims[1]], ids) for item in others):
            raise DataError(f"the DataArrays differ in their {last}s", fix="give the same ones, in the same order")
    data = np.concatenate(arrays)
    units = first.attrs.get("units", "") if isinstance(first, xr.DataArray) else ""
    counts = np.issubdtype(data.dtype, np.integer)
    return make_recording(
        data,
        np.concatenate(times),
        channel_dim=name,
        channel=ids,
        segment_index=np.repeat(np.arange(len(arrays)), [len(a) for a in arrays]),
        units="count" if counts else units or "a.u.",
    )


def _read_time(item: xr.DataArray) -> np.ndarray | None:
    """Seconds of the frames, None where they have no clock."""
    if "time" in item.dims[1:]:
        raise DataError(f"the DataArray has dims {item.dims}", fix="put time first: x.transpose('time', ...)")
    if "time" not in item.coords or item.coords["time"].dims != item.dims[:1]:
        return None
    time = item.coords["time"]
    if not (np.issubdtype(time.dtype, np.floating) or np.issubdtype(time.dtype, np.integer)):
        raise DataError(f"time is of type {time.dtype}", fix="give seconds as numbers")
    return np.asarray(time, np.float64)


def _as_dataarray(values: np.ndarray, like: xr.DataArray, dim: str, ids: np.ndarray, units: str) -> xr.DataArray:
    time = like.dims[0]
    coords = {n: c for n, c in like.coords.items() if c.dims in ((), (time,))}
    return xr.DataArray(values, dims=(time, dim), coords={**coords, dim: ids}, attrs={"units": units})
