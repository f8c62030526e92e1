"""What a fit would report of the source that it takes by default, as far as it is known without reading its samples.

`info` shows these notes: who fits many files looks there first, and a fit itself is minutes away.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from pynwb.misc import Units
from pynwb.ophys import RoiResponseSeries

from ...errors import DataError, ParameterError, SourceError
from ..backends.session import Session
from ..backends.zarr import note_missing_chunks
from .external import describe_unwritten
from .invalid_times import find_invalid
from .rois import select_rois
from .segment_choice import note_invalid
from .segments import RecordedIntervals
from .source_kinds import Source
from .unit_quality import note_quality
from .units import cut_pauses, note_repeated, read_all_times, read_spike_trains


def note_contents(session: Session, source: Source) -> list[str]:
    """Note what of a source is left out, cut or missing when it is read with the default settings."""
    paths = (source.path, *source.members)
    notes = []
    for path, obj in session.find_members(source.members or (source.path,)):
        notes += [*note_missing_chunks(path, obj), *describe_unwritten(obj, path)]
        try:
            notes += _note_channels(session, path, obj)
        except (DataError, ParameterError, SourceError) as error:
            notes.append(f"a fit refuses it: {error.what}")
    invalid = find_invalid(dataclasses.replace(session, reading=paths), paths)
    return [*dict.fromkeys(notes), *([] if invalid is None else note_invalid(invalid))]


def _note_channels(session: Session, path: str, obj: Any) -> list[str]:
    where = session.where(path)
    if isinstance(obj, RoiResponseSeries):
        return list(select_rois(obj, None, where).notes)
    if not isinstance(obj, Units):
        return []
    times = read_all_times(obj, where, session.scale_of(path))
    read_spike_trains(obj, np.arange(len(obj.id)), where, times=times)  # refuses what a fit refuses
    fired = [train for train in times if len(train)]
    pauses: list[str] = []
    # obs_intervals state the pauses themselves
    if fired and "obs_intervals" not in obj.colnames:
        ends = min(train[0] for train in fired), max(train[-1] for train in fired)
        recorded = RecordedIntervals(np.array(ends[:1]), np.array(ends[1:]), exact=False)
        pauses = cut_pauses(recorded, times)[1]
    return [*note_repeated(np.asarray(obj.id[:])), *note_quality(obj), *pauses]
