"""A script for a clean process without nwb_dcf: check that a copy is its original plus one fit.

Three questions, each answered with an error that names the place: can plain pynwb read every object; are the
stored arrays those of the payload; is everything else as it was.
"""

from __future__ import annotations

import hashlib
import json
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import h5py
import numpy as np
from pynwb import NWBHDF5IO

if TYPE_CHECKING:
    from jaxtyping import Shaped

Tree = dict[str, tuple[object, dict[str, str]]]
"""From the path of an object to what it is, in values that compare, and its attributes as texts."""


class Request(TypedDict):
    """Paths of a copy, its original and the payload that was added, and the name of the fit; no payload: removed."""

    copy: str
    original: str
    payload: str | None
    name: str


class Report(TypedDict):
    """Versions of the NWB schema that the two files state."""

    nwb_version_before: str
    nwb_version_after: str


_REFERENCES = runpy.run_path(str(Path(__file__).resolve().parent / "references.py"))

# What pynwb itself raises to its own schema when it writes into an older file.
RAISED_BY_PYNWB = {
    ("/", "nwb_version"),
    ("/general/extracellular_ephys/electrodes", "neurodata_type"),
    ("/general/extracellular_ephys/electrodes", "namespace"),
}


def run(request: Request) -> Report:
    """Compare ``request["copy"]`` with ``request["original"]`` and, if a fit was written, ``request["payload"]``."""
    name = request["name"]
    place = f"/processing/dcf/{name}"
    with h5py.File(request["original"], "r") as before, h5py.File(request["copy"], "r") as after:
        compare_trees(describe_tree(before), describe_tree(after), place, removed=not request["payload"])
        if request["payload"]:
            compare_payload(after[place], request["payload"])
        versions = [str(file.attrs.get("nwb_version", "")) for file in (before, after)]
    read_everything(request["copy"], name if request["payload"] else None)
    # Only a process that knows none of our classes shows that the cached specification is enough to read the file.
    imported = sorted(m for m in sys.modules if m.partition(".")[0] == "nwb_dcf" or m.startswith("ndx_"))
    if imported:
        raise RuntimeError(f"the process that verifies is not clean: it imported {', '.join(imported)}")
    return {"nwb_version_before": versions[0], "nwb_version_after": versions[1]}


def read_everything(path: str, name: str | None) -> None:
    """Read every object of the file with plain pynwb, and the latents of the fit by name if one is given."""
    with NWBHDF5IO(path, "r") as io:
        check_readable(io.read(), name)


def check_readable(nwbfile: Any, name: str | None) -> None:
    """Look at every object of a file that was read, and at the latents of the fit by name if one is given."""
    # hdmf reads fields when they are asked for, so a damaged one shows only then.
    for neurodata in nwbfile.objects.values():
        for field in list(getattr(neurodata, "fields", {})):
            getattr(neurodata, field)
    if name is None:
        return
    fit = nwbfile.processing["dcf"][name]
    for table in (fit.segments, fit.axes, fit.training):
        if not len(table.to_dataframe().columns):
            raise RuntimeError(f"table {table.name} has no columns")
    latents = fit["latents"]
    if latents.data.ndim != 2 or len(latents.get_timestamps()) != len(latents.data):
        raise RuntimeError("latents and their times differ in number")


def compare_payload(group: h5py.Group, payload: str) -> None:
    """Raise unless every array and text of the payload is in `group` to the bit."""
    # Read by h5py and not by pynwb, which would give its own classes and types.
    with np.load(payload, allow_pickle=False) as stored:
        document = json.loads(str(stored["__document__"]))
        for key in stored.files:
            if key != "__document__" and not _is_equal(_read_path(group, key), stored[key]):
                raise RuntimeError(f"{group.name}/{key} is not that of the payload")
    for key, text in document["texts"].items():
        if group[key].asstr()[()] != text:
            raise RuntimeError(f"{group.name}/{key} is not that of the payload")


def _read_path(group: h5py.Group, key: str) -> Any:
    if key.endswith("/rate"):
        return group[key.replace("/rate", "/starting_time")].attrs["rate"]
    dataset = group[key]
    return dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]


