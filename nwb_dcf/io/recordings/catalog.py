"""What a file holds: sources, tables of intervals, fits; and which source is fitted unless another is named."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SourceError
from ..backends.session import OWN_MODULE, Session, open_session
from .segments import Stretches, find_problem
from .source import Source
from .source_selection import choose_source, group_sources
from .sources import describe_sources
from .tables import list_tables


@dataclass(frozen=True)
class TableSummary:
    """A table of intervals: what ``--trials`` and ``--align`` can name.

    Attributes
    ----------
    path : str
        Path in the file.
    rows : int
        Number of intervals.
    columns, time_columns : tuple of str
        Scalar columns, and those of them that hold times on the session clock.
    problem : str
        Why its intervals cannot be segments; empty if they can.
    """

    path: str
    rows: int
    columns: tuple[str, ...]
    time_columns: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class Catalog:
    """What a file holds.

    Attributes
    ----------
    file, identifier, nwb_version : str
        The file's base name, and what it says of itself.
    sources : tuple of Source
        By rank, then path; families of one-column series as one.
    tables : tuple of TableSummary
        Tables of intervals.
    fits : tuple of str
        Names of the fits in ``processing/dcf``.
    default : str or None
        Path of the source that is fitted unless another is named.
    why : str
        Why that one, or why none.
    """

    file: str
    identifier: str
    nwb_version: str
    sources: tuple[Source, ...]
    tables: tuple[TableSummary, ...]
    fits: tuple[str, ...]
    default: str | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as a JSON-able dict."""
        return dataclasses.asdict(self)


def list_sources(path: str | Path, *, video_dir: str | None = None) -> Catalog:
    """List what in the NWB file at `path` can be fitted, its tables of intervals and its fits.

    Parameters
    ----------
    path : str or Path
    video_dir : str, optional
        Folder that holds its video files, where they are no longer where the NWB file says.

    Raises
    ------
    SourceError
        If the file cannot be read as NWB 2.
    """
    with open_session(path) as session:
        sources = describe_sources(session, video_dir, spans=True)
        chosen: Source | None = None
        try:
            chosen = choose_source(session, sources, None)
            why = chosen.why
        except SourceError as error:
            why = error.what
        recorded = None
        if chosen is not None and chosen.start_s is not None and chosen.duration_s is not None:
            ends = np.array([chosen.start_s]), np.array([chosen.start_s + chosen.duration_s])
            recorded = Stretches(*ends, exact=chosen.kind != "units")
        tables = tuple(
            TableSummary(
                table.path,
                len(table.row_id),
                tuple(table.columns),
                tuple(table.time_columns()),
                find_problem(table, recorded),
            )
            for table in list_tables(session)
        )
        return Catalog(
            file=session.path.name,
            identifier=str(session.nwbfile.identifier),
            nwb_version=session.nwb_version,
            sources=tuple(group_sources(sources)),
            tables=tables,
            fits=list_fits(session),
            default=chosen.path if chosen else None,
            why=why,
        )


def list_fits(session: Session) -> tuple[str, ...]:
    """Names of the fits in ``processing/dcf``, in order."""
    name = OWN_MODULE.rsplit("/", 1)[-1]
    processing = session.nwbfile.processing
    return tuple(sorted(processing[name].data_interfaces)) if name in processing else ()
