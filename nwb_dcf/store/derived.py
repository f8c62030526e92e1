"""Write a result into a small NWB file of its own: the same session and subject, without the data."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..result import DCFResult
from .clean import explain_failure, run_clean
from .replacement import lock_work_folder, remove_leftovers
from .target import check_target
from .write import WrittenResult, check_fit_name, write_locked


def check_derived(output: str | Path, *, name: str | None = None, kind: str, dim: int, overwrite: bool = False) -> str:
    """Check, before the long work, that a file of results can be written.

    Parameters
    ----------
    output : str or Path
        The file to make.
    name, kind, dim, overwrite
        See `check_writable`.

    Returns
    -------
    str
        The name that the fit will have.

    Raises
    ------
    StoreError
        If the name is not possible, the file exists and may not be replaced, or its folder cannot be written.
    """
    target = Path(output).resolve()
    remove_leftovers(target)
    name = check_fit_name(name or f"{kind}_dim{dim}")
    check_target(target.with_name(f"{target.stem}_2{target.suffix}"), target, overwrite=overwrite)
    return name


def write_derived(
    result: DCFResult,
    session: Mapping[str, Any],
    output: str | Path,
    *,
    name: str | None = None,
    overwrite: bool = False,
) -> WrittenResult:
    """Write `result` into a new NWB file that has the session and the subject of its source, and no data.

    Parameters
    ----------
    result : DCFResult
        A fit.
    session : mapping
        As `nwb_dcf.read.describe_session` gives it.
    output : str or Path
        The file to make: in HDF5, whatever the source was.
    name, overwrite
        See `check_writable`.

    Returns
    -------
    WrittenResult

    Raises
    ------
    StoreError
        For every reason of `check_derived`, or when the file does not verify. Nothing is written then.

    Notes
    -----
    The file has an identifier of its own, since it is another file; the source is named by the fit's provenance.
    """
    kind = str(result.dataset.attrs.get("kind", "array"))
    name = check_derived(output, name=name, kind=kind, dim=result.dim, overwrite=overwrite)
    target = Path(output).resolve()
    with lock_work_folder(target) as folder:
        empty = folder / "empty.nwb"
        request = {
            "copy": str(empty),
            "session": dict(session),
            "identifier": str(uuid.uuid4()),
            "version": __version__,
        }
        try:
            run_clean("derive.py", request, folder=target.parent, where=str(target))
            write_locked(result, empty, target, folder, name, overwrite, where=str(target))
        except OSError as error:
            raise explain_failure(str(error), error.errno, where=str(target)) from error
    return WrittenResult(str(output), name, [f"it holds the results alone; their source is {session['file']}"])
