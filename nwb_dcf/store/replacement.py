"""Replace a file by a changed copy so that, killed at any moment, the old file or the new one is there.

The copy lies in a hidden folder beside the target, on the same file system, since only there a rename is
atomic. A lock in that folder keeps a second writer out. The lock of a killed process is free, so whoever takes
it next removes what that process has left.
"""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import StoreError
from .clean import explain_failure

LOCK_WAIT_S = 30.0
_LOCK = "lock"


@dataclass(frozen=True)
class FileState:
    """What tells that a file was changed: identity, size and time of the last change."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """State of the file at `path` now."""
        status = path.stat()
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


def work_folder_of(target: Path) -> Path:
    """Name the hidden folder in which a replacement of `target` is prepared."""
    return target.parent / f".{target.name[:200]}.nwb-dcf"


@contextmanager
def lock_work_folder(target: Path, *, wait_s: float | None = None) -> Iterator[Path]:
    """Hold the work folder of `target`, made empty, and remove it at the end.

    Raises
    ------
    StoreError
        If another process holds it for longer than `wait_s` seconds (30 by default), or the folder cannot be made.
    """
    folder, wait_s = work_folder_of(target), LOCK_WAIT_S if wait_s is None else wait_s
    try:
        lock = _acquire(folder, wait_s)
    except Timeout:
        raise StoreError(
            f"another nwb-dcf is writing into this file, and was not done after {wait_s:g} s",
            where=str(target),
            fix="try again when it has ended",
        ) from None
    except OSError as error:
        raise explain_failure(str(error), error.errno, where=str(target.parent)) from error
    try:
        for leftover in folder.iterdir():
            if leftover.name != _LOCK:
                leftover.unlink()
        yield folder
    finally:
        # Removed while the lock is held; who waits for it sees that its file is gone and starts afresh.
        shutil.rmtree(folder, ignore_errors=True)
        lock.release(force=True)
        with suppress(OSError):  # Windows cannot remove a lock that is held
            shutil.rmtree(folder) if os.name == "nt" else None


def _acquire(folder: Path, wait_s: float) -> FileLock:
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)  # the copy is nobody else's business meanwhile
        lock = FileLock(folder / _LOCK, timeout=wait_s)
        try:
            lock.acquire()
        except FileNotFoundError:  # its last holder removed the folder in between
            continue
        return lock


def remove_leftovers(target: Path) -> None:
    """Remove what a killed run has left beside `target`; leave the folder of a run that is alive."""
    if work_folder_of(target).exists():
        with suppress(StoreError), lock_work_folder(target, wait_s=0):
            pass


def copy_beside(original: Path, folder: Path) -> Path:
    """Copy `original` into `folder` under a name that no other run uses, writable for its owner."""
    # A child that outlives a killed run must not find the next run's copy under the name it knows.
    copy = folder / f"{uuid.uuid4().hex}{original.suffix}"
    shutil.copyfile(original, copy)
    with suppress(OSError):
        shutil.copystat(original, copy)
    with suppress(OSError, AttributeError):
        status = original.stat()
        os.chown(copy, status.st_uid, status.st_gid)
    copy.chmod(stat.S_IMODE(original.stat().st_mode) | stat.S_IWUSR | stat.S_IRUSR)
    return copy


def sync(path: Path) -> None:
    """Ask the system to put a file, or the entries of a folder, on the disk."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
