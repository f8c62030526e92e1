"""Settings of a batch in files: a TOML for all files, and a CSV with those that differ for some."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ParameterError

Settings = dict[str, Any]
"""Keyword arguments of `nwb_dcf.fit_nwb`, which checks them; any of them may be there."""
# who knows the options writes them into the file too
SHORT = {"bin": "bin_width_s", "resample": "resample_hz", "min_length": "min_length_s", "max_gap": "max_gap_s"}
"""Names of Python, by the options of the command line that differ from them."""
NOT_SETTINGS = ("file", "group", "animal")
# a CSV has no lists: names in one cell are parted by blanks
MANY = ("source", "trials", "tags")
TEXT = (
    "source",
    "trials",
    "tags",
    "where",
    "units",
    "rois",
    "name",
    "output",
    "align",
    "preset",
    "transformation",
    "scale",
)


def load_config(path: str | Path) -> Settings:
    """Read settings from a TOML file, as `save_config` writes it.

    Raises
    ------
    ParameterError
        If it cannot be read or is no TOML.
    """
    try:
        with Path(path).open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise ParameterError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"is no TOML: {error}", where=str(path), fix="see --save-config for an example") from error
    return {SHORT.get(name, name): value for name, value in values.items()}


def save_config(options: Mapping[str, Any], path: str | Path) -> None:
    """Write settings as TOML: a line for each, a table for those of one stage.

    Raises
    ------
    ParameterError
        If a value cannot be written, or the file not.
    """
    lines, tables = [], []
    for name, value in options.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            rows = [f"{key} = {_to_toml(item)}" for key, item in value.items() if item is not None]
            tables.append("\n".join([f"\n[{name}]", *rows]))
        else:
            lines.append(f"{name} = {_to_toml(value)}")
    try:
        Path(path).write_text("\n".join([*lines, *tables]) + "\n", encoding="utf-8")
    except OSError as error:
        raise ParameterError(f"cannot be written: {error.strerror or error}", where=str(path)) from error


def _to_toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_to_toml, value)) + "]"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a basic string of TOML
    raise ParameterError(f"{value!r} has no place in a TOML file", fix="leave it out")


def load_overrides(path: str | Path) -> dict[str, Settings]:
    """Read the settings that differ for some files: a CSV with the column ``file`` and a column for each setting.

    Returns
    -------
    dict of str to dict
        Settings by the file's name; cells that are empty change nothing. The columns ``group`` and ``animal`` are for
        cohorts and not settings.

    Raises
    ------
    ParameterError
        If it cannot be read, has no column ``file``, or a file has two rows.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"cannot be read: {error}", where=str(path)) from error
    if not rows or "file" not in rows[0]:
        raise ParameterError("has no column file", where=str(path), fix="name the columns in its first line")
    overrides: dict[str, Settings] = {}
    for row in rows:
        name = Path((row["file"] or "").strip()).name
        if name in overrides:
            raise ParameterError(f"{name} has two rows", where=str(path), fix="give each file one")
        # None is the name of cells beyond the last column
        cells = {SHORT.get(k, k): (v or "").strip() for k, v in row.items() if k is not None and k not in NOT_SETTINGS}
        overrides[name] = {key: _parse(key, text) for key, text in cells.items() if text}
    return overrides


def _parse(name: str, text: str) -> Any:
    """Parse a cell by its column: JSON where it is JSON, else text; several names of one setting are split."""
    if name in MANY and " " in text:
        return tuple(text.split())
    # never as JSON: a fit named 3 and a unit 007 are text
    if name in TEXT:
        return text
    if name == "window":
        return tuple(float(part) for part in text.replace(";", " ").split())
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except json.JSONDecodeError:
        return text
