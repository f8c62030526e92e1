"""Read one source of one file as a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from ..config import ReadConfig
from ..errors import ParameterError
from .series import read_series
from .session import open_session
from .sources import choose_source, describe_sources
from .spikes import read_units
from .tables import INVALID


def read_recording(
    path: str | Path,
    source: str | None = None,
    *,
    bin_width_s: float = 0.02,
    trials: str = "auto",
    align: str | None = None,
    window: Sequence[float] | None = None,
    where: str | None = None,
    units: str | Sequence[int] | None = None,
) -> xr.Dataset:
    """Read a recording from an NWB file.

    Parameters
    ----------
    path : str or Path
        An NWB 2 file in HDF5. It is not changed.
    source : str, optional
        What to read: ``"units"``, a path such as ``"/processing/behavior/Position/hand_position"``, or a name that
        is unique in the file. By default the first of units, dF/F, fluorescence and other ROI responses.
    bin_width_s : float
        Width of spike count bins in seconds; a series keeps its own samples.
    trials : str
        ``"auto"``: the table ``trials`` if its intervals are usable, else the continuous stretches.
        ``"none"``: the continuous stretches. Else the name or path of a table of intervals.
    align : str, optional
        A column of that table with times; segments are then windows around them.
    window : (float, float), optional
        Start and stop of those windows in seconds, relative to the times.
    where : str, optional
        Which trials: a condition on columns, such as ``"direction == 3 and correct == 1"``.
    units : str or sequence of int, optional
        Which units: ids, or a condition on columns, such as ``"location == 'M1'"``.

    Returns
    -------
    xarray.Dataset
        A recording, see `nwb_dcf.recording`. ``attrs["notes"]`` says which choices were made, ``attrs["left_out"]``
        which units, channels and trials are not in it and why.

    Raises
    ------
    SourceError
        If the file or the source cannot be opened or chosen.
    DataError
        If the values cannot be used: not finite, unsorted spike times, overlapping trials.
    ParameterError
        If an argument cannot be meant.

    Examples
    --------
    >>> recording = read_recording("session.nwb", bin_width_s=0.05)  # doctest: +SKIP
    >>> recording["data"].dims  # doctest: +SKIP
    ('time', 'unit')
    """
    if window is not None and len(window) != 2:
        raise ParameterError(f"window is {tuple(window)}", fix="give two times in seconds, the earlier first")
    config = ReadConfig(
        source=source,
        bin_width_s=bin_width_s,
        trials=trials,
        align=align,
        window=None if window is None else (float(window[0]), float(window[1])),
        where=where,
        units=units if units is None or isinstance(units, str) else tuple(int(i) for i in units),
    )
    with open_session(path) as session:
        sources = describe_sources(session)
        chosen = choose_source(session, sources, config.source)
        obj = session.find_object(chosen.path)
        notes = [f"source is {chosen.path} ({chosen.neurodata_type}): {chosen.why}"]
        invalid = session.nwbfile.invalid_times
        if invalid is not None and len(invalid):
            notes.append(f"the file marks {len(invalid)} intervals as invalid ({INVALID}); they are read like the rest")
        if chosen.kind == "units":
            return read_units(session, chosen.path, obj, config, notes)
        return read_series(session, chosen.path, obj, config, notes, kind=chosen.recording_kind)