def _is_equal(stored: Any, expected: Shaped[np.ndarray, "*_"]) -> bool:
    stored = np.asarray(stored, dtype=expected.dtype) if expected.dtype.kind == "U" else np.asarray(stored)
    equal_nan = expected.dtype.kind == "f"
    return stored.dtype == expected.dtype and np.array_equal(stored, expected, equal_nan=equal_nan)


def describe_tree(file: h5py.File) -> Tree:
    """Describe each object by its path: kind, shape and dtype, or where a link leads, and its attributes."""
    tree: Tree = {}
    pending, seen = ["/"], set()
    while pending:
        path = pending.pop()
        item = file[path]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:  # a second hard link, perhaps a loop
            tree[path] = (("same object",), {})
            continue
        seen.add(address)
        # Values are not compared: the copy was made byte by byte, and pynwb changes structure and attributes alone.
        shape = _describe_array(item) if isinstance(item, h5py.Dataset) else type(item).__name__
        tree[path] = (shape, {key: _describe_attribute(item, key) for key in item.attrs})
        if not isinstance(item, h5py.Group):
            continue
        for key in item:
            child = f"{path.rstrip('/')}/{key}"
            link = item.get(key, getlink=True)
            if isinstance(link, h5py.HardLink):
                pending.append(child)
            else:
                target = (getattr(link, "filename", ""), link.path)
                tree[child] = (("link", *target), {})
    return tree


def _describe_array(item: h5py.Dataset) -> tuple[Any, ...]:
    """Describe shape and type of an array, and where its references lead: that may change though no value does."""
    if not _REFERENCES["has_references"](item.dtype):
        return item.shape, str(item.dtype)
    led = hashlib.sha256()
    for reference in _REFERENCES["find_references"](item, values_only=True):
        led.update(f"{_describe_target(item.file, reference)}\0".encode())
    return item.shape, str(item.dtype), "references", led.hexdigest()


def _describe_attribute(item: Any, key: str) -> str:
    value = item.attrs[key]
    if isinstance(value, h5py.Empty):
        return f"empty {value.dtype}"
    array = np.asarray(value)
    if array.dtype.kind == "O":  # texts and references
        return repr([_describe_target(item.file, v) if isinstance(v, h5py.Reference) else str(v) for v in array.flat])
    return f"{array.dtype} {array.shape} {array.tolist()!r}"


def _describe_target(file: h5py.File, reference: h5py.Reference) -> str:
    try:
        return f"-> {file[reference].name}"
    except (KeyError, ValueError):
        return "-> nothing"


def compare_trees(before: Tree, after: Tree, place: str, *, removed: bool = False) -> None:
    """Raise unless `after` is `before` with nothing changed but the fit at `place` and cached specifications.

    Where a fit was `removed`, nothing at all is new, and its module may be gone with the last one.
    """

    def is_ours(path: str) -> bool:
        new_parents = ("/processing", "/processing/dcf", "/specifications")
        return (
            path == place
            or path.startswith((f"{place}/", "/specifications/"))
            or (path in new_parents and path not in before)
        )

    # With the last fit its module goes, if we have made it.
    others = {path for path in before if not path.startswith(f"{place}/") and path != place}
    if removed and not any(path.startswith("/processing/dcf/") for path in others):
        others -= {"/processing/dcf"} - set(after)
    lost = sorted(others - set(after))
    added = sorted(path for path in set(after) - set(before) if removed or not is_ours(path))
    if lost or added:
        raise RuntimeError(f"{(lost + added)[0]} {'is lost' if lost else 'was added'}")
    for path in others - {p for p in others if p.startswith("/specifications/")}:
        (shape, attributes), (new_shape, new_attributes) = before[path], after[path]
        if shape != new_shape:
            raise RuntimeError(f"{path} changed from {shape} to {new_shape}")
        for key in {*attributes, *new_attributes}:
            old, new = attributes.get(key), new_attributes.get(key)
            if old != new and (path, key) not in RAISED_BY_PYNWB and not (path == "/" and key == ".specloc"):
                raise RuntimeError(f"{path} attribute {key} changed from {old} to {new}")
