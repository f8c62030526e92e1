"""Replace a file by a changed copy so that, killed at any moment, the old file or the new one is there.

The copy lies in a hidden folder beside the target, on the same file system, since only there a rename is
atomic. A lock in that folder keeps a second writer out. The lock of a killed process is free, so whoever takes
it next removes what that process has left. What differs where the "file" is a folder of Zarr stands in `folder`.
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

from ...errors import StoreError
from .atomic_folder import (
    copy_folder,
    find_copies,
    measure_folder,
    name_copy,
    replace_folder,
    restore_from,
    sync_folder,
)
from .clean_process import explain_failure

LOCK_WAIT_S = 30.0
_LOCK = "lock"


@dataclass(frozen=True)
class FileState:
    """What tells that a file was changed: identity, size and time of the last change."""

    inode: int
    size: int
    mtime_ns: int
    names: int = 1  # hard links

    @classmethod
    def of(cls, path: Path) -> FileState:
        """State of the file at `path` now; of a folder, all its files and folders together."""
        status = path.stat()
        if not path.is_dir():
            return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_nlink)
        size, latest = 0, status.st_mtime_ns
        for parent, folders, files in os.walk(path):
            for name in (*folders, *files):
                inner = os.lstat(os.path.join(parent, name))
                size, latest = size + inner.st_size, max(latest, inner.st_mtime_ns)
        return cls(status.st_ino, size, latest)


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
        restore_from(folder, target)
        _remove_copies(folder)
        yield folder
    finally:
        _remove_copies(folder)
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


def _remove_copies(folder: Path) -> None:
    for copy in find_copies(folder):
        shutil.rmtree(copy, ignore_errors=True)


def remove_leftovers(target: Path) -> None:
    """Remove what a killed run has left beside `target`; leave the folder of a run that is alive."""
    if work_folder_of(target).exists() or find_copies(work_folder_of(target)):
        with suppress(StoreError), lock_work_folder(target, wait_s=0):
            pass


def restore_folder(path: Path) -> None:
    """Bring the folder at `path` back if a run was killed in the moment in which it was set aside."""
    if not path.exists() and find_copies(work_folder_of(path.resolve())):
        remove_leftovers(path.resolve())


def copy_beside(original: Path, folder: Path, *, linked: bool = False) -> Path:
    """Copy `original` under a name that no other run uses, writable for its owner.

    Parameters
    ----------
    original : Path
        A file, copied into `folder`, or a folder of Zarr, copied beside it.
    folder : Path
        The work folder.
    linked : bool
        Whether the chunks of Zarr may be shared with the original, because the copy is to replace it.
    """
    if original.is_dir():
        copy = name_copy(folder)
        copy_folder(original, copy, linked=linked)
        return copy
    # A child that outlives a killed run must not find the next run's copy under the name it knows.
    copy = folder / f"{uuid.uuid4().hex}{original.suffix}"
    shutil.copyfile(original, copy)
    return keep_manners(original, copy)


def keep_manners(original: Path, copy: Path) -> Path:
    """Give `copy` the mode, owner and extended attributes of `original`, as far as the system lets us."""
    with suppress(OSError):
        shutil.copystat(original, copy)
    with suppress(OSError, AttributeError):
        status = original.stat()
        os.chown(copy, status.st_uid, status.st_gid)
    copy.chmod(stat.S_IMODE(original.stat().st_mode) | stat.S_IWUSR | stat.S_IRUSR)
    return copy


def size_of_copy(original: Path, *, linked: bool = False) -> int:
    """Bytes that `copy_beside` will write."""
    return measure_folder(original, linked=linked) if original.is_dir() else original.stat().st_size


def replace(copy: Path, target: Path, state: FileState | None) -> None:
    """Put the verified `copy` in the place of `target`, which is still in `state` if that is given.

    Raises
    ------
    StoreError
        If a folder was changed until the last moment, which only a file's lock prevents; it is put back then.
    """
    if not copy.is_dir():
        os.replace(copy, target)
        return
    old = replace_folder(copy, target)
    if old is not None and state is not None and FileState.of(old) != state:
        replace_folder(old, target)
        raise refuse_changed(target)


def tell_of_other_names(state: FileState) -> list[str]:
    """Say what becomes of the other hard links of a file that was replaced: they keep the old one."""
    if state.names < 2:
        return []
    others = "another name" if state.names == 2 else f"{state.names - 1} other names"
    return [f"the file had {others} (hard links): there it is as it was before"]


def refuse_changed(path: Path) -> StoreError:
    """Error for a file that another program has changed in the meantime."""
    return StoreError(
        "the file was changed by another program meanwhile",
        where=str(path),
        fix="try again; the file is as that program left it",
    )


def sync_copy(copy: Path) -> None:
    """Ask the system to put a changed copy on the disk."""
    sync_folder(copy) if copy.is_dir() else sync(copy)


def sync(path: Path) -> None:
    """Ask the system to put a file, or the entries of a folder, on the disk."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
