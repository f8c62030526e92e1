"""Where the checkpoint of a fit lies: in the work folder of the file that is fitted, or in a folder of the user's.

A checkpoint is no leftover of a write: nothing removes it but the end of its own fit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from ...errors import StoreError
from .atomic import (
    claim_work_folder,
    find_leftovers,
    find_work_folders,
    make_private,
    release_work_folder,
    sync,
    work_folder_of,
)


class FoundCheckpoint(TypedDict, total=False):
    """Path of a checkpoint, and the fit and the file that it is of, where it can be read."""

    path: str
    fit: str
    file: str


_NAMED = re.compile(r"checkpoint-.+-[0-9a-f]{12}\.safetensors", re.DOTALL)


def name_checkpoint(target: Path, name: str, folder: str | Path | None = None) -> Path:
    """Name the checkpoint of the fit `name` that is to go into `target`.

    Parameters
    ----------
    target : Path
        The file that will hold the fit, resolved.
    name : str
        Of the fit.
    folder : str or Path, optional
        Where it lies; the work folder of `target` by default.
    """
    # Two names may differ in what a file name cannot hold.
    digest = hashlib.sha256(os.fsencode(f"{target.name}\0{name}")).hexdigest()[:12]
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:80]
    return (work_folder_of(target) if folder is None else Path(folder)) / f"checkpoint-{plain}-{digest}.safetensors"


def check_checkpoint_folder(folder: str | Path) -> None:
    """Raise unless checkpoints can be kept in `folder`.

    Raises
    ------
    StoreError
        If it is not there or cannot be written to.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StoreError("no such folder for checkpoints", where=str(folder), fix="make it first, or name another")
    if not os.access(folder, os.W_OK):
        raise StoreError("the folder for checkpoints is read-only", where=str(folder), fix="name another")


def write_checkpoint(path: Path, target: Path, data: bytes) -> None:
    """Put `data` at `path` in one step, readable for its owner alone.

    Raises
    ------
    OSError
        If it cannot be written; what was there stays.
    StoreError
        If the work folder of `target`, in which `path` lies, is not ours.
    """
    own = path.parent == work_folder_of(target)
    unfinished = path.with_name(f"{uuid.uuid4().hex}.checkpoint")
    for last in (False, True):
        if own:
            claim_work_folder(target)
        try:
            make_private(unfinished)
            break
        except FileNotFoundError:  # a write into the same file has ended just now, and taken the empty folder with it
            if last:
                raise
    try:
        with unfinished.open("r+b") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)  # a reader finds the last checkpoint or this one, and never a part
        sync(path.parent)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def read_checkpoint(path: Path) -> bytes | None:
    """Return what lies at `path`; None if nothing does.

    Raises
    ------
    StoreError
        If it is no file of its own, or cannot be read.
    """
    try:
        if path.is_symlink() or not path.is_file():
            if not path.is_symlink() and not path.exists():
                return None
            raise StoreError("this is no checkpoint", where=str(path), fix="move it away")
        return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"the checkpoint cannot be read: {error.strerror}", where=str(path), fix="fit again"
        ) from error


def remove_checkpoint(path: Path, target: Path) -> None:
    """Remove the checkpoint of a fit that has been written, and its folder if that is ours and empty."""
    with suppress(OSError):
        path.unlink()
    if path.parent == work_folder_of(target):
        release_work_folder(path.parent)


def list_checkpoints(folder: Path) -> list[FoundCheckpoint]:
    """List the checkpoints of fits into the files of `folder`: ``path``, and the ``fit`` and the ``file`` it is of."""
    paths = [
        inner
        for work_folder in find_work_folders(folder)
        if work_folder.is_dir()
        for inner in sorted(work_folder.iterdir())
        if _NAMED.fullmatch(inner.name) and inner.is_file() and not inner.is_symlink()
    ]
    return [_describe(path) for path in paths]


def find_unfinished(path: str | Path) -> dict[str, list[Any]]:
    """Find what ended fits and killed writes have left in the folder of `path`; without keys for what there is not."""
    text = str(path)
    if "://" in text:
        return {}
    folder = Path(text).resolve().parent
    found: dict[str, list[Any]] = {
        "checkpoints": list_checkpoints(folder),
        "leftovers": [str(left) for left in find_leftovers(folder)],
    }
    return {key: left for key, left in found.items() if left}


def _describe(path: Path) -> FoundCheckpoint:
    found: FoundCheckpoint = {"path": str(path)}
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:  # what a damaged file claims is not read
                return found
            about = json.loads(json.loads(file.read(length))["__metadata__"]["nwb_dcf"])["about"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return found
    return {**found, "fit": str(about.get("fit")), "file": str(about.get("file"))} if isinstance(about, dict) else found


def find_differences(then: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """Name what differs between two descriptions of a fit, each with both values.

    Examples
    --------
    >>> find_differences({"train": {"steps": 5}}, {"train": {"steps": 9}})
    ['train.steps: 5 then, 9 now']
    """
    found = []
    for key in sorted({*then, *now}, key=str):
        one, other = then.get(key), now.get(key)
        name = f"{path}.{key}" if path else str(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += find_differences(one, other, name)
        elif one != other:
            short = [text if len(text := str(value)) < 40 else f"{text[:37]}..." for value in (one, other)]
            found.append(f"{name}: {short[0]} then, {short[1]} now")
    return found
