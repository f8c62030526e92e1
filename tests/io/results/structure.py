"""Everything an NWB file holds, described so that two files can be compared: independent of what the package does."""

from __future__ import annotations

import hashlib
import heapq
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FIT_PLACES = ("/processing/dcf", "/specifications/core/", "/specifications/ndx-dcf", "/specifications/hdmf-")
# The schema version, and the types that it raises.
RAISED = {
    ("/", "nwb_version"),
    ("/general/extracellular_ephys/electrodes", "neurodata_type"),
    ("/general/extracellular_ephys/electrodes", "namespace"),
}


def describe(path: Path) -> dict[str, Any]:
    """Describe each object and each link by its path: attributes, values, and how they are stored."""
    found: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        pending, first = ["/"], {}
        while pending:
            where = heapq.heappop(pending)
            item = file[where]
            address = h5py.h5o.get_info(item.id).addr
            if address in first:
                found[where] = ("hard link", first[address])
                continue
            first[address] = where
            attributes = {key: _describe_value(item.attrs[key], file) for key in item.attrs}
            found[where] = {"attributes": attributes, **(_describe_dataset(item) if hasattr(item, "dtype") else {})}
            for key in item if isinstance(item, h5py.Group) else ():
                child, link = f"{where.rstrip('/')}/{key}", item.get(key, getlink=True)
                if isinstance(link, h5py.HardLink):
                    heapq.heappush(pending, child)
                else:
                    found[child] = (type(link).__name__, getattr(link, "filename", ""), link.path)
    return found


def _describe_dataset(item: h5py.Dataset) -> dict[str, Any]:
    stored = ("shape", "maxshape", "chunks", "compression", "compression_opts", "shuffle", "fletcher32", "scaleoffset")
    described = {name: getattr(item, name) for name in stored}
    values = h5py.Empty(item.dtype) if item.shape is None else item[()]
    return {**described, "dtype": str(item.dtype), "fill": repr(item.fillvalue), "values": _hash(values, item.file)}


def _hash(values: Any, file: h5py.File) -> str:
    array = np.asarray(values) if not isinstance(values, h5py.Empty) else None
    if array is not None and not array.dtype.hasobject:
        return hashlib.sha256(array.tobytes()).hexdigest()
    return hashlib.sha256(repr(_describe_value(values, file)).encode()).hexdigest()


def _describe_value(value: Any, file: h5py.File) -> Any:
    if isinstance(value, h5py.Empty):
        return ("empty", str(value.dtype))
    if isinstance(value, h5py.RegionReference):
        return ("region", file[value].name, file[value].regionref.selection(value)) if value else "no region"
    if isinstance(value, h5py.Reference):
        return ("object", file[value].name) if value else "no object"
    if isinstance(value, np.void) and value.dtype.fields:
        return [_describe_value(value[name], file) for name in value.dtype.names]
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, [_describe_value(v, file) for v in value.reshape(-1)])
    return (type(value).__name__, repr(value))


def find_differences(
    before: dict[str, Any], after: dict[str, Any], *, allowed: tuple[str, ...] = FIT_PLACES
) -> list[str]:
    """Paths of what differs, but for what writing a fit is allowed to add and to raise."""
    differences = []
    for where in sorted(before.keys() | after.keys()):
        one, other = before.get(where), after.get(where)
        if one == other or where.startswith(allowed):
            continue
        if one is None and where in ("/processing", "/specifications") and allowed:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            old, new = (dict(item["attributes"]) for item in (one, other))
            for key in [k for place, k in RAISED if place == where] if allowed else []:
                old.pop(key, None), new.pop(key, None)
            if where == "/" and ".specloc" not in old and allowed:
                new.pop(".specloc", None)
            if {**one, "attributes": old} == {**other, "attributes": new}:
                continue
        differences.append(where)
    return differences
