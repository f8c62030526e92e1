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
import zarr
from hdmf_zarr.nwb import NWBZarrIO

_HERE = Path(__file__).resolve().parent
_ITEMS = runpy.run_path(str(_HERE / "items.py"))
_VERIFY = runpy.run_path(str(_HERE / "verify.py"))
_PICKLES = runpy.run_path(str(_HERE.parents[1] / "backends" / "restricted_pickle.py"))


def run(request: dict[str, str]) -> dict[str, str]:
    """Compare ``request["copy"]`` with ``request["original"]`` and, if a fit was written, ``request["payload"]``."""
    name = request["name"]
    place = f"/processing/dcf/{name}"
    before, after = (describe_folder(Path(request[part])) for part in ("original", "copy"))
    written = bool(request["payload"])
    _VERIFY["compare_trees"](before, after, place, removed=not written)
    versions = [
        json.loads((Path(request[part]) / ".zattrs").read_text())["nwb_version"] for part in ("original", "copy")
    ]
    with ExitStack() as stack:
        stack.enter_context(_PICKLES["restrict_pickles"]())
        if written:
            compare_payload(zarr.open_group(request["copy"], mode="r")[place], request["payload"])
        nwbfile = stack.enter_context(NWBZarrIO(request["copy"], mode="r")).read()
        _VERIFY["check_readable"](nwbfile, name if written else None)
    imported = sorted(m for m in sys.modules if m.partition(".")[0] == "nwb_dcf" or m.startswith("ndx_"))
    if imported:
        raise RuntimeError(f"the process that verifies is not clean: it imported {', '.join(imported)}")
    return {"nwb_version_before": versions[0], "nwb_version_after": versions[1]}


def describe_folder(folder: Path) -> dict[str, tuple[object, dict[str, str]]]:
    """Describe each group, array and chunk by its path, as ``verify.describe_tree`` does of HDF5."""
    tree: dict[str, tuple[object, dict[str, str]]] = {}
    for parent, folders, names in os.walk(folder):
        path = "/" + os.path.relpath(parent, folder).replace(os.sep, "/").removeprefix(".").lstrip("/")
        attributes = _read_json(parent, ".zattrs") if ".zattrs" in names else {}
        shape = json.dumps(_read_json(parent, ".zarray"), sort_keys=True) if ".zarray" in names else "Group"
        tree[path] = (shape, {key: repr(value) for key, value in attributes.items()})
        # A link to a folder is an entry of its own, which os.walk does not enter.
        links = [inner for inner in folders if os.path.islink(os.path.join(parent, inner))]
        for name in (*(name for name in names if not name.startswith(".z")), *links):
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


def _read_json(folder: str, name: str) -> Any:
    return json.loads(Path(folder, name).read_text())
