"""Find what in a file leads to an object: soft links, and references in values, compound columns and attributes.

Clean processes run this file by its path, so it imports nothing of the package.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Shaped

_BACKENDS = runpy.run_path(str(Path(__file__).resolve().parents[2] / "backends" / "zarr_format.py"))
ROWS = 2**16  # of a column of references that are read at a time
_TEXTS = ("object_", "str", "utf", "ascii", "bytes")  # types of hdmf-zarr whose objects are texts


def find_leading_to(file: Any, place: str) -> list[str]:
    """Find what lies outside `place`, a path in an open file of h5py or zarr, and leads to it or into it.

    Returns
    -------
    list of str
        Paths of the objects and links, sorted; a reference counts for the object that holds it.
    """
    if isinstance(file, h5py.File):
        targets = list(_list_targets(file))
        return sorted({path for path, target in targets if inside(target, place) and not inside(path, place)})
    return sorted(_find_in_folder(Path(file.store.path), place))


def inside(path: str | None, place: str) -> bool:
    """Whether `path` is `place` or lies below it."""
    return path is not None and f"{path}/".startswith(f"{place}/")


def _list_targets(file: h5py.File) -> Iterator[tuple[str, str | None]]:
    for path, item in walk(file):
        if isinstance(item, h5py.SoftLink):
            yield path, item.path if item.path.startswith("/") else f"{path.rpartition('/')[0]}/{item.path}"
            continue
        for reference in find_references(item):
            yield path, name_target(file, reference)


def walk(file: h5py.File) -> list[tuple[str, Any]]:
    """List every object once, and every soft or external link, with its path."""
    found: list[tuple[str, Any]] = []
    pending, seen = ["/"], set()
    while pending:
        path = pending.pop()
        item = file[path]
        # An object may have several names, and a group may hold itself.
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        found.append((path, item))
        for key in item if isinstance(item, h5py.Group) else ():
            child, link = f"{path.rstrip('/')}/{key}", item.get(key, getlink=True)
            if isinstance(link, h5py.HardLink):
                pending.append(child)
            else:
                found.append((child, link))
    return found


def find_references(item: Any, *, values_only: bool = False) -> Iterator[Any]:
    """Yield the references in the values, and the attributes too, of an object of h5py."""
    if not isinstance(item, h5py.Group | h5py.Dataset):
        return
    for key in () if values_only else item.attrs:
        if has_references(item.attrs.get_id(key).dtype):
            yield from flatten(np.asarray(item.attrs[key]))
    if isinstance(item, h5py.Dataset) and has_references(item.dtype) and item.shape is not None:
        rows = range(0, len(item), ROWS) if item.shape else ()
        for start in rows:
            yield from flatten(np.asarray(item[start : start + ROWS]))
        if not item.shape:
            yield from flatten(np.asarray(item[()]))


def has_references(dtype: np.dtype) -> bool:
    """Whether values of this type are, or hold, references to objects or regions."""
    if dtype.fields:
        return any(has_references(part[0]) for part in dtype.fields.values())
    if (inner := h5py.check_vlen_dtype(dtype)) is not None and isinstance(inner, np.dtype):
        return has_references(inner)
    return h5py.check_ref_dtype(dtype.base) is not None


def flatten(values: Shaped[np.ndarray, "*_"]) -> Iterator[Any]:
    """Yield the references among values that may be compounds, or lists of unequal length."""
    if values.dtype.fields:
        for name, part in values.dtype.fields.items():
            if has_references(part[0]):
                yield from flatten(values[name])
        return
    for value in values.flat:
        if isinstance(value, np.ndarray):
            yield from flatten(value)
        else:
            yield value


def name_target(file: h5py.File, reference: Any) -> str | None:
    """Return the path of what a reference leads to; None where it leads to nothing."""
    try:
        return str(file[reference].name) if reference else None
    except (KeyError, ValueError, OSError):
        return None


def _find_in_folder(folder: Path, place: str) -> set[str]:
    """Find in Zarr what leads to `place`: links are texts of its metadata, references those or values."""
    found = set()
    for metadata in (*folder.rglob(".zattrs"), *folder.rglob("zarr.json")):
        path = "/" + metadata.parent.relative_to(folder).as_posix().removeprefix(".")
        if inside(path, place):
            continue
        attributes, described = _BACKENDS["read_metadata"](metadata.parent)
        targets = list(find_paths(attributes, folder))
        if metadata.parent.is_relative_to(folder / "specifications") or described is None:
            pass
        elif described["zarr_format"] == 3:
            targets += _list_texts(folder, path, attributes)
        elif _may_hold_references(described, attributes):
            targets += find_paths(_read_objects(folder, path), folder)
        if any(inside(target, place) for target in targets):
            found.add(path)
    return found


def find_paths(value: Any, folder: Path) -> Iterator[str]:
    """Yield the paths of links and references to objects of the same folder, anywhere in values of JSON."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str) and "source" in value:
            source = value["source"]
            if source in (None, ".") or Path(folder, str(source)).resolve() == folder.resolve():
                yield value["path"]
            return
        for inner in value.values():
            yield from find_paths(inner, folder)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from find_paths(inner, folder)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "OV":
        for inner in value.flat:
            yield from find_paths(inner.item() if isinstance(inner, np.void) else inner, folder)


def _list_texts(folder: Path, path: str, attributes: dict[str, Any]) -> list[str]:
    """List what the references in an array of format 3 lead to: they are texts there, in columns that are named."""
    fields = attributes.get("_REFERENCE_FIELDS") or []
    if attributes.get("_DTYPE") != "object_reference" and not fields:
        return []
    values = _read_objects(folder, path)
    columns = [values[field] for field in fields] if fields else [values]
    return [str(text) for column in columns for text in np.asarray(column).flat]


def _may_hold_references(described: dict[str, Any], attributes: dict[str, object]) -> bool:
    """Whether an array of format 2 holds objects, and not texts alone."""
    dtype = described.get("dtype")
    if "|O" not in ([field[1] for field in dtype] if isinstance(dtype, list) else [dtype]):
        return False
    kind = attributes.get("zarr_dtype")
    return not (isinstance(kind, str) and kind.startswith(_TEXTS))


def _read_objects(folder: Path, path: str) -> Any:
    # hdmf-zarr pickles references in format 2, and a pickle may run any code.
    backends = Path(__file__).resolve().parents[2] / "backends"
    restrict = runpy.run_path(str(backends / "restricted_pickle.py"))["restrict_pickles"]
    open_group = runpy.run_path(str(backends / "zarr_folder.py"))["open_group"]
    with restrict():
        return open_group(folder)[path.lstrip("/")][()]
