"""Zarr: a folder that is copied by hard links, changed as a copy, and exchanged with the original in one step.

Files of chunks are never written in place, by zarr or by us, so that the copy can hold the same files. Where the
system cannot exchange two folders in one step, the original steps aside for the moment between two renames; a process
killed just then leaves it under a name from which `restore_folder` brings it back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import StoreError, compose_install
from ..backends.zarr_folder import open_group
from ..backends.zarr_format import explain_unreadable_format, is_metadata
from .clean_process import explain_failure

_ASIDE = ".aside"
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_AT_FDCWD = -100
_BLOCK = 4096  # least that a file takes on most disks
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}


def open_folder(path: Path) -> Any:
    """Open the Zarr folder at `path` for reading.

    Raises
    ------
    StoreError
        If it is no Zarr, damaged, or zarr is not installed.
    """
    unreadable = explain_unreadable_format(path)
    if unreadable is not None:
        raise StoreError(unreadable[0], where=str(path), fix=unreadable[1])
    try:
        return open_group(path)
    except ImportError as error:
        raise StoreError("reading Zarr needs zarr", where=str(path), fix=compose_install("zarr")) from error
    except OSError as error:
        raise explain_failure(str(error), error.errno, where=str(path)) from error
    except Exception as error:
        what = f"its metadata are damaged ({type(error).__name__}: {error})"
        raise StoreError(what, where=str(path), fix="copy or download it again") from error


def copy_folder(original: Path, copy: Path, *, linked: bool, top: bool = True) -> None:
    """Copy a Zarr folder; if `linked`, its chunks are shared by hard links where the file system can.

    Into the copy itself, the `top`, nobody else can look.
    """
    copy.mkdir(mode=0o700)
    for entry in os.scandir(original):
        target = copy / entry.name
        if entry.is_dir(follow_symlinks=False):
            copy_folder(Path(entry.path), target, linked=linked, top=False)
        elif entry.is_symlink():
            target.symlink_to(os.readlink(entry.path))
        # Metadata are what changes in the copy.
        elif is_metadata(entry.name) or not (linked and _link(entry.path, target)):
            shutil.copy2(entry.path, target)
            _keep_owner(entry.stat(), target)
    if top:  # it gets mode and owner of the original when it takes its place
        return
    shutil.copystat(original, copy)
    _keep_owner(original.stat(), copy)
    copy.chmod(stat.S_IMODE(original.stat().st_mode) | stat.S_IRWXU)


def measure_folder(folder: Path, *, linked: bool) -> int:
    """Return the number of bytes that `copy_folder` will write, if every hard link succeeds."""
    total = 0
    for parent, folders, names in os.walk(folder):
        total += _BLOCK * len(folders)
        copied = [name for name in names if not linked or is_metadata(name)]
        total += sum(max(_BLOCK, os.lstat(os.path.join(parent, name)).st_size) for name in copied)
    return total


def _link(path: str, target: Path) -> bool:
    try:
        os.link(path, target)
    except OSError:
        return False
    return True


def _keep_owner(status: os.stat_result, path: Path) -> None:
    with suppress(OSError, AttributeError):
        os.chown(path, status.st_uid, status.st_gid)


def sync_folder(folder: Path) -> None:
    """Ask the system to put on the disk every folder below `folder`, and every file with one name alone."""
    for parent, _, names in os.walk(folder):
        for path in [parent, *(os.path.join(parent, name) for name in names)]:
            # A file with a second name is one of the original, on the disk already.
            if os.path.islink(path) or (path != parent and os.stat(path).st_nlink > 1):
                continue
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def replace_folder(copy: Path, target: Path) -> Path | None:
    """Put `copy` in the place of `target` and return where the old folder is now, None if there was none."""
    if not target.exists():
        os.rename(copy, target)
        return None
    if _exchange(copy, target):
        return copy
    aside = copy.with_name(copy.name + _ASIDE)
    os.rename(target, aside)
    os.rename(copy, target)
    return aside


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step, if system and file system can."""
    arguments: list[Any] = [os.fsencode(one), os.fsencode(other)]
    try:
        library = ctypes.CDLL(None, use_errno=True)  # Python has no call for it
        if sys.platform == "darwin":
            failed = library.renamex_np(*arguments, _EXCHANGE)
        else:
            failed = library.renameat2(_AT_FDCWD, arguments[0], _AT_FDCWD, arguments[1], _EXCHANGE)
    except (OSError, TypeError, AttributeError):
        return False
    if failed and ctypes.get_errno() not in _UNSUPPORTED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
    return not failed


def name_copy(work_folder: Path) -> Path:
    """Name a copy beside the original, where relative links of Zarr to other folders lead where they should."""
    return work_folder.with_name(f"{work_folder.name}-{uuid.uuid4().hex}")


def find_copies(work_folder: Path) -> list[Path]:
    """Find copies and folders set aside that a killed run has left."""
    named = re.compile(re.escape(work_folder.name) + r"-[0-9a-f]{32}(\.aside)?")
    try:
        entries = [entry for entry in work_folder.parent.iterdir() if named.fullmatch(entry.name)]
    except OSError:
        return []
    return [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]


def restore_from(work_folder: Path, target: Path) -> None:
    """Bring `target` back if a run was killed while it was set aside."""
    for copy in find_copies(work_folder):
        if copy.name.endswith(_ASIDE) and not target.exists():
            os.rename(copy, target)
