"""Replace a file by a changed copy so that, killed at any moment, the old file or the new one is there.

The copy lies in a hidden folder beside the target, on the same file system, since only there a rename is
atomic. That folder is ours or it is refused, and nobody else can look into it. A lock in it keeps a second writer
out. The lock of a killed process is free, so whoever takes it next removes what that process has left. What differs
where the "file" is a folder of Zarr stands in `atomic_folder`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
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
LONGEST_NAME = 200  # bytes of a target's name that its work folder repeats
_LOCK = "lock"
_ENDING = ".nwb-dcf"
# What a write makes: in its work folder, and the folder itself with copies of Zarr beside it. Nothing else is removed.
# Earlier versions made "packed-" too.
_MADE = re.compile(r"lock|payload\.npz|empty\.nwb|(packed-)?[0-9a-f]{32}(\..*)?", re.DOTALL)
_NAMED = re.compile(r"(?P<work_folder>\..+\.nwb-dcf)(-[0-9a-f]{32}(\.aside)?)?", re.DOTALL)


@dataclass(frozen=True)
class FileState:
    """Identity, size and time of the last change of a file: what differs once it was changed."""

    inode: int
    size: int
    mtime_ns: int
    names: int = 1  # hard links

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return the state of the file at `path` now; of a folder, that of all its files and folders together."""
        status = path.stat()
        if not path.is_dir():
            return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_nlink)
        # The time of a folder changes with its entries alone, so each file in it counts.
        size, latest = 0, status.st_mtime_ns
        for parent, folders, files in os.walk(path):
            for name in (*folders, *files):
                inner = os.lstat(os.path.join(parent, name))
                size, latest = size + inner.st_size, max(latest, inner.st_mtime_ns)
        return cls(status.st_ino, size, latest)


