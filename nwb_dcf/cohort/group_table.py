"""Groups and animals of files: a CSV, or a mapping."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import DataError, ParameterError


def read_groups(
    groups: str | Path | Mapping[str, str] | None, files: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Read group and animal of each file, by its name.

    Parameters
    ----------
    groups : path or mapping, optional
        CSV with the columns ``file`` and ``group``, and perhaps ``animal``; or the group of each file name.
    files : iterable of str
        Names of the files, each of which needs a group.

    Returns
    -------
    groups, animals : dict of str to str
        Animals are empty where they are not all named.

    Raises
    ------
    ParameterError
        If the CSV cannot be read, or a file has no group.
    """
    if groups is None:
        return {}, {}
    names = list(files)
    animals: dict[str, str] = {}
    if isinstance(groups, Mapping):
        found = {Path(file).name: str(group) for file, group in groups.items()}
    else:
        found, animals = _read_csv(Path(groups))
    missing = [name for name in names if not found.get(name)]
    if missing:
        near = difflib.get_close_matches(missing[0], [name for name in found if name not in names], n=1)
        raise ParameterError(
            f"{len(missing)} of {len(names)} files have no group, the first {missing[0]}",
            where=None if isinstance(groups, Mapping) else str(groups),
            fix=f"did you mean it by {near[0]}?" if near else "give every file a row with its group",
        )
    return found, animals


def _read_csv(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"cannot be read: {error}", where=str(path), fix="give a CSV file") from error
    if not rows or not {"file", "group"} <= set(rows[0]):
        raise ParameterError("has no columns file and group", where=str(path), fix="name them in its first line")
    # a short row has None in its last columns
    cells = [{key: (row.get(key) or "").strip() for key in ("file", "group", "animal")} for row in rows]
    found = {Path(row["file"]).name: row["group"] for row in cells}
    if len(found) < len(rows):
        raise ParameterError("a file has two rows", where=str(path), fix="give each file one row")
    animals = {Path(row["file"]).name: row["animal"] for row in cells if row["animal"]}
    # animals of some files alone would make the others animals of their own
    return found, animals if len(animals) == len(found) else {}


def check_cover(names: list[str], given: Mapping[str, str] | None, what: str) -> None:
    """Refuse a mapping that leaves a session out."""
    if given is None:
        return
    left_out = [name for name in names if not given.get(name)]
    if left_out:
        raise DataError(
            f"{len(left_out)} of {len(names)} sessions have no {what}, the first {left_out[0]}",
            fix=f"give each session its {what}",
        )
