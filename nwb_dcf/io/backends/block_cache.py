"""Blocks of remote files on the disk, for the next time that they are read.

fsspec has such a cache too, which knows neither versions nor a limit and takes what lies in its folder as it is, so
that another user's file would be read where a folder is shared.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .environment import read_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from .http import RemoteFile

LIMIT_BYTES = 10 * 10**9
"""Above this the files that were read longest ago go; NWB_DCF_CACHE_GB overrides it."""

_DIGEST_BYTES = 16
_NAMED = re.compile(r"[0-9a-f]{32}")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class BlockCache:
    """Blocks of one version of one remote file.

    Parameters
    ----------
    folder : Path
        Its own folder, made on demand in one that belongs to this user alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._grown = False

    def find(self, number: int) -> bytes | None:
        """Return the block that was kept under `number`, or None if nothing whole is there."""
        try:
            handle = os.open(self._path(number), os.O_RDONLY | _NO_LINK)
            with open(handle, "rb") as file:
                # Asked of the open file: one that is asked by its name could be exchanged before it is read.
                if not _is_own(os.fstat(handle), stat.S_ISREG):
                    return None
                stored = file.read()
        except OSError:
            return None
        digest, block = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        return block if digest == _digest(block) else None

    def keep(self, number: int, block: bytes) -> None:
        """Keep `block`; where the disk is full or read-only, nothing is kept."""
        path = self._path(number)
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            for folder in (self.folder, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600), "wb") as file:
                file.write(_digest(block) + block)
            os.replace(draft, path)  # whole, whoever else reads or is killed
            self._grown = True
        except OSError:
            with suppress(OSError):
                draft.unlink()

    def prune(self) -> None:
        """Remove the files that were read longest ago, until the rest is below the limit."""
        # Reading changes no time of a folder, and a file that is only read is in use too.
        with suppress(OSError):
            os.utime(self.folder)
        if not self._grown:
            return
        limit = read_number("NWB_DCF_CACHE_GB", LIMIT_BYTES / 1e9) * 1e9
        # The folder of all caches may be any folder of the user's: only names of caches are looked at.
        kept = [path for path in self.folder.parent.iterdir() if _NAMED.fullmatch(path.name) and not path.is_symlink()]
        sizes = {folder: _size(folder) for folder in kept}
        for folder in sorted(kept, key=_last_use):
            if sum(sizes.values()) <= limit:
                break
            shutil.rmtree(folder, ignore_errors=True)
            del sizes[folder]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number // 256:x}" / f"{number % 256:02x}"


def open_cache(about: RemoteFile) -> BlockCache | None:
    """Return the cache for a remote file.

    Returns
    -------
    BlockCache or None
        None if none is wanted, the server does not tell versions apart, or the folder is not this user's alone.

    Notes
    -----
    ``NWB_DCF_CACHE`` names the folder of all caches, one for all users if they like; ``off`` keeps nothing.
    """
    # Without a version, what is kept could be of another file that has its place now.
    wanted = os.environ.get("NWB_DCF_CACHE") or str(_default_folder())
    if wanted == "off" or not about.version:
        return None
    own = claim_folder(Path(wanted))
    name = hashlib.sha256(f"{about.url} {about.size} {about.version}".encode()).hexdigest()[:32]
    return None if own is None else BlockCache(own / name)


def claim_folder(shared: Path) -> Path | None:
    """Make this user's own folder in `shared`; None if it cannot be made, or is a link or another user's."""
    own = shared / f"user-{os.getuid() if hasattr(os, 'getuid') else 0}"
    try:
        shared.mkdir(parents=True, exist_ok=True)
        own.mkdir(mode=0o700, exist_ok=True)
        about = own.lstat()
        if not _is_own(about, stat.S_ISDIR):
            return None
        # An earlier umask or a person may have opened it to others.
        if os.name == "posix" and stat.S_IMODE(about.st_mode) != 0o700:
            own.chmod(0o700)
    except OSError:
        return None
    return own


def _is_own(about: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    return is_kind(about.st_mode) and (not hasattr(os, "getuid") or about.st_uid == os.getuid())


def _default_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("nwb-dcf", appauthor=False))


def _digest(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=_DIGEST_BYTES).digest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
