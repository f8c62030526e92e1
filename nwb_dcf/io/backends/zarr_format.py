"""Which format of Zarr a folder is in, its metadata, and what to do where no installed package takes it.

hdmf-zarr reads and writes format 2 below its 0.14. From 0.14 on it writes format 3 alone, and still reads format 2.
Clean processes run this file by its path, so it imports nothing of the package.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

FORMAT_2, FORMAT_3 = ".zgroup", "zarr.json"
"""Files that mark a group of each format."""

CONSOLIDATED = "consolidated_metadata"  # in the zarr.json of the root
FIRST_OF_FORMAT_3 = (0, 14)
"""The version of hdmf-zarr that writes format 3."""

TO_HDF5 = (
    "with Python 3.12 or later and hdmf-zarr 0.14 write it as HDF5: "
    "from hdmf_zarr.nwb import NWBZarrIO; from pynwb import NWBHDF5IO; source = NWBZarrIO({path!r}, 'r'); "
    "target = NWBHDF5IO({target!r}, 'w'); target.export(source, source.read(), {{'link_data': False}}); target.close()"
)
TO_FORMAT_3 = (
    "write the fit into a file of its own with -o RESULT.nwb --results-only, or, if you trust who made the folder, "
    "since this runs what is pickled in it, convert it: "
    "from hdmf_zarr.nwb_zarrv2 import NWBZarrV2IO; NWBZarrV2IO.convert_to_v3({path!r}, {target!r}, allow_pickle=True)"
)


def find_format(path: Path) -> int | None:
    """Format of the Zarr folder at `path`: 2 or 3; None where it is no Zarr."""
    if (path / FORMAT_3).exists():  # beside the other, zarr itself takes this one
        return 3
    return 2 if (path / FORMAT_2).exists() else None


def explain_unreadable_format(path: Path) -> tuple[str, str] | None:
    """Say why the folder at `path` is not read as Zarr, and what to do; None where it is read.

    Returns
    -------
    what, fix : str
    """
    found = find_format(path)
    if found is None:
        return "this is a folder, and no Zarr", "give one .nwb file or .nwb.zarr folder"
    if found == 3 and not writes_format_3():
        what = f"this folder is Zarr format 3, and {_name_reader()} reads format 2 here"
        if sys.version_info >= (3, 12):
            return what, "pip install --upgrade 'hdmf-zarr>=0.14'"
        return what, TO_HDF5.format(path=path.name, target=f"{_stem(path)}.nwb")
    return None


def explain_unwritable_format(path: Path) -> tuple[str, str] | None:
    """Say why no fit is added to the readable folder at `path`, and what to do; None where one is.

    Returns
    -------
    what, fix : str
    """
    if find_format(path) != 2 or not writes_format_3():
        return None
    what = f"this folder is Zarr format 2, and {_name_reader()} writes format 3 alone"
    return what, TO_FORMAT_3.format(path=path.name, target=f"{_stem(path)}_format3.nwb.zarr")


def writes_format_3() -> bool:
    """Whether the installed hdmf-zarr writes format 3; False where there is none."""
    try:
        version = importlib.metadata.version("hdmf-zarr")
    except importlib.metadata.PackageNotFoundError:
        return False
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2]) >= FIRST_OF_FORMAT_3


def _stem(path: Path) -> str:
    return path.name.removesuffix(".zarr").removesuffix(".nwb")


def _name_reader() -> str:
    try:
        return f"hdmf-zarr {importlib.metadata.version('hdmf-zarr')}"
    except importlib.metadata.PackageNotFoundError:
        return "nwb-dcf"


def is_metadata(name: str) -> bool:
    """Whether a file of that name in a Zarr folder holds metadata, and no chunk."""
    return name.startswith(".z") or name == FORMAT_3


def read_metadata(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Read the attributes of the group or array in `folder`, and of an array what describes it; None of a group.

    Raises
    ------
    OSError, ValueError
        If there is no such group or array, or its metadata are damaged.
    """
    place = Path(folder)
    if (place / FORMAT_3).exists():
        document = json.loads((place / FORMAT_3).read_text())
        described = {key: value for key, value in document.items() if key not in ("attributes", CONSOLIDATED)}
        return document.get("attributes", {}), described if document.get("node_type") == "array" else None
    if not any((place / name).exists() for name in (FORMAT_2, ".zarray", ".zattrs")):
        raise FileNotFoundError(f"no group or array of Zarr is at {place}")
    attributes = json.loads((place / ".zattrs").read_text()) if (place / ".zattrs").exists() else {}
    return attributes, json.loads((place / ".zarray").read_text()) if (place / ".zarray").exists() else None


def list_members(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the groups and arrays right in a folder of Zarr, sorted."""
    marks = (FORMAT_3, FORMAT_2, ".zarray")
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    return sorted(name for name in names if any(os.path.exists(os.path.join(folder, name, mark)) for mark in marks))


def is_consolidated(root: str | os.PathLike[str]) -> bool:
    """Whether the metadata of a whole folder are repeated in its root, by which most readers go."""
    place = Path(root)
    if (place / FORMAT_3).exists():
        return bool(json.loads((place / FORMAT_3).read_text()).get(CONSOLIDATED))
    return (place / ".zmetadata").exists()


def drop_consolidated(root: str | os.PathLike[str], path: str) -> None:
    """Drop the consolidated metadata of format 3 in a folder and in each group on the way to `path`.

    zarr 3 goes by them where it writes too, and keeps them in each group that it changes: a second object that is added
    to such a group is in no list.
    """
    place = Path(root)
    for step in ("", *path.strip("/").split("/")):
        place = place / step
        file = place / FORMAT_3
        document = json.loads(file.read_text()) if file.exists() else {}
        if document.pop(CONSOLIDATED, None) is not None:
            file.write_text(json.dumps(document, indent=2))


def forget(root: str | os.PathLike[str], path: str) -> None:
    """Take the object at `path`, and what is below it, out of the consolidated metadata, where there are any."""
    place, inner = Path(root), path.strip("/")
    file = place / (FORMAT_3 if (place / FORMAT_3).exists() else ".zmetadata")
    if not is_consolidated(root):
        return
    document = json.loads(file.read_text())
    holder = document[CONSOLIDATED] if file.name == FORMAT_3 else document
    holder["metadata"] = {
        key: value for key, value in holder["metadata"].items() if not f"{key}/".startswith(f"{inner}/")
    }
    file.write_text(json.dumps(document, indent=4))
