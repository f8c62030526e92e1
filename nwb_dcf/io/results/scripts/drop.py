"""A script for a clean process: delete a fit from a copy of an NWB file, and give its space back if asked.

HDF5 keeps the space of what is deleted. Only a new file without it gives it back, hence `repack`: everything is copied
by HDF5's own H5Ocopy, which keeps chunks, filters and links as they are, and then compared with what it was.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

_REFERENCES = runpy.run_path(str(Path(__file__).resolve().parent / "references.py"))
walk, has_references, name_target = (_REFERENCES[name] for name in ("walk", "has_references", "name_target"))

MODULE = "/processing/dcf"
OURS = "Dynamic Compression Flows:"  # how the description of a module of ours begins


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Delete ``request["name"]`` from ``request["copy"]``; write it anew to ``request["packed"]`` if that is given."""
    place = f"{MODULE}/{request['name']}"
    if os.path.isdir(request["copy"]):
        drop_from_folder(Path(request["copy"]), place)
        return {}
    with h5py.File(request["copy"], "r+") as file:
        del file[place]
        module = file[MODULE]
        if not len(module) and str(module.attrs.get("description", "")).startswith(OURS):
            del file[MODULE]
    if request.get("packed"):
        repack(request["copy"], request["packed"])
        compare_values(request["copy"], request["packed"])
    return {}


def drop_from_folder(folder: Path, place: str) -> None:
    """Delete a fit from a Zarr folder."""
    shutil.rmtree(folder / place.lstrip("/"))
    module = folder / MODULE.lstrip("/")
    description = json.loads((module / ".zattrs").read_text()).get("description", "")
    if not [entry for entry in module.iterdir() if entry.is_dir()] and description.startswith(OURS):
        shutil.rmtree(module)
    if (folder / ".zmetadata").exists():
        import zarr

        zarr.consolidate_metadata(str(folder))


def repack(source: str, target: str) -> None:
    """Write everything that `source` holds into a new file `target`."""
    with h5py.File(source, "r") as old:
        plist = old.id.get_create_plist()
        h5py.h5f.create(target.encode(), h5py.h5f.ACC_TRUNC, fcpl=plist).close()
        with h5py.File(target, "r+") as new:
            options = h5py.h5p.create(h5py.h5p.OBJECT_COPY)
            options.set_copy_object(h5py.h5o.COPY_EXPAND_REFERENCE_FLAG)
            # In one piece, so that references find their targets among what is copied; the root itself cannot be.
            h5py.h5o.copy(old.id, b"/", new.id, _ROOT.encode(), options)
            for name in list(new[_ROOT]):
                new.move(f"{_ROOT}/{name}", name)
            del new[_ROOT]
            for name in set(new) - set(old):
                del new[name]  # a second name that H5Ocopy gives to what references lead to
            _copy_attributes(old, new)
            for path, item in walk(old):
                if isinstance(item, h5py.Dataset) and item.dtype.fields and has_references(item.dtype):
                    new[path][...] = _lead_anew(item[()], old, new)  # H5Ocopy leaves those of compounds as they were


_ROOT = "nwb-dcf-root"


def _copy_attributes(old: h5py.File, new: h5py.File) -> None:
    for key in old.attrs:
        stored = old.attrs.get_id(key)
        made = h5py.h5a.create(new.id, key.encode(), stored.get_type(), stored.get_space())
        if stored.get_space().get_simple_extent_type() != h5py.h5s.NULL:
            values = np.empty(stored.shape, dtype=stored.dtype)
            stored.read(values)
            made.write(_lead_anew(values, old, new))


def _lead_anew(values: np.ndarray, old: h5py.File, new: h5py.File) -> np.ndarray:
    """Replace references into one file by references to the same paths in the other."""
    if not has_references(values.dtype):
        return values
    led = values.copy()
    if values.dtype.fields:
        for name in values.dtype.names or ():
            led[name] = _lead_anew(values[name], old, new)
        return led
    for index, reference in np.ndenumerate(values):
        target = name_target(old, reference)
        if target is not None:
            led[index] = new[target].ref
    return led


def compare_values(source: str, target: str) -> None:
    """Raise unless both files hold the same objects, values, attributes, links and ways of storing."""
    with h5py.File(source, "r") as old, h5py.File(target, "r") as new:
        before, after = (dict(walk(file)) for file in (old, new))
        if before.keys() != after.keys():
            raise RuntimeError(f"{sorted(before.keys() ^ after.keys())[0]} was not copied as it was")
        for path, item in before.items():
            if _describe(item, old) != _describe(after[path], new) or not _hold_same(item, after[path], old, new):
                raise RuntimeError(f"{path} was not copied as it was")


def _describe(item: Any, file: h5py.File) -> tuple[Any, ...]:
    if isinstance(item, h5py.SoftLink | h5py.ExternalLink):
        return type(item), getattr(item, "filename", ""), item.path
    attributes = {key: _describe_values(item.attrs[key], file) for key in item.attrs}
    if isinstance(item, h5py.Group):
        return type(item), attributes
    stored = (item.shape, item.dtype, item.maxshape, item.chunks, item.compression, item.compression_opts)
    return type(item), attributes, *stored, item.shuffle, item.fletcher32, item.scaleoffset, repr(item.fillvalue)


def _describe_values(value: Any, file: h5py.File) -> str:
    if isinstance(value, h5py.Empty):
        return f"empty {value.dtype}"
    array = np.asarray(value)
    return f"{array.dtype} {array.shape} {[_name(v, file) for v in array.flat]}"


def _name(value: Any, file: h5py.File) -> str:
    if isinstance(value, np.void) and value.dtype.fields:
        return repr([_name(value[name], file) for name in value.dtype.fields])
    if isinstance(value, h5py.RegionReference):
        return f"-> {name_target(file, value)} {file[value].regionref.selection(value) if value else ''}"
    return f"-> {name_target(file, value)}" if isinstance(value, h5py.Reference) else repr(value)


def _hold_same(one: Any, other: Any, old: h5py.File, new: h5py.File) -> bool:
    if not isinstance(one, h5py.Dataset) or one.shape is None or not one.size:
        return True
    if not one.shape or one.dtype.hasobject or one.dtype.fields:
        return _describe_values(one[()], old) == _describe_values(other[()], new)
    rows = max(1, 2**24 // max(1, one.dtype.itemsize * int(np.prod(one.shape[1:]))))
    return all(one[i : i + rows].tobytes() == other[i : i + rows].tobytes() for i in range(0, len(one), rows))
