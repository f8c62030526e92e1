"""Check the data of a TimeSeries, (time,) or (time, channel), and convert them to their unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb.behavior import SpatialSeries

from ...errors import DataError
from ..backends.layout import is_turned
from .clock import MIN_SAMPLES
from .tables import read_whole_numbers

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num, Shaped

N_AXES = 3
"""Most coordinates of a position, by the schema of SpatialSeries."""

KINDS_OF_DATA = {"c": "complex numbers", "O": "text or references", "S": "text", "U": "text", "V": "compound values"}


def check_data(series: Any) -> str:
    """Explain why the data of a TimeSeries cannot be fitted; an empty string if they can."""
    data = series.data
    shape = tuple(getattr(data, "shape", None) or np.shape(data))
    dtype = find_dtype(data)
    if dtype.kind not in "biuf":
        return f"data are {KINDS_OF_DATA.get(dtype.kind, f'of type {dtype}')}, not real numbers"
    if len(shape) not in (1, 2):
        return f"data have shape {shape}, neither (time,) nor (time, channel)"
    if 0 in shape:
        return f"data have shape {shape}: too few samples"
    # Exchanged axes explain too few samples, and come first.
    problem = _check_axes(series, shape)
    if problem or shape[0] >= MIN_SAMPLES:
        return problem
    return f"data have shape {shape}: too few samples"


def check_shape(series: Any) -> str:
    """Explain why the axes of data that can be fitted look exchanged; an empty string where they do not.

    Data wider than long are rare, and only a table of the channels, or a timestamp for each sample, shows that they are
    right.
    """
    shape = tuple(int(n) for n in np.shape(series.data))
    if len(shape) != 2 or shape[0] >= shape[1] or is_turned(series):
        return ""
    # Then the file itself confirms the number of samples or of channels.
    if series.timestamps is not None or _count_known(series)[0] == shape[1]:
        return ""
    return f"data of shape {shape} are {shape[0]} samples of {shape[1]} channels"


def advise_turning() -> str:
    """Advise what to do about data that look like (channel, time)."""
    return "read them so with --transpose, or store them as (time, channel)"


def find_dtype(data: Any) -> np.dtype[Any]:
    """Return the type of stored values; that of compound values is ``V``."""
    dtype = getattr(data, "dtype", None)
    # hdmf describes compound types by a list of dicts, which numpy refuses.
    try:
        return np.dtype(dtype or np.asarray(data[:1]).dtype)
    except TypeError:
        return np.dtype("V")


def count_channels(series: Any) -> int:
    """Count the columns of the data; data of shape (time,) have one."""
    shape = series.data.shape
    return int(shape[1]) if len(shape) == 2 else 1


def channel_ids(series: Any, where: str) -> list[int]:
    """Return the ids of the channels: of ROIs or electrodes where they are known, else 0, 1, 2 and so on.

    Raises
    ------
    DataError
        If ids, or rows of their table, are text or fractions; `where` names the series then.
    """
    n_channels = count_channels(series)
    # Ids of a table that does not fit the data would label channels wrongly.
    region = getattr(series, "rois" if hasattr(series, "rois") else "electrodes", None)
    if region is not None:
        rows = read_whole_numbers(region.data, "rows of its channels", where)
        known = read_whole_numbers(region.table.id, f"ids of {region.table.name}", where)
        if len(rows) == n_channels and len(rows) and rows.min() >= 0 and rows.max() < len(known):
            ids: list[int] = known[rows].tolist()
            if len(set(ids)) == n_channels:
                return ids
    return list(range(n_channels))


def convert_samples(
    series: Any, samples: Shaped[np.ndarray, "time ..."], columns: Int[np.ndarray, " chosen"], where: str
) -> Float[np.ndarray, "time chosen"]:
    """Convert stored samples of a TimeSeries to values in its unit.

    Parameters
    ----------
    series : pynwb.TimeSeries
        Its conversion is used.
    samples : array, shape (time,) or (time, channel)
        As stored.
    columns : array of int, shape (chosen,)
        Which channels.
    where : str
        Names the series in errors.

    Returns
    -------
    array, shape (time, chosen)
        Stored value times ``conversion`` (and ``channel_conversion``) plus ``offset``, in the smallest safe float
        type; NaN as stored.

    Raises
    ------
    DataError
        If the conversion is not finite or 0, or does not fit the channels.
    """
    dtype = samples.dtype
    small = dtype.kind == "b" or dtype.itemsize <= 2 or dtype == np.float32
    factor, offset = read_conversion(series, where)
    factor = factor[columns] if factor.ndim else factor
    # float32 has 7 digits, all of which a large offset can take.
    values = samples.reshape(len(samples), -1)[:, columns].astype(np.float32 if small and not offset else np.float64)
    if np.all(factor == 1) and offset == 0:
        return values
    return np.asarray((values * factor + offset).astype(values.dtype))


def read_conversion(series: Any, where: str) -> tuple[Float[np.ndarray, "*channel"], float]:
    """Read the factor, a scalar or shape (channel,), and the offset that convert stored values to their unit.

    Raises
    ------
    DataError
        If they are not finite, the factor is 0, or does not fit the channels.
    """
    factor = np.asarray(1.0 if series.conversion is None else float(series.conversion))
    offset = float(getattr(series, "offset", None) or 0.0)
    per_channel = getattr(series, "channel_conversion", None)
    # Probes of several gains have a factor for each channel.
    if per_channel is not None:
        factor = factor * np.asarray(per_channel[:], dtype=np.float64)
        if factor.shape != (count_channels(series),):
            raise DataError(
                f"channel_conversion has {len(factor)} values for {count_channels(series)} channels",
                where=where,
                fix="repair it in the file",
            )
    if not (np.isfinite(factor).all() and np.all(factor != 0) and np.isfinite(offset)):
        raise DataError(
            f"conversion is {factor} and offset {offset}", where=where, fix="write the true conversion into the file"
        )
    return factor, offset


def name_unit(series: Any, values: Num[np.ndarray, "time channel"]) -> str:
    """Return the unit of the values: ``count`` for whole numbers that are stored as counts, else as stored."""
    unit = str(series.unit).strip()
    is_count = unit.lower() in ("count", "counts", "spikes", "spike count", "spike counts")
    # Counts have losses and scores of their own; smoothed ones are fractions and are no counts.
    if is_count and bool((values >= 0).all()) and bool((values == np.round(values)).all()):
        return "count"
    return unit


def _check_axes(series: Any, shape: tuple[int, ...]) -> str:
    """Explain why the first axis looks like that of the channels; an empty string where it does not."""
    if is_turned(series):
        return ""
    n_rows, n_columns = shape[0], shape[1] if len(shape) == 2 else 1
    n_known, what, dim = _count_known(series)
    if n_known is not None and n_known != n_columns:
        if n_rows == n_known and len(shape) == 2:
            return f"data of shape {shape} for {n_known} {what} look like ({dim}, time): {advise_turning()}"
        if what == "ROIs":
            return f"data have {n_columns} columns (shape {shape}) for {n_known} ROIs"
    stamps = series.timestamps
    if len(shape) == 2 and stamps is not None and len(stamps) == n_columns != n_rows:
        return f"data of shape {shape} for {n_columns} timestamps look like (channel, time): {advise_turning()}"
    # The schema allows three columns at most: more are samples.
    if isinstance(series, SpatialSeries) and n_columns > N_AXES >= n_rows:
        return f"positions of shape {shape} look like (x and y, time): {advise_turning()}"
    return ""


def _count_known(series: Any) -> tuple[int | None, str, str]:
    """Return the number of ROIs or electrodes of a series, what they are, and the name of their dim."""
    for name, what, dim in (("rois", "ROIs", "roi"), ("electrodes", "electrodes", "channel")):
        region = getattr(series, name, None)
        if region is not None:
            return len(region.data), what, dim
    return None, "", ""
