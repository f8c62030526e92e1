"""Tables of intervals (trials, epochs, any TimeIntervals) and tables in general: their scalar columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb import TimeSeries
from pynwb.core import DynamicTable, NWBContainer
from pynwb.epoch import TimeIntervals
from pynwb.misc import Units

from ...config.time_scale import TimeScales
from ...errors import DataError, ParameterError
from ..backends.filters import MissingFilter, find_unreadable
from ..backends.session import Session, open_session
from .find_object import find_object

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped

MEANINGS = "MeaningsTable"
MEANING = "_meaning"
"""Suffix of the name of the column that has the meanings of another column."""

TRIALS = "/intervals/trials"
EPOCHS = "/intervals/epochs"
INVALID = "/intervals/invalid_times"


@dataclass(frozen=True)
class IntervalTable:
    """A table of intervals, its scalar columns in memory.

    Attributes
    ----------
    path : str
        Path in the file.
    where : str
        File and path, for errors.
    row_id : array of int, shape (row,)
        Ids as stored.
    columns : mapping of str to array of shape (row,)
        Numbers, text (dtype U) and bools; ``start_time`` and ``stop_time`` among them.
    tags : tuple of frozenset of str
        Tags of each row; empty where the table has none.
    is_events : bool
        Whether its rows are events, at whose start windows can be cut.
    has_intervals : bool
        Whether any row has a duration.
    """

    path: str
    where: str
    row_id: Int[np.ndarray, " row"]
    columns: Mapping[str, Shaped[np.ndarray, " row"]]
    tags: tuple[frozenset[str], ...] = ()
    is_events: bool = False
    has_intervals: bool = True

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def start_s(self) -> Float[np.ndarray, " row"]:
        """Start of each interval, seconds; NaN where unknown."""
        return self.columns["start_time"].astype(np.float64)

    @property
    def stop_s(self) -> Float[np.ndarray, " row"]:
        """Stop of each interval, seconds; NaN where unknown."""
        return self.columns["stop_time"].astype(np.float64)

    def time_columns(self) -> list[str]:
        """Names of the columns that hold times on the session clock: those to which trials can be aligned."""
        return [name for name in self.columns if self.holds_times(name)]

    def holds_times(self, name: str) -> bool:
        """Return whether column `name` looks like times on the session clock.

        Notes
        -----
        NWB does not mark such columns, and a reaction time or the power of a laser is a float too. A column passes if
        nine tenths of its finite values lie between the first start and the last stop, widened by the
        longest interval, and if nine tenths of its steps go forward when rows are in order of their start.
        """
        if name in ("start_time", "stop_time"):
            return bool(np.isfinite(self.columns[name]).any())
        # Times are floats in the schema; whole numbers are ids, counts or choices.
        if self.columns[name].dtype.kind != "f":
            return False
        start, stop, values = self.start_s, self.stop_s, self.columns[name].astype(np.float64)
        known = np.isfinite(start) & np.isfinite(values)
        if not known.any():
            return False
        # Rows may be in any order, and steps are asked for in that of time.
        order = np.flatnonzero(known)[np.argsort(start[known], kind="stable")]
        start, values = start[order], values[order]
        ends = np.concatenate([start, stop[np.isfinite(stop)]])
        lengths = np.concatenate([np.diff(start), (stop - self.start_s)[np.isfinite(stop - self.start_s)], [0.0]])
        # An event may lie in the pause before or after its trial.
        low, high = ends.min() - lengths.max(), ends.max() + lengths.max()
        inside = ((values >= low) & (values <= high)).mean()
        forward = (np.diff(values) > 0).mean() if len(values) > 1 else 1.0
        return bool(inside >= 0.9 and forward >= 0.9)


def list_tables(
    session: Session, *, without: Collection[str] = (), problems: dict[str, str] | None = None
) -> list[IntervalTable]:
    """Read every table of intervals in the file, by path, except those whose paths are in `without`.

    Where `problems` are given, those that cannot be read are named there, by path, instead of refused.
    """
    found = [item for item in session.find_objects(TimeIntervals) if item[0] not in without]
    return read_each(found, lambda path, table: _read_table(session, path, table), problems)


def read_each(
    found: Sequence[tuple[str, Any]],
    read: Callable[[str, Any], IntervalTable],
    problems: dict[str, str] | None = None,
) -> list[IntervalTable]:
    """Read each (path, object); what cannot be read is refused, or put by its path into `problems`.

    Raises
    ------
    DataError
        If one cannot be read and no `problems` are given.
    """
    tables = []
    for path, obj in found:
        try:
            tables.append(read(path, obj))
        except DataError as error:
            if problems is None:
                raise
            problems[path] = error.what
    return tables


def find_unreadable_tables(session: Session) -> dict[str, MissingFilter]:
    """Return the tables of intervals that are compressed by a filter that is not installed, by path."""
    # Asked without a read, which would raise.
    found = {path: find_unreadable(table) for path, table in session.find_objects(TimeIntervals)}
    return {path: missing for path, missing in found.items() if missing is not None}


def read_tables(path: str | Path) -> list[IntervalTable]:
    """Read every table of intervals in the NWB file at `path`, in order of their paths."""
    with open_session(path) as session:
        return list_tables(session)


def find_table(session: Session, name: str) -> IntervalTable:
    """Read the table called `name`, a full path or a short name that is unique in the file.

    Raises
    ------
    SourceError
        If there is none or more than one.
    """
    # Without any table the advice is another one.
    otherwise = "the file has no interval table: use --trials none"
    found = find_object(session, name, (TimeIntervals,), what="interval table", otherwise=otherwise)
    return _read_table(session, *found)


def join_tables(tables: Sequence[IntervalTable]) -> IntervalTable:
    """Join the rows of several tables, with the columns that all have and ``table``, the name of the table of each row.

    Columns of text in one table and numbers in another are left out.
    """
    if len(tables) == 1:
        return tables[0]
    shared = [name for name in tables[0].columns if all(name in table.columns for table in tables[1:])]
    # Text and numbers in one array would turn the numbers into text.
    same = [name for name in shared if len({table.columns[name].dtype.kind == "U" for table in tables}) == 1]
    lengths = [len(table.row_id) for table in tables]
    return IntervalTable(
        path=" and ".join(table.path for table in tables),
        where=" and ".join([tables[0].where, *(table.path for table in tables[1:])]),
        row_id=np.concatenate([table.row_id for table in tables]),
        columns={
            **{name: np.concatenate([table.columns[name] for table in tables]) for name in same},
            "table": np.repeat(np.array([table.name for table in tables], dtype=np.str_), lengths),
        },
        tags=tuple(
            tags for table, n in zip(tables, lengths, strict=True) for tags in (table.tags or (frozenset[str](),) * n)
        )
        if any(table.tags for table in tables)
        else (),
    )


def read_columns(table: Any) -> dict[str, Shaped[np.ndarray, " row"]]:
    """Read the scalar columns of a DynamicTable: numbers, text and bools, one value a row.

    Ragged columns and object references are not read from disk.
    """
    columns: dict[str, Shaped[np.ndarray, " row"]] = {}
    for name in table.colnames:
        column = table[name]
        data = getattr(column, "data", None)
        # h5py and zarr know the shape without a read; lists of pynwb have none.
        shape = getattr(data, "shape", None) or (np.shape(data) if isinstance(data, list) else None)
        if hasattr(column, "target") or shape != (len(table),) or type(column).__name__ == "DynamicTableRegion":
            continue
        dtype = getattr(data, "dtype", None)
        if dtype is not None and np.dtype(dtype).kind not in "biufOSU":
            continue
        values = to_text_or_numbers(column.data[:])
        if values is None:
            continue
        if type(column).__name__ == "EnumData":
            values = _name_elements(column, values)
        columns[name] = values
    for name, words in _read_meanings(table, columns).items():
        # A column of the file itself comes first.
        columns.setdefault(f"{name}{MEANING}", words)
    return columns


def _name_elements(column: Any, values: Shaped[np.ndarray, " row"]) -> Shaped[np.ndarray, " row"]:
    """Replace the numbers of an EnumData by the elements that they stand for."""
    elements = getattr(column, "elements", None)
    words = None if elements is None else to_text_or_numbers(getattr(elements, "data", elements)[:])
    if words is None or values.dtype.kind not in "iu" or (len(values) and values.max() >= len(words)):
        return values
    return words[values.astype(np.int64)]


def _read_meanings(
    table: Any, columns: Mapping[str, Shaped[np.ndarray, " row"]]
) -> dict[str, Shaped[np.ndarray, " row"]]:
    """Read the meanings of values from the MeaningsTables of a table; '' for values that none lists."""
    tables = getattr(table, "meanings_tables", None) or {}
    given = list(tables.values()) if hasattr(tables, "values") else list(tables)
    # A pynwb that does not know the type keeps such tables among the children of the table.
    given += [obj for obj in getattr(table, "children", ()) if getattr(obj, "neurodata_type", "") == MEANINGS]
    found = {}
    for meanings in {id(one): one for one in given}.values():
        target = getattr(meanings, "target", None)
        name = getattr(target, "name", None) or str(meanings.name).removesuffix("_meanings")
        stored, meanings_of = (to_text_or_numbers(meanings[column].data[:]) for column in ("value", "meaning"))
        if name not in columns or stored is None or meanings_of is None:
            continue
        words = {str(value): str(word) for value, word in zip(stored.tolist(), meanings_of.tolist(), strict=True)}
        found[name] = np.array([words.get(str(value), "") for value in columns[name].tolist()], dtype=np.str_)
    return found


def read_whole_numbers(data: Any, what: str, where: str) -> Int[np.ndarray, " row"]:
    """Read ids or indices as int64, from any type that holds whole numbers.

    Raises
    ------
    DataError
        If they are text or fractions, or too large.
    """
    values = np.asarray(data[:])
    if values.dtype.kind in "iu" and (values.dtype.kind == "i" or values.max(initial=0) < 2**63):
        return values.astype(np.int64)
    # MATLAB writes every number as a double
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.round(values)).all():
        return values.astype(np.int64)
    kinds = {"f": "fractions or NaN", "u": "too large", "S": "text", "U": "text", "O": "text"}
    found = kinds.get(values.dtype.kind, f"of type {values.dtype}")
    if values.size == 0:
        return np.empty(0, np.int64)
    raise DataError(f"{what} are {found}, not whole numbers", where=where, fix="write the table again")


def read_times(data: Any, what: str, where: str) -> Float[np.ndarray, "event ..."]:
    """Read times as float64, whatever numbers they are stored as; NaN as stored; intervals have two columns.

    Raises
    ------
    DataError
        If they are no numbers.
    """
    values = np.asarray(data[:])
    if values.dtype.kind in "iuf":
        return values.astype(np.float64, copy=False)
    if values.size == 0:
        return np.empty(0, np.float64)
    found = "text" if values.dtype.kind in "SUO" else f"of type {values.dtype}"
    raise DataError(f"{what} are {found}, not numbers", where=where, fix="write them as seconds")


def read_electrode_columns(units: Any, where: str) -> dict[str, Shaped[np.ndarray, " unit"]]:
    """Read the scalar columns of the electrodes of each unit.

    Where the electrodes of a unit differ, text is joined with ``+`` and numbers are NaN. Empty where units have no
    electrodes, or one of them has none.
    """
    if "electrodes" not in units.colnames:
        return {}
    # A ragged column: the index holds the end of each row of the region.
    index = units["electrodes"]
    region = getattr(index, "target", index)
    # Regions hold rows of the table of electrodes, not their ids.
    rows, ends = read_whole_numbers(region.data, "electrodes of units", where), np.arange(1, len(region.data) + 1)
    if hasattr(index, "target"):
        ends = read_whole_numbers(index.data, "indices of electrodes", where)
    starts = np.concatenate([[0], ends[:-1]])
    if len(ends) == 0 or (ends <= starts).any():
        return {}
    columns = {}
    for name, values in read_columns(region.table).items():
        parts = [values[rows[a:b]] for a, b in zip(starts, ends, strict=True)]
        if all((part == part[0]).all() for part in parts):
            columns[name] = np.array([part[0] for part in parts])
        elif values.dtype.kind == "U":
            columns[name] = np.array(["+".join(dict.fromkeys(part.tolist())) for part in parts], dtype=np.str_)
        else:
            columns[name] = np.array([part[0] if (part == part[0]).all() else np.nan for part in parts], np.float64)
    return columns


def to_text_or_numbers(values: Any) -> Shaped[np.ndarray, "*row"] | None:
    """Return values as an array of numbers or of text; None where they are neither."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array
    items = [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in array.tolist()]
    if items and all(isinstance(item, str) for item in items):
        return np.asarray(items, dtype=np.str_)
    return None


