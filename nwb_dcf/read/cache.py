"""Parts of remote files, kept on the disk so that they are fetched once."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from .http import RemoteFile

LIMIT_BYTES = 10 * 10**9
"""Above this the files that were read longest ago go; NWB_DCF_CACHE_GB overrides it."""

_DIGEST_BYTES = 16


class ChunkCache:
    """Parts of one version of one remote file; what remfile asks of a cache.

    Parameters
    ----------
    folder : Path
        Its own folder, made on demand.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._grown = False

    def get(self, key: str) -> bytes | None:
        """Return what was kept under `key`, or None if nothing whole is there."""
        try:
            stored = self._path(key).read_bytes()
        except OSError:
            return None
        digest, value = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        return value if digest == _digest(value) else None

    def set(self, key: str, value: bytes) -> None:
        """Keep `value`; a full or read-only disk merely means that nothing is kept."""
        path = self._path(key)
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(_digest(value) + value)
            os.replace(draft, path)  # whole, whoever else reads or is killed
            self._grown = True
        except OSError:
            with suppress(OSError):
                draft.unlink()

    def prune(self) -> None:
        """Remove the files that were read longest ago, until the rest is below the limit."""
        if not self._grown:
            return
        with suppress(OSError):
            os.utime(self.folder)
        limit = float(os.environ.get("NWB_DCF_CACHE_GB") or LIMIT_BYTES / 1e9) * 1e9
        others = [folder for folder in self.folder.parent.iterdir() if folder.is_dir()]
        sizes = {folder: _size(folder) for folder in others}
        for folder in sorted(others, key=_last_use):
            if sum(sizes.values()) <= limit:
                break
            shutil.rmtree(folder, ignore_errors=True)
            del sizes[folder]

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / name[:2] / name[2:]


def find_cache(about: RemoteFile) -> ChunkCache | None:
    """Return the cache for a remote file, or None if none is wanted or the server does not tell versions apart.

    Notes
    -----
    ``NWB_DCF_CACHE`` names the folder of all caches; ``off`` keeps nothing.
    """
    wanted = os.environ.get("NWB_DCF_CACHE") or str(_default_folder())
    if wanted == "off" or not about.version:
        return None
    name = hashlib.sha256(f"{about.url} {about.size} {about.version}".encode()).hexdigest()[:32]
    return ChunkCache(Path(wanted) / name)


def _default_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("nwb-dcf", appauthor=False))


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_DIGEST_BYTES).digest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
