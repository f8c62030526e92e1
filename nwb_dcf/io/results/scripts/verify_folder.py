"""A script for a clean process without nwb_dcf: what `verify` asks of a file, asked of a folder of Zarr."""

from __future__ import annotations

import json
import os
import runpy
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from hdmf_zarr.nwb import NWBZarrIO

_HERE = Path(__file__).resolve().parent
_ITEMS = runpy.run_path(str(_HERE / "items.py"))
_VERIFY = runpy.run_path(str(_HERE / "verify.py"))
_PICKLES, _FORMAT, _FOLDER = (
    runpy.run_path(str(_HERE.parents[1] / "backends" / f"{name}.py"))
    for name in ("restricted_pickle", "zarr_format", "zarr_folder")
)


def run(request: dict[str, str]) -> dict[str, str]:
    """Compare ``request["copy"]`` with ``request["original"]`` and, if a fit was written, ``request["payload"]``."""
    name = request["name"]
    place = f"/processing/dcf/{name}"
    before, after = (describe_folder(Path(request[part])) for part in ("original", "copy"))
    written = bool(request["payload"])
    _VERIFY["compare_trees"](before, after, place, removed=not written)
    versions = [_FORMAT["read_metadata"](request[part])[0]["nwb_version"] for part in ("original", "copy")]
    with ExitStack() as stack:
        stack.enter_context(_PICKLES["restrict_pickles"]())
        if written:
            compare_payload(_FOLDER["open_group"](Path(request["copy"]))[place], request["payload"])
        nwbfile = stack.enter_context(_open_by_pynwb(request["copy"])).read()
        _VERIFY["check_readable"](nwbfile, name if written else None)
    imported = sorted(m for m in sys.modules if m.partition(".")[0] == "nwb_dcf" or m.startswith("ndx_"))
    if imported:
        raise RuntimeError(f"the process that verifies is not clean: it imported {', '.join(imported)}")
    return {"nwb_version_before": versions[0], "nwb_version_after": versions[1]}


def _open_by_pynwb(folder: str) -> Any:
    if _FORMAT["find_format"](Path(folder)) == 2 and _FORMAT["writes_format_3"]():
        from hdmf_zarr.nwb_zarrv2 import NWBZarrV2IO

        return NWBZarrV2IO(folder, mode="r", allow_pickle=True)  # restricted around it
    return NWBZarrIO(folder, mode="r")


def describe_folder(folder: Path) -> dict[str, tuple[object, dict[str, str]]]:
    """Describe each group, array and chunk by its path, as ``verify.describe_tree`` does of HDF5."""
    tree: dict[str, tuple[object, dict[str, str]]] = {}
    for parent, folders, names in os.walk(folder):
        path = "/" + os.path.relpath(parent, folder).replace(os.sep, "/").removeprefix(".").lstrip("/")
        is_object = any(_FORMAT["is_metadata"](name) for name in names)
        attributes, described = _FORMAT["read_metadata"](parent) if is_object else ({}, None)
        shape = json.dumps(described, sort_keys=True) if described else "Group"
        tree[path] = (shape, {key: repr(value) for key, value in attributes.items()})
        # A link to a folder is an entry of its own, which os.walk does not enter.
        links = [inner for inner in folders if os.path.islink(os.path.join(parent, inner))]
        for name in (*(name for name in names if not _FORMAT["is_metadata"](name)), *links):
            full = os.path.join(parent, name)
            kind = f"link {os.readlink(full)}" if os.path.islink(full) else f"{os.path.getsize(full)} bytes"
            tree[f"{path.rstrip('/')}/{name}"] = (kind, {})
    return tree


def compare_payload(group: Any, payload: str) -> None:
    """Raise unless every array and text of the payload is in `group` to the bit."""
    read_values, follow = _ITEMS["read_values"], _ITEMS["follow"]
    with np.load(payload, allow_pickle=False) as stored:
        document = json.loads(str(stored["__document__"]))
        for key in stored.files:
            if key == "__document__":
                continue
            # NWB keeps the rate as an attribute of the starting time.
            if key.endswith("/rate"):
                found: Any = group[key.replace("/rate", "/starting_time")].attrs["rate"]
            else:
                item = follow(group, key)
                found = None if item is None else read_values(item)
            if not _VERIFY["_is_equal"](found, stored[key]):
                raise RuntimeError(f"{group.name}/{key} is not that of the payload")
    for key, text in document["texts"].items():
        if _ITEMS["read_text"](group, key) != text:
            raise RuntimeError(f"{group.name}/{key} is not that of the payload")
