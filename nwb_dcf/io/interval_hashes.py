"""Which tables of intervals a fit depends on, and their hashes: an edited trial changes a fit as a moved spike does.

Only columns that decide segments count: ids, starts, stops, and those that ``where``, ``align`` and ``tags`` name. A
column that is added later changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..config import ReadConfig
from .hashing import hash_arrays

TRIALS, EPOCHS, INVALID = "/intervals/trials", "/intervals/epochs", "/intervals/invalid_times"
_ALWAYS = ("id", "start_time", "stop_time")


def choose_tables(read: ReadConfig) -> list[str]:
    """List the paths of the tables of intervals that may decide the segments of a reading, without those of events."""
    names = [read.trials] if isinstance(read.trials, str) else list(read.trials)
    found = [] if read.keep_invalid else [INVALID]
    if names == ["auto"]:
        return [TRIALS, *([EPOCHS] if read.tags else []), *found]
    named = [name if name.startswith("/") else f"/intervals/{name}" for name in names if name != "none"]
    return [*named, *found]


def choose_columns(names: Iterable[str], read: ReadConfig) -> list[str]:
    """Choose the columns of a table that decide its segments; ragged ones with their indexes."""
    # A condition may be any expression; every word in it could be a column, and one too many does no harm.
    words = {*re.findall(r"\w+", read.where or ""), read.align}
    chosen = [name for name in names if name in words or (name == "tags" and read.tags)]
    return [*_ALWAYS, *(part for name in sorted(chosen) for part in (name, f"{name}_index"))]


def describe_tables(read: ReadConfig, find: Callable[[str], Any]) -> dict[str, dict[str, Any] | None]:
    """Describe the tables that decide the segments of a reading, for the provenance; JSON-able.

    Parameters
    ----------
    read : ReadConfig
    find : callable
        Returns the columns of the table at a path, a mapping of names to arrays; None where there is none.

    Returns
    -------
    dict
        By path ``columns``, ``rows`` and ``sha256``; None for a table that is not there, since it may be added.
    """
    described: dict[str, dict[str, Any] | None] = {}
    for path in choose_tables(read):
        columns: Mapping[str, Any] | None = find(path)
        if columns is None:
            described[path] = None
            continue
        names = [name for name in choose_columns(columns, read) if name in columns]
        described[path] = {"columns": names, "rows": len(columns["id"]), "sha256": hash_columns(columns, names)}
    return described


def hash_columns(columns: Mapping[str, Any], names: Iterable[str]) -> str:
    """Hash some columns of a table."""
    return hash_arrays((name, columns[name]) for name in names)
