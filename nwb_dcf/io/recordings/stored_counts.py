"""BinnedSpikes of ndx-binned-spikes: counts of units in bins that the file has."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...config import ReadConfig
from ...data.recording import make_recording
from ...errors import DataError
from ..backends.session import Session
from .clock import MIN_SAMPLES, SampleClock
from .provenance import describe_source
from .runs import cut_clock
from .segments import ChosenSegments
from .source_kinds import Source
from .tables import read_whole_numbers

TYPE = "BinnedSpikes"


def describe_binned(path: str, obj: Any) -> Source:
    """Describe BinnedSpikes as a source: data of shape (unit, bin), widths in milliseconds."""
    shape = tuple(int(n) for n in obj.data.shape)
    problem = "" if len(shape) == 2 and shape[1] >= MIN_SAMPLES else f"data have shape {shape}, not (unit, bin)"
    width_s, start_s = read_bins(obj)
    if not problem and not width_s > 0:
        problem = f"its bins are {width_s:g} s wide"
    return Source(
        "binned",
        path,
        obj.neurodata_type,
        # Stored (unit, bin); sources are described as they are read, (time, channel).
        shape[::-1],
        "count",
        median_step_s=width_s,
        start_s=start_s,
        duration_s=width_s * (shape[-1] if shape else 0),
        problem=problem,
        why="counts in its own bins",
    )


def read_bins(obj: Any) -> tuple[float, float]:
    """Return the width of the bins and the start of the first, in seconds."""
    return float(obj.bin_width_in_ms) / 1e3, float(getattr(obj, "start_time_in_ms", None) or 0.0) / 1e3


def read_binned(
    session: Session,
    path: str,
    obj: Any,
    config: ReadConfig,
    notes: list[str],
    chosen: ChosenSegments | None = None,
) -> xr.Dataset:
    """Read BinnedSpikes as a recording of counts in their own bins.

    Parameters
    ----------
    session : Session
        The open file.
    path : str
        Path of the object.
    obj : BinnedSpikes
        Data of shape (unit, bin).
    config : ReadConfig
        Segments; the bin width is that of the file.
    notes : list of str
        Notes made so far; they come first among the recording's notes.
    chosen : ChosenSegments, optional
        Segments in place of those that `config` asks for.

    Returns
    -------
    xarray.Dataset
        ``data`` (time, unit) of float32, in counts; ``time`` holds bin centres.

    Raises
    ------
    DataError, ParameterError, SourceError
        If there are no counts, all are constant, or no segment is left.
    """
    where = session.where(path)
    width_s, start_s = read_bins(obj)
    n_units, n_bins = obj.data.shape
    scale = session.scale_of(path) or 1.0
    width_s, start_s = width_s * scale, start_s * scale  # the scale is for times in seconds, here as everywhere
    time = start_s + (np.arange(n_bins) + 0.5) * width_s
    cut = cut_clock(session, config, SampleClock(time), where, chosen)
    # Read whole and transposed: a run of bins lies scattered over the rows of all units.
    counts = cut.runs.read(np.asarray(obj.data[:]).T)
    varies = counts.max(axis=0) != counts.min(axis=0)
    if not varies.any():
        raise DataError("every unit is constant in the bins read", where=where, fix="choose another source")
    ids = np.arange(n_units)
    # The region is optional in the extension; without it units are numbered.
    region = getattr(obj, "units_region", None)
    if region is not None:
        rows = read_whole_numbers(region.data, "rows of its units", where)
        ids = read_whole_numbers(region.table.id, "ids of units", where)[rows]
    constant = [
        {"what": "unit", "id": int(ids[i]), "why": f"{counts[0, i]:g} in every bin", "value": float(counts[0, i])}
        for i in np.flatnonzero(~varies)
    ]
    return make_recording(
        counts[:, varies].astype(np.float32),
        cut.time,
        channel_dim="unit",
        channel=ids[varies],
        **cut.describe_segments(),
        units="count",
        kind="units",
        source=describe_source(session, path, obj, np.flatnonzero(varies)),
        bin_width_s=width_s,
        left_out=[*constant, *cut.segments.left_out],
        notes=[*notes, *cut.notes],
    )