def _read_table(session: Session, path: str, table: Any) -> IntervalTable:
    columns = read_columns(table)
    for name in ("start_time", "stop_time"):
        if name not in columns or columns[name].dtype.kind not in "iuf":
            # Intervals without a usable time are NaN, which leaves their rows out with a reason.
            columns[name] = np.full(len(table), np.nan)
    row_id = read_whole_numbers(table.id, "ids", session.where(path))
    read = IntervalTable(path, session.where(path), row_id, columns, _read_tags(table, session.where(path)))
    return scale_table(read, session.time_scales)


def scale_table(table: IntervalTable, scales: TimeScales) -> IntervalTable:
    """Multiply the times of a table, and of its columns, by the scale that is given for each."""
    own = scales.of(table.path, is_fitted=False)
    timed = [] if own is None else table.time_columns()
    columns = dict(table.columns)
    for name in columns:
        key = scales.find_key(f"{table.path}/{name}")
        factor = scales.named[key] if key is not None else (own if name in timed else None)
        if factor is not None and columns[name].dtype.kind in "iuf":
            columns[name] = columns[name].astype(np.float64) * factor
    return dataclasses.replace(table, columns=columns)


def check_scales(session: Session) -> None:
    """Refuse a time scale whose name stands for nothing in the file.

    Raises
    ------
    ParameterError
        If there is one.
    """
    if not session.time_scales.named:
        return
    known = [path for path, _ in session.find_objects(Units, TimeSeries, NWBContainer, DynamicTable)]
    tables = session.find_objects(DynamicTable)
    known += [f"{path}/{name}" for path, table in tables for name in table.colnames]
    used = {session.time_scales.find_key(path) for path in known}
    for name in session.time_scales.named:
        if name not in used:
            raise ParameterError(
                f"a time scale is given for {name!r}, and nothing in the file is called so",
                where=str(session.path),
                fix="name a table, a series or a column of a table, by its path or the end of it",
            )


def _read_tags(table: Any, where: str) -> tuple[frozenset[str], ...]:
    """Read the tags of each row: a ragged column of text, or text with commas as NWB 1 and older tools wrote it."""
    if "tags" not in table.colnames:
        return ()
    column = table["tags"]
    # Some files have one text a row in place of a ragged column.
    ragged = hasattr(column, "target")
    items = (column.target if ragged else column).data[:]
    words = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in items]
    ends = list(range(1, len(words) + 1))
    if ragged:
        ends = read_whole_numbers(column.data, "indices of tags", where).tolist()
    rows = [words[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    return tuple(frozenset(part.strip() for word in row for part in word.split(",") if part.strip()) for row in rows)
