"""Write a result into an NWB file without ever writing into the user's file.

Copy beside, add to the copy in a clean process, fsync, verify in a clean process without nwb_dcf, replace.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ... import __version__
from ...data.records import Provenance
from ...data.result import DCFResult
from ...errors import StoreError, shorten
from ..backends.zarr_format import explain_unwritable_format
from .atomic import (
    FileState,
    check_work_folder,
    copy_beside,
    keep_manners,
    lock_work_folder,
    make_private,
    note_other_names,
    refuse_changed,
    remove_leftovers,
    replace,
    size_of_copy,
    sync,
    sync_copy,
)
from .clean_process import CleanProcess, explain_failure, run_clean, start_clean
from .destination import check_free_space, check_target
from .fit_hashes import KEY, hash_parts
from .payload import Payload, to_payload
from .read import (
    MODULE,
    SCHEMA_VERSION,
    find_fits,
    is_fit,
    open_nwb,
    read_result,
    refuse_newer_schema,
    refuse_references,
)
from .scripts.items import read_attribute
from .staleness import refuse_other_source

LONGEST_NAME = 100  # characters: file names, checkpoints and reports repeat it
_SPARE_BYTES = 2_000_000  # cached specifications and the small datasets of one fit


@dataclass(frozen=True)
class WrittenResult:
    """Where a result was written.

    Attributes
    ----------
    path : str
        The file that now holds the fit.
    name : str
        Name of the fit in ``processing/dcf``.
    notes : list of str
        What else changed or could not be done, in sentences.
    """

    path: str
    name: str
    notes: list[str] = field(default_factory=list)


def check_writable(
    path: str | Path,
    *,
    name: str | None = None,
    kind: str,
    dim: int,
    overwrite: bool = False,
    output: str | Path | None = None,
) -> str:
    """Check, before the long work, that a fit can be written; nothing is changed.

    Parameters
    ----------
    path : str or Path
        The NWB file that was read.
    name : str, optional
        Name of the fit; ``KIND_dimN`` by default.
    kind : str
        Kind of the recording: ``units``, ``series``, ...
    dim : int
        Number of latents.
    overwrite : bool
        Whether a fit of that name, and a file at `output`, may be replaced.
    output : str or Path, optional
        Write a copy with the fit there and leave `path` alone.

    Returns
    -------
    str
        The name that the fit will have.

    Raises
    ------
    StoreError
        If the name is taken or not possible, a file or folder is read-only, the disk has too little free space, the
        file is open for writing elsewhere, or its fits are of a newer schema.
    """
    original, target = _resolve(path, output)
    check_work_folder(target)  # now, and not after hours of training
    with open_nwb(original) as file:
        unwritable = explain_unwritable_format(original) if original.is_dir() else None
        if unwritable is not None:
            raise StoreError(unwritable[0], where=str(path), fix=unwritable[1])
        refuse_newer_schema(file, path)
        name = _choose_name(file, path, name, f"{kind}_dim{dim}", overwrite)
    check_target(original, target, overwrite=overwrite)
    _check_space(original, target, 0)
    return name


def write_result(
    result: DCFResult,
    path: str | Path,
    *,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
    as_read: bool = False,
    started: CleanProcess | None = None,
) -> WrittenResult:
    """Write `result` into ``processing/dcf`` of an NWB file.

    The file is replaced in one step by a verified copy: whenever the process ends, the file is as it was or holds
    the whole fit. Mode, owner and symbolic links are kept.

    Parameters
    ----------
    result : DCFResult
        A fit.
    path : str or Path
        The NWB file that was fitted.
    name, overwrite, output
        See `check_writable`.
    as_read : bool
        Whether the file must still hold the source that the provenance names: by its identifier, object id and hash.
    started : CleanProcess, optional
        The process that appends and verifies, where it has been started in the folder of the file.

    Returns
    -------
    WrittenResult
        Path, name and notes, such as a schema version that rose.

    Raises
    ------
    StoreError
        For every reason of `check_writable`, when another nwb-dcf writes into the file, when the file changed
        meanwhile or is not the one that was read, or when the copy does not verify. The file is unchanged then.
    """
    original, target = _resolve(path, output)
    remove_leftovers(target)
    name = check_writable(
        path,
        name=name,
        kind=str(result.dataset.attrs.get("kind", "array")),
        dim=result.dim,
        overwrite=overwrite,
        output=output,
    )
    with lock_work_folder(target) as folder:
        try:
            notes = write_locked(
                result, original, target, folder, name, overwrite, like=original, as_read=as_read, started=started
            )
        except OSError as error:
            raise explain_failure(str(error), error.errno, where=str(path)) from error
    return WrittenResult(str(target if output is None else output), name, notes)


def write_locked(
    result: DCFResult,
    original: Path,
    target: Path,
    folder: Path,
    name: str,
    overwrite: bool,
    *,
    like: Path | None,
    where: str = "",
    as_read: bool = False,
    started: CleanProcess | None = None,
) -> list[str]:
    """Put a copy of `original` with the fit in the place of `target`, whose work folder is held; return the notes.

    Mode and owner are those of the file `like`, or of any new file. Where a clean process has been `started`, it is
    asked.
    """
    verify = "verify_folder.py" if original.is_dir() else "verify.py"
    # Open until the end: HDF5's shared lock keeps other programs from writing what the copy would not have.
    with (
        ExitStack() as stack,
        open_nwb(original) as file,
    ):
        # one process for both scripts, which loads pynwb while the payload and the copy are made
        clean = started or stack.enter_context(start_clean(target.parent, zarr=original.is_dir()))
        refuse_newer_schema(file, original)
        if as_read:
            refuse_other_source(file, original, result.provenance)
        _choose_name(file, original, name, name, overwrite)  # again, now that no one else can write
        state = FileState.of(original)
        payload = _make_payload(result, str(read_attribute(file, "nwb_version")))
        # By a file and not by the request: a pipe of JSON would hold the arrays as texts.
        make_private(folder / "payload.npz").write_bytes(payload.to_bytes())
        _check_space(original, target, (folder / "payload.npz").stat().st_size)
        copy = copy_beside(original, folder, linked=target == original)
        request = {"copy": str(copy), "original": str(original), "payload": str(folder / "payload.npz"), "name": name}
        source = result.provenance.get("source") or {}
        source_id = source.get("object_id")
        run = functools.partial(run_clean, folder=target.parent, where=where or str(original))
        added = run("append.py", {**request, "source_id": source_id}, started=clean)
        sync_copy(copy)
        try:
            verified = run(verify, request, started=clean)
            read_result(copy, name)  # our own reader too, before the user's file is given up for it
        finally:
            if FileState.of(original) != state:  # whatever else was found
                raise refuse_changed(original)
        if os.name == "nt":  # where a file that is open cannot be replaced
            file.close()
        keep_manners(like, copy)
        replace(copy, target, state if target == original else None)
        sync(target.parent)
    notes = note_other_names(state) if target == original else []
    if verified["nwb_version_before"] != verified["nwb_version_after"]:
        notes.append(
            f"the NWB schema of the file rose from {verified['nwb_version_before']} to "
            f"{verified['nwb_version_after']}; the provenance of the fit keeps the old number"
        )
    if not added["linked"] and not source.get("members"):  # the table of sources names those
        notes.append("the fit does not link to its source, which is no object of this file")
    return notes


def _make_payload(result: DCFResult, nwb_version: str) -> Payload:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    known = {"created": now, **result.provenance, "nwb_version_before": nwb_version}
    # without the hashes of the file from which the fit was read, as by attach
    provenance = cast("Provenance", {key: value for key, value in known.items() if key != KEY})
    payload = to_payload(
        dataclasses.replace(result, provenance=provenance), schema_version=SCHEMA_VERSION, package_version=__version__
    )
    # Of what is stored and not of the result: a reader compares what it finds.
    hashes = hash_parts(payload.arrays, payload.texts, payload.attributes)
    text = json.dumps({**json.loads(payload.texts["provenance"]), KEY: hashes}, allow_nan=False)
    return dataclasses.replace(payload, texts={**payload.texts, "provenance": text})


def _resolve(path: str | Path, output: str | Path | None) -> tuple[Path, Path]:
    """Paths of the file to copy and of the file to write, symbolic links followed."""
    # A link stays a link to the new file: the file itself is replaced, where it lies.
    original = Path(path).resolve()
    target = original if output is None else Path(output).resolve()
    if output is not None and target == original:
        raise StoreError("output is the file itself", where=str(output), fix="leave output out, or name another file")
    return original, target


def check_fit_name(name: str) -> str:
    """Return `name` if a fit can have it.

    Raises
    ------
    StoreError
        If not.
    """
    # The name is a path in HDF5, a folder of Zarr, part of file names and a cell of reports.
    known = all(char.isalnum() or char in "_-. " for char in name) and name.isprintable()
    if not known or len(name) > LONGEST_NAME or not name.strip(" .") or name != name.strip():
        fix = f"give letters, digits, _ - . and spaces within, {LONGEST_NAME} characters at most"
        raise StoreError(f"{shorten(name)} cannot be the name of a fit", fix=fix)
    return name


def _choose_name(file: Any, path: str | Path, name: str | None, default: str, overwrite: bool) -> str:
    chosen = check_fit_name(default if name is None else name)
    module = file.get(MODULE, {})
    if chosen not in module:
        return chosen
    where = f"{path}: /{MODULE}/{chosen}"
    number = next(i for i in range(2, len(module) + 3) if f"{chosen}_{i}" not in module)
    if not is_fit(module[chosen]):
        raise StoreError("something that is not a fit has this name", where=where, fix=f"use --name {chosen}_{number}")
    if not overwrite:
        others = [fit for fit in find_fits(file) if fit != chosen]
        also = f" (also there: {', '.join(others)})" if others else ""
        fix = f"replace it with --overwrite, or write beside it with --name {chosen}_{number}"
        raise StoreError(f"this fit exists{also}", where=where, fix=fix)
    # They would lead to the new fit, or into nothing if it lacks what they lead to.
    beside = f"remove that first, or write beside the fit with --name {chosen}_{number}"
    refuse_references(file, path, chosen, fix=beside)
    return chosen


def _check_space(original: Path, target: Path, payload_bytes: int) -> None:
    # The payload lies in the work folder, and again in the copy.
    check_free_space(
        size_of_copy(original, linked=target == original) + 2 * payload_bytes + _SPARE_BYTES, target.parent
    )


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
    check_work_folder(target)
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
    started: CleanProcess | None = None,
) -> WrittenResult:
    """Write `result` into a new NWB file that has the session and the subject of its source, and no data.

    Parameters
    ----------
    result : DCFResult
        A fit.
    session : mapping
        As `nwb_dcf.io.recordings.describe_session` gives it.
    output : str or Path
        The file to make: in HDF5, whatever the source was.
    name, overwrite, started
        See `write_result`.

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
    remove_leftovers(Path(output).resolve())
    name = check_derived(output, name=name, kind=kind, dim=result.dim, overwrite=overwrite)
    target = Path(output).resolve()
    with lock_work_folder(target) as folder:
        empty = make_private(folder / "empty.nwb")
        request = {
            "copy": str(empty),
            "session": dict(session),
            "identifier": str(uuid.uuid4()),
            "version": __version__,
        }
        like = target if target.exists() else None
        try:
            with nullcontext(started) if started else start_clean(target.parent) as clean:
                run_clean("derive.py", request, folder=target.parent, where=str(target), started=clean)
                write_locked(
                    result, empty, target, folder, name, overwrite, like=like, where=str(target), started=clean
                )
        except OSError as error:
            raise explain_failure(str(error), error.errno, where=str(target)) from error
    return WrittenResult(str(output), name, [f"it holds the results alone; their source is {session['file']}"])
