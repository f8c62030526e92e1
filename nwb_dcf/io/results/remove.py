"""Remove a fit from a file, by the same copy, check and replacement as writing one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import StoreError
from .atomic import (
    FileState,
    copy_beside,
    keep_manners,
    lock_work_folder,
    note_other_names,
    refuse_changed,
    remove_leftovers,
    replace,
    size_of_copy,
    sync,
    sync_copy,
)
from .clean_process import explain_failure, run_clean, start_clean
from .destination import check_free_space, check_target
from .read import MODULE, find_fits, open_nwb, refuse_newer_schema, refuse_references


@dataclass(frozen=True)
class RemovedResult:
    """What was removed.

    Attributes
    ----------
    path : str
        The file that held the fit.
    name : str
        Name of the fit.
    fits : list of str
        Names of the fits that are left.
    bytes_before, bytes_after : int
        Size of the file.
    notes : list of str
        What else is to be known, in sentences.
    """

    path: str
    name: str
    fits: list[str]
    bytes_before: int
    bytes_after: int
    notes: list[str] = field(default_factory=list)


def remove_result(path: str | Path, name: str) -> RemovedResult:
    """Remove a fit from an NWB file; everything else stays as it is.

    The file is replaced in one step by a verified copy without the fit, as `write_result` does. HDF5 keeps the space of
    what was deleted for what is written next, so the file does not become smaller; ``pynwb.NWBHDF5IO.export`` writes a
    new file without it.

    Parameters
    ----------
    path : str or Path
        The NWB file.
    name : str
        Name of the fit in ``processing/dcf``.

    Returns
    -------
    RemovedResult

    Raises
    ------
    StoreError
        If there is no such fit, something else in the file leads to it, or the file cannot be replaced; it is unchanged
        then.
    """
    target = Path(path).resolve()
    remove_leftovers(target)
    with open_nwb(target) as file:
        refuse_newer_schema(file, path)
        _require_fit(find_fits(file), name, path)
        refuse_references(file, path, name)
    check_target(target, target)
    check_free_space(size_of_copy(target, linked=True), target.parent)
    with lock_work_folder(target) as folder:
        try:
            return _remove_locked(target, folder, name)
        except OSError as error:
            raise explain_failure(str(error), error.errno, where=str(path)) from error


def _remove_locked(target: Path, folder: Path, name: str) -> RemovedResult:
    with (
        start_clean(target.parent, zarr=target.is_dir()) as clean,
        open_nwb(target) as file,  # until the end: nobody writes meanwhile what the copy would not have
    ):
        fits = find_fits(file)
        _require_fit(fits, name, target)  # again, now that no one else can write
        refuse_references(file, target, name)
        state = FileState.of(target)
        copy = copy_beside(target, folder, linked=True)
        request = {"copy": str(copy), "original": str(target), "name": name, "payload": None}
        run_clean("drop.py", request, folder=target.parent, where=str(target), started=clean)
        sync_copy(copy)
        verify = "verify_folder.py" if copy.is_dir() else "verify.py"
        run_clean(verify, request, folder=target.parent, where=str(target), started=clean)
        if FileState.of(target) != state:
            raise refuse_changed(target)
        size = FileState.of(copy).size
        if os.name == "nt":  # where a file that is open cannot be replaced
            file.close()
        keep_manners(target, copy)
        replace(copy, target, state)
        sync(target.parent)
    left = [fit for fit in fits if fit != name]
    return RemovedResult(str(target), name, left, state.size, size, note_other_names(state))


def _require_fit(fits: list[str], name: str, path: str | Path) -> None:
    if name not in fits:
        has = f"its fits are {', '.join(fits)}" if fits else "it holds no fit"
        raise StoreError(f"no fit {name!r}: {has}", where=f"{path}: /{MODULE}", fix="name one of them")
