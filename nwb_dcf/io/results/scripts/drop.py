"""A script for a clean process: delete a fit from a copy of an NWB file.

HDF5 keeps the space of what is deleted, and takes it for what is written next.
"""

from __future__ import annotations

import os
import runpy
import shutil
from pathlib import Path

import h5py

_FORMAT = runpy.run_path(str(Path(__file__).resolve().parents[2] / "backends" / "zarr_format.py"))
MODULE = "/processing/dcf"
OURS = "Dynamic Compression Flows:"  # how the description of a module of ours begins


def run(request: dict[str, str]) -> dict[str, str]:
    """Delete the fit ``request["name"]`` from ``request["copy"]``."""
    place = f"{MODULE}/{request['name']}"
    if os.path.isdir(request["copy"]):
        drop_from_folder(Path(request["copy"]), place)
        return {}
    with h5py.File(request["copy"], "r+") as file:
        del file[place]
        module = file[MODULE]
        # A module that the user has made, or that holds more, stays.
        if not len(module) and str(module.attrs.get("description", "")).startswith(OURS):
            del file[MODULE]
    return {}


def drop_from_folder(folder: Path, place: str) -> None:
    """Delete a fit from a Zarr folder."""
    shutil.rmtree(folder / place.lstrip("/"))
    _FORMAT["forget"](folder, place)
    module = folder / MODULE.lstrip("/")
    description = _FORMAT["read_metadata"](module)[0].get("description", "")
    if not [entry for entry in module.iterdir() if entry.is_dir()] and description.startswith(OURS):
        shutil.rmtree(module)
        _FORMAT["forget"](folder, MODULE)
