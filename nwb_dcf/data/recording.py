"""The contract between packages: what a recording is, as an ``xarray.Dataset``.

A *recording* holds one source of one session, or several joined, on one clock:

======================= ============== ====================================================
variable                dims           meaning
======================= ============== ====================================================
``data``                (time, CH)     values; ``data.attrs["units"]`` names their unit
                        or             (``"count"`` for binned spikes). CH is one of
                        (time, y, x)   ``unit``, ``roi``, ``channel``, ``latent``; images have
                                       ``y`` and ``x``, and a number for each pixel
``time`` (coord)        (time,)        float64 seconds on the session clock; bin centres
                                       for spikes; increases within each segment
CH (coord)              (CH,)          ids of the channels as stored in the file; of images the
                                       rows ``y`` and columns ``x``
``segment_index``       (time,)        row of the segment table that the frame belongs to;
  (coord)                              0, 1, 2, ... in blocks: a segment's frames are
                                       contiguous, and no pair or smoother crosses them
``segment_start``,      (segment,)     float64 seconds: the interval that was asked for
``segment_stop``
``segment_row``         (segment,)     row id in the interval table, -1 where there is none
``trial_NAME``          (segment,)     column NAME of that table
``channel_source``      (CH,)          of joined sources alone: the label of the source that a
  (coord)                              channel is from; a source's channels are contiguous
``segment_origin``      (segment,)     of resampled recordings alone: the segment that was drawn
======================= ============== ====================================================

``attrs`` (all JSON-able): ``kind`` (``units``, ``series``, ``array``, ...), ``source`` (dict:
``file``, ``identifier``, ``path``, ``type``, ``object_id``, ``sha256``), ``bin_width_s`` (float or
None), ``left_out`` (list of dicts ``{"what", "id", "why"}``, of constant channels with their ``value``),
``notes`` (sentences on the choices that were made), ``steps`` (the steps of the preparation, in order).

A recording of several sources has ``kind`` ``"joined"``, the dim ``channel`` and ids such as ``"units/7"``, pixels
``"video/3,5"`` (y, x). Its ``source`` has ``members``: a dict for each, in the order of their channels, with ``label``,
``kind`` and ``units`` besides. `split_sources` takes it apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from xarray.core.indexing import LazilyIndexedArray

from ..errors import DataError
from .chunks import frame_blocks, read_frames
from .records import SourceRecord

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

CHANNEL_SOURCE = "channel_source"
CHANNEL_DIMS = ("unit", "roi", "channel", "latent")
IMAGE_DIMS = ("y", "x")
TOUCH_S = 1e-6
"""Segments that overlap by no more than this touch: times carry rounding errors."""


def make_recording(
    data: ArrayLike,
    time: ArrayLike,
    *,
    channel_dim: str = "channel",
    channel: ArrayLike | None = None,
    channel_source: ArrayLike | None = None,
    segment_index: ArrayLike | None = None,
    segment_start: ArrayLike | None = None,
    segment_stop: ArrayLike | None = None,
    segment_row: ArrayLike | None = None,
    trial_columns: Mapping[str, ArrayLike] | None = None,
    units: str = "a.u.",
    kind: str = "array",
    source: SourceRecord | Mapping[str, Any] | None = None,
    bin_width_s: float | None = None,
    left_out: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
) -> xr.Dataset:
    """Build a valid recording from its parts.

    Parameters
    ----------
    data : array, dask array or `nwb_dcf.data.lazy_counts.count_later`, shape (time, channel) or (time, y, x)
        Values, without NaN. Three dimensions are images.
    time : array of float64, shape (time,)
        Seconds on the session clock.
    channel_dim : str
        Name of the second dim, one of `CHANNEL_DIMS`; images have their own.
    channel : sequence, optional
        Ids of the channels; 0, 1, 2, ... by default.
    channel_source : sequence of str, optional
        Label of the source of each channel, where several were joined.
    segment_index : array of int, shape (time,), optional
        Segment of each frame; one segment by default.
    segment_start, segment_stop : array of float, shape (segment,), optional
        Interval of each segment in seconds; first and last frame by default.
    segment_row : array of int, shape (segment,), optional
        Row id of each segment in its interval table.
    trial_columns : mapping of str to array of shape (segment,), optional
        Columns of that table, without the ``trial_`` prefix.
    units, kind, source, bin_width_s, left_out, notes
        See the module's docstring.

    Returns
    -------
    xarray.Dataset
        A recording that `validate_recording` has accepted.

    Raises
    ------
    DataError
        If the parts do not make a recording.
    """
    # np.asarray would read a dask array whole
    later = isinstance(data, LazilyIndexedArray)
    values: Any = data if later or hasattr(data, "dask") else np.asarray(data)
    time = np.asarray(time, dtype=np.float64)
    if values.ndim not in (2, 3) or (values.ndim == 3 and channel is not None):
        raise DataError(
            f"data has shape {values.shape}",
            fix="give an array (time, channel), or images (time, y, x), whose pixels have no ids",
        )
    dims = IMAGE_DIMS if values.ndim == 3 else (channel_dim,)
    ids = [np.arange(n) for n in values.shape[1:]] if channel is None else [np.asarray(channel)]
    # int64: later sums of frames of long recordings would overflow int32
    index = np.zeros(len(time), np.int64) if segment_index is None else np.asarray(segment_index, np.int64)
    n_segments = int(index[-1]) + 1 if len(index) else 0
    first = np.searchsorted(index, np.arange(n_segments), side="left")
    last = np.searchsorted(index, np.arange(n_segments), side="right") - 1
    start = time[first] if segment_start is None else np.asarray(segment_start, np.float64)
    stop = time[last] if segment_stop is None else np.asarray(segment_stop, np.float64)
    # pynapple joins intervals that overlap by rounding, and drops their columns
    stop = part_touching(start, stop)
    row = np.full(n_segments, -1) if segment_row is None else np.asarray(segment_row, np.int64)
    recording = xr.Dataset(
        {
            "data": (("time", *dims), values, {"units": units}),
            "segment_start": ("segment", start, {"units": "s"}),
            "segment_stop": ("segment", stop, {"units": "s"}),
            "segment_row": ("segment", row),
            **{f"trial_{name}": ("segment", np.asarray(v)) for name, v in (trial_columns or {}).items()},
        },
        coords={
            "time": ("time", time, {"units": "s"}),
            **{dim: (dim, named) for dim, named in zip(dims, ids, strict=True)},
            "segment_index": ("time", index),
            "segment": ("segment", np.arange(n_segments)),
        },
        attrs={
            "kind": kind,
            "source": dict(source or {}),
            "bin_width_s": bin_width_s,
            "left_out": [dict(item) for item in left_out],
            "notes": list(notes),
            "steps": [],
        },
    )
    if channel_source is not None:
        recording = recording.assign_coords({CHANNEL_SOURCE: (dims, np.asarray(channel_source, dtype=np.str_))})
    # counts that are made later are finite, and a look at them would make them
    return validate_recording(recording, finite=later)


def part_touching(
    start: Float[np.ndarray, " segment"], stop: Float[np.ndarray, " segment"]
) -> Float[np.ndarray, " segment"]:
    """Return `stop` with what reaches into the next segment by rounding alone taken off.

    Readers of intervals join two that overlap by 1e-14 s, and lose the columns of all of them (pynapple 0.11).

    Parameters
    ----------
    start, stop : array of float64, shape (segment,)
        Seconds, in any order; segments that overlap by more than a microsecond stay as they are.

    Examples
    --------
    >>> part_touching(np.array([0.0, 1.2]), np.array([1.2000000000000002, 2.0])).tolist()
    [1.2, 2.0]
    """
    order = np.argsort(start, kind="stable")
    # in order of time, which need not be the order of the table; the last reaches into none
    following = np.append(start[order][1:], np.inf)
    ordered = stop[order]
    over = (ordered > following) & (ordered - following <= TOUCH_S)
    parted = np.array(stop, np.float64)
    parted[order] = np.where(over, following, ordered)
    return parted


def validate_recording(recording: xr.Dataset, *, finite: bool = False) -> xr.Dataset:
    """Return `recording` unchanged if it keeps the contract of this module; values known to be `finite` are not read.

    Raises
    ------
    DataError
        If a variable is missing, a frame is not finite, time does not increase within a
        segment, or the frames of a segment are not contiguous.
    """
    for name in ("data", "time", "segment_index", "segment_start", "segment_stop"):
        if name not in recording.variables:
            raise DataError(
                f"this Dataset has no variable {name!r}",
                fix="build recordings with nwb_dcf.read_recording or nwb_dcf.data.recording.make_recording",
            )
    dims = frame_dims(recording)
    where = name_source(recording)
    data, time = recording["data"], recording["time"].values
    index = recording["segment_index"].values
    if 0 in data.shape:
        raise DataError(f"no data: shape {data.shape} (time, {', '.join(dims)})", where=where)
    # NumPy counts complex among the numbers, and a square root of counts would pass in silence
    if not np.issubdtype(data.dtype, np.number) or np.issubdtype(data.dtype, np.complexfloating):
        counts = "give 0 and 1 as counts, x.astype(int)" if data.dtype == bool else None
        raise DataError(f"data are of type {data.dtype}, not real numbers", where=where, fix=counts)
    # block by block: a mask of a whole video would take as much memory as the video
    bad, first = 0, ""
    for frames in frame_blocks(data) if data.dtype.kind == "f" and not finite else ():  # whole numbers are finite
        wrong = ~np.isfinite(read_frames(data, frames))
        if wrong.any() and not bad:
            frame, *place = (int(i[0]) for i in np.nonzero(wrong))
            first = ", ".join(f"{dim} {recording[dim].values[i]}" for dim, i in zip(dims, place, strict=True))
            first += f" at {time[frames.start + frame]:.6g} s"
        bad += int(wrong.sum())
    if bad:
        raise DataError(
            f"{bad} values are NaN or infinite, the first in {first}",
            where=where,
            fix="leave those channels or intervals out, or fill them first",
        )
    if not np.isfinite(time).all():
        raise DataError("time holds NaN or infinite values", where=where)
    # contiguous, since pairs of frames and smoothing are cut by this index alone
    # a row without frames would be an interval that nothing was read from
    step = np.diff(index)
    if index[0] != 0 or not np.isin(step, (0, 1)).all() or index[-1] + 1 != recording.sizes["segment"]:
        raise DataError("the frames of a segment are not contiguous", where=where)
    # between segments time may go back: resampled recordings repeat segments, joined sessions have clocks of their own
    if (np.diff(time)[step == 0] <= 0).any():
        raise DataError("time does not increase within a segment", where=where)
    return recording


def name_source(recording: xr.Dataset) -> str | None:
    """Where the values come from, for messages: ``"s.nwb: /units"``; None for arrays."""
    source = recording.attrs.get("source", {})
    return ": ".join(str(source[key]) for key in ("file", "path") if source.get(key)) or None


def frame_dims(recording: xr.Dataset) -> tuple[str, ...]:
    """Dims of one frame: ``("unit",)`` and its like, or ``("y", "x")`` for images.

    Raises
    ------
    DataError
        If ``data`` is neither (time, channel) nor (time, y, x).

    Examples
    --------
    >>> frame_dims(make_recording(np.ones((5, 4, 3)), np.arange(5.0)))
    ('y', 'x')
    """
    dims = tuple(str(d) for d in recording["data"].dims)
    if dims[:1] != ("time",) or (dims[1:] != IMAGE_DIMS and (len(dims) != 2 or dims[1] not in CHANNEL_DIMS)):
        raise DataError(f"data has dims {dims}", fix=f"use ('time', one of {CHANNEL_DIMS}) or ('time', 'y', 'x')")
    return dims[1:]


def channel_dim(recording: xr.Dataset) -> str:
    """Name of the channel dim of `recording`: ``unit``, ``roi``, ``channel`` or ``latent``.

    Raises
    ------
    DataError
        If ``data`` is not (time, channel).
    """
    dims = frame_dims(recording)
    if dims == IMAGE_DIMS:
        raise DataError("the recording holds images, which have no channels", fix="give a recording (time, channel)")
    return dims[0]


def frame_shape(recording: xr.Dataset) -> tuple[int, int] | None:
    """Height and width of images in pixels; None where frames are not images."""
    dims = frame_dims(recording)
    return (recording.sizes["y"], recording.sizes["x"]) if dims == IMAGE_DIMS else None


def flatten_frames(recording: xr.Dataset) -> Shaped[np.ndarray, "time number"]:
    """Return the values with a row for each frame, shape (time, D); the pixels of an image follow row by row."""
    values = recording["data"].values
    return values.reshape(len(values), -1)


def take_frames(recording: xr.Dataset, frames: ArrayLike | slice) -> Shaped[np.ndarray, "frame number"]:
    """Return the values of some frames, as `flatten_frames` does of all."""
    values = recording["data"].isel(time=frames).values
    return values.reshape(len(values), -1)


def split_sources(recording: xr.Dataset) -> list[xr.Dataset]:
    """Take joined sources apart: a recording of each, whose kind and unit are those of the source.

    Raises
    ------
    DataError
        If the recording does not say what its sources are.
    """
    members = recording.attrs.get("source", {}).get("members", [])
    label = recording[CHANNEL_SOURCE].values
    # a recording whose channels were selected may have lost a source: better refused than mislabelled
    if [member.get("label") for member in members] != list(dict.fromkeys(label.tolist())):
        raise DataError("the sources of the channels are not those of the recording", where=name_source(recording))
    parts = []
    for member in members:
        part = recording.isel({channel_dim(recording): label == member["label"]}).drop_vars(CHANNEL_SOURCE)
        # kind and unit of the source, not of the whole: they decide whether it gets a square root and what Gaussian
        data = part["data"].assign_attrs(units=member["units"])
        parts.append(part.assign(data=data).assign_attrs(kind=member["kind"], source=member))
    return parts


def segment_slices(recording: xr.Dataset) -> list[slice]:
    """Frames of each segment, in order, as slices of the ``time`` dim."""
    index = recording["segment_index"].values
    # sorted by the contract, so that a binary search finds each segment
    edges = np.searchsorted(index, np.arange(recording.sizes["segment"] + 1))
    return [slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def iterate_segments(recording: xr.Dataset) -> Iterator[Shaped[np.ndarray, " _time *frame"]]:
    """Yield the values of each segment, arrays of shape (time, channel) or (time, y, x)."""
    values = recording["data"].values
    for frames in segment_slices(recording):
        yield values[frames]


def select_segments(recording: xr.Dataset, segments: ArrayLike) -> xr.Dataset:
    """Keep only `segments` (rows of the segment table), renumbered 0, 1, 2, ..."""
    chosen = np.asarray(segments, dtype=np.int64)
    slices = segment_slices(recording)
    # a segment may be chosen twice, as a draw with replacement does: a mask would lose the copy
    frames = np.concatenate([np.arange(slices[i].start, slices[i].stop) for i in chosen])
    lengths = [slices[i].stop - slices[i].start for i in chosen]
    picked = recording.isel(time=frames, segment=chosen)
    return picked.assign_coords(
        segment_index=("time", np.repeat(np.arange(len(chosen)), lengths)),
        segment=("segment", np.arange(len(chosen))),
    )


def median_step_s(recording: xr.Dataset) -> float:
    """Median time between successive frames of a segment, in seconds (1.0 where there is none)."""
    # steps across segments are pauses, and would be the median of short trials
    inside = np.diff(recording["segment_index"].values) == 0
    steps = np.diff(recording["time"].values)[inside]
    return float(np.median(steps)) if len(steps) else 1.0


def is_count(recording: xr.Dataset) -> bool:
    """Whether the values are counts: by their unit, ``"count"``, as readers set it."""
    return str(recording["data"].attrs.get("units", "")).lower() in ("count", "counts")


def name_kind(recording: xr.Dataset) -> str:
    """``"images"``, ``"counts"`` or other ``"values"``: what decides which settings are the default."""
    if frame_shape(recording) is not None:
        return "images"
    return "counts" if is_count(recording) else "values"
