"""What may be given to the estimator, and how an answer goes back in the kind that came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from ..errors import DOUBT, DataError
from .chunks import map_lazily
from .recording import (
    CHANNEL_DIMS,
    CHANNEL_SOURCE,
    IMAGE_DIMS,
    frame_dims,
    is_count,
    make_recording,
    validate_recording,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped

Input = xr.Dataset | xr.DataArray | ArrayLike | Sequence[Any]
Kind = Literal["recording", "dataarray", "array", "list"]


@dataclass(frozen=True)
class InputAdapter:
    """An input as a recording, with what is needed to answer in its kind.

    Attributes
    ----------
    recording : xarray.Dataset
    kind : str
    original : object
        What came in; for a list, an InputAdapter for each item.
    """

    recording: xr.Dataset
    kind: Kind
    original: Any

    def answer(
        self, values: Shaped[np.ndarray, "time number"], dim: str, ids: Shaped[np.ndarray, " number"], units: str
    ) -> Any:
        """Return `values`, shape (time, number), in the kind that came in.

        A recording gives a recording whose channel dim is `dim`, a DataArray a DataArray (time, `dim`),
        an array an array, a list a list of whatever its items were.
        """
        return self.answer_frames(values, {dim: ids}, units)

    def answer_frames(
        self, values: Shaped[np.ndarray, " time *frame"], ids: Mapping[str, ArrayLike], units: str
    ) -> Any:
        """As `answer`, for frames of any dims: `ids` holds those of each, as ``{"y": ..., "x": ...}``."""
        if self.kind == "array":
            return values
        if self.kind == "list":
            # the answer is of all items at once: cut where each of them ends
            ends = np.cumsum([item.recording.sizes["time"] for item in self.original])
            parts = np.split(values, ends[:-1])
            return [item.answer_frames(part, ids, units) for item, part in zip(self.original, parts, strict=True)]
        if self.kind == "dataarray":
            return _as_dataarray(values, self.original, ids, units)
        old = self.recording
        # coordinates of the channels go, since the answer has other columns
        gone = set(frame_dims(old))
        answer = old.drop_vars(["data", *(n for n in old.coords if gone.intersection(old[n].dims))])
        return answer.assign_coords(dict(ids)).assign(data=(("time", *ids), values, {"units": units}))


def as_recording(x: Input, *, images: bool = False) -> InputAdapter:
    """Read `x` as a recording.

    Parameters
    ----------
    x : recording, DataArray or array (time, channel), images (time, y, x), or list of those
        Bare arrays get the time 0, 1, 2, ... of step 1; each item of a list adds its segments. A DataFrame whose index
        is seconds, as floats or spans of time, and a TsdFrame of pynapple keep their times. Another DataFrame, a list
        of rows of numbers, and what else NumPy can make an array of is read as that array. Integers are
        counts, but for images, whose integers are grey values. A DataArray of a dask array, and where dask is
        installed a memory map, are read in blocks (`nwb_dcf.data.chunks`).
    images : bool
        Whether a bare array of three dims is images. Nothing in it tells them from (trial, time, unit), the usual
        shape of trials of one length, so that it is refused otherwise. A DataArray names its dims.

    Returns
    -------
    InputAdapter
        Whose recording has a note that doubts its axes where frames are fewer than channels and dims have no names.

    Raises
    ------
    DataError
        If `x` is none of these, is empty, or holds values that are not finite, or items differ in their channels.
    """
    given = _read_input(x, images)
    doubt = _warn_of_shape(given)
    if doubt:
        given.recording.attrs["notes"].append(doubt)
    return given


def _warn_of_shape(given: InputAdapter) -> str | None:
    """Doubt (channel, time): fewer frames than channels, where nothing in the input names its dims."""
    items = given.original if given.kind == "list" else [given]
    nameless = all(
        item.kind == "array" or (item.kind == "dataarray" and item.original.dims[0] == "dim_0") for item in items
    )
    shape = given.recording["data"].shape
    if not nameless or len(shape) != 2 or shape[0] >= shape[1]:
        return None
    return (
        f"{DOUBT}the data are {shape[0]} frames of {shape[1]} channels; likely (channel, time): give (time, channel), "
        "as x.T, or a DataArray whose first dim is 'time' if they are so"
    )


def _read_input(x: Input, images: bool) -> InputAdapter:
    if isinstance(x, xr.Dataset):
        return InputAdapter(validate_recording(x), "recording", x)
    if isinstance(x, xr.DataArray):
        return InputAdapter(_read_dataarray(x), "dataarray", x)
    # before ndarray, which a masked array is too: NumPy would hand out what lies under the mask
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise DataError("the array has masked values", fix="leave those frames or channels out, or fill them first")
    if isinstance(x, np.ndarray):
        return InputAdapter(_read_array(_as_numbers(x), images), "array", x)
    if isinstance(x, list | tuple) and x and all(_is_row(item) for item in x):
        # NumPy would make an array of objects, or raise an error that names neither row
        if len({len(row) for row in x}) > 1:
            raise DataError("the rows of numbers differ in their length", fix="give rows of one number per channel")
        return InputAdapter(_read_array(np.asarray(x), images), "array", x)
    timed = _take_clock(x)
    if timed is not None:
        if isinstance(x, pd.DataFrame):  # to scikit-learn a table is an array, and answered by one
            return InputAdapter(_read_dataarray(timed.drop_vars("channel", errors="ignore")), "array", x)
        return InputAdapter(_read_dataarray(timed), "dataarray", timed)
    # DataFrames, tensors on the CPU, and what else calls itself an array
    if hasattr(x, "__array__"):
        return InputAdapter(_read_array(_as_numbers(_to_array(x)), images), "array", x)
    if isinstance(x, Sequence) and not isinstance(x, (str, bytes)) and len(x):
        known = (xr.Dataset, xr.DataArray, np.ndarray)
        clocks = [item if isinstance(item, known) else _take_clock(item) for item in x]
        items = [
            _read_input(_to_array(item) if clock is None else clock, images)
            for item, clock in zip(x, clocks, strict=True)
        ]
        return InputAdapter(_join(items), "list", items)
    if hasattr(x, "toarray"):
        raise DataError(f"{type(x).__name__} is sparse", fix="give it as an array, x.toarray()")
    raise DataError(
        f"cannot fit an object of type {type(x).__name__}",
        fix="give a recording, a DataArray or array (time, channel) or (time, y, x), or a list of those",
    )


def _to_array(x: Any) -> Shaped[np.ndarray, " *any"]:
    try:
        return np.asarray(x)
    except (RuntimeError, TypeError) as error:  # tensors with a gradient, or on a GPU
        raise DataError(
            f"{type(x).__name__} gives no array: {error}", fix="give one, of a torch tensor x.detach().cpu().numpy()"
        ) from error


def _take_clock(x: Any) -> xr.DataArray | None:
    """Read a table whose rows have times as a DataArray: frames of pynapple, and DataFrames by index.

    An index of whole numbers is a row's label, as scikit-learn takes it, and no clock.

    Raises
    ------
    DataError
        If the rows are dated: a recording has seconds.
    """
    if hasattr(x, "time_support") and hasattr(x, "d") and hasattr(x, "t"):
        time, values, names = np.asarray(x.t), np.asarray(x.d), np.asarray(getattr(x, "columns", ()))
        starts = np.asarray(x.time_support.start)
        segment = np.searchsorted(starts, time, side="right") - 1
    elif isinstance(x, pd.DataFrame) and x.index.dtype.kind in "fmM":
        if x.index.dtype.kind == "M":
            raise DataError("the index of the DataFrame has dates", fix="give seconds from the start of the session")
        seconds = x.index.total_seconds() if isinstance(x.index, pd.TimedeltaIndex) else x.index
        time = seconds.to_numpy(np.float64)
        values, names, segment = _as_numbers(x.to_numpy()), x.columns.to_numpy(), None
    else:
        return None
    if values.ndim != 2:
        return None
    coords: dict[str, Any] = {"time": ("time", time, {"units": "s"})}
    if segment is not None:
        coords["segment_index"] = ("time", segment)
    if len(names) == values.shape[1] and all(isinstance(name, str) for name in names):
        coords["channel"] = names.astype(str)
    return xr.DataArray(values, dims=("time", "channel"), coords=coords)


def _is_row(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) > 0 and all(isinstance(value, Number) for value in item)


def _as_numbers(x: Shaped[np.ndarray, " *any"]) -> Shaped[np.ndarray, " *any"]:
    """Turn an array of objects that are numbers, as a DataFrame of several types gives it, into one of floats."""
    if x.dtype != object:
        return x
    try:
        return x.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"not all values are numbers: {error}", fix="give numbers alone") from error


def _read_array(x: Shaped[np.ndarray, " *any"], images: bool) -> xr.Dataset:
    if x.ndim == 3 and not images:
        raise DataError(
            f"an array of shape {x.shape} may be trials (trial, time, unit) or images (time, y, x)",
            fix="give trials as list(x), and images as xarray.DataArray(x, dims=('time', 'y', 'x'))",
        )
    if x.ndim not in (2, 3):
        raise DataError(f"the array has shape {x.shape}", fix="give an array (time, channel)")
    return make_recording(map_lazily(x), np.arange(len(x), dtype=np.float64), units=_name_units(x, "a.u."))


def _name_units(x: Shaped[np.ndarray, " *any"] | xr.DataArray, otherwise: str) -> str:
    """Integers are counts, but grey values in images."""
    return "count" if x.ndim == 2 and np.issubdtype(x.dtype, np.integer) else otherwise


def _read_dataarray(x: xr.DataArray) -> xr.Dataset:
    if x.ndim != 2 and x.dims[1:] != IMAGE_DIMS:
        raise DataError(f"the DataArray has dims {x.dims}", fix="give a DataArray (time, channel) or (time, y, x)")
    # without a clock frames count 0, 1, 2, ..., as those of bare arrays
    time, last = _read_time(x), str(x.dims[1])
    segment = x.coords.get("segment_index")  # the data of a recording keep their segments
    recording = make_recording(
        x.data,
        np.arange(len(x), dtype=np.float64) if time is None else time,
        channel_dim=last if last in CHANNEL_DIMS else "channel",
        channel=x.coords[last].values if last in x.coords and x.ndim == 2 else None,
        segment_index=_number_segments(segment.values) if segment is not None and segment.dims == x.dims[:1] else None,
        units=_name_units(x, x.attrs.get("units", "a.u.")),
    )
    return recording.assign_coords({dim: x.coords[dim].values for dim in IMAGE_DIMS if x.ndim == 3 and dim in x.coords})


def _number_segments(labels: Shaped[np.ndarray, " time"]) -> Int[np.ndarray, " time"]:
    """Number segments 0, 1, 2, ... in their order: some may have been left out, as a cross-validation does."""
    return np.cumsum(np.diff(labels, prepend=labels[:1]) != 0)


def _join(items: Sequence[InputAdapter]) -> xr.Dataset:
    """One recording of the segments of all items; bare arrays follow each other in time."""
    recordings = [item.recording for item in items]
    first = next((item.recording for item in items if item.kind != "array"), recordings[0])
    dims = frame_dims(first)
    name = f"{dims[0]}s" if len(dims) == 1 else "size or pixels"
    for item in items:
        other, sizes = item.recording, item.recording["data"].shape[1:]
        same = sizes == first["data"].shape[1:] and (
            item.kind == "array"
            or all(np.array_equal(other[a], first[b]) for a, b in zip(frame_dims(other), dims, strict=True))
        )
        if not same:
            counts = [" x ".join(map(str, shape)) for shape in (first["data"].shape[1:], sizes)]
            raise DataError(
                f"the items of the list differ in their {name}: {counts[0]} and {counts[1]}",
                fix="give items of the same channels, in the same order",
            )
        if is_count(other) != is_count(first):
            raise DataError("the items of the list are counts and other values", fix="give one or the other")
    lengths = [recording.sizes["time"] for recording in recordings]
    # bare arrays all begin at 0, and time has to increase; items with a clock keep theirs
    shift = np.cumsum([0, *lengths[:-1]]) * np.array([item.kind == "array" for item in items])
    segments = np.cumsum([0, *(recording.sizes["segment"] for recording in recordings)])
    by_segment = np.repeat(shift, np.diff(segments))
    # a column that some items lack has no value for their segments
    common = set.intersection(*({str(v) for v in r if str(v).startswith("trial_")} for r in recordings))

    def gather(name: str) -> Shaped[np.ndarray, " *any"]:
        return np.concatenate([recording[name].values for recording in recordings])

    index = [recording["segment_index"].values + k for recording, k in zip(recordings, segments[:-1], strict=True)]
    joined = make_recording(
        gather("data"),
        np.concatenate([r["time"].values + t for r, t in zip(recordings, shift, strict=True)]),
        channel_dim=dims[0],
        channel=first[dims[0]].values if len(dims) == 1 else None,
        channel_source=first[CHANNEL_SOURCE].values if CHANNEL_SOURCE in first.coords else None,
        segment_index=np.concatenate(index),
        segment_start=gather("segment_start") + by_segment,
        segment_stop=gather("segment_stop") + by_segment,
        segment_row=gather("segment_row") if all("segment_row" in r for r in recordings) else None,
        trial_columns={name.removeprefix("trial_"): gather(name) for name in sorted(common)},
        units=str(first["data"].attrs.get("units", "a.u.")),
        kind=str(first.attrs["kind"]),
        source=first.attrs.get("source"),
        bin_width_s=first.attrs.get("bin_width_s"),
        left_out=[one for r in recordings for one in r.attrs.get("left_out", ())],
        notes=list(dict.fromkeys(note for r in recordings for note in r.attrs.get("notes", ()))),
    )
    return joined.assign_coords({dim: first[dim].values for dim in dims})


def _read_time(item: xr.DataArray) -> Float[np.ndarray, " time"] | None:
    """Return the seconds of the frames, None where they have no clock."""
    if "time" in item.dims[1:]:
        raise DataError(f"the DataArray has dims {item.dims}", fix="put time first: x.transpose('time', ...)")
    if "time" not in item.coords or item.coords["time"].dims != item.dims[:1]:
        return None
    time = item.coords["time"]
    if time.dtype.kind not in "iuf":  # NumPy counts durations among the integers
        raise DataError(f"time is of type {time.dtype}", fix="give seconds as numbers")
    return np.asarray(time, np.float64)


def _as_dataarray(
    values: Shaped[np.ndarray, " time *frame"], like: xr.DataArray, ids: Mapping[str, ArrayLike], units: str
) -> xr.DataArray:
    time = like.dims[0]
    # coordinates of the channels are those of the input, and the answer has others
    coords = {n: c for n, c in like.coords.items() if c.dims in ((), (time,))}
    return xr.DataArray(values, dims=(time, *ids), coords={**coords, **ids}, attrs={"units": units})
