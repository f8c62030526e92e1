"""The channels of a source as the file describes them: ids, and the columns of their table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb.misc import Units

from ..backends.session import open_session
from .source_list import describe_sources
from .source_selection import choose_source
from .tables import read_columns, read_whole_numbers
from .timeseries import name_channels

if TYPE_CHECKING:
    from jaxtyping import Shaped


@dataclass(frozen=True)
class ChannelTable:
    """The channels of one source, in its order.

    Attributes
    ----------
    where : str
        File and path of the source, for errors.
    path : str
        Path of the source in the file.
    dim : str
        ``unit``, ``roi`` or ``channel``.
    ids : list of int or str
        As a recording of the source has them.
    columns : mapping of str to array, shape (channel,)
        Scalar columns of the table that describes them: of units, and of the electrode of each where it has one;
        of ROIs; of electrodes. Empty where there is none.
    """

    where: str
    path: str
    dim: str
    ids: list[Any]
    columns: Mapping[str, Shaped[np.ndarray, " channel"]] = field(default_factory=dict)


def read_channels(path: str | Path, source: str | None = None) -> ChannelTable:
    """Read the ids and columns of the channels of a source, without their values.

    Parameters
    ----------
    path : str or Path
        NWB file.
    source : str, optional
        As for `nwb_dcf.read_recording`.

    Raises
    ------
    SourceError
        If the file or the source cannot be opened or chosen.
    """
    with open_session(path) as session:
        chosen = choose_source(session, describe_sources(session), source)
        where = session.where(chosen.path)
        members = session.find_members(chosen.members or (chosen.path,))
        # Members of a family are named by their paths; no table describes them.
        if len(members) > 1:
            return ChannelTable(where, chosen.path, *name_channels(chosen, members))
        obj = members[0][1]
        if isinstance(obj, Units):
            ids = read_whole_numbers(obj.id, "ids of units", where).tolist()
            columns = {**_read_electrodes_of_units(obj, where), **read_columns(obj)}
            return ChannelTable(where, chosen.path, "unit", ids, columns)
        dim, ids = name_channels(chosen, members)
        return ChannelTable(where, chosen.path, dim, ids, _read_region(obj, dim, len(ids), where))


def _read_region(series: Any, dim: str, n_channels: int, where: str) -> dict[str, Shaped[np.ndarray, " channel"]]:
    """Read the columns of the ROIs or electrodes of a series, in its order."""
    # Columns of a table that does not fit the data would label channels wrongly: then there are none.
    region = getattr(series, "rois" if dim == "roi" else "electrodes", None)
    if region is None:
        return {}
    rows = read_whole_numbers(region.data, f"rows of its {dim}s", where)
    columns = read_columns(region.table)
    return {name: values[rows] for name, values in columns.items()} if len(rows) == n_channels else {}


def _read_electrodes_of_units(units: Units, where: str) -> dict[str, Shaped[np.ndarray, " unit"]]:
    """Read the columns of the electrode of each unit, where every unit has exactly one."""
    if "electrodes" not in units.colnames:
        return {}
    index = units["electrodes"]
    # A ragged column has an index, whose target is the region; a plain column is the region itself.
    region = getattr(index, "target", index)
    rows = read_whole_numbers(region.data, "electrodes of its units", where)
    if hasattr(index, "target") and not np.array_equal(index.data[:], np.arange(1, len(rows) + 1)):
        return {}
    return {name: values[rows] for name, values in read_columns(region.table).items()}
