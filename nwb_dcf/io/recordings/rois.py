"""Select the ROIs of a plane that are read: those of good quality, or those that are asked for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...errors import DataError
from .conditions import choose_rows
from .roi_quality import is_quality, judge_rois
from .tables import read_columns, read_whole_numbers

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped


@dataclass(frozen=True)
class Channels:
    """Columns of a series that are read.

    Attributes
    ----------
    column : array of int, shape (channel,)
        Which columns of the data.
    ids : list
        Their ids: numbers or text.
    left_out : tuple of dict
        Columns that are not read, and why.
    notes : tuple of str
        How they were chosen.
    """

    column: Int[np.ndarray, " channel"]
    ids: list[Any]
    left_out: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()


def select_rois(series: Any, selection: str | tuple[int, ...] | None, where: str) -> Channels:
    """Choose among the ROIs of a RoiResponseSeries.

    Parameters
    ----------
    series : pynwb.ophys.RoiResponseSeries
        As many columns as ROIs.
    selection : str, tuple of int or None
        Ids, a condition on columns of its PlaneSegmentation, or ``"all"``. None: those that its quality columns
        (`nwb_dcf.io.recordings.roi_quality`) do not mark as bad, all where it has none.
    where : str
        Names the series in errors.

    Raises
    ------
    ParameterError
        If an id or a column does not exist, or no ROI fulfils the condition.
    DataError
        If no ROI is good.
    """
    region = series.rois
    row = read_whole_numbers(region.data, "rows of its ROIs", where)
    table_ids = read_whole_numbers(region.table.id, f"ids of {region.table.name}", where)
    if len(row) and (row.min() < 0 or row.max() >= len(table_ids)):
        raise DataError(
            f"its ROIs are rows up to {row.max()} of a table of {len(table_ids)}", where=where, fix="repair the region"
        )
    ids = table_ids[row]
    if len(np.unique(ids)) < len(ids):  # repeated ids name no ROI: some files have 0 for all
        ids = np.arange(len(row))
    every = Channels(np.arange(len(row)), ids.tolist())
    # Before columns are read: a damaged quality column must not prevent it.
    if selection == "all":
        return every
    columns = {name: values[row] for name, values in _read_roi_columns(region.table).items()}
    if selection is not None:
        column = choose_rows(selection, ids, columns, what="ROI", where=where)
        condition = f" ({selection})" if isinstance(selection, str) else ""
        return Channels(column, ids[column].tolist(), notes=(f"{len(column)} of {len(row)} ROIs, as asked{condition}",))
    # Segmentation finds more than cells, and most files keep all that it found.
    quality = judge_rois(columns, len(row))
    bad = quality.bad
    if not bad.any():
        return dataclasses.replace(every, notes=quality.notes)
    if bad.all():
        raise DataError(
            f"none of {len(row)} ROIs is {quality.rule} in {region.table.name}",
            where=where,
            fix="take every one: --rois all",
        )
    left_out: list[dict[str, object]] = [
        {"what": "roi", "id": int(ids[i]), "why": why} for i, why in sorted(quality.why.items())
    ]
    note = (
        f"{int((~bad).sum())} of {len(row)} ROIs of {region.table.name}: those that are {quality.rule}; "
        "--rois all takes every one"
    )
    return Channels(np.flatnonzero(~bad), ids[~bad].tolist(), tuple(left_out), (note, *quality.notes))


def _read_roi_columns(table: Any) -> dict[str, Shaped[np.ndarray, " roi"]]:
    """Read the scalar columns of a plane, and the first column of suite2p's ``iscell`` (flag, probability)."""
    columns = read_columns(table)
    for name in table.colnames:
        data: Any = table[name].data if is_quality(name) else None
        if len(getattr(data, "shape", ())) == 2 and np.dtype(data.dtype).kind in "biuf":
            columns[name] = np.asarray(data[:, 0])
    return columns


def compute_dff(
    values: Float[np.ndarray, "time roi"], time: Float[np.ndarray, " time"], window_s: float, quantile: float
) -> Float[np.ndarray, "time roi"]:
    """Compute (F - F0) / F0, F0 being a quantile of F in a window about each sample.

    Parameters
    ----------
    values : array, shape (time, roi)
        Fluorescence; NaN is ignored.
    time : array of float64, shape (time,)
        Seconds, increasing; gaps and jitter are allowed, as the window is one of time.
    window_s : float
        Length of the window, seconds; at both ends of the recording it is cut off.
    quantile : float
        0 to 1.

    Returns
    -------
    array of float64, shape (time, roi)
        NaN where F is, and in every sample of a ROI whose baseline is not above 0 throughout.

    Examples
    --------
    >>> compute_dff(np.array([[2.0], [2.0], [3.0], [2.0]]), np.arange(4.0), 10.0, 0.5).ravel()
    array([0. , 0. , 0.5, 0. ])
    """
    # pandas rolls over windows of time, not of samples, only on an index of times.
    since_start = pd.to_timedelta(np.asarray(time) - time[0], unit="s")
    frame = pd.DataFrame(np.asarray(values, dtype=np.float64), index=since_start)
    rolling = frame.rolling(pd.Timedelta(seconds=window_s), center=True, min_periods=1)
    baseline = rolling.quantile(quantile).to_numpy()
    # A window without any value has a baseline of NaN, which does not speak against the ROI.
    sound = (np.isnan(baseline) | (baseline > 0)).all(axis=0)
    baseline = np.where(sound, baseline, np.nan)
    return np.asarray((values - baseline) / baseline)
