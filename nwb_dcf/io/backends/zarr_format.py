"""Which format of Zarr a folder is in, and what to do where no installed package reads it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

FORMAT_2, FORMAT_3 = ".zgroup", "zarr.json"
"""Files that mark a group of each format."""

CONVERT = (
    "with Python 3.12 or later and hdmf-zarr 0.14 write it as HDF5: "
    "from hdmf_zarr.nwb import NWBZarrIO; from pynwb import NWBHDF5IO; source = NWBZarrIO({path!r}, 'r'); "
    "target = NWBHDF5IO({target!r}, 'w'); target.export(source, source.read(), {{'link_data': False}}); target.close()"
)


def explain_unreadable_format(path: Path) -> tuple[str, str] | None:
    """Say why the folder at `path` is not read as Zarr, and what to do; None where it is format 2.

    Returns
    -------
    what, fix : str
    """
    if (path / FORMAT_3).exists():  # beside the other, zarr itself takes this one
        target = path.name.removesuffix(".zarr").removesuffix(".nwb") + ".nwb"
        what = f"this folder is Zarr format 3, and {_name_reader()} reads format 2 here"
        return what, CONVERT.format(path=path.name, target=target)
    if (path / FORMAT_2).exists():
        return None
    return "this is a folder, and no Zarr", "give one .nwb file or .nwb.zarr folder"


def _name_reader() -> str:
    try:
        return f"hdmf-zarr {importlib.metadata.version('hdmf-zarr')}"
    except importlib.metadata.PackageNotFoundError:
        return "nwb-dcf"
