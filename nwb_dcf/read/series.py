"""Any TimeSeries of shape (time,) or (time, channel), regular or not, with gaps or without."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..bins import MAX_VALUES
from ..config import ReadConfig
from ..errors import DataError, ParameterError
from ..recording import make_recording
from .clock import read_clock
from .provenance import describe_source
from .runs import MIN_SAMPLES, Runs, cut_clock
from .session import Session


def read_series(
    session: Session, path: str, series: Any, config: ReadConfig, notes: list[str], *, kind: str
) -> xr.Dataset:
    """Read a TimeSeries as a recording: its own samples at their own times.

    Parameters
    ----------
    session : Session
        The open file.
    path : str
        Path of the series.
    series : pynwb.TimeSeries
        Data of shape (time,) or (time, channel).
    config : ReadConfig
        Segments; bin width is not used.
    notes : list of str
        What has been said so far; comes first among the recording's notes.
    kind : str
        ``kind`` of the recording.

    Returns
    -------
    xarray.Dataset
        ``data`` (time, channel), or (time, roi) with the ids of the ROIs: stored value times ``conversion``
        (and ``channel_conversion``) plus ``offset``, in the unit of the series.

    Raises
    ------
    DataError, ParameterError, SourceError
        If the data are not real numbers by time and channel, hold NaN, or have no usable clock or segment.
    """
    where = session.where(path)
    if config.units is not None:
        raise ParameterError("units selects from a units table; this is a series", where=where, fix="leave --units out")
    problem = check_data(series)
    if problem:
        raise DataError(problem, where=where, fix="choose another source with --source")
    cut = cut_clock(session, config, read_clock(series, series.data.shape[0], where), where)
    values = _convert(series, _read_samples(series.data, cut.runs, where), where)
    varies = values.max(axis=0) != values.min(axis=0)  # NaN varies: validate_recording says where it is
    dim, ids = channel_ids(series, values.shape[1])
    left_out: list[dict[str, object]] = [
        {
            "what": dim,
            "id": ids[i],
            "why": f"it is {values[0, i]:g} in every sample read",
            "value": float(values[0, i]),
        }
        for i in np.flatnonzero(~varies)
    ]
    if not varies.any():
        raise DataError(f"every {dim} is constant in the samples read", where=where, fix="choose another source")
    notes = [*notes, *cut.notes]
    if left_out:
        notes.append(f"{len(left_out)} of {len(ids)} {dim}s left out as constant")
    values = values[:, varies]
    return make_recording(
        values,
        cut.time,
        channel_dim=dim,
        channel=np.asarray(ids)[varies],
        **cut.describe_segments(),
        units=name_unit(series, values),
        kind=kind,
        source=describe_source(session, path, series, np.flatnonzero(varies)),
        left_out=[*left_out, *cut.segments.left_out],
        notes=notes,
    )


def check_data(series: Any) -> str:
    """Say why the data of a TimeSeries cannot be fitted, or return an empty string if they can."""
    data = series.data
    shape = tuple(getattr(data, "shape", None) or np.shape(data))
    dtype = np.dtype(getattr(data, "dtype", None) or np.asarray(data[:1]).dtype)
    if len(shape) not in (1, 2):
        return f"data have shape {shape}, neither (time,) nor (time, channel)"
    if dtype.kind not in "biuf":
        kinds = {"c": "complex numbers", "O": "text", "S": "text", "U": "text"}
        return f"data are {kinds.get(dtype.kind, f'of type {dtype}')}, not real numbers"
    if shape[0] < MIN_SAMPLES or 0 in shape:
        return f"data have shape {shape}: too few samples"
    return ""


def channel_ids(series: Any, n_channels: int) -> tuple[str, list[int]]:
    """Return the channel dim and the ids of the channels: of ROIs or electrodes where they are known, else 0, 1, 2."""
    dim = "roi" if hasattr(series, "rois") else "channel"
    region = getattr(series, "rois", None) if dim == "roi" else getattr(series, "electrodes", None)
    if region is not None:
        rows = np.asarray(region.data[:], dtype=np.int64)
        known = np.asarray(region.table.id[:], dtype=np.int64)
        if len(rows) == n_channels and len(rows) and rows.min() >= 0 and rows.max() < len(known):
            ids = known[rows].tolist()
            if len(set(ids)) == n_channels:
                return dim, ids
    return dim, list(range(n_channels))


def name_unit(series: Any, values: np.ndarray) -> str:
    """Return the unit of the values: ``count`` for whole numbers that are stored as counts, else as stored."""
    unit = str(series.unit).strip()
    is_count = unit.lower() in ("count", "counts", "spikes", "spike count", "spike counts")
    if is_count and bool((values >= 0).all()) and bool((values == np.round(values)).all()):
        return "count"
    return unit


def _read_samples(data: Any, runs: Runs, where: str) -> np.ndarray:
    """Read the samples of all runs, shape (time, channel), in the smallest safe float type."""
    n_samples = int(runs.lengths.sum())
    n_channels = data.shape[1] if len(data.shape) == 2 else 1
    if n_samples * n_channels > MAX_VALUES:
        raise DataError(
            f"{n_samples} samples of {n_channels} channels do not fit into memory",
            where=where,
            fix="read less with --trials, or fit a filtered and down-sampled series",
        )
    dtype = np.dtype(data.dtype)
    small = dtype.kind == "b" or dtype.itemsize <= 2 or dtype == np.float32
    return runs.read(data).reshape(n_samples, n_channels).astype(np.float32 if small else np.float64)


def _convert(series: Any, values: np.ndarray, where: str) -> np.ndarray:
    """Return stored values in the unit of the series."""
    factor: Any = 1.0 if series.conversion is None else float(series.conversion)
    offset = float(getattr(series, "offset", None) or 0.0)
    per_channel = getattr(series, "channel_conversion", None)
    if per_channel is not None:
        factor = factor * np.asarray(per_channel[:], dtype=np.float64)
        if factor.shape != (values.shape[1],):
            raise DataError(
                f"channel_conversion has {len(factor)} values for {values.shape[1]} channels",
                where=where,
                fix="repair it in the file",
            )
    if not (np.isfinite(factor).all() and np.all(factor != 0) and np.isfinite(offset)):
        raise DataError(
            f"conversion is {factor} and offset {offset}", where=where, fix="write the true conversion into the file"
        )
    if np.all(factor == 1) and offset == 0:
        return values
    return np.asarray((values * factor + offset).astype(values.dtype))
