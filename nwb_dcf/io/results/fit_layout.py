"""Whether the arrays of a stored fit are what they claim, asked before any of them is read.

A file of a stranger may claim any size: HDF5 and Zarr give the fill value for what was never written, and follow
links into other files without a word.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ...data.memory import find_free_memory
from ...data.stored_json import LONGEST_TEXT, StoredJSONError
from .scripts.items import is_group

if TYPE_CHECKING:
    from jaxtyping import Shaped

DENSEST = 1100
"""Times that gzip makes zeros smaller, at most 1032: what is denser was not written by it."""
SMALL = 2**20
_FOLLOWED_ELSEWHERE = ("units", "source_units", "source_series", "sources")  # never read as arrays
_TABLES = ("segments", "axes", "training", "channel_table", "certificate")
_FINITE = (
    "latents/data", "flowed/data", "velocity/data", "latents/timestamps", "latents/starting_time", "latents/rate",
    "loadings", "mean", "axes/variance", "segments/start_time", "segments/stop_time",
)  # fmt: skip
_TEXTS = ("config", "provenance", "summary", "architecture")


def check_layout(group: Any) -> None:
    """Check links, types, and that what is claimed is there, of all arrays in a stored fit.

    Parameters
    ----------
    group : h5py.Group or zarr.Group
        The fit.

    Raises
    ------
    StoredJSONError
        That names the first array that is not what it claims.
    """
    if not isinstance(group, h5py.Group):
        _refuse_links_in_folder(group)
    shapes: dict[str, tuple[int, ...]] = {}
    total = 0
    for name, array in _list_arrays(group):
        _check_array(array, name)
        shapes[name] = tuple(array.shape)
        total += math.prod(array.shape) * array.dtype.itemsize
    # Each array may be within its bounds, and all of them together beyond the machine.
    if total > find_free_memory():
        raise StoredJSONError(f"its arrays take {total / 1e9:.1f} GB, more than this machine has free")
    _compare_shapes(shapes)


def _list_arrays(group: Any) -> Iterator[tuple[str, Any]]:
    for name in group:
        if name in _FOLLOWED_ELSEWHERE:
            continue
        item = _get_own(group, name, name)
        if not is_group(item):
            yield name, item
            continue
        for part in item:
            inner = _get_own(item, part, f"{name}/{part}")
            if is_group(inner):
                raise StoredJSONError(f"{name}/{part} is a group, where an array is expected")
            yield f"{name}/{part}", inner


def _get_own(group: Any, name: str, path: str) -> Any:
    """The item of that name, if it is stored in the fit itself; only timestamps are shared, within it."""
    if not isinstance(group, h5py.Group):
        return group[name]
    # h5py follows links without a word; only by asking for the link itself are they seen.
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise StoredJSONError(f"{path} is an external link, to {Path(link.filename).name}")
    if isinstance(link, h5py.SoftLink) and not (name == "timestamps" and link.path.startswith(_root(group))):
        raise StoredJSONError(f"{path} is a link, to {link.path}")
    item = group.get(name)
    if item is None:
        raise StoredJSONError(f"{path} is a link to what is missing")
    if isinstance(link, h5py.SoftLink) and not item.name.startswith(_root(group)):
        raise StoredJSONError(f"{path} is a link, to {item.name}")
    if item.file.filename != group.file.filename:
        raise StoredJSONError(f"{path} lies in another file, {Path(item.file.filename).name}")
    return item


def _root(group: h5py.Group) -> str:
    """Path of the fit that holds a part of it: ``/processing/dcf/NAME/``."""
    return "/".join(str(group.name).split("/")[:4]) + "/"


def _check_array(array: Any, name: str) -> None:
    if isinstance(array, h5py.Dataset):
        if array.external:
            raise StoredJSONError(f"{name} has its values in another file (external storage)")
        if array.is_virtual:
            raise StoredJSONError(f"{name} has its values in other places (a virtual dataset)")
    if array.shape is None:
        raise StoredJSONError(f"{name} is empty")
    is_text = array.dtype.kind in "SUO"
    if is_text and isinstance(array, h5py.Dataset) and h5py.check_string_dtype(array.dtype) is None:
        raise StoredJSONError(f"{name} holds {array.dtype}, which is neither numbers nor text")
    if not is_text and array.dtype.kind not in "biuf":
        raise StoredJSONError(f"{name} holds {array.dtype}, which is neither numbers nor text")
    is_document = name.rpartition("/")[2] in _TEXTS
    if is_document and not (is_text and math.prod(array.shape) == 1):
        raise StoredJSONError(f"{name} is no text")
    if is_document and array.dtype.itemsize > LONGEST_TEXT:
        raise StoredJSONError(f"{name} claims {array.dtype.itemsize} characters")
    # A few bytes may claim any size: gzip and the fill value both make much of little.
    claimed, stored = math.prod(array.shape) * array.dtype.itemsize, _measure_stored(array)
    if claimed > stored * DENSEST + SMALL or (claimed and not stored):
        raise StoredJSONError(f"{name} claims {array.shape}, {claimed:.3g} bytes, of which {stored} are stored")


def _measure_stored(array: Any) -> int:
    """Bytes that an array takes in its file; 0 where parts of it were never written."""
    if not isinstance(array, h5py.Dataset):
        return int(array.nbytes_stored) if array.nchunks_initialized == array.nchunks else 0
    if array.chunks is None:
        size = int(array.id.get_storage_size())
        return size if size >= array.size * array.dtype.itemsize else 0
    # HDF5 counts the chunks that were written; the others would be read as the fill value.
    n_chunks = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))
    return int(array.id.get_storage_size()) if array.id.get_num_chunks() == n_chunks else 0


def _refuse_links_in_folder(group: Any) -> None:
    root = Path(group.store.path) / group.path
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            if os.path.islink(os.path.join(parent, name)):
                raise StoredJSONError(f"{os.path.relpath(os.path.join(parent, name), root)} is a symbolic link")


def _compare_shapes(shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise unless arrays with a common axis have it in one length."""

    def size(name: str, n_dims: int) -> tuple[int, ...]:
        found = shapes.get(name)
        if found is None:
            raise StoredJSONError(f"{name} is missing")
        if len(found) != n_dims:
            raise StoredJSONError(f"{name} has {len(found)} axes, not {n_dims}")
        return found

    n_times, n_latents = size("latents/data", 2)
    n_channels, n_axes = size("loadings", 2)
    for name, shape in shapes.items():
        head, _, tail = name.partition("/")
        if tail == "data" and shape != (n_times, n_latents):
            raise _explain(name, shape, "latents/data", (n_times, n_latents))
        if tail == "timestamps" and shape != (n_times,):
            raise _explain(name, shape, "latents/data", (n_times, n_latents))
        if name in ("mean", "channels") and shape != (n_channels,):
            raise _explain(name, shape, "loadings", (n_channels, n_axes))
        if head in _TABLES and tail and not shape:
            raise StoredJSONError(f"{name} is no column")
        if tail == "weights" and len(shape) != 1:
            raise StoredJSONError(f"{name} has {len(shape)} axes, not 1")
    for table in _TABLES:
        columns = {name: shape for name, shape in shapes.items() if name.startswith(f"{table}/")}
        first = next(iter(columns.items()), None)
        for name, shape in columns.items():
            if first and shape[0] != first[1][0]:
                raise _explain(name, shape, *first)
    if n_latents > n_axes:
        raise _explain("latents/data", (n_times, n_latents), "loadings", (n_channels, n_axes))
    if shapes.get("axes/variance", (n_axes,)) != (n_axes,):  # a fit of schema 0.1.0 has them elsewhere
        raise _explain("axes/variance", shapes["axes/variance"], "loadings", (n_channels, n_axes))
    size("segments/count", 1)


