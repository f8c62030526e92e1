"""Values that lie in other files, and values that were never written.

HDF5 reads both without an error: external links, external raw storage and virtual datasets lead into other files, and
values that were never written read as the fill value.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@dataclass(frozen=True)
class OtherFile:
    """Another file that holds values of an object.

    Attributes
    ----------
    name : str
        Its name, without the folders that lead to it.
    how : str
        ``external link``, ``external storage`` or ``virtual dataset``.
    missing : bool
        Whether it, or what it should hold, is not there.
    """

    name: str
    how: str
    missing: bool = False

    def describe(self) -> str:
        """Name the file and how it is reached."""
        return f"{self.name} ({self.how}{', missing' if self.missing else ''})"


def list_other_files(obj: Any, path: Path | None) -> list[OtherFile]:
    """List the files, other than the one at `path`, that hold values of a Units table or a TimeSeries."""
    found: dict[tuple[str, str], OtherFile] = {}
    for _, array in list_arrays(obj):
        if not isinstance(array, h5py.Dataset) or path is None:
            continue
        for other in _list_files_of(array, path):
            found.setdefault((other.name, other.how), other)
    return list(found.values())


def list_arrays(obj: Any) -> list[tuple[str, Any]]:
    """List the arrays of a Units table or a TimeSeries as stored, with their names; parts of a pose too."""
    arrays: dict[str, Any] = {}
    for name, value in obj.fields.items():
        arrays[name] = getattr(value, "data", value)
    for column in getattr(obj, "columns", ()) or ():
        arrays[column.name] = column.data
    return list(arrays.items())


def describe_unwritten(obj: Any, path: str) -> list[str]:
    """Note which arrays of an object in HDF5 lack values: these read as a fill value and not as an error."""
    notes = []
    for name, array in list_arrays(obj):
        if not isinstance(array, h5py.Dataset) or 0 in array.shape:
            continue
        lost = ""
        if array.chunks is not None:
            # HDF5 counts the chunks that were written; the others have no address.
            n_chunks = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))
            n_lost = n_chunks - array.id.get_num_chunks()
            lost = f"{n_lost} of {n_chunks} chunks of {path}/{name} were never written" if n_lost > 0 else ""
        elif not array.is_virtual and not array.external and array.shape and array.id.get_storage_size() == 0:
            lost = f"{path}/{name} was never written"
        elif array.is_virtual:
            gone = sorted({o.name for o in _list_parts(array) if o.missing})
            lost = f"parts of the virtual dataset {path}/{name} are missing: {', '.join(gone)}" if gone else ""
            lost = lost or _describe_holes(array, f"{path}/{name}")
        if lost:
            notes.append(f"{lost}: their values are read as {_show(array.fillvalue)}")
    return notes


def _list_files_of(array: h5py.Dataset, path: Path) -> list[OtherFile]:
    found = []
    # h5py opens the target of an external link, so that the array belongs to another file.
    holder = os.fsdecode(h5py.h5f.get_name(array.id))
    if holder != str(path) and (holder := os.path.realpath(holder)) != os.path.realpath(path):
        found.append(OtherFile(os.path.basename(holder), "external link"))
    for name, _, _ in array.external or ():
        # HDF5 looks for raw storage and for parts of virtual datasets relative to the file that names them.
        there = Path(holder).parent / os.fsdecode(name)
        found.append(OtherFile(there.name, "external storage", not there.exists()))
    if array.is_virtual:
        found += _list_parts(array)
    return found


def _list_parts(array: h5py.Dataset) -> list[OtherFile]:
    """List the other files that a virtual dataset is made of."""
    folder = Path(os.path.realpath(array.file.filename)).parent
    found: dict[str, OtherFile] = {}
    for part in array.virtual_sources():
        if part.file_name == ".":  # the file that holds the virtual dataset itself
            continue
        there = folder / part.file_name
        missing = not there.exists() or not _holds(there, part.dset_name)
        known = found.get(there.name)
        found[there.name] = OtherFile(there.name, "virtual dataset", missing or (known is not None and known.missing))
    return list(found.values())


def _holds(file: Path, name: str) -> bool:
    try:
        with h5py.File(file, "r") as opened:
            return name in opened
    except OSError:
        return False


def _describe_holes(array: h5py.Dataset, name: str) -> str:
    """Note that a virtual dataset has values that belong to no part."""
    covered = 0
    for part in array.virtual_sources():
        n = part.vspace.get_select_npoints()
        if n < 0 or n >= 2**62:  # an unlimited selection, which grows with its parts
            return ""
        covered += n
    total = int(np.prod(array.shape))
    return f"{total - covered} of {total} values of the virtual dataset {name} have no part" if covered < total else ""


def _show(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)
