"""Can a file be replaced, or made: permissions, folders, and free space on the disk."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from ...errors import StoreError
from .read import open_nwb, refuse_special


def check_target(original: Path, target: Path, *, overwrite: bool = False) -> None:
    """Raise if a copy of `original` cannot be put at `target`, which may be the same.

    Raises
    ------
    StoreError
        If `target` or its folder is read-only, not there or of another kind, or it exists and is neither `original`
        nor to be overwritten. What is no NWB file is never overwritten.
    """
    folder, has_output = target.parent, target != original
    if not folder.is_dir():
        raise StoreError("no such folder", where=str(folder), fix="make it first, or write elsewhere")
    if _is_read_only(folder):
        fix = f"change its mode, or write a copy into another with -o FOLDER/{target.name}"
        raise StoreError("the folder is read-only", where=str(folder), fix=fix)
    refuse_special(target, "the output")
    if has_output and target.exists() and not overwrite:
        raise StoreError("the output exists", where=str(target), fix="name another, or replace it with --overwrite")
    if target.is_dir() and not original.is_dir():
        raise StoreError("the output is a folder", where=str(target), fix="name a file in it")
    # A copy into its own original would never end.
    if has_output and original.is_dir():
        _check_folder_output(original, target)
    if has_output and target.exists():
        _require_nwb(target)
    if target.exists() and _is_read_only(target):
        fix = f"make it writable (chmod u+w), or write a copy with -o {original.stem}_dcf{original.suffix}"
        raise StoreError("the file is read-only", where=str(target), fix=fix)


def _check_folder_output(original: Path, target: Path) -> None:
    if original in target.parents:
        raise StoreError("the output lies inside the folder that is copied", where=str(target), fix="write elsewhere")
    if target.is_file():
        raise StoreError("the output is a file, and Zarr is a folder", where=str(target), fix="name another")


def _require_nwb(target: Path) -> None:
    """Raise unless what is to be overwritten is NWB: --overwrite concerns results, and no other files."""
    try:
        file = open_nwb(target)
    except StoreError as error:
        what = f"what is there is not to be overwritten ({error.what}): --overwrite replaces NWB files alone"
        raise StoreError(what, where=str(target), fix="name another output") from error
    (file.close if hasattr(file, "close") else file.store.close)()


def _is_read_only(path: Path) -> bool:
    # The mode is asked too, since to root every file seems writable.
    return not stat.S_IMODE(path.stat().st_mode) & 0o222 or not os.access(path, os.W_OK)


def check_free_space(needed: int, folder: Path) -> None:
    """Raise if the disk of `folder` has fewer than `needed` bytes left."""
    # Before the copy, since a full disk in the middle of it harms other programs as well.
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"the copy needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free",
            where=str(folder),
            fix="free some space, or write elsewhere with output (-o)",
        )