def work_folder_of(target: Path) -> Path:
    """Name the hidden folder in which a replacement of `target` is prepared."""
    name = os.fsencode(target.name)
    if len(name) <= LONGEST_NAME:
        return target.parent / f".{target.name}{_ENDING}"
    # File systems count bytes, and two long names must not have one folder.
    short = name[: LONGEST_NAME // 2].decode("utf-8", "ignore")
    return target.parent / f".{short}~{hashlib.sha256(name).hexdigest()[:16]}{_ENDING}"


@contextmanager
def lock_work_folder(target: Path, *, wait_s: float | None = None) -> Iterator[Path]:
    """Hold the work folder of `target`, without what killed writes have left in it, and remove it at the end.

    Raises
    ------
    StoreError
        If another process holds it for longer than `wait_s` seconds (30 by default), it cannot be made, or what has
        its name is not ours.
    """
    folder, wait_s = work_folder_of(target), LOCK_WAIT_S if wait_s is None else wait_s
    try:
        lock = _acquire(folder, target, wait_s)
    except Timeout:
        raise StoreError(
            f"another nwb-dcf is writing into this file, and was not done after {wait_s:g} s",
            where=str(target),
            fix="try again when it has ended",
        ) from None
    except OSError as error:
        raise explain_failure(str(error), error.errno, where=str(target.parent)) from error
    try:
        _clear(folder, keep_lock=True)
        restore_from(folder, target)
        _remove_copies(folder, target)
        yield folder
    finally:
        _remove_copies(folder, target)
        # Removed while the lock is held; who waits for it sees that its file is gone and starts afresh.
        _clear(folder)
        with suppress(OSError):  # what others have put there stays
            folder.rmdir()
        lock.release(force=True)
        if os.name == "nt":  # which cannot remove a lock that is held
            with suppress(OSError):
                (folder / _LOCK).unlink()
                folder.rmdir()


def _acquire(folder: Path, target: Path, wait_s: float) -> FileLock:
    while True:
        made = _make_private_folder(folder)
        check_work_folder(target, just_made=made)
        with suppress(OSError):
            folder.chmod(0o700)
        lock = FileLock(folder / _LOCK, timeout=wait_s, mode=0o600)
        try:
            lock.acquire()  # the system frees it when its holder ends, however that happens
        except FileNotFoundError:  # its last holder removed the folder in between
            continue
        return lock


def _make_private_folder(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700)  # the copy is nobody else's business meanwhile
    except FileExistsError:
        return False
    return True


def claim_work_folder(target: Path) -> Path:
    """Make the work folder of `target`, or find that it is ours, without holding it: for what stays in it.

    Raises
    ------
    StoreError
        If what has its name is not ours.
    """
    folder = work_folder_of(target)
    check_work_folder(target, just_made=_make_private_folder(folder))
    return folder


def release_work_folder(folder: Path) -> None:
    """Remove a work folder that holds nothing any more."""
    with suppress(OSError):
        if (folder / _LOCK).exists() and not _is_held(folder):
            (folder / _LOCK).unlink()
        folder.rmdir()


def check_work_folder(target: Path, *, just_made: bool = False) -> None:
    """Raise unless the work folder of `target` is ours, or not there.

    What has its name may be a link that leads elsewhere, or a folder in which another user has laid links: nothing in
    it is then read, written or removed.

    Raises
    ------
    StoreError
        If it is a link, a file, or another user's.
    """
    folder = work_folder_of(target)
    try:
        status = os.lstat(folder)
    except OSError:
        return
    fix = "move it away, or write elsewhere with output (-o)"
    if not stat.S_ISDIR(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no folder"
        raise StoreError(f"{kind} has the name of the folder that a write needs", where=str(folder), fix=fix)
    if not just_made and not _is_own(status, folder.parent):
        what = "the folder that a write needs belongs to another user"
        raise StoreError(what, where=str(folder), fix=fix)
    try:
        lock = os.lstat(folder / _LOCK)
    except OSError:
        return
    if not stat.S_ISREG(lock.st_mode) or lock.st_nlink > 1 or lock.st_size:  # locking it would empty it
        raise StoreError("this is not the lock of a write", where=str(folder / _LOCK), fix=fix)


def _is_own(status: os.stat_result, parent: Path) -> bool:
    """Whether what has `status` is of the owner that a new folder in `parent` gets.

    On network drives that is often one user for everything, and not the one who asks.
    """
    if not hasattr(os, "geteuid") or status.st_uid == os.geteuid():
        return True
    try:
        probe = tempfile.mkdtemp(prefix=".nwb-dcf-", dir=parent)
    except OSError:
        return False
    # The answer of the file system itself, which may give every file to one user or to nobody.
    owner = os.stat(probe).st_uid
    os.rmdir(probe)
    return owner == status.st_uid


def _clear(folder: Path, *, keep_lock: bool = False) -> None:
    """Remove the files that a write makes in its work folder, and nothing else; links are not followed."""
    with suppress(OSError):
        for name in os.listdir(folder):
            path = folder / name
            if _MADE.fullmatch(name) and not (keep_lock and name == _LOCK):
                with suppress(OSError):  # a folder of that name is none of ours
                    path.unlink()


def _remove_copies(folder: Path, target: Path) -> None:
    owners = [target.stat().st_uid] if target.exists() else []
    for copy in find_copies(folder):
        if (status := os.lstat(copy)).st_uid in owners or _is_own(status, copy.parent):
            shutil.rmtree(copy, ignore_errors=True)


def find_leftovers(folder: Path) -> list[Path]:
    """Find what killed writes have left in `folder`: work folders that no process holds, and copies of Zarr.

    Checkpoints are no leftovers: a work folder that holds nothing else is not among them.
    """
    found = []
    for work_folder, entries in find_work_folders(folder).items():
        if not _is_held(work_folder):
            found += [entry for entry in entries if entry != work_folder or _holds_leftovers(entry)]
    return sorted(found)


def find_work_folders(folder: Path) -> dict[Path, list[Path]]:
    """Work folders in `folder` by their names, each with what there is of it: itself, and copies of Zarr beside it."""
    found: dict[Path, list[Path]] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    for name in names:
        match = _NAMED.fullmatch(name)
        path = folder / name
        if match and path.is_dir() and not path.is_symlink():
            found.setdefault(folder / match["work_folder"], []).append(path)
    return found


def _holds_leftovers(folder: Path) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return not names or any(_MADE.fullmatch(name) for name in names)


def _is_held(folder: Path) -> bool:
    """Whether a process holds the lock of a work folder; nothing is made or changed to find out."""
    try:
        import fcntl
    except ImportError:
        return (folder / _LOCK).exists()
    try:
        # Neither a link is followed nor a pipe waited for, if a stranger has put one there.
        handle = os.open(folder / _LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def remove_leftovers(target: Path) -> None:
    """Remove what killed runs have left beside `target`, of it and of others; leave what is of a run that is alive."""
    for folder in find_work_folders(target.parent):
        named = folder.name[1 : -len(_ENDING)]
        other = target if folder == work_folder_of(target) else folder.with_name(named)
        if work_folder_of(other) == folder and (other == target or "~" not in named):  # shortened: name unknown
            with suppress(StoreError), lock_work_folder(other, wait_s=0):
                pass


def restore_folder(path: Path) -> None:
    """Bring the folder at `path` back if a run was killed in the moment in which it was set aside."""
    target = path.resolve()
    if not path.exists() and find_copies(work_folder_of(target)):
        with suppress(StoreError), lock_work_folder(target, wait_s=0):
            pass


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
    copy = make_private(folder / f"{uuid.uuid4().hex}{original.suffix}")
    shutil.copyfile(original, copy)
    return copy


def make_private(path: Path) -> Path:
    """Make an empty file at `path`, where there is nothing, that its owner alone can read."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return path


def keep_manners(original: Path | None, copy: Path) -> None:
    """Give a finished `copy` the mode, owner and extended attributes of `original`, as far as the system lets us.

    Last of all, since until then it is nobody else's business. Without an original it gets what a new file gets.
    """
    if original is None:
        mask = os.umask(0o077)
        os.umask(mask)
        copy.chmod(0o666 & ~mask)
        return
    status = original.stat()
    # Not every file system takes owners and attributes, and a fit is not lost for them.
    with suppress(OSError):
        shutil.copystat(original, copy)
        os.utime(copy)
    with suppress(OSError, AttributeError):
        os.chown(copy, status.st_uid, status.st_gid)
    needed = stat.S_IRWXU if copy.is_dir() else stat.S_IWUSR | stat.S_IRUSR
    copy.chmod(stat.S_IMODE(status.st_mode) | needed)


def size_of_copy(original: Path, *, linked: bool = False) -> int:
    """Return the number of bytes that `copy_beside` will write."""
    return measure_folder(original, linked=linked) if original.is_dir() else original.stat().st_size


def replace(copy: Path, target: Path, state: FileState | None) -> None:
    """Put the verified `copy` in the place of `target`, which is still in `state` if that is given.

    Raises
    ------
    StoreError
        If a folder was changed until the last moment, which only a file's lock prevents; it is put back then.
    """
    if not copy.is_dir():
        os.replace(copy, target)  # POSIX has it atomic: a reader opens the old file or the new one
        return
    old = replace_folder(copy, target)
    if old is not None and state is not None and FileState.of(old) != state:
        replace_folder(old, target)
        raise refuse_changed(target)


def note_other_names(state: FileState) -> list[str]:
    """Note what becomes of the other hard links of a file that was replaced: they keep the old one."""
    if state.names < 2:
        return []
    others = "another name" if state.names == 2 else f"{state.names - 1} other names"
    return [f"the file had {others} (hard links): there it is as it was before"]


def refuse_changed(path: Path) -> StoreError:
    """Return the error for a file that another program has changed in the meantime."""
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
    # A rename may reach the disk before what was written: a power cut would leave an empty file in its place.
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