def _explain(name: str, shape: tuple[int, ...], other: str, known: tuple[int, ...]) -> StoredJSONError:
    return StoredJSONError(f"{name} has the shape {shape}, and {other} {known}")


def check_values(arrays: dict[str, Shaped[np.ndarray, "*_"]]) -> None:
    """Check, of arrays that were read, that numbers are finite and that segments cover the frames.

    Raises
    ------
    StoredJSONError
        That names the array.
    """
    for name in _FINITE:
        values = arrays.get(name)
        if values is not None and not (values.dtype.kind in "biuf" and np.isfinite(values).all()):
            raise StoredJSONError(f"{name} holds NaN, infinite values or no numbers")
    # Integers of 64 bits may overflow in a sum, Python's do not.
    counts, n_times = arrays["segments/count"], len(arrays["latents/data"])
    if counts.dtype.kind not in "iu" or (counts.astype(object) < 0).any() or sum(map(int, counts)) != n_times:
        raise StoredJSONError(f"segments/count is not a division of the {n_times} rows of latents/data")
    if "latents/timestamps" not in arrays and not {"latents/starting_time", "latents/rate"} <= arrays.keys():
        raise StoredJSONError("latents have neither timestamps nor a starting time and rate")
    if "latents/rate" in arrays and not arrays["latents/rate"] > 0:
        raise StoredJSONError(f"the rate of latents is {arrays['latents/rate']}")
